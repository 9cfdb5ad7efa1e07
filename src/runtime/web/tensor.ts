/** Tensors of a web runtime: typed arrays in JavaScript's memory, which ONNX Runtime copies in and out of its own. */
import { UsageError } from '../../errors.js';
import { type DType, elementCount, type HostTensor } from '../../files/tensor.js';
import type { OwnTensor } from '../binding.js';
import { arrays, checkCopy, describe } from '../layout.js';
import type { OrtData } from './ort.js';

/** What a tensor needs of the runtime that it belongs to. */
export interface TensorOwner {
  readonly device: string;
  /** To be called once for each new tensor. */
  opened(): void;
  /** To be called when a tensor is disposed. */
  closed(): void;
}

export class WebTensor implements OwnTensor {
  readonly #owner: TensorOwner;
  #data: OrtData | undefined;
  /** Runs in flight. */
  #readers = 0;
  #written = false;

  /** Takes `data` over; the caller checks that it fits. */
  constructor(
    owner: TensorOwner,
    readonly dtype: DType,
    readonly shape: readonly number[],
    data: OrtData,
  ) {
    this.#owner = owner;
    this.#data = data;
    owner.opened();
  }

  get device(): string {
    return this.#owner.device;
  }

  get byteLength(): number {
    return elementCount(this.shape) * arrays[this.dtype].BYTES_PER_ELEMENT;
  }

  get disposed(): boolean {
    return this.#data === undefined;
  }

  /** The elements themselves. @throws UsageError where it is disposed */
  get data(): OrtData {
    if (this.#data) return this.#data;
    throw new UsageError('RUNTIME_DISPOSED', `tensor ${this.#text} was used after it was disposed`);
  }

  read(): HostTensor {
    this.#refuseWhileWritten('read');
    return { dtype: this.dtype, shape: this.shape, data: this.data.slice() };
  }

  readInto(target: HostTensor): void {
    checkCopy(this.dtype, this.shape, target);
    this.#refuseWhileWritten('read');
    copy(this.data, target.data);
  }

  write(source: HostTensor): void {
    checkCopy(this.dtype, this.shape, source);
    this.#refuseWhileWritten('written');
    if (this.#readers > 0) throw this.#busy('written', 'a run in flight reads it');
    copy(source.data, this.data);
  }

  /** Keeps others from writing it during a run. @returns what to call when the run has ended */
  lendForReading(): () => void {
    this.#refuseWhileWritten('read');
    void this.data;
    this.#readers++;
    return () => void this.#readers--;
  }

  /** Keeps others away from it during a run that writes it. @returns what to call when the run has ended */
  lendForWriting(): () => void {
    this.#refuseWhileWritten('written');
    if (this.#readers > 0) throw this.#busy('written', 'another run in flight reads it');
    void this.data;
    this.#written = true;
    return () => void (this.#written = false);
  }

  /** Takes what a run has made in place of its elements; nothing where it was disposed meanwhile. */
  replace(data: OrtData): void {
    if (this.#data) this.#data = data;
  }

  dispose(): void {
    if (!this.#data) return;
    this.#data = undefined;
    this.#owner.closed();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  get #text(): string {
    return describe(this.dtype, this.shape);
  }

  #refuseWhileWritten(wish: string): void {
    if (this.#written) throw this.#busy(wish, 'a run in flight writes it');
  }

  #busy(wish: string, why: string): UsageError {
    return new UsageError('TENSOR_BUSY', `tensor ${this.#text} cannot be ${wish} now: ${why}; await that run first`);
  }
}

/** Between arrays of one class and length. */
function copy(from: OrtData, to: OrtData): void {
  (to as Float32Array).set(from as Float32Array);
}
