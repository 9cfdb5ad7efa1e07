/** What a runtime must not be left with. */
import { UsageError } from '../errors.js';

/** @throws UsageError `RUNTIME_IN_USE` where something of a runtime is alive */
export function requireUnused(sessions: number, tensors: number): void {
  if (sessions === 0 && tensors === 0) return;
  throw new UsageError(
    'RUNTIME_IN_USE',
    `runtime cannot be disposed: ${sessions} sessions and ${tensors} tensors are still alive; dispose them first`,
  );
}
