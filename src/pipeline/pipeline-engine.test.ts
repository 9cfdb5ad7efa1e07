/** The asynchronous pipeline: with delay 0 the bits of `sync`, else those of a plain walk through the schedule; whatever stages and timing. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { buildSharedGraphs } from '../artifacts/index.js';
import type { Batch } from '../data/dataset.js';
import { syntheticBatch } from '../data/synthetic.js';
import type { NamedTensors } from '../files/tensor.js';
import { float32 } from '../files/tensor.js';
import { initialWeights } from '../local/index.js';
import { portable } from '../lower/index.js';
import { createOptimizer } from '../nn/index.js';
import { parseRecipe, type Recipe } from '../recipe/index.js';
import { Random } from '../random.js';
import { createNativeRuntime } from '../runtime/native/index.js';
import type { DeviceTensor } from '../runtime/runtime.js';
import { balance } from './balance.js';
import type { StepReport, StepRun, TrainEngine } from './engine.js';
import { HostedModules } from './hosted-modules.js';
import { LoadedGraph, LoadedGraphs } from './loaded-graphs.js';
import type { EngineOptions } from './engine-options.js';
import { openEngine } from './open-engine.js';
import { type Host, Orchestrator, stepsAtOnce, type TraceEvent } from './orchestrator.js';
import type { PipelineEngine } from './pipeline-engine.js';
import { moduleSchedule } from './schedule.js';
import { StageClock } from './stage-clock.js';
import { TaskRunner } from './task-runner.js';

const STEPS = 5;

function recipeOf(
  local: object,
  modules: number,
  optimizer: object = { type: 'sgd', learningRate: 0.05, momentum: 0.9 },
) {
  return parseRecipe(
    {
      network: { type: 'cifar-resnet', depth: 14, widths: [4, 8, 8, 16], classes: 4, image: [3, 8, 8] },
      split: { modules },
      local,
      optimizer,
      schedule: { type: 'constant', epochs: 1 },
      data: { dataset: 'cifar10', batch: 8, normalize: { mean: [0.5], std: [0.25] } },
    },
    'pipeline test',
  );
}

const hierarchy = { independent: 0.1, cascade: 0.9 };
const patches = { grid: 2, on: ['decoder'], weights: 'separate', fuse: 'sum' };
const recipes: [string, Recipe][] = [
  [
    'HPFF whose last interior module is silent',
    recipeOf({ rule: 'infopro', hierarchy, lambda: { classifier: [1, 0], decoder: [1, 0] }, patches }, 5),
  ],
  ['DGL with HiLo, AdamW', recipeOf({ rule: 'dgl', hierarchy }, 4, { type: 'adamw', learningRate: 0.002 })],
  ['DGL', recipeOf({ rule: 'dgl' }, 4)],
  ['back-propagation', recipeOf({ rule: 'bp' }, 1)],
];

/** Other images and another rate at each step. */
const inputOf = (recipe: Recipe, step: number): { batch: Batch; learningRate: number } => ({
  batch: syntheticBatch(recipe, new Random(step, 'pipeline test')),
  learningRate: 0.05 / step,
});

interface Outcome {
  readonly weights: NamedTensors;
  readonly optimizer: NamedTensors;
  readonly reports: readonly StepReport[];
}

async function trainWith(
  engine: Pick<TrainEngine, 'run' | 'readWeights' | 'readOptimizer'>,
  recipe: Recipe,
  first = 1,
  last = STEPS,
): Promise<Outcome> {
  const reports: StepReport[] = [];
  let step = first;
  await engine.run({
    first,
    next: async () => (step <= last ? inputOf(recipe, step++) : undefined),
    report: (report, at) => {
      expect(at).toBe(first + reports.length);
      reports.push(report);
    },
    wantsGradients: (at) => at === first + 1,
  });
  return { weights: await engine.readWeights(), optimizer: await engine.readOptimizer(), reports };
}

