import { Command, type Option } from 'commander';
import { expect, test } from 'vitest';
import {
  batchOption,
  choiceOption,
  delayOption,
  epochsOption,
  seedOption,
  stepsOption,
  threadsOption,
} from './options.js';
import { resetOption } from './weights-options.js';

function parse(option: Option, ...args: string[]): Record<string, unknown> {
  return new Command().exitOverride().addOption(option).parse(args, { from: 'user' }).opts();
}

test('integers within their bounds are taken', () => {
  expect(parse(epochsOption(), '--epochs', '12')).toEqual({ epochs: 12 });
  expect(parse(stepsOption(), '--steps=1')).toEqual({ steps: 1 });
  expect(parse(batchOption(), '--batch', '65536')).toEqual({ batch: 65536 });
  expect(parse(threadsOption(), '--threads', '2')).toEqual({ threads: 2 });
  expect(parse(delayOption(), '--delay', '0')).toEqual({ delay: 0 });
  expect(parse(seedOption(), '--seed', '4294967295')).toEqual({ seed: 4294967295 });
  expect(parse(seedOption())).toEqual({});
});

test.each(['0', '-1', '1.5', '1e3', '0x10', ' 3', '3 ', '', 'all', 'Infinity', '99999999999999999999'])(
  '--steps %j is refused',
  (text) => {
    expect(() => parse(stepsOption(), '--steps', text)).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        exitCode: 2,
        message: `--steps: found "${text}", allowed: an integer ≥ 1`,
      }) as Error,
    );
  },
);

test('bounds above are kept', () => {
  expect(() => parse(seedOption(), '--seed', '4294967296')).toThrow('allowed: an integer from 0 to 4294967295');
  expect(() => parse(batchOption(), '--batch', '65537')).toThrow('allowed: an integer from 1 to 65536');
});

test('a choice is one of its values', () => {
  const option = () => choiceOption('--schedule <s>', 'order of the work', ['fused', 'sync']);
  expect(parse(option(), '--schedule', 'sync')).toEqual({ schedule: 'sync' });
  expect(() => parse(option(), '--schedule', 'Sync')).toThrow('--schedule: found "Sync", allowed: fused, sync');
  expect(option().description).toBe('order of the work: fused, sync');
});

test('parts to reset are a list, or given one after the other', () => {
  expect(parse(resetOption(), '--reset', 'fc,heads')).toEqual({ reset: ['fc', 'heads'] });
  expect(parse(resetOption(), '--reset', 'fc', '--reset', 'heads')).toEqual({ reset: ['fc', 'heads'] });
  expect(() => parse(resetOption(), '--reset', 'fc', '--reset', 'x')).toThrow('--reset: found "x", allowed: fc, heads');
});
