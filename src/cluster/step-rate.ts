/** A learning rate as a tensor that keeps all its bits: those of the double, as one int64. */
import type { HostTensor } from '../files/tensor.js';

export function encodeRate(rate: number): HostTensor<'int64'> {
  return { dtype: 'int64', shape: [1], data: new BigInt64Array(Float64Array.of(rate).buffer) };
}

export function decodeRate({ data }: HostTensor<'int64'>): number {
  return new Float64Array(BigInt64Array.of(data[0]!).buffer)[0]!;
}
