import { expect, test } from 'vitest';
import { LossMeter } from './meter.js';

const report = (loss: number) => ({ losses: new Map([['0/final/classifier', loss]]), total: 2 * loss });

test('gives means over a group, and begins the next one', () => {
  const meter = new LossMeter();
  expect(meter.empty).toBe(true);
  meter.addWaiting(0.25);
  meter.add(report(1), 32, 0.5);
  meter.addWaiting(0.75);
  meter.add(report(4), 32, 1.5);
  expect(meter.empty).toBe(false);
  const losses = { '0/final/classifier': 2.5 };
  expect(meter.take()).toEqual({ steps: 2, total: 5, losses, imagesPerSecond: 32, stepSeconds: 1, dataSeconds: 0.5 });
  expect(meter.empty).toBe(true);
  meter.add(report(3), 32, 1);
  expect(meter.take()).toMatchObject({ steps: 1, total: 6, dataSeconds: 0 });
});

test('goes on with a group from a file to the same bits; its speed is that of the steps since', () => {
  const values = [0.1, 0.7, 1e-9, 3];
  const whole = new LossMeter();
  for (const value of values) whole.add(report(value), 32, 1);
  const first = new LossMeter();
  for (const value of values.slice(0, 2)) first.add(report(value), 32, 1);
  const second = new LossMeter(JSON.parse(JSON.stringify(first.open())) as ReturnType<LossMeter['open']>);
  for (const value of values.slice(2)) second.add(report(value), 32, 2);
  expect(second.take()).toEqual({ ...whole.take(), imagesPerSecond: 16, stepSeconds: 2 });
});

test('has no speed where no step was timed', () => {
  const open = { steps: 1, total: 1, losses: {} };
  expect(new LossMeter(open).take()).toMatchObject({ imagesPerSecond: null, stepSeconds: null, dataSeconds: null });
});
