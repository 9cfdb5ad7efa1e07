/** Ending on request: the first signal asks, the second ends the process as if nobody listened. */

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export interface StopSignals extends Disposable {
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
}

/** Listens until it is disposed. @param asked called at the first signal */
export function stopOnSignals(asked: () => void): StopSignals {
  const controller = new AbortController();
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
