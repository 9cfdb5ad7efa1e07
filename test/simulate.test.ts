/** tools/simulate: the simulator on cases worked out by hand, and against the longest path through the tasks; the orders of GPipe and 1F1B. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Phase } from '../src/local/index.js';
import { stepTasks } from '../src/local/index.js';
import { moduleSchedule } from '../src/pipeline/schedule.js';
import { gpipe, oneForwardOneBackward } from '../tools/simulate/orders.js';
import { backPropagationWorkers, balancedStages, localWorkers } from '../tools/simulate/pipelines.js';
import { edges, edgeTable, results, resultTable } from '../tools/simulate/results.js';
import { mostBatchesKept, simulate, steadyStepSeconds } from '../tools/simulate/simulator.js';

type Seconds = Record<Phase, number>;

const unit: Seconds = { forward: 1, heads: 1, relay: 1, update: 1 };

/** Modules with relays, in which a feature has 8 bytes, a relay 4, and a stash 2. */
function modulesOf(seconds: readonly Seconds[]) {
  const order = stepTasks({ modules: seconds.length, relays: true, silent: new Set() });
  const last = seconds.length - 1;
  const feature = (i: number) => ({ name: `feature/${i}`, meaning: 'feature', bytes: 8 });
  const relay = (i: number) => ({ name: `relay/${i}`, meaning: 'relay', bytes: 4 });
  return seconds.map((times, i) => {
    const stash = { name: `stash/${i}`, meaning: 'stash', bytes: 2 };
    const below = i > 0 ? [feature(i - 1)] : [];
    const toBelow = i > 0 ? [relay(i - 1)] : [];
    const ports: Record<Phase, { reads: object[]; makes: object[] }> = {
      forward: { reads: i > 0 ? below : [{ name: 'image', meaning: 'image', bytes: 3 }], makes: [feature(i), stash] },
      heads: { reads: [feature(i)], makes: [] },
      relay: { reads: [stash, feature(i)], makes: toBelow },
      update: { reads: [...below, stash, ...(i < last ? [relay(i)] : [])], makes: i === last ? toBelow : [] },
    };
    return {
      tasks: order.flatMap(({ module, phase }, rank) =>
        module === i ? [{ phase, rank, seconds: times[phase], ...(ports[phase] as { reads: []; makes: [] }) }] : [],
      ),
      backPropagation: { forwardSeconds: times.forward, backwardSeconds: 2 * times.forward, optimizerSeconds: 0 },
    };
  });
}

function localRun(seconds: readonly Seconds[], delay: number, steps: number, stages = seconds.map((_, i) => i)) {
  return localWorkers(modulesOf(seconds), { schedule: moduleSchedule, delay, steps, stages });
}

/** What each device does in each second, e.g. `F1 F2 .. U1`. */
function timeline(run: ReturnType<typeof simulate>, workers: { device: number }[]): string[] {
  const lines = run.devices.map((): string[] => []);
  for (const { worker, task, start, end } of run.spans) {
    const line = lines[workers[worker]!.device]!;
    while (line.length < start) line.push('..');
    while (line.length < end) line.push(`${task.name[0]!.toUpperCase()}${task.step}`);
  }
  return lines.map((line) => line.join(' '));
}

describe('local modules, each task one second', () => {
  test.each([
    [0, ['F1 .. .. .. U1 F2 .. .. .. U2 F3 .. .. .. U3', '.. F1 H1 U1 .. .. F2 H2 U2 .. .. F3 H3 U3']],
    [1, ['F1 F2 .. .. U1 F3 .. U2 .. .. U3', '.. F1 H1 U1 F2 H2 U2 F3 H3 U3']],
    [2, ['F1 F2 F3 .. U1 .. .. U2 .. .. U3', '.. F1 H1 U1 F2 H2 U2 F3 H3 U3']],
  ])('two modules, D = %i', (delay, expected) => {
    const workers = localRun([unit, unit], delay, 3);
    expect(timeline(simulate(workers), workers)).toEqual(expected);
  });

  test('three modules, D = 0: each waits for the relay from above', () => {
    const workers = localRun([unit, unit, unit], 0, 2);
    expect(timeline(simulate(workers), workers)).toEqual([
      'F1 .. .. .. U1 F2 .. .. .. U2',
      '.. F1 H1 R1 .. U1 F2 H2 R2 .. U2',
      '.. .. F1 H1 U1 .. .. F2 H2 U2',
    ]);
  });

  test('on one device they take the order of a synchronous step', () => {
    const workers = localRun([unit, unit, unit], 0, 2, [0, 0, 0]);
    const run = simulate(workers);
    const order = stepTasks({ modules: 3, relays: true, silent: new Set() });
    expect(run.spans.map(({ worker, task }) => ({ module: worker, phase: task.name, step: task.step }))).toEqual(
      [1, 2].flatMap((step) => order.map((task) => ({ ...task, step }))),
    );
    expect(run.devices[0]!.busySeconds).toBe(18);
  });
});

