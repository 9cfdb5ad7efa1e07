/** `hpff train --trace`: what the file says, read strictly, however the training ends. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type MetricsEvent, train, type WorkSpan } from '../src/train/index.js';
import type { TraceEvent } from '../src/pipeline/index.js';
import { hpff } from './cli.js';
import { latestBits, tinyRecipe, tinyRecipeFile } from './support/training.js';
import { transpileSources, type Transpiled } from './transpiled.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

interface Span {
  readonly name: string;
  readonly cat: string;
  readonly ts: number;
  readonly dur: number;
  readonly tid: number;
  readonly args: Readonly<Record<string, number>>;
}

/** Tracks of a trace in their order, with their spans. */
type Tracks = { readonly name: string; readonly spans: readonly Span[] }[];

/**
 * Reads a trace as Perfetto does, but refuses what the Trace Event Format does not have: every event has the fields of its phase and no others, every track
 * a name and a place, and the spans of a track follow one another.
 */
function readTrace(file: string): Tracks {
  const whole = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  expect(Object.keys(whole).sort()).toEqual(['displayTimeUnit', 'traceEvents']);
  expect(whole['displayTimeUnit']).toBe('ms');
  const names = new Map<number, string>();
  const places = new Map<number, number>();
  const spans = new Map<number, Span[]>();
  for (const event of whole['traceEvents'] as (Span & { ph: string; pid: number; args: Record<string, unknown> })[]) {
    const { name, ph, tid, args } = event;
    expect(event.pid).toBe(1);
    if (ph === 'M') {
      expect(Object.keys(event).sort()).toEqual(['args', 'name', 'ph', 'pid', 'tid']);
      if (name === 'thread_name') names.set(tid, String(args['name']));
      else if (name === 'thread_sort_index') places.set(tid, Number(args['sort_index']));
      else expect({ name, args }).toEqual({ name: 'process_name', args: { name: 'hpff train tiny' } });
      continue;
    }
    expect(ph).toBe('X');
    expect(Object.keys(event).sort()).toEqual(['args', 'cat', 'dur', 'name', 'ph', 'pid', 'tid', 'ts']);
    for (const number of [event.ts, event.dur, ...Object.values(args)]) {
      expect(Number.isSafeInteger(number) && Number(number) >= 0).toBe(true);
    }
    const before = spans.get(tid) ?? [];
    const last = before.at(-1);
    expect(event.ts).toBeGreaterThanOrEqual(last ? last.ts + last.dur : 0);
    spans.set(tid, [...before, event]);
  }
  expect([...names.keys()].sort()).toEqual([...places.keys()].sort());
  for (const tid of spans.keys()) expect([...names.keys()]).toContain(tid);
  return [...places]
    .sort(([, a], [, b]) => a - b)
    .map(([tid]) => ({ name: names.get(tid)!, spans: spans.get(tid) ?? [] }));
}

let root: string;
let recipe: string;
let count = 0;
beforeAll(() => {
  root = mkdtempSync(path.join(tmpdir(), 'hpff-tracing-'));
  recipe = path.join(root, 'tiny.json');
  writeFileSync(recipe, JSON.stringify(tinyRecipeFile({ name: 'tiny' })));
});
afterAll(() => rmSync(root, { recursive: true }));

const newPath = (): string => path.join(root, `made-${count++}`);
const async2 = ['--schedule', 'async', '--stages', '2'];

