/** Ownership of a native object: released once, and not before the last run that uses it has ended. */
import { UsageError } from '../../errors.js';
import type { Pointer } from './functions.js';

export class NativeHandle {
  #pins = 0;
  #disposed = false;

  /** @param describe for messages, e.g. `session 'step'` */
  constructor(
    private readonly address: Pointer,
    readonly describe: () => string,
    private readonly release: (address: Pointer) => void,
  ) {}

  get disposed(): boolean {
    return this.#disposed;
  }

  /** @throws UsageError after disposal: ONNX Runtime would read freed memory */
  get pointer(): Pointer {
    if (this.#disposed) throw new UsageError('RUNTIME_DISPOSED', `${this.describe()} was used after it was disposed`);
    return this.address;
  }

  /** Keeps the object alive, whatever happens to its owner, until `unpin`. */
  pin(): void {
    void this.pointer;
    this.#pins++;
  }

  unpin(): void {
    this.#pins--;
    if (this.#disposed && this.#pins === 0) this.release(this.address);
  }

  /** Ends the ownership. Takes effect when the last pin goes; doing it twice is harmless. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.#pins === 0) this.release(this.address);
  }
}

/** A net for objects whose owner forgot them: disposes the handle when the owner is collected. */
const forgotten = new FinalizationRegistry<NativeHandle>((handle) => handle.dispose());

/** Spreads the net under `owner`. Explicit disposal is the contract: collection comes late, native memory is invisible to it. */
export function disposeWhenCollected(owner: object, handle: NativeHandle): void {
  forgotten.register(owner, handle);
}