const times = fc.record({
  forward: fc.integer({ min: 1, max: 9 }),
  heads: fc.integer({ min: 0, max: 9 }),
  relay: fc.integer({ min: 0, max: 9 }),
  update: fc.integer({ min: 1, max: 9 }),
});

test('with a device for each module, a task starts as early as its inputs and the task before it allow', () => {
  fc.assert(
    fc.property(fc.array(times, { minLength: 2, maxLength: 6 }), fc.nat(3), (seconds, delay) => {
      const workers = localRun(seconds, delay, 6);
      const ends = new Map<string, number>();
      const endOf = (module: number, phase: string, step: number): number => {
        const key = `${module} ${phase} ${step}`;
        const known = ends.get(key);
        if (known !== undefined) return known;
        const { tasks } = workers[module]!;
        const index = tasks.findIndex((task) => task.name === phase && task.step === step);
        const before = tasks[index - 1];
        const starts = before ? [endOf(module, before.name, before.step)] : [0];
        const relays = module + 1 === seconds.length - 1 ? 'update' : 'relay';
        if (phase === 'forward' && module > 0) starts.push(endOf(module - 1, 'forward', step));
        if (phase === 'update' && module < seconds.length - 1) starts.push(endOf(module + 1, relays, step));
        ends.set(key, Math.max(...starts) + tasks[index]!.seconds);
        return ends.get(key)!;
      };
      for (const { worker, task, end } of simulate(workers).spans)
        expect(end).toBe(endOf(worker, task.name, task.step));
    }),
  );
});

test('in the steady state, two modules with D = 0 wait for each other, and with D = 1 the slower one never waits', () => {
  const [below, above] = [
    { forward: 2, heads: 0, relay: 0, update: 3 },
    { forward: 4, heads: 5, relay: 0, update: 6 },
  ];
  const step = (delay: number): number => steadyStepSeconds(simulate(localRun([below, above], delay, 40)));
  expect(step(0)).toBe(2 + 4 + 5 + 6 + 3);
  expect(step(1)).toBe(4 + 5 + 6);
});

test('a step takes what the busiest module works, or what a feature and its relay take there and back, over D + 1', () => {
  const setting = fc.record({ seconds: fc.array(times, { minLength: 2, maxLength: 5 }), delay: fc.nat(3) });
  fc.assert(
    fc.property(setting, ({ seconds, delay }) => {
      const workers = localRun(seconds, delay, 288);
      const work = workers.map(({ tasks }) => tasks.reduce((sum, task) => sum + task.seconds, 0) / 288);
      const last = seconds.length - 1;
      const loops = seconds.slice(0, last).map(({ forward, update }, i) => {
        const above = seconds[i + 1]!;
        const relay = i + 1 === last ? above.update : above.relay;
        return (forward + above.forward + above.heads + relay + update) / (delay + 1);
      });
      expect(steadyStepSeconds(simulate(workers))).toBeCloseTo(Math.max(...work, ...loops), 9);
    }),
    { numRuns: 20 },
  );
});

test('a module keeps one batch more than D, where the pipeline lets it run ahead', () => {
  const seconds = [unit, unit, { ...unit, heads: 9 }];
  for (const delay of [0, 1, 2])
    expect(mostBatchesKept(simulate(localRun(seconds, delay, 20)), ['update'])).toBe(delay + 1);
});

describe('values', () => {
  test('take memory from the start of the task that makes them to the end of the last that reads them, on each device', () => {
    // Image 3, feature 8, stash 2, relay 4. Below: image, feature and stash together, later the relay with the stash.
    // Above: the feature that came, its own feature, its stash, and the relay that the update makes.
    const run = simulate(localRun([unit, unit], 0, 3));
    expect(run.devices.map(({ peakBytes }) => peakBytes)).toEqual([3 + 8 + 2, 8 + 8 + 2]);
  });

  test('cross a link one after another, at its bandwidth and latency, in half the bytes as float16', () => {
    const network = { bytesPerSecond: 4, latencySeconds: 0.5 };
    const workers = localRun([unit, unit], 0, 1);
    const run = simulate(workers, network);
    // The feature takes 2 + 0.5 seconds, the relay 1 + 0.5.
    expect(run.spans.map(({ start }) => start)).toEqual([0, 3.5, 4.5, 5.5, 8]);
    expect(run.links).toEqual([
      { from: 0, to: 1, bytes: 8, busySeconds: 2 },
      { from: 1, to: 0, bytes: 4, busySeconds: 1 },
    ]);
    const setting = { schedule: moduleSchedule, delay: 0, steps: 1, stages: [0, 1], float16: true };
    expect(simulate(localWorkers(modulesOf([unit, unit]), setting), network).links.map(({ bytes }) => bytes)).toEqual([
      4, 2,
    ]);
    const together = localRun([unit, unit], 0, 1, [0, 0]);
    expect(simulate(together, network)).toMatchObject({ links: [], devices: [{ busySeconds: 5 }] });
  });

  test('that are made after all that would read them stop the run', () => {
    const value = { name: 'late', bytes: 1 };
    const task = (reads: object[], makes: object[]) =>
      ({ name: 'task', step: 1, rank: 0, seconds: 1, reads, makes }) as {
        name: string;
        step: number;
        rank: number;
        seconds: number;
        reads: [];
        makes: [];
      };
    expect(() => simulate([{ device: 0, tasks: [task([value], []), task([], [value])] }])).toThrow(
      'worker 0 waits for ever to run task of step 1',
    );
  });
});