async function train(recipe: Recipe, options: EngineOptions): Promise<Outcome> {
  const open = await openEngine(recipe, { lowering: 'portable', threads: 1, gradients: true, ...options });
  try {
    open.engine.load(initialWeights(recipe));
    return await trainWith(open.engine, recipe);
  } finally {
    open.dispose();
  }
}

/** The modules of a recipe in a runtime of their own, for runs under one delay and arrangement after another. */
class Bench {
  private constructor(
    private readonly recipe: Recipe,
    private readonly host: Host,
    private readonly loaded: LoadedGraphs,
  ) {}

  static async open(recipe: Recipe): Promise<Bench> {
    const runtime = await createNativeRuntime({ threads: 1 });
    const { manifest, uses } = buildSharedGraphs(recipe, { lowering: portable, schedules: ['sync'], gradients: true });
    const loaded = await LoadedGraphs.load(runtime, uses, manifest.graphs, ({ file }) => ({ name: file }));
    const parts = {
      runner: new TaskRunner(runtime, manifest),
      optimizer: createOptimizer(recipe.optimizer),
      hosted: new HostedModules(manifest),
    };
    return new Bench(recipe, { manifest, runtime, graphs: loaded.byFile, ...parts }, loaded);
  }

  get modules(): number {
    return this.host.hosted.modules.length;
  }

  async train(delay: number, stages: number): Promise<Outcome> {
    const { recipe, host } = this;
    const { runner } = host;
    runner.load(initialWeights(recipe));
    const arranged = balance({ modules: host.hosted.modules.map(() => 1) }, stages);
    const clocks = arranged.map((modules) => new StageClock(modules));
    const run = async (steps: StepRun): Promise<void> => new Orchestrator(host, steps, { delay, clocks }).finish();
    return trainWith(
      { run, readWeights: () => runner.readWeights(), readOptimizer: () => runner.readOptimizer() },
      recipe,
    );
  }

  /** Walks through the schedule of each module by itself, as far as its inputs are there: the last module first. Keeps every value. */
  async walk(delay: number): Promise<Outcome> {
    const { recipe } = this;
    const { manifest, runtime, runner, optimizer, hosted, graphs } = this.host;
    const values = new Map<string, DeviceTensor>();
    const reports = Array.from({ length: STEPS }, () => ({
      losses: new Map<string, number>(),
      gradients: new Map() as NamedTensors,
    }));
    try {
      runner.load(initialWeights(recipe));
      for (let step = 1; step <= STEPS; step++) {
        const { batch, learningRate } = inputOf(recipe, step);
        values.set(`image@${step}`, runtime.upload(batch.image)).set(`label@${step}`, runtime.upload(batch.label));
        for (const [name, value] of optimizer.scalarValues(learningRate, step)) {
          values.set(`${name}@${step}`, runtime.upload(float32([], [value])));
        }
      }
      const { modules } = hosted;
      const left = modules.map(({ shape }) => moduleSchedule(shape, delay, { first: 1, last: STEPS }));
      while (left.some((tasks) => tasks.length > 0)) {
        const able = modules.findLast(({ index, tasks }) => {
          const [task] = left[index]!;
          return task && tasks.get(task.phase)!.reads.every((name) => values.has(`${name}@${task.step}`));
        })!;
        const { phase, step } = left[able.index]!.shift()!;
        const graph = graphs.get(able.tasks.get(phase)!.entry.file)!;
        const outputs = await runner.run(graph, (name) => values.get(`${name}@${step}`), graph.entry.outputs);
        for (const [{ name, meaning }, tensor] of outputs) {
          if (meaning === 'loss') reports[step - 1]!.losses.set(name.slice(5), Number(tensor.read().data[0]));
          if (meaning === 'gradient' && step === 2) reports[step - 1]!.gradients.set(name.slice(5), tensor.read());
          values.set(`${name}@${step}`, tensor);
        }
      }
      const total = (losses: ReadonlyMap<string, number>): number =>
        manifest.losses.reduce((sum, { name, weight }) => sum + weight * losses.get(name)!, 0);
      return {
        weights: await runner.readWeights(),
        optimizer: await runner.readOptimizer(),
        reports: reports.map((report) => ({ ...report, total: total(report.losses) })),
      };
    } finally {
      for (const tensor of values.values()) tensor.dispose();
    }
  }

