/** What a schedule computes with: the options of an engine, checked and completed. */
import { availableParallelism } from 'node:os';
import { InputError } from '../errors.js';
import type { Device } from '../runtime/device.js';
import type { NativeRuntimeOptions } from '../runtime/native/index.js';
import { balanceNames, type EngineOptions } from './engine-options.js';
import { type ScheduleName, scheduleNames } from './schedule-names.js';

/** What a schedule computes with. */
export interface Plan {
  readonly schedule: ScheduleName;
  readonly delay: number;
  readonly stages: number;
  readonly balance: (typeof balanceNames)[number];
  readonly threads: number;
}

/**
 * How a runtime on the CPU computes a plan. Where several cores are busy, or a step is many runs, these have threads of their own, which stay on their
 * cores; and where no others need the cores, threads without work spin, since an operator takes no longer than to wake them.
 */
export function threading({ schedule, threads, stages }: Plan): NativeRuntimeOptions {
  const busy = threads * stages;
  const own = busy > 1 || schedule !== 'fused';
  return { threads, runThreads: own ? stages : 0, spinning: threads > 1 && busy <= availableParallelism() };
}

/** @throws InputError for what does not exist or does not go together */
export function planOf(
  { schedule = 'sync', delay, stages, balance, threads }: EngineOptions,
  devices: readonly Device[],
): Plan {
  const name = known('--schedule', schedule, scheduleNames, 'SCHEDULE_UNKNOWN');
  const by = balanceOf(balance);
  const cores = availableParallelism();
  const several = devices.length > 1;
  if (name === 'async') {
    const each = threads ?? 1;
    if (several) {
      if (stages === undefined || stages === devices.length) {
        return { schedule: name, delay: delay ?? 0, stages: devices.length, balance: by, threads: each };
      }
      const allowed = `${devices.length}, one on each`;
      throw new InputError('STAGES', `--stages: found ${stages} with ${devices.length} devices, allowed: ${allowed}`);
    }
    const fitting = Math.max(1, Math.floor(cores / each));
    return { schedule: name, delay: delay ?? 0, stages: stages ?? fitting, balance: by, threads: each };
  }
  for (const [option, value] of Object.entries({ delay, stages, balance })) {
    if (value === undefined) continue;
    throw new InputError('SCHEDULE_OPTION', `--${option}: found with --schedule ${name}, allowed: with async only`);
  }
  if (several) {
    const found = `found ${devices.length} devices with --schedule ${name}`;
    throw new InputError('SCHEDULE_OPTION', `--device: ${found}, allowed: one; with async several, a stage on each`);
  }
  return { schedule: name, delay: 0, stages: 1, balance: by, threads: threads ?? cores };
}

/** What stages have alike. @throws InputError `BALANCE_UNKNOWN` */
export const balanceOf = (name = 'time'): Plan['balance'] => known('--balance', name, balanceNames, 'BALANCE_UNKNOWN');

function known<T extends string>(option: string, name: string, allowed: readonly T[], code: string): T {
  const found = allowed.find((each) => each === name);
  if (found === undefined) throw new InputError(code, `${option}: found '${name}', allowed: ${allowed.join(', ')}`);
  return found;
}
