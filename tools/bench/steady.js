/**
 * Trains one recipe on random images for many steps and prints, for each tenth of them, the median step time and the resident memory: both should stay
 * where they are. Run after `npm run build`.
 *
 *     node tools/bench/steady.js [RECIPE] [--steps 1000] [--batch 16] [--schedule sync] [--threads N]
 */
import { parseArgs } from 'node:util';
import { initialWeights, openEngine, readRecipe } from '../../dist/node.js';
import { syntheticBatch } from '../../dist/data/synthetic.js';
import { Random } from '../../dist/random.js';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: 'string', default: '1000' },
    batch: { type: 'string', default: '16' },
    schedule: { type: 'string', default: 'sync' },
    threads: { type: 'string' },
  },
});
const read = await readRecipe(positionals[0] ?? 'graphs/resnet32-cifar10-hpff-k16.json');
const recipe = { ...read, data: { ...read.data, batch: Number(options.batch) } };
const tenth = Math.max(1, Math.floor(Number(options.steps) / 10));
const random = new Random(0, 'steady');
const { engine, dispose } = await openEngine(recipe, {
  schedule: options.schedule,
  ...(options.threads === undefined ? {} : { threads: Number(options.threads) }),
});
engine.load(initialWeights(recipe));
console.log(`${recipe.name}: ${options.schedule}, batch ${options.batch}`);
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
  console.log(`steps ${step - tenth} … ${step - 1}: median ${median.toFixed(3)} s, resident ${memory.toFixed(0)} MiB`);
}
dispose();
