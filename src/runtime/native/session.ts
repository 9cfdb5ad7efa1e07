/** A graph loaded into ONNX Runtime, and its runs. */
import { InputError, RunError, UsageError } from '../../errors.js';
import type { DeviceTensor, Session, SessionOptions } from '../runtime.js';
import { check, cStrings, inBackground, obtain, OrtFailure, readString } from './calls.js';
import type { OrtFunctions, Pointer } from './functions.js';
import { disposeWhenCollected, NativeHandle } from './handle.js';
import { background } from './queue.js';
import { adoptTensor, NativeTensor } from './tensor.js';
import type { TensorOwner } from './tensor.js';

/** What a session needs of the runtime that it belongs to. */
export interface SessionOwner {
  readonly api: OrtFunctions;
  /** OrtEnv */
  readonly environment: Pointer;
  /** For strings that ONNX Runtime hands out. */
  readonly allocator: Pointer;
  readonly memoryPattern: boolean;
  /** Threads of a pool of the session's own; undefined to use the environment's. */
  readonly ownThreads: number | undefined;
  readonly tensors: TensorOwner;
  /** To be called when a session begins to load. */
  opened(): void;
  /** To be called when a session is released, or could not be loaded. */
  closed(): void;
}

/** GraphOptimizationLevel */
const OPTIMIZATION = { disabled: 0, basic: 1, extended: 2, all: 99 } as const;

const NOTHING: ReadonlyMap<string, DeviceTensor> = new Map();

/**
 * Loads a model without blocking the event loop; its bytes must not change meanwhile.
 * @throws InputError if ONNX Runtime refuses the model
 */
export async function openSession(owner: SessionOwner, model: Uint8Array, options: SessionOptions): Promise<Session> {
  const { api } = owner;
  const settings = sessionSettings(owner, options);
  const out = new BigUint64Array(1);
  owner.opened();
  try {
    await background.add(() =>
      inBackground(api, [model, out], (done) =>
        api.CreateSessionFromArray.async(owner.environment, model, model.byteLength, settings, out, done),
      ),
    );
    return new NativeSession(owner, out[0] as Pointer, options.name);
  } catch (cause) {
    owner.closed();
    throw rejectedModel(options.name, cause);
  } finally {
    api.ReleaseSessionOptions(settings);
  }
}

function rejectedModel(name: string, cause: unknown): unknown {
  if (!(cause instanceof OrtFailure)) return cause;
  return new InputError('MODEL_REJECTED', `session '${name}': ONNX Runtime refused the model: ${cause.message}`, {
    cause,
  });
}

function sessionSettings(owner: SessionOwner, options: SessionOptions): Pointer {
  const { api } = owner;
  const settings = obtain(api, (out) => api.CreateSessionOptions(out));
  const level = OPTIMIZATION[options.optimization ?? 'disabled'];
  check(api, api.SetSessionLogId(settings, options.name));
  check(api, api.SetSessionGraphOptimizationLevel(settings, level));
  check(api, owner.memoryPattern ? api.EnableMemPattern(settings) : api.DisableMemPattern(settings));
  check(api, api.AddSessionConfigEntry(settings, 'session.use_env_allocators', '1'));
  check(api, api.AddSessionConfigEntry(settings, 'session.set_denormal_as_zero', '1'));
  if (owner.ownThreads === undefined) {
    check(api, api.DisablePerSessionThreads(settings));
  } else {
    check(api, api.SetIntraOpNumThreads(settings, owner.ownThreads));
    check(api, api.SetInterOpNumThreads(settings, 1));
  }
  return settings;
}

class NativeSession implements Session {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly #owner: SessionOwner;
  readonly #handle: NativeHandle;
  /** Keeps the C strings alive that the addresses below point to. */
  readonly #nameMemory: Buffer;
  readonly #inputNames: BigUint64Array;
  readonly #outputNames: ReadonlyMap<string, Pointer>;

