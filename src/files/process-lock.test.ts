import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ProcessLock } from './process-lock.js';

let folder: string;
let file: string;
let child: ChildProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'hpff-lock-'));
  file = path.join(folder, 'lock');
});
afterEach(() => {
  child?.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

interface Written {
  host: string;
  pid: number;
  started: string | null;
  token: string;
}
const written = (): Written => JSON.parse(readFileSync(file, 'utf8')) as Written;
const takeTwice = () => ProcessLock.take(file, 'the run');

it('is a file while it is held, and nothing else is left', async () => {
  {
    await using _lock = await ProcessLock.take(file, 'the run');
    expect(written()).toMatchObject({ host: hostname(), pid: process.pid });
    expect(readdirSync(folder)).toEqual(['lock']);
  }
  expect(readdirSync(folder)).toEqual([]);
});

it('refuses a second holder, also in the same process', async () => {
  await using _lock = await ProcessLock.take(file, 'the run');
  await expect(takeTwice()).rejects.toMatchObject({
    code: 'LOCKED',
    message: `the run: process ${process.pid} works there; allowed: one at a time`,
  });
  expect(readdirSync(folder)).toEqual(['lock']);
});

it('refuses while another process lives, and takes over once it is killed', async () => {
  child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  await once(child, 'spawn');
  {
    await using _own = await ProcessLock.take(file, 'the run');
    writeFileSync(`${file}.child`, JSON.stringify({ ...written(), pid: child.pid, started: startOf(child.pid!) }));
  }
  writeFileSync(file, readFileSync(`${file}.child`));
  await expect(takeTwice()).rejects.toMatchObject({ code: 'LOCKED' });
  child.kill('SIGKILL');
  await once(child, 'exit');
  await using _lock = await takeTwice();
  expect(written().pid).toBe(process.pid);
});

const startOf = (pid: number): string | null => {
  const boot = '/proc/sys/kernel/random/boot_id';
  if (!existsSync(boot)) return null;
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return `${readFileSync(boot, 'utf8').trim()}/${fields[19]}`;
};

it.skipIf(startOf(process.pid) === null)('is not fooled by a later process with the same number', async () => {
  writeFileSync(file, JSON.stringify({ host: hostname(), pid: process.pid, started: 'another-boot/17', token: 'x' }));
  await using _lock = await takeTwice();
  expect(written().started).toBe(startOf(process.pid));
});

it.skipIf(startOf(process.pid) === null)(
  'takes the lock of a process that has died, though nobody has asked how it ended',
  async () => {
    // What the shell turns into does not ask for its child.
    const parent = spawn('sh', ['-c', 'true & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const [line] = (await once(parent.stdout, 'data')) as [Buffer];
      const pid = Number(line.toString());
      await vi.waitFor(() => expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toMatch(/\) Z /));
      writeFileSync(file, JSON.stringify({ host: hostname(), pid, started: startOf(pid), token: 'x' }));
      await using _lock = await takeTwice();
      expect(written().pid).toBe(process.pid);
    } finally {
      parent.kill('SIGKILL');
    }
  },
);

it.each([
  ['of another machine', JSON.stringify({ host: 'elsewhere', pid: 7, started: null }), 'process 7 on host elsewhere'],
  ['that names nobody', '', 'names no process; remove it'],
  ['that is nonsense', '[1]', 'names no process; remove it'],
])('leaves a lock %s alone, and says what can be done', async (_, content, message) => {
  writeFileSync(file, content);
  await expect(takeTwice()).rejects.toMatchObject({
    code: 'LOCKED',
    message: expect.stringContaining(message) as string,
  });
  expect(readFileSync(file, 'utf8')).toBe(content);
});

it('gives a dead lock to one of many that want it', async () => {
  writeFileSync(file, JSON.stringify({ host: hostname(), pid: 2 ** 22 + 1, started: null, token: 'dead' }));
  const results = await Promise.allSettled(Array.from({ length: 8 }, takeTwice));
  expect(results.filter(({ status }) => status === 'fulfilled').length).toBe(1);
  expect(readdirSync(folder)).toEqual(['lock']);
});

it('does not remove a lock that is another one by now', async () => {
  {
    await using _lock = await takeTwice();
    writeFileSync(file, 'another');
  }
  expect(readFileSync(file, 'utf8')).toBe('another');
});

it('says why no lock can be had where the folder is not there', async () => {
  await expect(ProcessLock.take(path.join(folder, 'no', 'lock'), 'the run')).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
  });
});
