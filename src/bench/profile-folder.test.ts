/** The folder of profiles: where it is made, and what becomes of it. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { InputError } from '../errors.js';
import { ProfileFolder } from './profile-folder.js';

let root: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'hpff-folder-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

test('it is made in the folder of temporary files and removed with what it holds, and nothing listens any longer', () => {
  vi.stubEnv('TMPDIR', root);
  const listening = (): number[] => ['SIGINT', 'SIGTERM', 'SIGHUP', 'exit'].map((name) => process.listenerCount(name));
  const before = listening();
  {
    using folder = ProfileFolder.make();
    expect(readdirSync(root)).toEqual([path.basename(folder.path)]);
    writeFileSync(path.join(folder.path, 'session.json'), '[]');
    expect(listening()).toEqual(before.map((count) => count + 1));
  }
  expect(existsSync(root) && readdirSync(root)).toEqual([]);
  expect(listening()).toEqual(before);
});

test('it is removed while processes write into it, for good', async () => {
  vi.stubEnv('TMPDIR', root);
  const folder = ProfileFolder.make();
  // Faster than anybody can remove.
  const program = `const fs = require('fs'); for (let i = 0; ; i++) fs.writeFileSync('${folder.path}/' + i, '')`;
  const writers = [0, 1].map(() => spawn(process.execPath, ['-e', program], { stdio: 'ignore' }));
  const ended = Promise.all(writers.map((writer) => new Promise((resolve) => writer.once('exit', resolve))));
  for (const writer of writers) folder.writtenBy(() => writer.kill('SIGKILL'));
  await vi.waitUntil(() => readdirSync(folder.path).length > 10, { timeout: 10_000 });
  folder[Symbol.dispose]();
  await ended;
  expect(readdirSync(root)).toEqual([]);
});

test('where none can be made, the folder of temporary files is named', () => {
  const missing = path.join(root, 'missing');
  vi.stubEnv('TMPDIR', missing);
  const message = `TMPDIR: found "${missing}", where no folder can be made (ENOENT), allowed: a folder to write into`;
  expect(() => ProfileFolder.make()).toThrow(new InputError('TMPDIR_NOT_WRITABLE', message));
});
