/** A run on a device other than the CPU: inputs and outputs are bound to where they lie, so that nothing comes to the host. */
import koffi from 'koffi';
import { check, inBackground, obtain } from './calls.js';
import type { OrtFunctions, Pointer } from './functions.js';
import { background } from './queue.js';

/** Names with addresses of OrtValues. */
export interface DeviceRun {
  readonly session: Pointer;
  /** OrtRunOptions */
  readonly options: Pointer;
  readonly inputs: readonly (readonly [name: string, value: Pointer])[];
  /** 0n: a new value. */
  readonly outputs: readonly (readonly [name: string, value: Pointer])[];
}

export interface RunPlace {
  readonly api: OrtFunctions;
  /** For arrays that ONNX Runtime hands out. */
  readonly allocator: Pointer;
  /** OrtMemoryInfo of the device, for new values. */
  readonly info: Pointer;
  readonly oneThread: boolean;
}

/**
 * Runs a session; the work on the device has ended when this resolves.
 * @returns addresses of the outputs' values: those given, or new ones that the caller owns
 * @throws OrtFailure
 */
export async function runOnDevice(place: RunPlace, { session, options, ...run }: DeviceRun): Promise<BigUint64Array> {
  const { api } = place;
  const binding = obtain(api, (out) => api.CreateIoBinding(session, out));
  try {
    for (const [name, value] of run.inputs) check(api, api.BindInput(binding, name, value));
    for (const [name, value] of run.outputs) {
      check(
        api,
        value === 0n ? api.BindOutputToDevice(binding, name, place.info) : api.BindOutput(binding, name, value),
      );
    }
    if (place.oneThread) check(api, api.RunWithBinding(session, options, binding));
    else
      await background.add(() =>
        inBackground(api, [], (done) => api.RunWithBinding.async(session, options, binding, done)),
      );
    return takeOutputs(place, binding, run.outputs);
  } finally {
    api.ReleaseIoBinding(binding);
  }
}

/** The binding hands out new references to all outputs; those to values that were given are not needed. */
function takeOutputs({ api, allocator }: RunPlace, binding: Pointer, outputs: DeviceRun['outputs']): BigUint64Array {
  if (outputs.length === 0) return new BigUint64Array(0);
  const count = new BigUint64Array(1);
  const array = obtain(api, (out) => api.GetBoundOutputValues(binding, allocator, out, count));
  const bound = koffi.decode(array, 'void *', Number(count[0])) as Pointer[];
  check(api, api.AllocatorFree(allocator, array));
  return BigUint64Array.from(outputs, ([, given], i) => {
    if (given === 0n) return bound[i]!;
    api.ReleaseValue(bound[i]!);
    return given;
  });
}
