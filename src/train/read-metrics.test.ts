import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readMetrics, type Recorded } from './read-metrics.js';

let run: string;
let file: string;
beforeEach(() => {
  run = mkdtempSync(path.join(tmpdir(), 'hpff-metrics-'));
  file = path.join(run, 'metrics.jsonl');
});
afterEach(() => rmSync(run, { recursive: true }));

async function read(): Promise<Recorded[]> {
  const events = [];
  for await (const event of readMetrics(run)) events.push(event);
  return events;
}

const step = {
  event: 'step',
  step: 2,
  epoch: 1,
  steps: 2,
  learningRate: 0.1,
  losses: { '0/final/classifier': 2.3 },
  total: 2.3,
  imagesPerSecond: null,
  stepSeconds: null,
  dataSeconds: null,
  peakBytes: 5,
  residentBytes: 4,
  stages: [{ modules: [0, 1], busySeconds: 1, waitingSeconds: 2, transferSeconds: 0 }],
};
const epoch = { event: 'epoch', step: 2, epoch: 1, testAccuracy: 0.5, testLoss: 1, trainAccuracy: 0.5 };
const line = (event: object): string => `${JSON.stringify(event)}\n`;

describe('readMetrics', () => {
  it('reads what is there, but for a last line that is not finished', async () => {
    writeFileSync(file, line(step) + line(epoch) + '{"event":"st');
    expect(await read()).toEqual([step, epoch]);
  });

  it('reads lines of older versions, which have fewer keys', async () => {
    const old = { event: 'step', step: 2, steps: 2, losses: {}, total: 1 };
    writeFileSync(file, line(old));
    expect(await read()).toEqual([old]);
  });

  it.each<[object | null, string]>([
    [null, 'no "event" and "step"'],
    [{ ...step, losses: { '0/final/classifier': '<b>' } }, 'losses'],
    [{ ...step, losses: [1] }, 'losses'],
    [{ ...step, losses: { classifier: 1 } }, 'losses'],
    [{ ...step, total: null }, 'total'],
    [{ ...step, epoch: '1' }, 'epoch'],
    [{ ...step, learningRate: 'x' }, 'learningRate'],
    [{ ...step, stepSeconds: 'x' }, 'stepSeconds'],
    [{ ...step, peakBytes: {} }, 'peakBytes'],
    [{ ...step, stages: 5 }, 'stages'],
    [{ ...step, stages: [null] }, 'stages'],
    [{ ...step, stages: [{ ...step.stages[0], modules: 1 }] }, 'stages'],
    [{ ...step, stages: [{ ...step.stages[0], busySeconds: '1' }] }, 'stages'],
    [{ ...epoch, testLoss: null }, 'testLoss'],
    [{ ...epoch, epoch: null }, 'epoch'],
    [{ ...epoch, trainAccuracy: 'z' }, 'trainAccuracy'],
  ])('refuses %j, naming the line and the key', async (event, key) => {
    writeFileSync(file, line(step) + `${JSON.stringify(event)}\n`);
    await expect(read()).rejects.toMatchObject({
      code: 'METRICS_INVALID',
      message: expect.stringMatching(new RegExp(`metrics\\.jsonl: line 2: .*${key}`)) as string,
    });
  });

  it('waits for no pipe and reads no device', async () => {
    execFileSync('mkfifo', [file]);
    await expect(read()).rejects.toMatchObject({ code: 'FILE_NOT_REGULAR' });
    rmSync(file);
    symlinkSync('/dev/zero', file);
    await expect(read()).rejects.toMatchObject({ code: 'FILE_NOT_REGULAR' });
  });
});
