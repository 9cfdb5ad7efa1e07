/**
 * Compares the ways to run one training step of a recipe: schedules, lowerings, numbers of threads. Prints for each the worst difference of a gradient
 * from the first way, whether threads change any bit, and the ReLUs whose units one lowering finds just above zero and another does not: such ties, not
 * rounding, are what can move a gradient by more than 1e-4.
 *
 *     node tools/compare-lowerings.js [RECIPE] [--batch N] [--threads 1,2]
 */
import { parseArgs } from 'node:util';
import {
  buildStep,
  chooseLowering,
  createNativeRuntime,
  cut,
  encodeModel,
  initialWeights,
  lower,
  openEngine,
  portable,
  readRecipe,
} from '../dist/node.js';
import { syntheticBatch } from '../dist/data/synthetic.js';
import { worstDifference } from './worst-difference.js';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { batch: { type: 'string', default: '32' }, threads: { type: 'string', default: '1,2' } },
});
const read = await readRecipe(positionals[0] ?? 'graphs/resnet32-cifar10-hpff-k16.json');
const recipe = { ...read, data: { ...read.data, batch: Number(options.batch) } };
const threadCounts = options.threads.split(',').map(Number);
const weights = initialWeights(recipe);
const batch = syntheticBatch(recipe);

const ways = ['portable', 'blocked'].flatMap((lowering) =>
  ['fused', 'sync'].map((schedule) => ({ lowering, schedule })),
);
let reference;
for (const { lowering, schedule } of ways) {
  const runs = [];
  for (const threads of threadCounts) runs.push(await gradientsOf({ lowering, schedule, threads }));
  reference ??= runs[0];
  const difference = runs[0] === reference ? 'the reference' : differenceText(runs[0]);
  console.log([`${schedule}, ${lowering}: ${difference}`, ...bitsText(runs)].join('; '));
}
await reportTies();

async function gradientsOf(way) {
  const { engine, dispose } = await openEngine(recipe, { ...way, gradients: true });
  try {
    engine.load(weights);
    return (await engine.step(batch, 0.01, 1, true)).gradients;
  } finally {
    dispose();
  }
}

function differenceText(gradients) {
  const [name, worst] = worstDifference(reference, gradients);
  return `worst gradient ${worst.toExponential(1)} (${name})`;
}

/** Whether the number of threads changes anything; nothing where there is one number only. */
function bitsText(runs) {
  if (runs.length === 1) return [];
  const bits = runs.every((run) => sameBits(run, runs[0])) ? 'the same bits' : 'DIFFERENT BITS';
  return [`${bits} with ${threadCounts.join(' and ')} threads`];
}

function sameBits(a, b) {
  return [...a].every(([name, { data }]) => Buffer.from(data.buffer).equals(Buffer.from(b.get(name).data.buffer)));
}

/** ReLUs of which units are zero in one lowering only. */
async function reportTies() {
  const runtime = await createNativeRuntime({ threads: 1 });
  try {
    const { lowering: blocked } = await chooseLowering('blocked', runtime);
    const slice = reluSlice();
    const expected = await run(runtime, slice, portable);
    const found = await run(runtime, slice, blocked);
    let ties = 0;
    for (const [name, { data }] of expected) {
      const other = found.get(name).data;
      const units = [...data.keys()].filter((i) => data[i] > 0 !== other[i] > 0);
      if (units.length === 0) continue;
      ties += units.length;
      const largest = Math.max(...units.map((i) => Math.max(data[i], other[i])));
      console.log(
        `tie: ${name}: ${units.length} of ${data.length} units, at most ${largest.toExponential(1)} above zero`,
      );
    }
    console.log(`${ties} ${ties === 1 ? 'tie' : 'ties'} in ${expected.size} ReLUs`);
  } finally {
    runtime.dispose();
  }
}

/** The part of the step that makes all ReLUs. */
function reluSlice() {
  const { graph } = buildStep(recipe, recipe.data.batch);
  const relus = graph.nodes.filter(({ op }) => op === 'Relu');
  const outputs = relus.map(({ section, scope, id, outputs: [value] }) => ({
    name: `${section}/${scope}#${id}`,
    value,
  }));
  return cut('relus', outputs, () => true, String);
}

async function run(runtime, slice, lowering) {
  const session = await runtime.createSession(encodeModel(lower(slice, lowering)), { name: lowering.name });
  const host = new Map([...weights, ['image', batch.image], ['label', batch.label]]);
  const feeds = new Map(slice.inputs.map(({ name }) => [name, runtime.upload(host.get(name))]));
  const outputs = await session.run(feeds);
  const read = new Map([...outputs].map(([name, tensor]) => [name, tensor.read()]));
  for (const tensor of [...feeds.values(), ...outputs.values()]) tensor.dispose();
  session.dispose();
  return read;
}
