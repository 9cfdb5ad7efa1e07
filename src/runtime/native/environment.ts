/**
 * The process's one OrtEnv: a thread pool and a memory arena that all sessions share.
 *
 * ONNX Runtime keeps a single environment per process and fixes its pool when it is created. Ours lives as long as some
 * runtime does; the next runtime makes a new one with the threads it asks for. A runtime that asks for other threads than a
 * living one has gets them too, but in a pool for each of its sessions.
 *
 * Denormal numbers are kept. ONNX Runtime can flush them on the threads of its pool, but not on those that call it and
 * compute along: results would depend on which thread computed what.
 */
import { UsageError } from '../../errors.js';
import { check, cStrings, obtain } from './calls.js';
import { cpuMemory } from './cpu-memory.js';
import type { OrtFunctions, Pointer } from './functions.js';
import type { OrtLibrary } from './library.js';

export interface PoolOptions {
  readonly threads: number;
  readonly spinning: boolean;
}

/** One runtime's hold on the environment. */
export interface EnvironmentLease {
  readonly pointer: Pointer;
  /** Whether the environment's pool has the threads that were asked for; it may wait otherwise. */
  readonly sharedPool: boolean;
  /** Gives the hold back; the last one releases the environment. To be called once. */
  release(): void;
}

interface Environment extends PoolOptions {
  readonly pointer: Pointer;
  leases: number;
}

/** OrtLoggingLevel: below this, ONNX Runtime is silent. Failures reach us as statuses, so its own reports would say them twice. */
const LOG_FATAL = 4;

let current: Environment | undefined;

/** Whether some runtime holds the environment. */
export function environmentAlive(): boolean {
  return current !== undefined;
}

/** Takes a hold on the environment, which is created if there is none. */
export function leaseEnvironment({ api }: OrtLibrary, pool: PoolOptions): EnvironmentLease {
  const environment = (current ??= { ...pool, pointer: createEnvironment(api, pool), leases: 0 });
  environment.leases++;
  return {
    pointer: environment.pointer,
    sharedPool: environment.threads === pool.threads,
    release: () => {
      if (--environment.leases > 0) return;
      current = undefined;
      api.ReleaseEnv(environment.pointer);
    },
  };
}

function createEnvironment(api: OrtFunctions, pool: PoolOptions): Pointer {
  const threading = obtain(api, (out) => api.CreateThreadingOptions(out));
  try {
    check(api, api.SetGlobalIntraOpNumThreads(threading, pool.threads));
    check(api, api.SetGlobalInterOpNumThreads(threading, 1));
    check(api, api.SetGlobalSpinControl(threading, pool.spinning ? 1 : 0));
    const pointer = obtain(api, (out) => api.CreateEnvWithGlobalThreadPools(LOG_FATAL, 'hpff', threading, out));
    registerArena(api, pointer);
    return pointer;
  } finally {
    api.ReleaseThreadingOptions(threading);
  }
}

/**
 * Settings of the arena, by ONNX Runtime's names.
 *
 * It grows by regions, each twice as large as the one before (strategy 0, kNextPowerOfTwo). Free neighbours within a region become one; regions of the
 * sizes that are asked for (strategy 1) would never, and hold a fifth more in a training step. What has never been used of a region takes no memory.
 * An allocation takes the whole of a free piece, unless that leaves a megabyte.
 */
const ARENA = {
  arena_extend_strategy: 0,
  initial_chunk_size_bytes: 32 * 2 ** 20,
  max_dead_bytes_per_chunk: 2 ** 20,
};

function registerArena(api: OrtFunctions, environment: Pointer): void {
  const { memory, addresses } = cStrings(Object.keys(ARENA));
  const values = BigUint64Array.from(Object.values(ARENA), BigInt);
  const names = BigUint64Array.from(addresses);
  const configuration = obtain(api, (out) => api.CreateArenaCfgV2(names, values, values.length, out));
  void memory;
  try {
    check(api, api.CreateAndRegisterAllocator(environment, cpuMemory(api), configuration));
  } catch (cause) {
    api.ReleaseEnv(environment);
    throw new UsageError(
      'RUNTIME_ENVIRONMENT',
      `the ONNX Runtime environment of this process was made by other code; create the hpff runtime first (${(cause as Error).message})`,
      { cause },
    );
  } finally {
    api.ReleaseArenaCfg(configuration);
  }
}
