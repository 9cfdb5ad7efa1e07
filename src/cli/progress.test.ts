import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Capture } from '../../test/cli.js';
import { showProgress } from './progress.js';

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
