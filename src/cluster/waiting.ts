/** Waits that AbortSignals end, and the back-off between attempts. */
import { setMaxListeners } from 'node:events';

type Signals = readonly (AbortSignal | undefined)[];

/** Waits for `promise` while none of `signals` is aborted. @throws what the promise throws, or the aborted signal's reason */
export async function abortable<T>(promise: Promise<T>, ...signals: Signals): Promise<T> {
  promise.catch(() => undefined); // whoever stops waiting leaves no unhandled rejection
  let stopListening = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stopListening = onAbort(signals, (signal) => reject(signal.reason as Error));
  });
  try {
    return await Promise.race([aborted, promise]);
  } finally {
    stopListening();
  }
}

/** Calls `listener` for each of `signals` that is aborted already or later. @returns ends that */
export function onAbort(signals: Signals, listener: (signal: AbortSignal) => void): () => void {
  const removals = signals.map((signal) => {
    if (signal === undefined) return null;
    const call = (): void => listener(signal);
    if (signal.aborted) {
      call();
      return null;
    }
    setMaxListeners(0, signal); // each edge of a run waits on the same signals: many listeners are no leak
    signal.addEventListener('abort', call, { once: true });
    return () => signal.removeEventListener('abort', call);
  });
  return () => removals.forEach((remove) => remove?.());
}

/** @throws the reason of the first signal that is aborted meanwhile */
export async function sleep(milliseconds: number, ...signals: Signals): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  try {
    await abortable(over, ...signals);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for `promise` to settle, no longer than that. */
export async function settledWithin(milliseconds: number, promise: Promise<unknown>): Promise<void> {
  const stop = new AbortController();
  const settled = promise.then(
    () => stop.abort(),
    () => stop.abort(),
  );
  await Promise.race([settled, sleep(milliseconds, stop.signal).catch(() => undefined)]);
}

/** Pauses that double from `first` to `last` milliseconds, with up to a quarter of jitter. */
export class Backoff {
  private attempts = 0;

  constructor(
    private readonly first: number,
    private readonly last: number,
  ) {}

  /** Milliseconds of the next pause. */
  next(): number {
    const pause = Math.min(this.last, this.first * 2 ** Math.min(this.attempts++, 30));
    return pause * (1 - Math.random() / 4);
  }

  reset(): void {
    this.attempts = 0;
  }
}
