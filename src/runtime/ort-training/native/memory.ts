/** OrtMemoryInfo of the CPU's memory in a library; one serves as long as the process lives. */
import { obtain } from '../../native/calls.js';
import type { Pointer } from '../../native/functions.js';
import type { NativeTrainingApi } from './library.js';

const ARENA_ALLOCATOR = 1;
const DEFAULT_MEMORY = 0;

const known = new WeakMap<NativeTrainingApi, Pointer>();

export function cpuMemoryOf(api: NativeTrainingApi): Pointer {
  const found =
    known.get(api) ?? obtain(api.calls, (out) => api.base.CreateCpuMemoryInfo(ARENA_ALLOCATOR, DEFAULT_MEMORY, out));
  known.set(api, found);
  return found;
}
