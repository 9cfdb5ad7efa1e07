/**
 * Running a graph: what every runtime offers, whatever the device. Knows nothing about training.
 *
 * Tensors and sessions own native memory. Each has one owner, who calls `dispose()`; use after disposal throws, disposing
 * twice is harmless, and disposing what a run in flight still uses takes effect when that run ends.
 */
import type { DType, HostTensor } from '../files/tensor.js';

/** A tensor in the runtime's memory. */
export interface DeviceTensor extends Disposable {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly byteLength: number;
  readonly disposed: boolean;
  /** Copies the elements out. */
  read(): HostTensor;
  /** Copies the elements into `target`, which saves `read` its fresh memory; throws UsageError where dtype or element count differ. */
  readInto(target: HostTensor): void;
  /** Overwrites the elements; throws UsageError where dtype or element count differ. */
  write(tensor: HostTensor): void;
  dispose(): void;
}

/** A loaded graph. */
export interface Session extends Disposable {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /**
   * Runs the graph without blocking the event loop.
   *
   * @param feeds one tensor for every input; they stay the caller's
   * @param into outputs to write into these existing tensors (which may be among the feeds, where the graph allows it)
   * @param wanted outputs to compute; default all. Outputs not wanted are neither returned nor kept.
   * @returns every wanted output; those not in `into` are new tensors that the caller owns
   * @throws UsageError for a missing, unknown or disposed feed; RunError where the runtime fails, naming the session
   */
  run(
    feeds: ReadonlyMap<string, DeviceTensor>,
    into?: ReadonlyMap<string, DeviceTensor>,
    wanted?: readonly string[],
  ): Promise<Map<string, DeviceTensor>>;
  /**
   * Ends the measuring of nodes that `SessionOptions.profileFolder` began. Runtimes that cannot measure lack it.
   *
   * @returns the runs since the session was made, in their order; they must not have overlapped
   * @throws UsageError if the session does not measure (any more); RunError where the measurements cannot be had
   */
  endProfile?(): Promise<readonly RunProfile[]>;
  dispose(): void;
}

/** What one run of a session took. */
export interface RunProfile {
  readonly seconds: number;
  /** In the order in which they ran. */
  readonly nodes: readonly NodeProfile[];
}

export interface NodeProfile {
  /** Name of the ONNX node; ONNX Runtime makes up names for nodes that it inserts. */
  readonly name: string;
  readonly opType: string;
  /** In its kernel; ONNX Runtime counts in whole microseconds. */
  readonly seconds: number;
  /** Of its outputs, e.g. `float[128,16,32,32]`. */
  readonly outputs: readonly string[];
}

export interface SessionOptions {
  /** For messages and profiles. */
  readonly name: string;
  /** Graph optimization by ONNX Runtime. Default `disabled`: our lowerings decide, and node order stays ours. */
  readonly optimization?: 'disabled' | 'basic' | 'extended' | 'all';
  /** An existing folder: measure every node from now on, and write files there until `Session.endProfile`. Default: measure nothing. */
  readonly profileFolder?: string;
}

export interface Runtime extends Disposable {
  /** e.g. `cpu`. */
  readonly device: string;
  /** Version of ONNX Runtime, e.g. `1.30.0`. */
  readonly version: string;
  /** @param model bytes of an ONNX model */
  createSession(model: Uint8Array, options: SessionOptions): Promise<Session>;
  /** A new tensor with a copy of the elements. */
  upload(tensor: HostTensor): DeviceTensor;
  /** A new tensor with unspecified elements. */
  allocate(dtype: DType, shape: readonly number[]): DeviceTensor;
  /** Gives memory that nothing uses back to the operating system, as far as possible; worthwhile after sessions were created. */
  trim(): void;
  /** Releases the runtime; sessions and tensors that are still alive are an error (UsageError naming how many). */
  dispose(): void;
}

export interface RuntimeOptions {
  /** Threads of the one pool that all sessions share. Default: all cores. */
  readonly threads?: number;
}
