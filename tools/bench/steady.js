/**
 * Trains one recipe on random images for many steps and prints, for each tenth of them, the median step time and the resident memory: both should stay
 * where they are. Run after `npm run build`.
 */
import { parseArgs } from 'node:util';
import { initialWeights, openEngine, readRecipe } from '../../dist/node.js';
import { syntheticBatch } from '../../dist/data/synthetic.js';
import { Random } from '../../dist/random.js';
import { positive } from './options.js';

const USAGE = `usage: node tools/bench/steady.js [RECIPE] [options]
  RECIPE               (default graphs/resnet32-cifar10-hpff-k16.json)
  --steps N            optimizer steps (default 1000)
  --batch N            images in a step (default 16)
  --schedule SCHEDULE  fused, sync or async (default sync)
  --threads N          (default: all cores)`;

async function main() {
  const { file, steps, batch, help, ...options } = readOptions();
  if (help) return console.log(USAGE);
  const read = await readRecipe(file);
  const recipe = { ...read, data: { ...read.data, batch } };
  const { engine, dispose } = await openEngine(recipe, options);
  try {
    engine.load(initialWeights(recipe));
    console.log(`${recipe.name}: ${options.schedule}, batch ${batch}`);
    await train(engine, recipe, Math.max(1, Math.floor(steps / 10)));
  } finally {
    dispose();
  }
}

/** Ten times as many steps as `tenth`, with a line for each. */
async function train(engine, recipe, tenth) {
  const random = new Random(0, 'steady');
  for (let done = 0, step = 1; done < 10; done++) {
    const seconds = [];
    for (let i = 0; i < tenth; i++, step++) {
      const batch = syntheticBatch(recipe, random);
      const started = performance.now();
      await engine.step(batch, 0.01, step);
      seconds.push((performance.now() - started) / 1000);
    }
    const median = seconds.sort((a, b) => a - b)[seconds.length >> 1];
    const memory = process.memoryUsage.rss() / 2 ** 20;
    console.log(
      `steps ${step - tenth} … ${step - 1}: median ${median.toFixed(3)} s, resident ${memory.toFixed(0)} MiB`,
    );
  }
}

/** @throws Error with one line for the user */
function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      steps: { type: 'string', default: '1000' },
      batch: { type: 'string', default: '16' },
      schedule: { type: 'string', default: 'sync' },
      threads: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const { steps, batch, schedule, threads, help } = values;
  const [file = 'graphs/resnet32-cifar10-hpff-k16.json', ...more] = positionals;
  if (more.length > 0) throw new Error(`found '${more[0]}' after ${file}, allowed: one recipe`);
  return {
    file,
    steps: positive('--steps', steps),
    batch: positive('--batch', batch),
    schedule,
    ...(threads === undefined ? {} : { threads: positive('--threads', threads) }),
    help,
  };
}

try {
  await main();
} catch (error) {
  console.error(`tools/bench/steady.js: ${error.message}`);
  process.exitCode = 1;
}
