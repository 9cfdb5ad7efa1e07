import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { InputError } from '../errors.js';
import { float32 } from '../files/tensor.js';
import { CheckpointWriter, readLatest } from './checkpoint.js';
import type { RunState } from './checkpoint-state.js';

const hash = 'ab'.repeat(32);
const state = (step: number): RunState => ({
  step,
  epoch: 1,
  index: step,
  skipped: 0,
  stepsPerEpoch: 1000,
  seed: 1,
  recipeHash: hash,
  overrides: {},
  dataHash: hash,
  computed: { onnxRuntime: '1.30.0', device: 'cpu', schedule: 'sync', lowering: 'portable', delay: 0, threads: 2 },
  evaluation: null,
  openGroup: { steps: 1, total: 0.1 + 0.2, losses: { '0/final/classifier': 1e-300 } },
});
const tensors = (step: number) => () => ({
  weights: new Map([['w', float32([3], [step, NaN, 1e-40])]]),
  optimizer: new Map([['momentum/w', float32([3], [-step, 0, 1])]]),
});

let run: string;
const newRun = (): string => mkdtempSync(path.join(tmpdir(), 'hpff-checkpoint-'));
beforeEach(() => {
  run = newRun();
});
afterEach(() => rmSync(run, { recursive: true }));

const names = (): string[] => readdirSync(path.join(run, 'checkpoints')).sort();
const latest = (): string => readFileSync(path.join(run, 'latest'), 'utf8');
const refused = async (code: string, message: RegExp): Promise<void> => {
  await expect(readLatest(run)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
};

describe('CheckpointWriter', () => {
  it('writes what is read again, to the bit', async () => {
    await new CheckpointWriter(run, 2).write(state(7), tensors(7));
    const found = await readLatest(run);
    expect(found.state).toMatchObject(state(7));
    expect(found.folder).toBe(path.join(run, 'checkpoints/7'));
    expect(found.weights).toEqual(tensors(7)().weights);
    expect(found.optimizer).toEqual(tensors(7)().optimizer);
  });

  it('keeps the newest ones', async () => {
    const writer = new CheckpointWriter(run, 3);
    for (const step of [8, 9, 10, 11, 100]) await writer.write(state(step), tensors(step));
    expect(names()).toEqual(['10', '100', '11']);
    expect(latest()).toBe('100\n');
  });

  it('at the step of the latest one writes the state alone', async () => {
    const writer = new CheckpointWriter(run, 2);
    await writer.write(state(5), tensors(5));
    const evaluation = { step: 5, accuracy: 0.5, loss: 1, images: 10 };
    await writer.write({ ...state(5), evaluation }, () => {
      throw new Error('not needed');
    });
    expect((await readLatest(run)).state.evaluation).toEqual(evaluation);
  });

  it('goes on from an older checkpoint: later ones stay until they are made again', async () => {
    const first = new CheckpointWriter(run, 9);
    for (const step of [1, 2, 3]) await first.write(state(step), tensors(step));
    writeFileSync(path.join(run, 'latest'), '1\n');
    const second = new CheckpointWriter(run, 9, await readLatest(run));
    await second.write(state(2), tensors(20));
    expect(names()).toEqual(['1', '2', '3']);
    expect((await readLatest(run)).weights).toEqual(tensors(20)().weights);
  });

  it('tidies up after a writer that was killed', async () => {
    const writer = new CheckpointWriter(run, 2);
    for (const step of [1, 2]) await writer.write(state(step), tensors(step));
    cpSync(path.join(run, 'checkpoints/1'), path.join(run, 'checkpoints/0'), { recursive: true });
    cpSync(path.join(run, 'checkpoints/1'), path.join(run, `checkpoints/.hpff-${'0'.repeat(16)}.tmp`), {
      recursive: true,
    });
    writeFileSync(path.join(run, `.hpff-${'1'.repeat(16)}.tmp`), '');
    writeFileSync(path.join(run, 'notes.txt'), '');
    await writer.tidy();
    expect(names()).toEqual(['1', '2']);
    expect(readdirSync(run).sort()).toEqual(['checkpoints', 'latest', 'notes.txt']);
  });
});

describe('readLatest', () => {
  beforeEach(async () => {
    const writer = new CheckpointWriter(run, 2);
    for (const step of [3, 6]) await writer.write(state(step), tensors(step));
  });

  it('refuses a missing latest, and says what is there', async () => {
    rmSync(path.join(run, 'latest'));
    await refused('RUN_LATEST', /latest: no such file or folder; .*checkpoints holds 3, 6; to go on from one of them/);
  });

  it.each(['', '\n', 'six', '7', '-3', '06', '3\n6', '3 ', '../3', '9'.repeat(2000)])(
    'refuses %j in latest',
    async (text) => {
      writeFileSync(path.join(run, 'latest'), text);
      await refused('RUN_LATEST', /latest: .*; .*checkpoints holds 3, 6/);
    },
  );

  it('takes another checkpoint where latest names it', async () => {
    writeFileSync(path.join(run, 'latest'), '3');
    expect((await readLatest(run)).state.step).toBe(3);
  });

  it('refuses a checkpoint with a file that is gone, and says what else is there', async () => {
    rmSync(path.join(run, 'checkpoints/6/optimizer.safetensors'));
    await refused(
      'FILE_MISSING',
      /checkpoints\/6\/optimizer\.safetensors: no such file.*checkpoints holds 3; to go on/,
    );
    rmSync(path.join(run, 'checkpoints/3'), { recursive: true });
    await refused('FILE_MISSING', /checkpoints holds no other checkpoint/);
  });

  it('refuses a state of another format, and one that is of another step', async () => {
    const file = path.join(run, 'checkpoints/6/state.json');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('"formatVersion": 1', '"formatVersion": 2'));
    await refused('CHECKPOINT_VERSION', /state\.json: formatVersion: found 2, allowed: 1/);
    writeFileSync(file, text.replace('"step": 6', '"step": 3'));
    await refused('CHECKPOINT_INVALID', /state\.json: step: found 3/);
    writeFileSync(file, text.replace('"seed": 1', '"seed": -1'));
    await refused('CHECKPOINT_INVALID', /state\.json: seed: allowed: a whole number from 0/);
  });
});

