/** Tensors in ONNX Runtime's memory, on the CPU or another device. */
import koffi from 'koffi';
import { RunError, UsageError } from '../../errors.js';
import { elementCount } from '../../files/tensor.js';
import type { DType, HostTensor } from '../../files/tensor.js';
import { arrays, checkCopy, checkLayout, describe } from '../layout.js';
import type { DeviceTensor } from '../runtime.js';
import { obtain, OrtFailure } from './calls.js';
import { dtypes, elementCodes } from './elements.js';
import type { OrtFunctions, Pointer } from './functions.js';
import { disposeWhenCollected, NativeHandle } from './handle.js';

/** Copies between a device and JavaScript's memory; `value` is an OrtValue of the other side's type and shape. */
export interface TensorMemory {
  copyIn(value: Pointer, source: HostTensor): void;
  copyOut(value: Pointer, target: HostTensor): void;
}

/** What a tensor needs of the runtime that it belongs to. */
export interface TensorOwner {
  readonly api: OrtFunctions;
  /** Name of the device that tensors lie on. */
  readonly device: string;
  readonly memory: TensorMemory;
  /** To be called once for each new tensor. */
  opened(): void;
  /** To be called when a tensor's memory is released. */
  closed(): void;
}

export class NativeTensor implements DeviceTensor {
  readonly #owner: TensorOwner;
  readonly #handle: NativeHandle;
  #readers = 0;
  #writer: string | undefined;

  /** Takes ownership of the OrtValue at `address`. */
  constructor(
    owner: TensorOwner,
    address: Pointer,
    readonly dtype: DType,
    readonly shape: readonly number[],
  ) {
    this.#owner = owner;
    this.#handle = new NativeHandle(
      address,
      () => `tensor ${describe(dtype, shape)}`,
      (value) => {
        owner.api.ReleaseValue(value);
        owner.closed();
      },
    );
    owner.opened();
    disposeWhenCollected(this, this.#handle);
  }

  get byteLength(): number {
    return elementCount(this.shape) * arrays[this.dtype].BYTES_PER_ELEMENT;
  }

  get disposed(): boolean {
    return this.#handle.disposed;
  }

  /** Name of the device that it lies on. */
  get device(): string {
    return this.#owner.device;
  }

  /** Address of the OrtValue. */
  get pointer(): Pointer {
    return this.#handle.pointer;
  }

  read(): HostTensor {
    const data = new arrays[this.dtype](elementCount(this.shape));
    const copy = { dtype: this.dtype, shape: this.shape, data };
    this.readInto(copy);
    return copy;
  }

  readInto(target: HostTensor): void {
    checkCopy(this.dtype, this.shape, target);
    this.#refuseWhileWritten('read');
    this.#owner.memory.copyOut(this.pointer, { ...target, shape: this.shape });
  }

  write(source: HostTensor): void {
    checkCopy(this.dtype, this.shape, source);
    this.#refuseWhileWritten('written');
    if (this.#readers > 0) throw busy(this.#handle.describe(), 'written', 'a run in flight reads it');
    this.#owner.memory.copyIn(this.pointer, { ...source, shape: this.shape });
  }

  dispose(): void {
    this.#handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /**
   * Keeps the tensor alive and its elements unchanged during a run.
   * @returns what to call when the run has ended
   * @throws UsageError if it is disposed or another run in flight writes it
   */
  lendForReading(): () => void {
    this.#handle.pin();
    if (this.#writer !== undefined) {
      this.#handle.unpin();
      this.#refuseWhileWritten('read');
    }
    this.#readers++;
    return () => {
      this.#readers--;
      this.#handle.unpin();
    };
  }

  /**
   * Keeps the tensor alive during a run that writes it, and others away from it.
   * @returns what to call when the run has ended
   * @throws UsageError if it is disposed or another run in flight reads or writes it
   */
  lendForWriting(session: string): () => void {
    void this.pointer;
    this.#refuseWhileWritten('written');
    if (this.#readers > 0) throw busy(this.#handle.describe(), 'written', 'another run in flight reads it');
    this.#handle.pin();
    this.#writer = session;
    return () => {
      this.#writer = undefined;
      this.#handle.unpin();
    };
  }

  #refuseWhileWritten(wish: string): void {
    if (this.#writer !== undefined) throw busy(this.#handle.describe(), wish, `${this.#writer} is writing it`);
  }
}

function busy(what: string, wish: string, why: string): UsageError {
  return new UsageError('TENSOR_BUSY', `${what} cannot be ${wish} now: ${why}; await that run first`);
}

/**
 * A new tensor with unspecified elements.
 * @throws UsageError for an unknown dtype or an impossible shape; RunError if there is not enough memory
 */
export function allocateTensor(
  owner: TensorOwner,
  allocator: Pointer,
  dtype: DType,
  shape: readonly number[],
): NativeTensor {
  checkLayout(dtype, shape);
  const { api } = owner;
  const dimensions = BigInt64Array.from(shape, BigInt);
  try {
    const address = obtain(api, (out) =>
      api.CreateTensorAsOrtValue(allocator, dimensions, shape.length, elementCodes[dtype], out),
    );
    return new NativeTensor(owner, address, dtype, [...shape]);
  } catch (cause) {
    if (!(cause instanceof OrtFailure)) throw cause;
    const bytes = elementCount(shape) * arrays[dtype].BYTES_PER_ELEMENT;
    throw new RunError(
      'OUT_OF_MEMORY',
      `tensor ${describe(dtype, shape)}: ${bytes} bytes could not be allocated (${cause.message})`,
      { cause },
    );
  }
}

const elementType = new Int32Array(1);
const rank = new BigUint64Array(1);

/**
 * Takes ownership of a value that a run made.
 * @returns null, and releases the value, if it is no tensor or has an element type that hpff does not move
 */
export function adoptTensor(owner: TensorOwner, address: Pointer): NativeTensor | null {
  const { api } = owner;
  const dimensions = obtain(api, (out) =>
    api.GetTensorElementTypeAndShapeDataReference(address, elementType, out, rank),
  );
  const dtype = dtypes.get(elementType[0] ?? 0);
  if (dtype === undefined) {
    api.ReleaseValue(address);
    return null;
  }
  const shape = Array.from({ length: Number(rank[0]) }, (_, i) =>
    Number(koffi.decode.int64(dimensions + BigInt(8 * i))),
  );
  return new NativeTensor(owner, address, dtype, shape);
}
