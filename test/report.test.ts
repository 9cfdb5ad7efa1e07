/** `hpff report`: the page of a run, whatever became of the run. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Script } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { EvaluationEvent, MetricsEvent } from '../src/train/index.js';
import { hpff } from './cli.js';
import { documentedKeys, keysOf } from './support/json-keys.js';
import { tinyRecipeFile } from './support/training.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const hostile = 'a <img src=x onerror="document.title=1"></script><script>throw 1</script> & b';

let root: string;
/** A finished run of the schedule async, with its trace; tests only copy it. */
let run: string;
let count = 0;
let trained: Awaited<ReturnType<typeof hpff>>;

beforeAll(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'hpff-report-'));
  run = path.join(root, 'run');
  const recipe = path.join(root, 'tiny.json');
  writeFileSync(recipe, JSON.stringify(tinyRecipeFile({ name: hostile })));
  const async = ['--schedule', 'async', '--stages', '2', '--trace', path.join(root, 'trace.json')];
  trained = await hpff('train', recipe, '-o', run, '--threads', '1', ...async);
});
afterAll(() => rmSync(root, { recursive: true }));

/** A copy of the run, with its metrics changed. */
function copy(metrics: (text: string) => string = (text) => text): string {
  const folder = path.join(root, `copy-${count++}`);
  cpSync(run, folder, { recursive: true });
  const file = path.join(folder, 'metrics.jsonl');
  writeFileSync(file, metrics(readFileSync(file, 'utf8')));
  return folder;
}

function withOtherRecipe(folder: string): string {
  const file = path.join(folder, 'recipe.json');
  const recipe = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, JSON.stringify({ ...recipe, seed: 99 }));
  return folder;
}

async function reportOf(folder: string, ...more: string[]): Promise<string> {
  const file = path.join(root, `page-${count++}.html`);
  const { code, stderr } = await hpff('report', folder, '-o', file, ...more);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return readFileSync(file, 'utf8');
}

interface PageData {
  readonly steps: number[];
  readonly total: { mean: number[] };
  readonly losses: { module: number; head: string; values: number[] }[];
  readonly stages: { busySeconds: number }[];
  readonly evaluations: { step: number; testAccuracy: number }[];
  readonly trace: { tracks: string[]; phases: string[]; tasks: number[][]; allSteps: number } | null;
}

function dataOf(page: string): PageData {
  return JSON.parse(/<script type="application\/json" id="data">(.*)<\/script>/.exec(page)![1]!) as PageData;
}

/** Sources of the scripts. */
const scriptsOf = (page: string): string[] =>
  [...page.matchAll(/<script>\n?([^]*?)<\/script>/g)].map((match) => match[1]!);

