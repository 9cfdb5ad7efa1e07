/** Sentences that go with the table of a comparison. */
import type { Comparison } from './document.js';

const given = (value: string | number | undefined, name: string): string[] =>
  value === undefined ? [] : [`${name} ${value}`];

/** Under which settings the runs were made. */
export function settingsLine({ seeds, options, machines, hpff }: Comparison): string {
  const { schedule = 'sync', delay, stages, lowering, device, threads, epochs, steps } = options;
  const parts = [
    `${seeds.length === 1 ? 'Seed' : 'Seeds'} ${seeds.join(', ')}`,
    `schedule ${schedule}`,
    ...given(delay, 'delay'),
    ...given(stages, 'stages'),
    ...given(lowering, 'lowering'),
    ...given(device, 'device'),
    ...given(threads, 'threads'),
    ...given(epochs, 'epochs'),
    ...given(steps, 'at most steps'),
  ];
  const where = machines.map(({ cpu, cores }) => `${cpu}, ${cores} cores`).join('; ');
  return `${parts.join(', ')}. hpff ${hpff}${where === '' ? '' : ` on ${where}`}.`;
}

/** Whether recipes differ in anything but local learning. */
export function conditionLine({ conditions, machines }: Comparison): string {
  const alike =
    conditions.length === 0
      ? 'Network, data, optimizer and schedule are the same for all.'
      : `Conditions differ: ${conditions.map(({ path }) => path).join(', ')}.`;
  return machines.length < 2 ? alike : `${alike} Runs were made on different machines: times cannot be compared.`;
}

/** A line for each run that is not done. */
export function failureLines({ recipes }: Comparison): string[] {
  return recipes.flatMap(({ name, runs }) =>
    runs
      .filter(({ status }) => status !== 'done')
      .map(({ seed, status, step, reason }) => {
        const where = status === 'waiting' ? 'has not begun' : `${status} after step ${step}`;
        return `${name}, seed ${seed}: ${where}${reason === null ? '' : `: ${reason}`}`;
      }),
  );
}
