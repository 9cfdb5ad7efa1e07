/** Tensors going into and coming out of calls of the C API. */
import koffi from 'koffi';
import { elementCount, type HostTensor } from '../../../files/tensor.js';
import { check, obtain } from '../../native/calls.js';
import { cpuMemoryOf } from './memory.js';
import { dtypes, elementCodes } from '../../native/elements.js';
import { arrays } from '../../layout.js';
import type { Pointer } from '../../native/functions.js';
import type { NativeTrainingApi } from './library.js';

/** An OrtValue over a tensor's own memory, which must outlive it. To be released. */
export function valueOver(api: NativeTrainingApi, { dtype, shape, data }: HostTensor): Pointer {
  const dimensions = BigInt64Array.from(shape, BigInt);
  const code = elementCodes[dtype];
  return obtain(api.calls, (out) =>
    api.base.CreateTensorWithDataAsOrtValue(
      cpuMemoryOf(api),
      data,
      data.byteLength,
      dimensions,
      shape.length,
      code,
      out,
    ),
  );
}

/** A copy of what an OrtValue holds; the value is released. */
export function takeValue({ base, calls }: NativeTrainingApi, value: Pointer): HostTensor {
  const info = obtain(calls, (out) => base.GetTensorTypeAndShape(value, out));
  try {
    const type = new Int32Array(1);
    check(calls, base.GetTensorElementType(info, type));
    const rank = Number(obtain(calls, (out) => base.GetDimensionsCount(info, out)));
    const dimensions = new BigInt64Array(Math.max(1, rank));
    check(calls, base.GetDimensions(info, dimensions, rank));
    const shape = Array.from(dimensions.subarray(0, rank), Number);
    const dtype = dtypes.get(type[0]!)!;
    const data = new arrays[dtype](elementCount(shape));
    if (data.length > 0) {
      const address = obtain(calls, (out) => base.GetTensorMutableData(value, out));
      const bytes = new Uint8Array(koffi.view(address, data.byteLength));
      new Uint8Array(data.buffer).set(bytes);
    }
    return { dtype, shape, data };
  } finally {
    base.ReleaseTensorTypeAndShapeInfo(info);
    base.ReleaseValue(value);
  }
}