describe('a trace', () => {
  test('has every task on its stage, evaluations and checkpoints, and takes nothing from the run', async () => {
    const [traced, plain, file] = [newPath(), newPath(), `${newPath()}.json`];
    const args = [...async2, '--delay', '1', '--steps', '6'];
    expect(await hpff('train', recipe, '-o', traced, ...args, '--trace', file)).toMatchObject({ code: 0 });
    expect(await hpff('train', recipe, '-o', plain, ...args)).toMatchObject({ code: 0 });
    expect(latestBits(traced)).toEqual(latestBits(plain));

    const tracks = readTrace(file);
    expect(tracks.map(({ name }) => name)).toEqual([
      expect.stringMatching(/^stage 0: modules? /) as string,
      expect.stringMatching(/^stage 1: modules? /) as string,
      'evaluations',
      'checkpoints',
    ]);
    const [, , evaluations, checkpoints] = tracks.map(({ spans }) =>
      spans.map(({ cat, args }) => `${cat} ${args['step']}`),
    );
    expect(evaluations).toEqual(['evaluation 4', 'evaluation 6']);
    expect(checkpoints).toEqual(['checkpoint 4', 'checkpoint 6']);
    const tasks = tracks.slice(0, 2).flatMap(({ spans }) => spans);
    for (const { name, cat, args } of tasks) expect(name).toBe(`${cat} ${args['module']}`);
    const told = tasks.map(({ name, args }) => `${name} of step ${args['step']}`).sort();
    const ofEvery = ['forward', 'update'].flatMap((work) => [0, 1, 2].map((module) => `${work} ${module}`));
    const perStep = [...ofEvery, 'heads 1', 'heads 2', 'relay 1'];
    expect(told).toEqual([1, 2, 3, 4, 5, 6].flatMap((step) => perStep.map((name) => `${name} of step ${step}`)).sort());
  });

  test('goes beside the hooks of a program', async () => {
    const events: TraceEvent[] = [];
    const works: WorkSpan[] = [];
    const file = `${newPath()}.json`;
    const options = { folder: newPath(), schedule: 'async', stages: 1, steps: 1, traceFile: file };
    await train(
      tinyRecipe({ name: 'tiny' }),
      { ...options, trace: (event) => events.push(event) },
      { work: (work) => works.push(work) },
    );
    const [stage, evaluations, checkpoints] = readTrace(file);
    expect(stage!.spans.map(({ ts }) => ts)).toEqual(events.map(({ begin }) => Math.round(begin * 1000)));
    expect(works.map(({ kind, step }) => `${kind} ${step}`)).toEqual(['evaluation 1', 'checkpoint 1']);
    expect([...evaluations!.spans, ...checkpoints!.spans].map(({ ts }) => ts)).toEqual(
      works.map(({ begin }) => Math.round(begin * 1000)),
    );
  });

  test('is whole where training diverges', async () => {
    const file = `${newPath()}.json`;
    const diverging = tinyRecipe({ name: 'tiny', optimizer: { type: 'sgd', learningRate: 1e30 } });
    const options = { folder: newPath(), schedule: 'async', stages: 1, traceFile: file };
    await expect(train(diverging, options)).rejects.toMatchObject({ exitCode: 1 });
    expect(readTrace(file)[0]!.spans.length).toBeGreaterThan(0);
  });

  test.each([
    [
      'another schedule',
      ['--trace', 'x.json'],
      /^hpff: SCHEDULE_OPTION: --trace: found with --schedule sync, allowed: /,
    ],
    [
      'a folder that is not there',
      [...async2, '--trace', '/none/x.json'],
      /^hpff: OUTPUT_NOT_WRITABLE: \/none\/x\.json: /,
    ],
  ])('is refused before training starts: %s', async (_, args, problem) => {
    const folder = newPath();
    const { code, stderr } = await hpff('train', recipe, '-o', folder, ...args);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(problem) as string });
    expect(stderr.trimEnd()).not.toContain('\n');
    expect(existsSync(folder)).toBe(false);
  });

  test('is refused in the folder of a new run, and goes there when it is resumed, beside an earlier one', async () => {
    const folder = newPath();
    mkdirSync(folder);
    const args = ['train', recipe, '-o', folder, ...async2, '--trace', path.join(folder, 'trace.json')];
    const { code, stderr } = await hpff(...args);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining('in the folder of the run') as string,
    });
    expect(readdirSync(folder)).toEqual([]);
    await hpff('train', recipe, '-o', folder, ...async2, '--steps', '1');
    expect(await hpff(...args, '--steps', '2', '--resume')).toMatchObject({ code: 0 });
    const file = path.join(folder, 'trace.json');
    const before = readFileSync(file);
    expect(readTrace(file)[0]!.spans.length).toBeGreaterThan(0);
    const resumed = await hpff(...args, '--steps', '3', '--resume');
    expect(resumed).toMatchObject({ code: 0, stderr: expect.stringContaining(`${file}.1 now`) as string });
    expect(readFileSync(`${file}.1`)).toEqual(before);
    expect(readTrace(file)[0]!.spans.length).toBeGreaterThan(0);
  });
});

