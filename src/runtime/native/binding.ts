/** Matching the arguments of a run with the inputs and outputs of its session. */
import { UsageError } from '../../errors.js';
import type { DeviceTensor } from '../runtime.js';
import { NativeTensor } from './tensor.js';

/** A session's inputs and outputs, each in the session's order. */
export interface Signature {
  /** The session's name. */
  readonly session: string;
  /** Name of the device that it runs on. */
  readonly device: string;
  readonly inputs: ReadonlySet<string>;
  readonly outputs: ReadonlySet<string>;
}

/** The arguments of one run, checked. */
export interface BoundRun {
  /** In the order of the session's inputs. */
  readonly inputs: readonly NativeTensor[];
  /** Outputs to compute. */
  readonly outputs: readonly string[];
  /** For each of `outputs` the tensor to write into, if there is one. */
  readonly targets: readonly (NativeTensor | undefined)[];
}

/** @throws UsageError for a name that is missing, unknown or given twice, and for a tensor that is foreign or disposed */
export function bindRun(
  signature: Signature,
  feeds: ReadonlyMap<string, DeviceTensor>,
  into: ReadonlyMap<string, DeviceTensor>,
  wanted: readonly string[],
): BoundRun {
  return {
    inputs: bindFeeds(signature, feeds),
    outputs: [...wanted],
    targets: bindTargets(signature, into, wanted),
  };
}

function bindFeeds(signature: Signature, feeds: ReadonlyMap<string, DeviceTensor>): NativeTensor[] {
  const { session, device, inputs } = signature;
  for (const name of feeds.keys()) if (!inputs.has(name)) throw unknownName(session, 'feed', name, inputs);
  return Array.from(inputs, (name) => {
    const tensor = feeds.get(name);
    if (tensor !== undefined) return nativeTensor(session, device, 'feed', name, tensor);
    throw new UsageError(
      'FEED_MISSING',
      `session '${session}': input '${name}' is not fed; needed: ${list(inputs)}; fed: ${list(feeds.keys())}`,
    );
  });
}

function bindTargets(
  { session, device, inputs, outputs }: Signature,
  into: ReadonlyMap<string, DeviceTensor>,
  wanted: readonly string[],
): (NativeTensor | undefined)[] {
  const names = new Set(wanted);
  for (const name of names) if (!outputs.has(name)) throw unknownName(session, 'wanted output', name, outputs);
  if (names.size < wanted.length) {
    throw new UsageError('OUTPUT_TWICE', `session '${session}': an output is wanted twice in: ${list(wanted)}`);
  }
  for (const name of names) {
    // ONNX Runtime would hand out the feed's own memory, and not write into a tensor that it was given.
    if (!inputs.has(name)) continue;
    throw new UsageError(
      'OUTPUT_IS_INPUT',
      `session '${session}': output '${name}' is an input of the graph; take the feed itself, or put an Identity between`,
    );
  }
  for (const name of into.keys()) if (!names.has(name)) throw unknownName(session, 'output to write into', name, names);
  if (new Set(into.values()).size < into.size) {
    throw new UsageError(
      'OUTPUT_SHARED',
      `session '${session}': two outputs would be written into the same tensor, among: ${list(into.keys())}`,
    );
  }
  return wanted.map((name) => {
    const tensor = into.get(name);
    return tensor && nativeTensor(session, device, 'output', name, tensor);
  });
}

function nativeTensor(session: string, device: string, role: string, name: string, tensor: DeviceTensor): NativeTensor {
  if (!(tensor instanceof NativeTensor)) {
    throw new UsageError('TENSOR_FOREIGN', `session '${session}': ${role} '${name}' is no tensor of a native runtime`);
  }
  if (tensor.device !== device) {
    throw new UsageError(
      'TENSOR_FOREIGN',
      `session '${session}' on ${device}: ${role} '${name}' lies on ${tensor.device}; copy it with read and upload`,
    );
  }
  if (tensor.disposed) {
    throw new UsageError('RUNTIME_DISPOSED', `session '${session}': ${role} '${name}' was used after it was disposed`);
  }
  return tensor;
}

function unknownName(session: string, role: string, name: string, allowed: Iterable<string>): UsageError {
  return new UsageError('RUN_NAME', `session '${session}': unknown ${role} '${name}'; allowed: ${list(allowed)}`);
}

function list(names: Iterable<string>): string {
  return [...names].join(', ') || 'none';
}