describe('pipelines of back-propagation', () => {
  const letters = (turns: readonly { phase: string; microBatch: number }[]): string =>
    turns.map(({ phase, microBatch }) => `${phase[0]!.toUpperCase()}${microBatch}`).join(' ');

  test('GPipe', () => {
    for (const stage of [0, 1]) expect(letters(gpipe(stage, 2, 3))).toBe('F0 F1 F2 B2 B1 B0');
  });

  test('1F1B', () => {
    expect([0, 1].map((stage) => letters(oneForwardOneBackward(stage, 2, 3)))).toEqual([
      'F0 F1 B0 F2 B1 B2',
      'F0 B0 F1 B1 F2 B2',
    ]);
    expect([0, 1, 2].map((stage) => letters(oneForwardOneBackward(stage, 3, 2)))).toEqual([
      'F0 F1 B0 B1',
      'F0 F1 B0 B1',
      'F0 B0 F1 B1',
    ]);
  });

  test.each([
    [1, 1],
    [4, 1],
    [4, 8],
    [3, 5],
  ])('both have the known bubble: %i stages, %i micro-batches', (stages, microBatches) => {
    const modules = modulesOf(Array.from({ length: stages }, () => unit));
    for (const order of [gpipe, oneForwardOneBackward]) {
      const setting = { order, microBatches, steps: 16, stages: modules.map((_, i) => i) };
      const run = simulate(backPropagationWorkers(modules, setting));
      const bubble = (stages - 1) / (microBatches + stages - 1);
      expect(steadyStepSeconds(run)).toBeCloseTo(3 / (1 - bubble), 9);
    }
  });

  test('GPipe keeps a whole batch, 1F1B as many micro-batches as there are stages from here', () => {
    const modules = modulesOf([unit, unit, unit]);
    const setting = { microBatches: 6, steps: 8, stages: [0, 1, 2] };
    const kept = (order: typeof gpipe): number =>
      mostBatchesKept(simulate(backPropagationWorkers(modules, { ...setting, order })), ['backward'], 6);
    expect(kept(gpipe)).toBe(1);
    expect(kept(oneForwardOneBackward)).toBe(3 / 6);
  });
});

test('stages are balanced', () => {
  expect(balancedStages([1, 1, 1, 3], 2)).toEqual([0, 0, 0, 1]);
  expect(balancedStages([5, 1, 1, 1, 1, 5], 3)).toEqual([0, 1, 1, 1, 1, 2]);
  expect(balancedStages([1, 2, 3], 3)).toEqual([0, 1, 2]);
  expect(balancedStages([1, 2, 3], 1)).toEqual([0, 0, 0]);
});

describe('results', () => {
  const measured = {
    recipe: 'example',
    batch: 1,
    threads: 1,
    lowering: 'portable',
    steps: 1,
    clock: 'cpu' as const,
    modules: modulesOf([unit, unit, unit]).map((module, i) => ({ ...module, parts: [`layer1.${i}`] })),
  };
  const rows = results(measured, { devices: 3, delays: [0, 1], microBatches: [2], schedule: moduleSchedule });

  test('hold local learning against back-propagation on one device, too', () => {
    expect(rows.map(({ title }) => title)).toEqual([
      'local, D = 0',
      'local, D = 1',
      'GPipe, 2 micro-batches',
      '1F1B, 2 micro-batches',
    ]);
    // Modules 0, 1 and 2 work 2, 4 and 3 seconds, 9 on one device; back-propagation takes 9 too.
    expect(rows[1]).toMatchObject({
      stepSeconds: 4,
      busiestSeconds: 4,
      speedup: 9 / 4,
      againstPlain: 9 / 4,
      batchesKept: 2,
    });
    expect(rows[1]!.utilisation).toEqual({ mean: 9 / 3 / 4, lowest: 2 / 4 });
    expect(rows[2]).toMatchObject({ stepSeconds: 6, utilisation: { mean: 0.5, lowest: 0.5 }, speedup: 1.5 });
  });

  test('and the bytes between modules are tables', () => {
    expect(edges(measured.modules)).toEqual([0, 1].map((edge) => ({ edge, featureBytes: 8, relayBytes: 4 })));
    expect(edgeTable(measured, 8e-9).split('\n')[2]).toBe('| 0 … 1 | 0.0 | 0.0 | 0.0 | 0.0 | 8.0 | 4.0 |');
    expect(resultTable(rows).split('\n')[3]).toContain(
      '| local, D = 1 | 4.00 | 75 % | 50 % | 4.00 | 2.25 | 2.25 | 2 |',
    );
  });
});
