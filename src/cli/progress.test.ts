import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Capture } from '../../test/cli.js';
import { addStageTimes, busyNote, showProgress, stageLines } from './progress.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('elsewhere than on a terminal: a line at first, every five seconds, and at the end', () => {
  const sink = new Capture();
  {
    using progress = showProgress(sink, { total: 13, unit: 'step' });
    for (let step = 1; step <= 13; step++) {
      progress.update(step, `loss ${step}`);
      vi.advanceTimersByTime(1000);
      if (step === 2) progress.line('epoch 1 done');
    }
  }
  expect(sink.text).toBe(
    'step 1/13  loss 1\nepoch 1 done\nstep 6/13  loss 6\nstep 11/13  loss 11\nstep 13/13  loss 13\n',
  );
});

test('on a terminal: a bar no wider than it, and lines that stay above', () => {
  const sink = new Capture().asTerminal(60);
  const progress = showProgress(sink, { total: 10, unit: 'step' });
  progress.update(4, `loss ${'1'.repeat(100)}`);
  vi.advanceTimersByTime(500);
  progress.line('epoch 1 done');
  progress.update(10, 'loss 0.5');
  progress[Symbol.dispose]();
  progress[Symbol.dispose]();
  const text = stripVTControlCharacters(sink.text);
  expect(text).toContain('step 4/10');
  expect(text).toContain('epoch 1 done\n');
  expect(text).toMatch(/={24} step 10\/10, \S+ left {2}loss 0\.5\n$/);
  expect(text).not.toContain('1'.repeat(60));
  expect(sink.text).not.toContain('\x1B[?'); // no terminal setting is left changed
  expect(vi.getTimerCount()).toBe(0);
});

test('a terminal that does not know its width is taken to have 80 columns', () => {
  const sink = new Capture().asTerminal(0);
  using progress = showProgress(sink, { total: 1, unit: 'step' });
  progress.update(1, 'loss 0.125');
  vi.advanceTimersByTime(500);
  expect(stripVTControlCharacters(sink.text)).toContain('loss 0.125');
});

describe('what stages do', () => {
  const times = (modules: number[], busySeconds: number, waitingSeconds: number, transferSeconds = 0) => {
    return { modules, busySeconds, waitingSeconds, transferSeconds };
  };

  test('is told in shares of their time; sending goes on meanwhile', () => {
    const stages = [times([0, 1, 2], 9.26, 0.74), times([3], 1, 3, 2), times([4, 5], 0, 0)];
    expect(busyNote(stages)).toBe('busy 93 % 25 % 0 %');
    expect(stageLines(stages)).toEqual([
      'stage 0 (modules 0-2): busy 93 %, waiting 7 %',
      'stage 1 (module 3): busy 25 %, waiting 75 %, meanwhile sending 50 %',
      'stage 2 (modules 4-5): busy 0 %, waiting 0 %',
    ]);
  });

  test('adds up as long as the stages are the same', () => {
    const first = addStageTimes([], [times([0], 1, 2, 3), times([1, 2], 4, 5)]);
    expect(addStageTimes(first, [times([0], 10, 20, 30), times([1, 2], 40, 50)])).toEqual([
      times([0], 11, 22, 33),
      times([1, 2], 44, 55),
    ]);
    const others = [times([0, 1], 1, 1), times([2], 1, 1)];
    expect(addStageTimes(first, others)).toEqual(others);
  });
});