  /** Throws where tensors are left. */
  close(): void {
    this.host.runner.dispose();
    this.loaded.dispose();
    this.host.runtime.dispose();
  }
}

const sorted = <T>(map: ReadonlyMap<string, T>): [string, T][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

/** Everything, bit by bit: `toEqual` tells -0 from 0 and compares every element. */
function expectSame(found: Outcome, expected: Outcome): void {
  const plain = ({ weights, optimizer, reports }: Outcome) => ({
    weights: sorted(weights),
    optimizer: sorted(optimizer),
    reports: reports.map(({ losses, total, gradients }) => [sorted(losses), total, sorted(gradients)]),
  });
  expect(plain(found)).toEqual(plain(expected));
}

afterEach(() => vi.restoreAllMocks());

describe.each(recipes)('%s', (_name, recipe) => {
  let bench: Bench;
  let modules: number;
  beforeAll(async () => {
    bench = await Bench.open(recipe);
    modules = bench.modules;
  });
  afterAll(() => bench.close());

  test('with delay 0, any number of stages gives the bits of sync', async () => {
    const sync = await train(recipe, { schedule: 'sync' });
    expect(sync.reports[1]!.gradients.size).toBeGreaterThan(10);
    for (const stages of [1, 2, 4]) {
      if (stages <= modules) expectSame(await bench.train(0, stages), sync);
    }
  });

  test.each([0, 1, 2])('with delay %i, it gives the bits of a walk through the schedule', async (delay) => {
    const expected = await bench.walk(delay);
    for (const stages of [1, 3]) {
      if (stages <= modules) expectSame(await bench.train(delay, stages), expected);
    }
  });

  test('a delay changes what is learned, unless no module waits for a relay', async () => {
    const weights = async (delay: number) => sorted((await bench.train(delay, 1)).weights);
    const [now, late] = [await weights(0), await weights(1)];
    if (recipe.local.hierarchy) expect(late).not.toEqual(now);
    else expect(late).toEqual(now);
  });

  test.each([0, 1, 2])('timing changes nothing, delay %i', async (delay) => {
    const expected = await bench.train(delay, 1);
    const random = new Random(delay, 'jitter');
    // eslint-disable-next-line @typescript-eslint/unbound-method
    const run = LoadedGraph.prototype.run;
    vi.spyOn(LoadedGraph.prototype, 'run').mockImplementation(async function (this: LoadedGraph, ...parameters) {
      await sleep(random.int(12));
      const outputs = await run.apply(this, parameters);
      await sleep(random.int(12));
      return outputs;
    });
    expectSame(await bench.train(delay, modules), expected);
  });
});

const hpff = recipes[0]![1];

const engineParts = (engine: TrainEngine): Pick<TrainEngine, 'readWeights' | 'readOptimizer'> => ({
  readWeights: async () => engine.readWeights(),
  readOptimizer: async () => engine.readOptimizer(),
});

test('stages work at the same time, each on one task at a time, and modules keep to their schedule', async () => {
  const events: TraceEvent[] = [];
  const options = { schedule: 'async', delay: 1, stages: 2, trace: (event: TraceEvent) => void events.push(event) };
  await train(hpff, options);
  expect(new Set(events.map(({ stage }) => stage))).toEqual(new Set([0, 1]));
  const byStage = [0, 1].map((stage) => events.filter((event) => event.stage === stage));
  for (const tasks of byStage) {
    tasks.slice(1).forEach(({ begin }, i) => expect(begin).toBeGreaterThanOrEqual(tasks[i]!.end));
  }
  const overlaps = byStage[0]!.some((a) => byStage[1]!.some((b) => a.begin < b.end && b.begin < a.end));
  expect(overlaps).toBe(true);
  const { modules } = new HostedModules(buildSharedGraphs(hpff, { lowering: portable, schedules: ['sync'] }).manifest);
  for (const { index, shape } of modules) {
    const done = events.filter(({ module }) => module === index).map(({ phase, step }) => ({ phase, step }));
    expect(done).toEqual(moduleSchedule(shape, 1, { first: 1, last: STEPS }));
  }
});

test.each([0, 1, 2])('a stage whose neighbour is slow gets ahead by few steps, delay %i', async (delay) => {
  const events: TraceEvent[] = [];
  // eslint-disable-next-line @typescript-eslint/unbound-method
  const run = LoadedGraph.prototype.run;
  vi.spyOn(LoadedGraph.prototype, 'run').mockImplementation(async function (this: LoadedGraph, ...parameters) {
    if (this.entry.module === 4) await sleep(20);
    return run.apply(this, parameters);
  });
  const open = await openEngine(hpff, { schedule: 'async', delay, stages: 1, lowering: 'portable', threads: 1 });
  try {
    const engine = open.engine as PipelineEngine;
    engine.arrange([[0, 1, 2, 3], [4]]);
    engine.trace = (event) => void events.push(event);
    engine.load(initialWeights(hpff));
    await trainWith(
      { ...engineParts(engine), run: (steps) => engine.run({ ...steps, wantsGradients: () => false }) },
      hpff,
    );
  } finally {
    open.dispose();
  }
  const ends = (module: number, phase: string) =>
    events.filter((each) => each.module === module && each.phase === phase);
  const ahead = ends(0, 'forward').map(({ step, begin }) => {
    return step - ends(3, 'update').filter(({ end }) => end <= begin).length;
  });
  expect(Math.max(...ahead)).toBe(stepsAtOnce(delay));
});

test('a stage with nothing to run takes tasks of another', async () => {
  const events: TraceEvent[] = [];
  const open = await openEngine(hpff, { schedule: 'async', stages: 1, lowering: 'portable', threads: 1 });
  try {
    const engine = open.engine as PipelineEngine;
    engine.arrange([[0, 1, 2, 3], [4]]);
    engine.trace = (event) => void events.push(event);
    engine.load(initialWeights(hpff));
    let step = 1;
    await engine.run({ first: 1, next: async () => (step <= STEPS ? inputOf(hpff, step++) : undefined) });
  } finally {
    open.dispose();
  }
  expect(events.some(({ stage, module }) => stage === 1 && module < 4)).toBe(true);
  const ofModule = (module: number): TraceEvent[] => events.filter((event) => event.module === module);
  for (const module of [0, 1, 2, 3, 4]) {
    const tasks = ofModule(module);
    tasks.slice(1).forEach(({ begin }, i) => expect(begin).toBeGreaterThanOrEqual(tasks[i]!.end));
  }
});

test('with one stage and delay 0 the tasks come in the order of a synchronous step', async () => {
  const events: TraceEvent[] = [];
  await train(hpff, { schedule: 'async', stages: 1, trace: (event) => void events.push(event) });
  const { graphs } = buildSharedGraphs(hpff, { lowering: portable, schedules: ['sync'] }).manifest;
  const step = graphs.filter(({ phase }) => phase !== 'eval').map(({ module, phase }) => `${module} ${phase}`);
  const found = events.map(({ module, phase }) => `${module} ${phase}`);
  expect(found).toEqual(Array.from({ length: STEPS }, () => step).flat());
});

describe('one engine', () => {
  async function withEngine(work: (engine: TrainEngine) => Promise<void>): Promise<void> {
    const open = await openEngine(hpff, { schedule: 'async', delay: 1, stages: 3, lowering: 'portable', threads: 1 });
    try {
      open.engine.load(initialWeights(hpff));
      await work(open.engine);
    } finally {
      // Throws where tensors are left.
      open.dispose();
    }
  }

  test('can be run again and again, and runs of no steps change nothing', async () => {
    await withEngine(async (engine) => {
      const initial = await engine.readWeights();
      const nothing = await trainWith(engine, hpff, 1, 0);
      expect(nothing).toEqual({ weights: initial, optimizer: nothing.optimizer, reports: [] });
      await trainWith(engine, hpff, 1, 1);
      await trainWith(engine, hpff, 2, 3);
      const found = await trainWith(engine, hpff, 4, STEPS);
      const [times] = engine.takeTimes();
      expect(times!.busySeconds).toBeGreaterThan(0);
      expect(engine.takeTimes()[0]!.busySeconds).toBe(0);
      // Each run ends with all updates made, so this is not what one run of all steps gives, but what the same runs give.
      engine.load(initialWeights(hpff));
      for (const [first, last] of [
        [1, 1],
        [2, 3],
      ] as const)
        await trainWith(engine, hpff, first, last);
      expectSame(await trainWith(engine, hpff, 4, STEPS), found);
    });
  });

  test.each([
    ['the source fails', { next: async () => Promise.reject(new Error('no batch')) }, 'no batch'],
    ['the source fails later', { next: failAt(3, 'no third batch') }, 'no third batch'],
    [
      'a report is refused',
      {
        next: failAt(99, ''),
        report: () => {
          throw new Error('refused');
        },
      },
      'refused',
    ],
    [
      'a batch has another size',
      { next: async () => inputOf({ ...hpff, data: { ...hpff.data, batch: 3 } }, 1) },
      'batch has 3 images, the graphs take 8',
    ],
  ])('ends with the first error, and can go on: %s', async (_name, run, message) => {
    await withEngine(async (engine) => {
      await expect(engine.run({ first: 1, ...run })).rejects.toThrow(message);
      engine.load(initialWeights(hpff));
      await trainWith(engine, hpff);
    });
  });

  test('ends when a graph fails, without waiting for a source that gives nothing more', async () => {
    await withEngine(async (engine) => {
      let given = 0;
      // eslint-disable-next-line @typescript-eslint/unbound-method
      const run = LoadedGraph.prototype.run;
      vi.spyOn(LoadedGraph.prototype, 'run').mockImplementation(async function (this: LoadedGraph, ...parameters) {
        if (this.entry.file === 'modules/03/update.onnx') throw new Error('graph failed');
        return run.apply(this, parameters);
      });
      const next = async () => (given++ < 2 ? inputOf(hpff, given) : new Promise<never>(() => undefined));
      await expect(engine.run({ first: 1, next })).rejects.toThrow('graph failed');
    });
  });

  function failAt(step: number, message: string) {
    let given = 0;
    return async () => {
      if (++given === step) throw new Error(message);
      return inputOf(hpff, given);
    };
  }
});

test.each([
  [{ schedule: 'sync', delay: 1 }, '--delay: found with --schedule sync, allowed: with async only'],
  [{ schedule: 'fused', stages: 2 }, '--stages: found with --schedule fused, allowed: with async only'],
  [{ schedule: 'sync', balance: 'memory' }, '--balance: found with --schedule sync, allowed: with async only'],
  [{ schedule: 'async', stages: 6 }, '--stages: found 6, allowed: 1 to 5, the modules of pipeline test'],
  [{ schedule: 'later' }, "--schedule: found 'later', allowed: fused, sync, async"],
  [{ schedule: 'async', balance: 'luck' }, "--balance: found 'luck', allowed: time, memory"],
])('refuses %j', async (options, message) => {
  await expect(openEngine(hpff, options)).rejects.toThrow(message);
});