  constructor(
    owner: SessionOwner,
    address: Pointer,
    readonly name: string,
  ) {
    this.#owner = owner;
    this.#handle = new NativeHandle(address, `session '${name}'`, (session) => {
      owner.api.ReleaseSession(session);
      owner.closed();
    });
    disposeWhenCollected(this, this.#handle);
    this.inputs = readNames(owner, address, 'SessionGetInputCount', 'SessionGetInputName');
    this.outputs = readNames(owner, address, 'SessionGetOutputCount', 'SessionGetOutputName');
    const names = cStrings([...this.inputs, ...this.outputs]);
    this.#nameMemory = names.memory;
    this.#inputNames = BigUint64Array.from(names.addresses.slice(0, this.inputs.length));
    const outputAddresses = names.addresses.slice(this.inputs.length);
    this.#outputNames = new Map(this.outputs.map((output, i) => [output, outputAddresses[i] as Pointer]));
  }

  async run(
    feeds: ReadonlyMap<string, DeviceTensor>,
    into: ReadonlyMap<string, DeviceTensor> = NOTHING,
    wanted: readonly string[] = this.outputs,
  ): Promise<Map<string, DeviceTensor>> {
    void this.#handle.pointer;
    const inputs = this.#inputsFrom(feeds);
    const targets = this.#targetsFrom(into, wanted);
    const giveBack = this.#lend(inputs, targets);
    try {
      const values = await this.#execute(inputs, targets, wanted);
      return this.#results(values, targets, wanted);
    } finally {
      giveBack();
    }
  }

  dispose(): void {
    this.#handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The feeds in the order of the session's inputs. */
  #inputsFrom(feeds: ReadonlyMap<string, DeviceTensor>): NativeTensor[] {
    for (const name of feeds.keys()) this.#checkName('feed', name, this.inputs);
    return this.inputs.map((name) => {
      const tensor = feeds.get(name);
      if (tensor === undefined) {
        const given = [...feeds.keys()].join(', ') || 'none';
        throw new UsageError('FEED_MISSING', `session '${this.name}': input '${name}' is not fed; fed: ${given}`);
      }
      return this.#native('feed', name, tensor);
    });
  }

  /** For each wanted output the tensor to write into, if there is one. */
  #targetsFrom(into: ReadonlyMap<string, DeviceTensor>, wanted: readonly string[]): (NativeTensor | undefined)[] {
    const asked = new Set<string>();
    for (const name of wanted) {
      this.#checkName('wanted output', name, this.outputs);
      if (asked.has(name)) {
        throw new UsageError('OUTPUT_TWICE', `session '${this.name}': output '${name}' is wanted twice`);
      }
      asked.add(name);
    }
    const owners = new Map<DeviceTensor, string>();
    for (const [name, tensor] of into) {
      this.#checkName('output to write into', name, wanted);
      const other = owners.get(tensor);
      if (other !== undefined) {
        throw new UsageError(
          'OUTPUT_SHARED',
          `session '${this.name}': outputs '${other}' and '${name}' cannot be written into the same tensor`,
        );
      }
      owners.set(tensor, name);
    }
    return wanted.map((name) => {
      const tensor = into.get(name);
      return tensor && this.#native('output', name, tensor);
    });
  }

  #checkName(role: string, name: string, allowed: readonly string[]): void {
    if (allowed.includes(name)) return;
    throw new UsageError(
      'RUN_NAME',
      `session '${this.name}': unknown ${role} '${name}'; allowed: ${allowed.join(', ') || 'none'}`,
    );
  }

  #native(role: string, name: string, tensor: DeviceTensor): NativeTensor {
    if (!(tensor instanceof NativeTensor)) {
      throw new UsageError(
        'TENSOR_FOREIGN',
        `session '${this.name}': ${role} '${name}' is no tensor of a native runtime`,
      );
    }
    if (tensor.disposed) {
      throw new UsageError(
        'RUNTIME_DISPOSED',
        `session '${this.name}': ${role} '${name}' was used after it was disposed`,
      );
    }
    return tensor;
  }

  /** Holds the session and every tensor for one run, or nothing if one of them cannot be had. @returns what gives them back */
  #lend(inputs: readonly NativeTensor[], targets: readonly (NativeTensor | undefined)[]): () => void {
    const held: (() => void)[] = [];
    const giveBack = (): void => held.forEach((release) => release());
    try {
      this.#handle.pin();
      held.push(() => this.#handle.unpin());
      const written = new Set(targets);
      // A tensor that is both read and written belongs to this run alone: it is lent once, for writing.
      for (const target of targets) if (target) held.push(target.lendForWriting(`session '${this.name}'`));
      for (const input of new Set(inputs)) if (!written.has(input)) held.push(input.lendForReading());
    } catch (error) {
      giveBack();
      throw error;
    }
    return giveBack;
  }

  /** @returns addresses of the outputs' values, in the order of `wanted` */
  async #execute(
    inputs: readonly NativeTensor[],
    targets: readonly (NativeTensor | undefined)[],
    wanted: readonly string[],
  ): Promise<BigUint64Array> {
    const { api } = this.#owner;
    const session = this.#handle.pointer;
    const feeds = BigUint64Array.from(inputs, (tensor) => tensor.pointer);
    const names = BigUint64Array.from(wanted, (name) => this.#outputNames.get(name) as Pointer);
    const values = BigUint64Array.from(targets, (tensor) => tensor?.pointer ?? 0n);
    const memory = [this.#nameMemory, this.#inputNames, feeds, names, values];
    try {
      await background.add(() =>
        inBackground(api, memory, (done) =>
          api.Run.async(session, null, this.#inputNames, feeds, feeds.length, names, names.length, values, done),
        ),
      );
    } catch (cause) {
      if (!(cause instanceof OrtFailure)) throw cause;
      throw new RunError('RUN_FAILED', `session '${this.name}': ${cause.message}`, { cause });
    }
    return values;
  }

  #results(
    values: BigUint64Array,
    targets: readonly (NativeTensor | undefined)[],
    wanted: readonly string[],
  ): Map<string, DeviceTensor> {
    const tensors = wanted.map((_, i) => targets[i] ?? adoptTensor(this.#owner.tensors, values[i] as Pointer));
    const unsupported = tensors.indexOf(null);
    if (unsupported >= 0) {
      tensors.forEach((tensor, i) => targets[i] ?? tensor?.dispose());
      throw new RunError(
        'OUTPUT_TYPE',
        `session '${this.name}': output '${wanted[unsupported]}' is no tensor of a type that hpff moves`,
      );
    }
    return new Map(wanted.map((name, i) => [name, tensors[i] as NativeTensor]));
  }
}

function readNames(
  { api, allocator }: SessionOwner,
  session: Pointer,
  count: 'SessionGetInputCount' | 'SessionGetOutputCount',
  name: 'SessionGetInputName' | 'SessionGetOutputName',
): string[] {
  const length = Number(obtain(api, (out) => api[count](session, out)));
  return Array.from({ length }, (_, index) => {
    const address = obtain(api, (out) => api[name](session, index, allocator, out));
    const text = readString(address);
    check(api, api.AllocatorFree(allocator, address));
    return text;
  });
}
