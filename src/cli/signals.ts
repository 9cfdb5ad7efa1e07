/** Ending on request: the first signal asks, the second ends the process as if nobody listened. A reader that goes away (`hpff … | head`) asks, too. */
import type { Streams } from './output.js';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export interface StopSignals extends Disposable {
  /** Aborted by the first SIGINT or SIGTERM, or where nobody reads the output any more. */
  readonly signal: AbortSignal;
}

/**
 * Listens for signals until it is disposed.
 * @param asked called at the first signal
 * @param streams whose readers count; errors of streams without a reader are kept from ending the process from now on
 */
export function stopOnSignals(asked: () => void, streams: Streams): StopSignals {
  const controller = new AbortController();
  const onError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE' || controller.signal.aborted) return;
    controller.abort(); // first, as telling it may fail in the same way
    asked();
  };
  streams.stdout.on('error', onError);
  streams.stderr.on('error', onError);
  const stopListening = (): void => {
    for (const name of SIGNALS) process.removeListener(name, onSignal);
  };
  const onSignal = (name: NodeJS.Signals): void => {
    if (!controller.signal.aborted) {
      asked();
      return controller.abort();
    }
    stopListening();
    process.kill(process.pid, name);
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return { signal: controller.signal, [Symbol.dispose]: stopListening };
}
