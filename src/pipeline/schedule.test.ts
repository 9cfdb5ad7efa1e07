/** The schedule: its documented table, literally, and what the documentation says of it, on simulated runs. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stepTasks } from '../local/index.js';
import { delayOf, type ModuleShape, moduleSchedule, roundTasks, type ScheduledTask } from './schedule.js';

/** Modules of a hierarchy, from the order of a synchronous step. */
function modulesOf(count: number, silent: readonly number[] = []): ModuleShape[] {
  const tasks = stepTasks({ modules: count, relays: true, silent: new Set(silent) });
  return Array.from({ length: count }, (_, index) => ({
    phases: tasks.filter(({ module }) => module === index).map(({ phase }) => phase),
    awaitsRelay: index < count - 1 && !silent.includes(index + 1),
  }));
}

const letter = ({ phase, step }: ScheduledTask): string => `${phase[0]!.toUpperCase()}${step}`;

test('is the table of the documentation', () => {
  const rows = [0, 1, 2].flatMap((delay) =>
    modulesOf(3).map((module, index) => {
      const range = { first: 1, last: 4 };
      const rounds = Array.from({ length: 4 + delayOf(module, delay) }, (_, i) =>
        roundTasks(module, delay, range, i + 1)
          .map(letter)
          .join(' '),
      );
      const label = index === 0 ? `D = ${delay}` : '     ';
      return ` *     ${label}   module ${index}   ${rounds.join(' | ')}`;
    }),
  );
  const documentation = readFileSync(new URL('schedule.ts', import.meta.url), 'utf8');
  expect(documentation).toContain(rows.join('\n'));
});

test('with delay 0 each module has the order of a synchronous step', () => {
  for (const module of modulesOf(5, [3])) {
    const tasks = moduleSchedule(module, 0, { first: 7, last: 8 });
    expect(tasks).toEqual([7, 8].flatMap((step) => module.phases.map((phase) => ({ phase, step }))));
  }
});

test('modules that no relay comes to update at once', () => {
  const [, , third, , last] = modulesOf(5, [3]);
  for (const module of [third!, last!]) {
    expect(delayOf(module, 2)).toBe(0);
    expect(moduleSchedule(module, 2, { first: 1, last: 3 })).toEqual(moduleSchedule(module, 0, { first: 1, last: 3 }));
  }
});

test('an end that becomes known takes away nothing that was done', () => {
  const [module] = modulesOf(3);
  const open = roundTasks(module!, 1, { first: 1, last: Infinity }, 4);
  expect(open.map(letter)).toEqual(['F4', 'U3']);
  expect(roundTasks(module!, 1, { first: 1, last: 3 }, 4).map(letter)).toEqual(['U3']);
  expect(roundTasks(module!, 1, { first: 1, last: 3 }, 5)).toEqual([]);
});

describe('a run in which any module may go first', () => {
  const setting = fc.record({
    modules: fc.integer({ min: 1, max: 6 }),
    delay: fc.integer({ min: 0, max: 3 }),
    steps: fc.integer({ min: 1, max: 7 }),
    choices: fc.infiniteStream(fc.nat(1000)),
    silent: fc.subarray([1, 2, 3, 4]),
  });

  test('ends, with the weights, memory and waiting that are documented', () => {
    fc.assert(
      fc.property(setting, ({ modules, delay, steps, choices, silent }) => {
        const shapes = modulesOf(
          modules,
          silent.filter((index) => index < modules - 1),
        );
        const left = shapes.map((shape) => moduleSchedule(shape, delay, { first: 1, last: steps }));
        const forwarded = shapes.map(() => 0);
        const updated = shapes.map(() => 0);
        const relayed = shapes.map(() => 0);
        const ready = ({ phase, step }: ScheduledTask, i: number): boolean => {
          if (phase === 'forward') return i === 0 || forwarded[i - 1]! >= step;
          return phase !== 'update' || !shapes[i]!.awaitsRelay || relayed[i + 1]! >= step;
        };
        for (;;) {
          const able = shapes.map((_, i) => i).filter((i) => left[i]![0] && ready(left[i]![0], i));
          if (able.length === 0) break;
          const i = able[choices.next().value % able.length]!;
          const { phase, step } = left[i]!.shift()!;
          const own = delayOf(shapes[i]!, delay);
          if (phase === 'update') {
            expect(updated[i]).toBe(step - 1);
            updated[i] = step;
            if (i === modules - 1) relayed[i] = step;
            continue;
          }
          expect(updated[i]).toBe(Math.max(0, step - 1 - own));
          if (phase === 'forward') forwarded[i] = step;
          if (phase === 'relay') relayed[i] = step;
          expect(forwarded[i]! - updated[i]!).toBeLessThanOrEqual(own + 1);
          if (i + 1 < modules && shapes[i]!.awaitsRelay) {
            expect(forwarded[i]! - forwarded[i + 1]!).toBeLessThanOrEqual(own + 1);
          }
        }
        expect(left.flat()).toEqual([]);
        expect(updated).toEqual(shapes.map(() => steps));
      }),
    );
  });
});
