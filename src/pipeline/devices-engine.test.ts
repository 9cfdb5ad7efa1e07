/** Stages on several devices of one process: the bits of one device. Two runtimes on the CPU stand for two devices. */
import { afterEach, expect, test, vi } from 'vitest';
import { syntheticBatch } from '../data/synthetic.js';
import type { NamedTensors } from '../files/tensor.js';
import { initialWeights } from '../local/index.js';
import { Random } from '../random.js';
import { parseRecipe, type Recipe } from '../recipe/index.js';
import type { StepInput, StepReport } from './engine.js';
import type { EngineOptions } from './engine-options.js';
import { LoadedGraph } from './loaded-graphs.js';
import { openEngine } from './open-engine.js';
import type { TraceEvent } from './orchestrator.js';

const STEPS = 4;

const recipeOf = (local: object): Recipe =>
  parseRecipe(
    {
      name: 'devices test',
      network: { type: 'cifar-resnet', depth: 14, widths: [4, 8, 8, 16], classes: 4, image: [3, 8, 8] },
      split: { modules: 4 },
      local,
      optimizer: { type: 'sgd', learningRate: 0.05, momentum: 0.9 },
      schedule: { type: 'constant', epochs: 1 },
      data: { dataset: 'cifar10', batch: 8, normalize: { mean: [0.5], std: [0.25] } },
    },
    'devices test',
  );
const hpff = recipeOf({ rule: 'infopro', hierarchy: { independent: 0.1, cascade: 0.9 } });
const dgl = recipeOf({ rule: 'dgl' });

afterEach(() => vi.restoreAllMocks());

const inputOf = (recipe: Recipe, step: number): StepInput => ({
  batch: syntheticBatch(recipe, new Random(step, 'devices test')),
  learningRate: 0.05 / step,
});

const sorted = (tensors: NamedTensors) => [...tensors].sort(([a], [b]) => (a < b ? -1 : 1));

async function train(recipe: Recipe, options: EngineOptions) {
  const open = await openEngine(recipe, {
    schedule: 'async',
    lowering: 'portable',
    threads: 1,
    gradients: true,
    ...options,
  });
  try {
    const { engine } = open;
    engine.load(initialWeights(recipe));
    const reports: StepReport[] = [];
    let step = 1;
    await engine.run({
      first: 1,
      next: async () => (step <= STEPS ? inputOf(recipe, step++) : undefined),
      report: (report) => void reports.push(report),
      wantsGradients: (at) => at === 2,
    });
    const scores = await engine.evaluate(syntheticBatch(recipe).image);
    const [weights, optimizer] = [await engine.readWeights(), await engine.readOptimizer()];
    return {
      names: [...weights.keys(), ...optimizer.keys()],
      weights: sorted(weights),
      optimizer: sorted(optimizer),
      scores,
      reports: reports.map(({ losses, total, gradients }) => ({
        losses: [...losses].sort(),
        total,
        gradients: sorted(gradients),
      })),
      stages: engine.takeTimes().map(({ modules }) => modules),
    };
  } finally {
    open.dispose();
  }
}

test.each([
  ['HPFF', 'cpu,cpu', 0, hpff],
  ['HPFF', 'cpu, cpu,cpu', 1, hpff],
  ['DGL', 'cpu,cpu', 1, dgl],
])('%s on %s with delay %i gives the bits of one device', async (_name, device, delay, recipe) => {
  const { stages: one, ...expected } = await train(recipe, { stages: 1, delay });
  const { stages, ...found } = await train(recipe, { device, delay });
  expect(found).toEqual(expected);
  expect(expected.reports[1]!.gradients.length).toBeGreaterThan(10);
  expect(one).toEqual([[0, 1, 2, 3]]);
  expect(stages).toHaveLength(device.split(',').length);
  expect(stages.flat()).toEqual([0, 1, 2, 3]);
});

test('the trace tells which device did what', async () => {
  const events: TraceEvent[] = [];
  const { stages } = await train(hpff, { device: 'cpu,cpu', trace: (event) => void events.push(event) });
  for (const { stage, module } of events) expect(stages[stage]).toContain(module);
  expect(new Set(events.map(({ stage }) => stage))).toEqual(new Set([0, 1]));
});

test.each([0, 3])('a graph that fails, of module %i, ends the run on all devices', async (module) => {
  // eslint-disable-next-line @typescript-eslint/unbound-method
  const run = LoadedGraph.prototype.run;
  let left = 3;
  vi.spyOn(LoadedGraph.prototype, 'run').mockImplementation(async function (this: LoadedGraph, ...parameters) {
    if (this.entry.module === module && this.entry.phase === 'update' && --left === 0) throw new Error('graph failed');
    return run.apply(this, parameters);
  });
  await expect(train(hpff, { device: 'cpu,cpu', balance: 'memory' })).rejects.toThrow('graph failed');
});

test.each([
  [
    { schedule: 'sync', device: 'cpu,cpu' },
    '--device: found 2 devices with --schedule sync, allowed: one; with async several',
  ],
  [{ device: 'cpu,cpu', stages: 3 }, '--stages: found 3 with 2 devices, allowed: 2, one on each'],
  [{ device: 'cpu,cpu,cpu,cpu,cpu' }, '--device: found 5 devices, allowed: at most 4, the modules of devices test'],
  [{ device: 'cuda:0,cuda' }, '--device: found cuda:0 twice, allowed: once'],
  [{ device: 'cpu,gpu' }, "--device: found 'gpu', allowed: cpu, cuda"],
  [{ device: 'cpu,' }, "--device: found '', allowed: cpu, cuda"],
])('refuses %j', async (options, message) => {
  await expect(openEngine(hpff, { schedule: 'async', ...options })).rejects.toThrow(message);
});
