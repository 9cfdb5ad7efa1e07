/** Calling `OrtApi.Run`, which takes as long as its graph, on another thread than JavaScript's. */
import { inBackground } from './calls.js';
import type { OrtFunctions, Pointer } from './functions.js';
import { background } from './queue.js';

/** What `Run` is called with. The arrays hold addresses, and must not change before it has returned. */
export interface RunArguments {
  readonly session: Pointer;
  readonly options: Pointer;
  readonly inputNames: BigUint64Array;
  readonly inputs: BigUint64Array;
  readonly outputNames: BigUint64Array;
  /** Values to write into; 0: `Run` makes one and puts it there. */
  readonly outputs: BigUint64Array;
}

/** @throws OrtFailure */
export type RunCall = (run: RunArguments) => Promise<void>;

/** On libuv's threads, which take turns. */
export function onSharedThreads(api: OrtFunctions): RunCall {
  return async (run) => {
    const { session, options, inputNames, inputs, outputNames, outputs } = run;
    const memory = [inputNames, inputs, outputNames, outputs];
    await background.add(() =>
      inBackground(api, memory, (done) =>
        api.Run.async(
          session,
          options,
          inputNames,
          inputs,
          inputs.length,
          outputNames,
          outputNames.length,
          outputs,
          done,
        ),
      ),
    );
  };
}
