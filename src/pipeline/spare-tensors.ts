/** Tensors that are written over and over, by what needs one of their shape for a while. */
import type { DeviceTensor, Runtime } from '../runtime/runtime.js';

export class SpareTensors {
  private readonly idle = new Map<string, DeviceTensor[]>();

  constructor(private readonly runtime: Runtime) {}

  /** A float32 tensor with unspecified elements, now the caller's. */
  take(shape: readonly number[]): DeviceTensor {
    return this.idle.get(shape.join())?.pop() ?? this.runtime.allocate('float32', shape);
  }

  /** Takes over a float32 tensor that the caller needs no more. */
  give(tensor: DeviceTensor): void {
    const key = tensor.shape.join();
    const known = this.idle.get(key);
    if (known) known.push(tensor);
    else this.idle.set(key, [tensor]);
  }

  /** Frees what is here. */
  dispose(): void {
    for (const tensor of [...this.idle.values()].flat()) tensor.dispose();
    this.idle.clear();
  }
}