describe('the page of a run', () => {
  test('holds what metrics.jsonl says', async () => {
    const data = dataOf(await reportOf(run));
    const events = readFileSync(path.join(run, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as MetricsEvent);
    const steps = events.filter((event) => event.event === 'step');
    const evaluations = events.filter((event): event is EvaluationEvent => 'testLoss' in event);
    expect(data.steps).toEqual(steps.map(({ step }) => step));
    const digits = (values: readonly number[]): number[] => values.map((value) => Number(value.toPrecision(5)));
    expect(data.total.mean).toEqual(digits(steps.map(({ total }) => total)));
    for (const name of Object.keys(steps[0]!.losses)) {
      const found = data.losses.find(({ module, head }) => `${module}/${head}` === name)!;
      expect(found.values).toEqual(digits(steps.map(({ losses }) => losses[name]!)));
    }
    expect(data.losses).toHaveLength(Object.keys(steps[0]!.losses).length);
    expect(data.evaluations.map(({ step, testAccuracy }) => [step, testAccuracy])).toEqual(
      evaluations.map(({ step, testAccuracy }) => [step, testAccuracy]),
    );
    const busy = steps.reduce((sum, { stages }) => sum + stages![1]!.busySeconds, 0);
    expect(data.stages[1]!.busySeconds).toBeCloseTo(busy, 9);
  });

  test('loads nothing, keeps the licence of uPlot, and its scripts can be read', async () => {
    const page = await reportOf(run);
    expect(page).toContain(
      `content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"`,
    );
    const rest = page.replaceAll(/<script>[^]*?<\/script>/g, '');
    expect(rest).not.toMatch(/<(?:link|img|iframe|object|embed)\b|<script[^>]*\bsrc|@import|url\(/);
    expect(page).toMatch(/Copyright \(c\) \d+ Leon Sorokin/);
    const scripts = scriptsOf(page);
    expect(scripts).toHaveLength(7);
    for (const script of scripts) new Script(script);
  });

  test('shows the name of the recipe as text', async () => {
    const page = await reportOf(run);
    expect(page).not.toContain('<img');
    expect(page).not.toContain('throw 1</script>');
    expect(page).toContain('<h1>a &lt;img src=x onerror=&quot;document.title=1&quot;&gt;&lt;/script&gt;');
  });

  test('has a time line where there is a trace', async () => {
    expect(dataOf(await reportOf(run)).trace).toBeNull();
    const { trace } = dataOf(await reportOf(run, '--trace', path.join(root, 'trace.json')));
    expect(trace).toMatchObject({
      tracks: [expect.stringMatching(/^stage 0: modules? 0/), expect.stringMatching(/^stage 1/)],
      allSteps: 12,
    });
    // Every module once in every step; on either track, since a stage with nothing to run takes a task of another's.
    const forwards = trace!.tasks.filter(([, phase]) => trace!.phases[phase!] === 'forward');
    const places = forwards.map(([, , module, step]) => `${module} ${step}`);
    expect(places).toHaveLength(3 * 12);
    expect(new Set(places).size).toBe(3 * 12);
    expect(new Set(trace!.tasks.map(([track]) => track))).toEqual(new Set([0, 1]));
  });

  test('is left in the run folder by train', () => {
    expect(trained).toMatchObject({ code: 0 });
    expect(trained.stderr).not.toContain('warning');
    expect(dataOf(readFileSync(path.join(run, 'report.html'), 'utf8')).steps.at(-1)).toBe(12);
  });

  test('can be made of a run that goes on, was killed in a line, or has no steps', async () => {
    const cut = copy((text) => text.slice(0, -20));
    expect(dataOf(await reportOf(cut)).evaluations.map(({ step }) => step)).toEqual([4, 8]);
    const empty = await reportOf(copy(() => ''));
    expect(dataOf(empty)).toMatchObject({ steps: [], losses: [], evaluations: [] });
    expect(empty).toContain('No step has been recorded yet.');
  });

  test('says that a run is not finished, and in how many sessions it was trained', async () => {
    const folder = path.join(root, `stopped-${count++}`);
    const recipe = path.join(root, 'tiny.json');
    await hpff('train', recipe, '-o', folder, '--threads', '1', '--steps', '3');
    await hpff('train', recipe, '-o', folder, '--threads', '1', '--steps', '6', '--resume');
    expect(await reportOf(folder)).toMatch(/<p class="soft">Finished: step 6 of 6;[^]*Trained in 2 sessions/);
    rmSync(path.join(folder, 'sessions.jsonl'));
    expect(await reportOf(folder)).toContain('Not finished</strong>: step 6 of 12');
  });

  test('stays small and is made in seconds for a long run of many modules', async () => {
    const losses = Array.from(
      { length: 160 },
      (_, i) => `${Math.floor(i / 3)}/${['independent/classifier', 'cascade/classifier', 'cascade/decoder'][i % 3]}`,
    );
    const line = (step: number): string =>
      JSON.stringify({
        event: 'step', step, epoch: 1, learningRate: 0.1, steps: 20, total: 1 / step, stepSeconds: 1, peakBytes: 1e9, residentBytes: 1e9,
        losses: Object.fromEntries(losses.map((name, i) => [name, (i + 1) / 7 + 1 / step])),
      }); // prettier-ignore
    const folder = copy(() => Array.from({ length: 2500 }, (_, i) => `${line(20 * (i + 1))}\n`).join(''));
    const page = await reportOf(folder);
    expect(page.length).toBeLessThan(2 ** 21);
    const { steps, losses: series } = dataOf(page);
    expect(steps.length).toBeGreaterThanOrEqual(400);
    expect(steps.length).toBeLessThanOrEqual(800);
    expect(steps.at(-1)).toBe(50_000);
    expect(series).toHaveLength(160);
  });
});

describe('refuses in one line', () => {
  test.each([
    ['what is not there', () => path.join(root, 'none'), 'RUN_MISSING'],
    [
      'a folder that is no run',
      () => (mkdirSync(path.join(root, 'some'), { recursive: true }), path.join(root, 'some')),
      'RUN_MISSING',
    ],
    ['a file', () => path.join(root, 'tiny.json'), 'RUN_MISSING'],
    ['metrics that are broken', () => copy((text) => `broken\n${text}`), 'METRICS_INVALID'],
    ['a run whose recipe was changed', () => withOtherRecipe(copy()), 'RUN_RECIPE_CHANGED'],
    ['metrics without losses', () => copy(() => '{"event":"step","step":1,"steps":1}\n'), 'METRICS_INVALID'],
  ])('%s', async (_, folder, code) => {
    const file = path.join(root, `refused-${count++}.html`);
    const result = await hpff('report', folder(), '-o', file);
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toMatch(new RegExp(`^hpff: (?:${code}): [^\n]*\n$`));
    expect(existsSync(file)).toBe(false);
  });

  test('to write over what belongs to the run', async () => {
    const file = path.join(copy(), 'metrics.jsonl');
    const before = readFileSync(file, 'utf8');
    const result = await hpff('report', path.dirname(file), '-o', file);
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toMatch(/^hpff: OUTPUT_IN_RUN: [^\n]*\n$/);
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  test('a trace that is none', async () => {
    const result = await hpff('report', run, '-o', path.join(root, 'x.html'), '--trace', path.join(root, 'tiny.json'));
    expect(result).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^hpff: TRACE_INVALID: [^\n]*\n$/) as string,
    });
  });

  test('a page that cannot be written', async () => {
    const result = await hpff('report', run, '-o', path.join(root, 'none/x.html'));
    expect(result).toMatchObject({ code: 2, stderr: expect.stringMatching(/^hpff: OUTPUT_NOT_WRITABLE: /) as string });
  });
});

test('a page that cannot be left does not fail the training', async () => {
  const folder = copy();
  rmSync(path.join(folder, 'report.html'));
  mkdirSync(path.join(folder, 'report.html'));
  const result = await hpff(
    'train',
    path.join(root, 'tiny.json'),
    '-o',
    folder,
    '--threads',
    '1',
    '--schedule',
    'async',
    '--resume',
  );
  expect(result.code).toBe(0);
  expect(result.stderr).toMatch(/^hpff: warning: report\.html: not written: .*is a folder/m);
});

test('--json has the documented keys', async () => {
  const { stdout } = await hpff('report', run, '-o', path.join(root, 'json.html'), '--json');
  expect(keysOf(JSON.parse(stdout))).toEqual(documentedKeys('report'));
});

const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

test.skipIf(chromium === undefined)('its scripts run in a browser (needs chromium)', async () => {
  const folder = copy();
  appendFileSync(path.join(folder, 'metrics.jsonl'), '{"event":"st');
  const file = path.join(root, 'browser.html');
  writeFileSync(file, await reportOf(folder, '--trace', path.join(root, 'trace.json')));
  const profile = path.join(root, 'profile');
  const options = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    `--user-data-dir=${profile}`,
    '--virtual-time-budget=3000',
  ];
  const dom = execFileSync(chromium!, [...options, '--dump-dom', `file://${file}`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  expect(/<html[^>]*>/.exec(dom)![0]).toBe('<html lang="en" data-ready="true">');
  // Six charts, the losses of modules, the stages, the time line; the map of modules is for more of them.
  expect(dom.match(/class="uplot/g)!.length).toBeGreaterThanOrEqual(8);
  expect(dom).toContain('Time line of the pipeline');
});
