import { expect, test } from 'vitest';
import { alternate, ratios, spread, type Trainer } from './bench.js';

/** Notes what is asked of it; its steps take 1, 2, … seconds. */
function recorder(name: string, log: string[], failAt = Infinity): Trainer<string> {
  let steps = 0;
  const note = (what: string): void => void log.push(`${name} ${what}`);
  return {
    start: async () => note('start'),
    step: async () => {
      note('step');
      if (++steps === failAt) throw new Error(`${name} failed`);
      return steps;
    },
    finish: async () => `${name} finished`,
    kill: () => note('kill'),
  };
}

test('steps alternate, and the first of each is not counted', async () => {
  const log: string[] = [];
  const rounds: number[] = [];
  const measurements = await alternate([recorder('a', log), recorder('b', log)], 2, (done) => rounds.push(done));
  const round = ['a step', 'b step'];
  expect(log).toEqual(['a start', 'b start', ...round, ...round, ...round, 'a kill', 'b kill']);
  expect(measurements).toEqual([
    { seconds: [2, 3], finished: 'a finished' },
    { seconds: [2, 3], finished: 'b finished' },
  ]);
  expect(rounds).toEqual([1, 2]);
});

test('all processes are killed when one fails', async () => {
  const log: string[] = [];
  await expect(alternate([recorder('a', log), recorder('b', log, 2)], 3)).rejects.toThrow('b failed');
  expect(log.slice(-2)).toEqual(['a kill', 'b kill']);
});

test('the median of an even number of values is the mean of the middle two', () => {
  expect(spread([4, 1, 3, 10])).toEqual({ min: 1, median: 3.5, max: 10 });
  expect(spread([5, 1, 2])).toEqual({ min: 1, median: 2, max: 5 });
  expect(() => spread([])).toThrow(RangeError);
});

test('two results are compared round by round', () => {
  const first = { roundSeconds: [1, 8, 3], beyondWeightsBytes: 30 };
  const second = { roundSeconds: [2, 4, 4], beyondWeightsBytes: 40 };
  expect(ratios(first, second)).toEqual({ stepSeconds: 0.75, beyondWeightsBytes: 0.75 });
});
