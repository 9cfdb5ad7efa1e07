/** The host's memory, as ONNX Runtime sees it. */
import koffi from 'koffi';
import type { HostTensor, TypedArrays, DType } from '../../files/tensor.js';
import { obtain } from './calls.js';
import type { OrtFunctions, Pointer } from './functions.js';
import type { TensorMemory } from './tensor.js';

const ARENA_ALLOCATOR = 1;
const DEFAULT_MEMORY = 0;
let description: Pointer | undefined;

/** OrtMemoryInfo of the CPU's memory; one serves the process. */
export function cpuMemory(api: OrtFunctions): Pointer {
  return (description ??= obtain(api, (out) => api.CreateCpuMemoryInfo(ARENA_ALLOCATOR, DEFAULT_MEMORY, out)));
}

/** Copies from and to tensors that lie in the host's memory. */
export function hostMemory(api: OrtFunctions): TensorMemory {
  /** The elements' bytes, in place. Must not outlive the calling function: disposal frees what it points to. */
  const bytesAt = (value: Pointer, length: number): Uint8Array => {
    if (length === 0) return new Uint8Array(0);
    const address = obtain(api, (out) => api.GetTensorMutableData(value, out));
    return new Uint8Array(koffi.view(address, length));
  };
  return {
    copyIn: (value, { data }: HostTensor) => bytesAt(value, data.byteLength).set(bytesOf(data)),
    copyOut: (value, { data }: HostTensor) => bytesOf(data).set(bytesAt(value, data.byteLength)),
  };
}

function bytesOf(data: TypedArrays[DType]): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
