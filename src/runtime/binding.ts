/** Matching the arguments of a run with the inputs and outputs of its session. */
import { UsageError } from '../errors.js';
import type { DeviceTensor } from './runtime.js';

/** A tensor of the kind of runtime that a session belongs to. */
export interface OwnTensor extends DeviceTensor {
  /** Name of the device that it lies on. */
  readonly device: string;
}

/** A session's inputs and outputs, each in the session's order. */
export interface Signature<T extends OwnTensor> {
  /** The session's name. */
  readonly session: string;
  /** Name of the device that it runs on. */
  readonly device: string;
  readonly inputs: ReadonlySet<string>;
  readonly outputs: ReadonlySet<string>;
  /** The kind of runtime, for errors. */
  readonly kind: string;
  /** Whether a tensor is of that kind. */
  readonly isOwn: (tensor: DeviceTensor) => tensor is T;
}

/** The arguments of one run, checked. */
export interface BoundRun<T extends OwnTensor> {
  /** In the order of the session's inputs. */
  readonly inputs: readonly T[];
  /** Outputs to compute. */
  readonly outputs: readonly string[];
  /** For each of `outputs` the tensor to write into, if there is one. */
  readonly targets: readonly (T | undefined)[];
}

/** @throws UsageError for a name that is missing, unknown or given twice, and for a tensor that is foreign or disposed */
export function bindRun<T extends OwnTensor>(
  signature: Signature<T>,
  feeds: ReadonlyMap<string, DeviceTensor>,
  into: ReadonlyMap<string, DeviceTensor>,
  wanted: readonly string[],
): BoundRun<T> {
  return {
    inputs: bindFeeds(signature, feeds),
    outputs: [...wanted],
    targets: bindTargets(signature, into, wanted),
  };
}

function bindFeeds<T extends OwnTensor>(signature: Signature<T>, feeds: ReadonlyMap<string, DeviceTensor>): T[] {
  const { session, inputs } = signature;
  for (const name of feeds.keys()) if (!inputs.has(name)) throw unknownName(session, 'feed', name, inputs);
  return Array.from(inputs, (name) => {
    const tensor = feeds.get(name);
    if (tensor !== undefined) return ownTensor(signature, 'feed', name, tensor);
    throw new UsageError(
      'FEED_MISSING',
      `session '${session}': input '${name}' is not fed; needed: ${list(inputs)}; fed: ${list(feeds.keys())}`,
    );
  });
}

function bindTargets<T extends OwnTensor>(
  signature: Signature<T>,
  into: ReadonlyMap<string, DeviceTensor>,
  wanted: readonly string[],
): (T | undefined)[] {
  const { session, inputs, outputs } = signature;
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
    return tensor && ownTensor(signature, 'output', name, tensor);
  });
}

function ownTensor<T extends OwnTensor>(
  { session, device, kind, isOwn }: Signature<T>,
  role: string,
  name: string,
  tensor: DeviceTensor,
): T {
  if (!isOwn(tensor)) {
    throw new UsageError('TENSOR_FOREIGN', `session '${session}': ${role} '${name}' is no tensor of a ${kind} runtime`);
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
