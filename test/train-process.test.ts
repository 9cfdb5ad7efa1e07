/** Training in processes of their own: killed, asked to stop, out of disk. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { Random } from '../src/random.js';
import { filesUnder, latestBits, metricsOf, tinyRecipeFile } from './support/training.js';
import { transpileSources, type Transpiled } from './transpiled.js';

const digits = path.join(import.meta.dirname, '../data/digits');
const totalSteps = 24;

// Each test starts several processes; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let transpiled: Transpiled;
let root: string;
let recipe: string;
const running = new Set<ChildProcess>();

beforeAll(() => {
  transpiled = transpileSources();
  root = mkdtempSync(path.join(tmpdir(), 'hpff-process-'));
  recipe = path.join(root, 'tiny.json');
  writeFileSync(recipe, JSON.stringify(tinyRecipeFile({ schedule: { type: 'cosine', epochs: totalSteps / 4 } })));
});
afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
});
afterAll(() => {
  transpiled.remove();
  rmSync(root, { recursive: true });
});

interface Training {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }>;
  /** Waits until stdout says that a step of at least this number is done, or the process has ended. */
  readonly reached: (step: number) => Promise<void>;
}

function startTraining(folder: string, ...more: string[]): Training {
  const args = ['hpff.js', 'train', recipe, '-o', folder, '--data', digits, '--threads', '1', '--json', ...more];
  const child = spawn(process.execPath, args, { cwd: transpiled.folder, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  let over = false;
  const ended = new Promise<Awaited<Training['ended']>>((resolve) => {
    child.on('close', (code, signal) => {
      over = true;
      running.delete(child);
      resolve({ code, signal, stdout, stderr });
    });
  });
  const reached = async (step: number): Promise<void> => {
    const last = (): number => Number([...stdout.matchAll(/"step":(\d+)/g)].at(-1)?.[1] ?? -1);
    while (last() < step && !over) await sleep(2);
  };
  return { child, ended, reached };
}

/** How the run ends if nothing happens, and the size of a checkpoint. */
let undisturbed: {
  checkpointBytes: number;
  bits: ReturnType<typeof latestBits>;
  metrics: ReturnType<typeof metricsOf>;
};
beforeAll(async () => {
  const folder = path.join(root, 'undisturbed');
  expect(await startTraining(folder).ended).toMatchObject({ code: 0 });
  const checkpoint = path.join(folder, 'checkpoints', String(totalSteps));
  const checkpointBytes = filesUnder(checkpoint).reduce(
    (sum, file) => sum + statSync(path.join(checkpoint, file)).size,
    0,
  );
  undisturbed = { bits: latestBits(folder), metrics: metricsOf(folder), checkpointBytes };
});

test('killed at random moments and resumed, a run ends with the bits of an undisturbed one', async () => {
  const random = new Random(Date.now(), 'kills');
  const folder = path.join(root, 'killed');
  let kills = 0;
  for (; kills < 4; kills++) {
    const { child, ended, reached } = startTraining(
      folder,
      '--checkpoint-every',
      '3',
      ...(kills > 0 ? ['--resume'] : []),
    );
    const from = kills === 0 ? 0 : latestBits(folder).step;
    await reached(Math.min(from + 1, totalSteps));
    await sleep(random.int(60));
    child.kill('SIGKILL');
    if ((await ended).code === 0) break; // it was faster
  }
  expect(kills).toBeGreaterThan(1);
  expect(await startTraining(folder, '--resume').ended).toMatchObject({ code: 0 });
  expect(latestBits(folder)).toEqual(undisturbed.bits);
  expect(metricsOf(folder)).toEqual(undisturbed.metrics);
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends a run after its step, with a checkpoint', async (signal) => {
  const folder = path.join(root, signal);
  const { child, ended, reached } = startTraining(folder);
  await reached(4);
  child.kill(signal);
  const { code, stderr, stdout } = await ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(/hpff: stopping after this step; once more to end at once\n/);
  const { step } = latestBits(folder);
  const line = new RegExp(
    `hpff: TRAIN_INTERRUPTED: .*: stopped as asked after step ${step} of ${totalSteps}; go on with --resume\n$`,
  );
  expect(stderr).toMatch(line);
  expect(step).toBeLessThan(totalSteps);
  expect(stdout).not.toContain('"done"');
  if (signal === 'SIGTERM') return;
  expect(await startTraining(folder, '--resume').ended).toMatchObject({ code: 0 });
  expect(latestBits(folder)).toEqual(undisturbed.bits);
  expect(metricsOf(folder)).toEqual(undisturbed.metrics);
});

test.each(['stdout', 'stderr'] as const)('a reader of %s that goes away ends a run after its step', async (stream) => {
  const folder = path.join(root, `unread-${stream}`);
  const { child, ended, reached } = startTraining(folder);
  await reached(2);
  child[stream]!.destroy();
  // Lines of JSON go to stdout all the time; on stderr the answer to the signal is the first.
  if (stream === 'stderr') child.kill('SIGTERM');
  const { code, stderr } = await ended;
  expect(code).toBe(1);
  if (stream === 'stdout') expect(stderr).toMatch(/hpff: TRAIN_INTERRUPTED: .*; go on with --resume\n$/);
  expect(latestBits(folder).step).toBeLessThan(totalSteps);
  expect(await startTraining(folder, '--resume').ended).toMatchObject({ code: 0 });
  expect(latestBits(folder)).toEqual(undisturbed.bits);
});

test('one process at a time trains in a folder; one that was killed does not count', async () => {
  const folder = path.join(root, 'locked');
  const first = startTraining(folder);
  await first.reached(2);
  first.child.kill('SIGSTOP');
  const second = await startTraining(folder, '--resume').ended;
  expect(second).toMatchObject({ code: 2, stdout: '' });
  expect(second.stderr).toMatch(
    new RegExp(`^hpff: LOCKED: .*locked: process ${first.child.pid} works there; allowed: one at a time\n$`),
  );
  first.child.kill('SIGKILL');
  await first.ended;
  expect(await startTraining(folder, '--resume').ended).toMatchObject({ code: 0 });
  expect(latestBits(folder)).toEqual(undisturbed.bits);
  expect(filesUnder(folder)).not.toContain('lock');
});

test('a second Ctrl-C ends a run at once, as the signal does', async () => {
  const folder = path.join(root, 'twice');
  const { child, ended, reached } = startTraining(folder);
  await reached(4);
  child.kill('SIGINT');
  child.kill('SIGINT');
  const { code, signal } = await ended;
  // Two signals may arrive as one: then the run ends after its step.
  expect([`${code} ${signal}`]).toContainEqual(expect.stringMatching(/^(null SIGINT|1 null)$/));
  expect(await startTraining(folder, '--resume', '--steps', '8').ended).toMatchObject({ code: 0 });
});

const diskBytes = 2 ** 20;
const smallDisk = mountSmallDisk();

/** A small disk, if this process may mount one; otherwise the reason why not. */
function mountSmallDisk(): { readonly folder: string | null; readonly reason: string } {
  const folder = mkdtempSync(path.join(tmpdir(), 'hpff-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', folder], { stdio: 'pipe' });
    return { folder, reason: '' };
  } catch {
    rmSync(folder, { recursive: true });
    return { folder: null, reason: 'needs the right to mount' };
  }
}
afterAll(() => {
  if (smallDisk.folder === null) return;
  execFileSync('umount', [smallDisk.folder]);
  rmSync(smallDisk.folder, { recursive: true });
});

const { folder: disk, reason } = smallDisk;
test.skipIf(disk === null)(`a full disk ends a run, which goes on when there is room ${reason}`, async () => {
  const { checkpointBytes } = undisturbed;
  // Room for the run's beginning and one checkpoint, not for two.
  const filler = path.join(disk!, 'filler');
  writeFileSync(filler, Buffer.alloc(diskBytes - Math.round(2.5 * checkpointBytes)));
  const folder = path.join(disk!, 'run');
  const { code, stderr } = await startTraining(folder).ended;
  expect({ code, stderr: stderr.split('\n').at(-2) }).toEqual({
    code: 2,
    stderr: expect.stringMatching(/^hpff: DISK_FULL: .* no space left on the disk/) as string,
  });
  rmSync(filler);
  expect(await startTraining(folder, '--resume').ended).toMatchObject({ code: 0 });
  expect(latestBits(folder)).toEqual(undisturbed.bits);
  rmSync(folder, { recursive: true });
});

test.skipIf(disk === null)('an empty folder that is a mount point can be a run folder', async () => {
  expect(await startTraining(disk!, '--steps', '1').ended).toMatchObject({ code: 0 });
  expect(latestBits(disk!).step).toBe(1);
});
