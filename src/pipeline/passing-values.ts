/** Values that pass between the tasks of a pipeline, each for one step: kept until the last of its readers is done. */
import { UsageError } from '../errors.js';
import type { DeviceTensor } from '../runtime/runtime.js';

interface Value {
  readonly tensor: DeviceTensor;
  readers: number;
  readonly released: (() => void) | undefined;
}

export class PassingValues {
  private readonly values = new Map<string, Value>();

  /**
   * Takes over a tensor.
   * @param readers tasks that will read it; without any it is disposed of at once
   * @param released called when the last of them is done
   */
  put(name: string, step: number, tensor: DeviceTensor, readers: number, released?: () => void): void {
    const key = keyOf(name, step);
    if (this.values.has(key)) throw new UsageError('VALUE_TWICE', `'${name}' of step ${step} was there already`);
    if (readers > 0) {
      this.values.set(key, { tensor, readers, released });
    } else {
      tensor.dispose();
      released?.();
    }
  }

  has(name: string, step: number): boolean {
    return this.values.has(keyOf(name, step));
  }

  get(name: string, step: number): DeviceTensor | undefined {
    return this.values.get(keyOf(name, step))?.tensor;
  }

  /** One of the readers of a value is done. */
  release(name: string, step: number): void {
    const key = keyOf(name, step);
    const value = this.values.get(key)!;
    if (--value.readers > 0) return;
    this.values.delete(key);
    value.tensor.dispose();
    value.released?.();
  }

  /** Drops what is left. */
  dispose(): void {
    for (const { tensor } of this.values.values()) tensor.dispose();
    this.values.clear();
  }
}

const keyOf = (name: string, step: number): string => `${step}/${name}`;
