import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MetricsFile, truncateMetrics } from './metrics.js';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'hpff-metrics-'));
  file = path.join(folder, 'metrics.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true }));

const step = (n: number): string => `{"event":"step","step":${n},"total":1.5}\n`;
const epoch = (n: number): string => `{"event":"epoch","step":${n},"testAccuracy":0.5}\n`;
const lines = step(2) + step(4) + epoch(4) + step(6) + step(8) + epoch(8);

describe('truncateMetrics', () => {
  it.each([
    ['all that a checkpoint knows', { step: 8, evaluatedStep: 8 }, lines],
    ['all but an evaluation', { step: 8, evaluatedStep: 4 }, step(2) + step(4) + epoch(4) + step(6) + step(8)],
    ['what came before', { step: 5, evaluatedStep: 4 }, step(2) + step(4) + epoch(4)],
    ['what came before an evaluation', { step: 4, evaluatedStep: -1 }, step(2) + step(4)],
    ['nothing of a run that has just begun', { step: 0, evaluatedStep: -1 }, ''],
  ])('keeps %s', async (_, reach, expected) => {
    writeFileSync(file, lines);
    await truncateMetrics(file, reach);
    expect(readFileSync(file, 'utf8')).toBe(expected);
  });

  it('drops a last line that was cut off, wherever', async () => {
    for (let cut = 1; cut <= epoch(8).length; cut++) {
      writeFileSync(file, lines.slice(0, -cut));
      await truncateMetrics(file, { step: 8, evaluatedStep: 8 });
      expect(readFileSync(file, 'utf8')).toBe(lines.slice(0, -epoch(8).length));
    }
  });

  it.each([
    ['not JSON\n', /line 2: not valid JSON/],
    ['{"event":"step"}\n', /line 2: no "event" and "step"/],
    ['[]\n', /line 2: no "event" and "step"/],
    ['\n', /line 2: not valid JSON/],
  ])('refuses %j in the middle, and leaves the file as it is', async (bad, message) => {
    const content = step(2) + bad + step(4);
    writeFileSync(file, content);
    const work = truncateMetrics(file, { step: 4, evaluatedStep: -1 });
    await expect(work).rejects.toMatchObject({
      code: 'METRICS_INVALID',
      message: expect.stringMatching(message) as string,
    });
    expect(readFileSync(file, 'utf8')).toBe(content);
  });

  it('refuses a file that is gone', async () => {
    await expect(truncateMetrics(file, { step: 4, evaluatedStep: -1 })).rejects.toMatchObject({ code: 'FILE_MISSING' });
  });
});

describe('MetricsFile', () => {
  it('appends to what is there', async () => {
    writeFileSync(file, step(2));
    const metrics = await MetricsFile.open(file);
    await metrics.append({ event: 'epoch', step: 4, epoch: 1, testAccuracy: 0.5, testLoss: 1 });
    await metrics.sync();
    await metrics.close();
    const added = '{"event":"epoch","step":4,"epoch":1,"testAccuracy":0.5,"testLoss":1}\n';
    expect(readFileSync(file, 'utf8')).toBe(step(2) + added);
  });

  it('refuses a folder in its place', async () => {
    await expect(MetricsFile.open(folder)).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
  });
});