describe('a damaged checkpoint', () => {
  let whole: string;
  beforeAll(async () => {
    whole = newRun();
    await new CheckpointWriter(whole, 2).write(state(6), tensors(6));
  });
  afterAll(() => rmSync(whole, { recursive: true }));

  it.each(['weights', 'optimizer'])(
    'is refused wherever a bit of its %s is flipped or its end is missing',
    async (file) => {
      cpSync(whole, run, { recursive: true });
      const at = path.join(run, `checkpoints/6/${file}.safetensors`);
      const bytes = readFileSync(at);
      const checksum = { code: 'CHECKPOINT_CHECKSUM', message: expect.stringContaining(at) as string };
      await fc.assert(
        fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(7), async (position, bit) => {
          const flipped = Buffer.from(bytes);
          flipped[position]! ^= 1 << bit;
          writeFileSync(at, flipped);
          await expect(readLatest(run)).rejects.toMatchObject(checksum);
          writeFileSync(at, bytes.subarray(0, position));
          await expect(readLatest(run)).rejects.toMatchObject(checksum);
        }),
        { numRuns: 50 },
      );
    },
  );

  it('is refused or harmless where its state is damaged, and never crashes', async () => {
    cpSync(whole, run, { recursive: true });
    const at = path.join(run, 'checkpoints/6/state.json');
    const bytes = readFileSync(at);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(255), async (position, value) => {
        const changed = Buffer.from(bytes);
        changed[position] = value;
        writeFileSync(at, changed);
        await readLatest(run).catch((error: unknown) => expect(error).toBeInstanceOf(InputError));
      }),
      { numRuns: 150 },
    );
  });
});