describe('a process that is', () => {
  let transpiled: Transpiled;
  beforeAll(() => {
    transpiled = transpileSources();
  });
  afterAll(() => transpiled.remove());

  test.each(['SIGKILL', 'SIGINT'] as const)('ended by %s leaves a whole trace', async (signal) => {
    const file = `${newPath()}.json`;
    const long = path.join(root, 'long.json');
    writeFileSync(
      long,
      JSON.stringify(tinyRecipeFile({ name: 'tiny', schedule: { type: 'constant', epochs: 10_000 } })),
    );
    const data = path.join(import.meta.dirname, '../data/digits');
    const args = ['hpff.js', 'train', long, '-o', newPath(), '--data', data, ...async2, '--trace', file];
    const child = spawn(process.execPath, args, { cwd: transpiled.folder, stdio: 'ignore' });
    const ended = new Promise((resolve) => child.on('close', resolve));
    const size = (): number => (existsSync(file) ? readFileSync(file).length : 0);
    while (size() < 40_000 && child.exitCode === null) await sleep(20);
    child.kill(signal);
    await ended;
    expect(readTrace(file)[0]!.spans.length).toBeGreaterThan(40);
  });
});

describe('what stages did', () => {
  test('is said at the end, before the accuracy, as metrics.jsonl has it', async () => {
    const folder = newPath();
    const { stdout, stderr } = await hpff('train', recipe, '-o', folder, ...async2);
    const [first, second, accuracy, ...rest] = stdout.split('\n');
    expect(rest).toEqual(['']);
    expect(accuracy).toMatch(/^test accuracy /);
    const lines = readFileSync(path.join(folder, 'metrics.jsonl'), 'utf8').trim().split('\n');
    const steps = lines.map((line) => JSON.parse(line) as MetricsEvent).filter((event) => event.event === 'step');
    [first, second].forEach((line, i) => {
      const sum = (of: 'busySeconds' | 'waitingSeconds'): number =>
        steps.reduce((all, { stages }) => all + stages![i]![of], 0);
      const [busy, waiting] = [sum('busySeconds'), sum('waitingSeconds')];
      const shares = `busy ${Math.round((100 * busy) / (busy + waiting))} %, waiting ${Math.round((100 * waiting) / (busy + waiting))} %`;
      expect(line).toMatch(new RegExp(`^stage ${i} \\(modules? [012](-[12])?\\): ${shares}$`));
    });
    const events = readdirSync(folder).find((name) => name.startsWith('events.'))!;
    const bytes = readFileSync(path.join(folder, events));
    for (const tag of ['busy', 'waiting', 'transfer']) expect(bytes.includes(`stage/1/${tag}`)).toBe(true);
    expect(stderr).toMatch(/step 12\/12 .* epoch 3 {2}busy \d+ % \d+ %\n/);
  });

  test('is left out where there are none', async () => {
    const { stdout, stderr } = await hpff('train', recipe, '-o', newPath(), '--steps', '5');
    expect(stdout).toMatch(/^test accuracy [^\n]*\n$/);
    expect(stderr).not.toContain('busy');
  });
});
