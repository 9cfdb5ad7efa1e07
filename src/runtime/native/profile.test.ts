/** Measuring the nodes of sessions. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { smallModel } from '../../../test/small-models.js';
import { RunError, UsageError } from '../../errors.js';
import { float32 } from '../../files/tensor.js';
import type { Runtime, Session } from '../runtime.js';
import { takeProfile } from './profile.js';
import { createNativeRuntime } from './runtime.js';

let runtime: Runtime;
let folder: string;

beforeAll(async () => {
  runtime = await createNativeRuntime({ threads: 1 });
  folder = mkdtempSync(path.join(tmpdir(), 'hpff-profile-tëst-'));
});
afterAll(() => {
  runtime.dispose();
  rmSync(folder, { recursive: true });
});

const product = smallModel({
  inputs: { a: ['N', 'N'] },
  outputs: { y: ['N', 'N'] },
  nodes: [
    ['MatMul', ['a', 'a'], ['square']],
    ['Neg', ['square'], ['y']],
  ],
});

async function run(session: Session, size: number): Promise<void> {
  const a = runtime.upload(float32([size, size], new Float32Array(size * size)));
  for (const tensor of (await session.run(new Map([['a', a]]))).values()) tensor.dispose();
  a.dispose();
}

test('every run has its nodes in order, with their times, and no file stays', async () => {
  using first = await runtime.createSession(product, { name: 'first', profileFolder: folder });
  using second = await runtime.createSession(product, { name: 'second', profileFolder: folder });
  await run(first, 2);
  await run(second, 3);
  await run(first, 500);
  const runs = await first.endProfile!();
  const operators = (profile = runs[0]!): string[][] =>
    profile.nodes.map(({ opType, outputs }) => [opType, ...outputs]);
  expect(runs.map(operators)).toEqual([
    [['MatMul', 'float[2,2]'], ['Neg', 'float[2,2]']], // prettier-ignore
    [['MatMul', 'float[500,500]'], ['Neg', 'float[500,500]']], // prettier-ignore
  ]);
  for (const { seconds, nodes } of runs) {
    expect(nodes.reduce((sum, node) => sum + node.seconds, 0)).toBeLessThanOrEqual(seconds);
  }
  // 250 million floating-point operations.
  expect(runs[1]!.nodes[0]!.seconds).toBeGreaterThan(0.0002);
  expect((await second.endProfile!()).map(operators)).toEqual([[['MatMul', 'float[3,3]'], ['Neg', 'float[3,3]']]]); // prettier-ignore
  expect(readdirSync(folder)).toEqual([]);
});

test('a session measures once, and only where asked to, and runs on', async () => {
  using plain = await runtime.createSession(product, { name: 'plain' });
  using profiled = await runtime.createSession(product, { name: 'profiled', profileFolder: folder });
  await expect(plain.endProfile!()).rejects.toThrow(UsageError);
  expect(await profiled.endProfile!()).toEqual([]);
  await run(profiled, 2);
  await expect(profiled.endProfile!()).rejects.toThrow("session 'profiled' does not measure its nodes");
  profiled.dispose();
  await expect(profiled.endProfile!()).rejects.toThrow(UsageError);
});

test('a profile that cannot be read is an error of one line, and is removed', async () => {
  const missing = path.join(folder, 'missing');
  using session = await runtime.createSession(product, { name: 'lost', profileFolder: missing });
  await expect(session.endProfile!()).rejects.toThrow(RunError);
  const broken = path.join(folder, 'broken.json');
  const full = '; it is cut short: the disk of TMPDIR may be full';
  for (const [text, hint] of [
    ['[{"cat"', full],
    ['[{"dims":[2]', full],
    ['', full],
    ['{}', ' no list of events'],
  ]) {
    writeFileSync(broken, text!);
    const line = new RegExp(`^session 'graph': profile .*broken.json cannot be read: [^\\n]+${hint}$`);
    await expect(takeProfile('graph', broken)).rejects.toThrow(line);
    expect(readdirSync(folder)).toEqual([]);
  }
});
