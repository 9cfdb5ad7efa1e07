import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TraceFile } from './trace-file.js';

let folder: string;
let file: string;
const warnings: string[] = [];
const warn = (line: string): void => void warnings.push(line);
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'hpff-trace-'));
  file = path.join(folder, 'trace.json');
  warnings.length = 0;
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const written = (): unknown[] => (JSON.parse(readFileSync(file, 'utf8')) as { traceEvents: unknown[] }).traceEvents;

/** Lets the methods of file handles be replaced. */
async function handles(): Promise<{ write: (...args: unknown[]) => Promise<{ bytesWritten: number }> }> {
  const handle = await open(path.join(folder, 'other'), 'w');
  await handle.close();
  return Object.getPrototypeOf(handle) as Awaited<ReturnType<typeof handles>>;
}

test('is whole from the beginning, after each write, and when it is closed', async () => {
  const trace = await TraceFile.open(file, { n: 0 }, warn);
  expect(written()).toEqual([{ n: 0 }]);
  trace.add({ n: 1, text: 'ä"\n' });
  trace.add({ n: 2 });
  await vi.waitFor(() => expect(written()).toHaveLength(3), { timeout: 5000 });
  trace.add({ n: 3 });
  await vi.waitFor(() => expect(written()).toHaveLength(4), { timeout: 5000 });
  trace.add({ n: 4 });
  await trace.close();
  expect(written()).toEqual([{ n: 0 }, { n: 1, text: 'ä"\n' }, { n: 2 }, { n: 3 }, { n: 4 }]);
  expect(warnings).toEqual([]);
});

test('replaces what was there, also where that was longer, behind a link', async () => {
  writeFileSync(file, 'x'.repeat(10_000));
  const link = path.join(folder, 'link.json');
  symlinkSync(file, link);
  await (await TraceFile.open(link, { n: 0 }, warn)).close();
  expect(written()).toEqual([{ n: 0 }]);
});

test.each([
  ['a folder', '.', 'it is a folder'],
  ['a file in no folder', 'none/trace.json', 'its folder does not exist'],
  ['a device', '/dev/null', 'is not a regular file'],
])('refuses %s', async (_, name, problem) => {
  await expect(TraceFile.open(path.resolve(folder, name), {}, warn)).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    exitCode: 2,
    message: expect.stringContaining(problem) as string,
  });
});

test('a write that fails is told once; what was written before stays whole', async () => {
  const trace = await TraceFile.open(file, { n: 0 }, warn);
  trace.add({ n: 1 });
  await vi.waitFor(() => expect(written()).toHaveLength(2), { timeout: 5000 });
  const { bytes } = { bytes: statSync(file).size };
  const prototype = await handles();
  const { write } = prototype;
  let failures = 0;
  // As on a disk that is full: half of the write succeeds, the rest of it does not.
  vi.spyOn(prototype, 'write').mockImplementation(async function (this: unknown, ...args: unknown[]) {
    const [data, offset, length, position] = args as [Uint8Array, number, number, number];
    if (position + length <= bytes) return write.call(this, data, offset, length, position);
    if (offset === 0) return write.call(this, data, 0, Math.floor(length / 2), position);
    failures++;
    throw Object.assign(new Error('full'), { code: 'ENOSPC', syscall: 'write' });
  });
  trace.add({ n: 2 });
  await vi.waitFor(() => expect(warnings).toHaveLength(1), { timeout: 5000 });
  trace.add({ n: 3 });
  await sleep(700);
  await trace.close();
  expect(failures).toBe(1);
  expect(warnings).toEqual([
    `${file}: cannot be written: no space left on the disk; the trace ends here, training goes on`,
  ]);
  expect(written()).toEqual([{ n: 0 }, { n: 1 }]);
});

test('on a disk that is too slow events are left out, which is told once; memory is bounded', async () => {
  const trace = await TraceFile.open(file, { n: 0 }, warn);
  const text = 'x'.repeat(2 ** 20);
  for (let n = 1; n <= 40; n++) trace.add({ n, text });
  await trace.close();
  expect(written().length).toBeGreaterThan(5);
  expect(written().length).toBeLessThan(12);
  expect(warnings).toEqual([`${file}: written too slowly: the trace will lack events`]);
});
