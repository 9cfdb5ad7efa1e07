/**
 * Compares the ways to run one training step of a recipe: schedules, lowerings, numbers of threads. Prints for each the worst difference of a gradient
 * from the first way, whether threads change any bit, and the ReLUs whose units one lowering finds just above zero and another does not: such ties, not
 * rounding, are what can move a gradient by more than 1e-4. Run after `npm run build`.
 */
import { chooseLowering, createNativeRuntime, initialWeights, openEngine, portable, readRecipe } from '../dist/node.js';
import { syntheticBatch } from '../dist/data/synthetic.js';
import { reluTies } from '../dist/pipeline/relu-ties.js';
import { commandLine } from './command-line.js';
import { worstDifference } from './worst-difference.js';

const USAGE = `usage: node tools/compare-lowerings.js [recipe] [options]
  --batch N        images in a step (default 32)
  --threads N,…    (default 1,2)`;

const { values: options, positionals } = commandLine(USAGE, {
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

async function reportTies() {
  const runtime = await createNativeRuntime({ threads: 1 });
  try {
    const { lowering: blocked } = await chooseLowering('blocked', runtime);
    const values = new Map([...weights, ['image', batch.image], ['label', batch.label]]);
    const relus = await reluTies(recipe, values, runtime, [portable, blocked]);
    for (const { name, ties, units, highest } of relus) {
      if (ties > 0)
        console.log(`tie: ${name}: ${ties} of ${units} units, at most ${highest.toExponential(1)} above zero`);
    }
    const ties = relus.reduce((sum, relu) => sum + relu.ties, 0);
    console.log(`${ties} ${ties === 1 ? 'tie' : 'ties'} in ${relus.length} ReLUs`);
  } finally {
    runtime.dispose();
  }
}
