/** A graph loaded into ONNX Runtime, and its runs. */
import { RunError, UsageError } from '../../errors.js';
import { bindRun, type BoundRun, type Signature } from '../binding.js';
import type { DeviceTensor, RunProfile, Session } from '../runtime.js';
import { FixedTensors } from './devices/fixed-tensors.js';
import type { OpenDevice } from './devices/index.js';
import { runOnDevice } from './device-run.js';
import { check, cStrings, obtain, OrtFailure, readString } from './calls.js';
import type { OrtFunctions, Pointer } from './functions.js';
import { disposeWhenCollected, NativeHandle } from './handle.js';
import { takeProfile } from './profile.js';
import type { RunCall } from './run-call.js';
import { runOptions } from './run-options.js';
import { adoptTensor, NativeTensor, type TensorOwner } from './tensor.js';

/** What a session needs of the runtime that it belongs to. */
export interface SessionOwner {
  readonly api: OrtFunctions;
  /** For strings that ONNX Runtime hands out. */
  readonly allocator: Pointer;
  readonly tensors: TensorOwner;
  /** The device that sessions run on, if it is not the CPU. */
  readonly device: OpenDevice | undefined;
  /** On the CPU. */
  readonly run: RunCall;
  /** To be called when a session begins to load. */
  opened(): void;
  /** To be called when a session is released, or could not be loaded. */
  closed(): void;
}

const NOTHING: ReadonlyMap<string, DeviceTensor> = new Map();

export class NativeSession implements Session {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly #owner: SessionOwner;
  readonly #handle: NativeHandle;
  readonly #signature: Signature<NativeTensor>;
  readonly #names: NativeNames;
  /** Where runs are recorded. */
  readonly #fixed: FixedTensors | undefined;
  #profiles: boolean;

  /** Takes ownership of the OrtSession at `address`. @param profiles whether it measures its nodes */
  constructor(
    owner: SessionOwner,
    address: Pointer,
    readonly name: string,
    profiles: boolean,
  ) {
    this.#profiles = profiles;
    this.inputs = readNames(owner, address, 'SessionGetInputCount', 'SessionGetInputName');
    this.outputs = readNames(owner, address, 'SessionGetOutputCount', 'SessionGetOutputName');
    this.#signature = {
      session: name,
      device: owner.tensors.device,
      inputs: new Set(this.inputs),
      outputs: new Set(this.outputs),
      kind: 'native',
      isOwn: (tensor) => tensor instanceof NativeTensor,
    };
    this.#names = nativeNames(this.inputs, this.outputs);
    this.#owner = owner;
    this.#fixed = owner.device?.graph ? new FixedTensors(name) : undefined;
    this.#handle = new NativeHandle(
      address,
      () => `session '${name}'`,
      (session) => {
        owner.api.ReleaseSession(session);
        owner.closed();
      },
    );
    disposeWhenCollected(this, this.#handle);
  }

  async run(
    feeds: ReadonlyMap<string, DeviceTensor>,
    into: ReadonlyMap<string, DeviceTensor> = NOTHING,
    wanted: readonly string[] = this.outputs,
  ): Promise<Map<string, DeviceTensor>> {
    const session = this.#handle.pointer;
    const bound = bindRun(this.#signature, feeds, into, wanted);
    const giveBack = this.#lend(bound);
    try {
      return this.#results(bound, await this.#execute(session, bound));
    } finally {
      giveBack();
    }
  }

  async endProfile(): Promise<readonly RunProfile[]> {
    const { api, allocator } = this.#owner;
    const session = this.#handle.pointer;
    if (!this.#profiles) throw new UsageError('PROFILE_OFF', `session '${this.name}' does not measure its nodes`);
    this.#profiles = false;
    return takeProfile(
      this.name,
      readOwnedString(this.#owner, (out) => api.SessionEndProfiling(session, allocator, out)),
    );
  }

  dispose(): void {
    this.#handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Holds the session and every tensor for one run, or nothing if one of them cannot be had. @returns what gives them back */
  #lend({ inputs, targets }: BoundRun<NativeTensor>): () => void {
    const held: (() => void)[] = [];
    const giveBack = (): void => held.forEach((release) => release());
    try {
      this.#handle.pin();
      held.push(() => this.#handle.unpin());
      const written = new Set(targets);
      // A tensor that is both read and written belongs to this run alone: it is lent once, for writing.
      for (const target of targets) if (target) held.push(target.lendForWriting(this.#handle.describe()));
      for (const input of inputs) if (!written.has(input)) held.push(input.lendForReading());
    } catch (error) {
      giveBack();
      throw error;
    }
    return giveBack;
  }

  /** @returns addresses of the outputs' values, in the order of `outputs` */
  async #execute(session: Pointer, bound: BoundRun<NativeTensor>): Promise<BigUint64Array> {
    const { device } = this.#owner;
    try {
      return await (device ? this.#runOn(device, session, bound) : this.#runOnCpu(session, bound));
    } catch (cause) {
      if (!(cause instanceof OrtFailure)) throw cause;
      throw new RunError('RUN_FAILED', `session '${this.name}': ${cause.message}`, { cause });
    }
  }

  #runOn({ memory, oneThread }: OpenDevice, session: Pointer, bound: BoundRun<NativeTensor>): Promise<BigUint64Array> {
    this.#fixed?.check(bound.inputs, bound.targets);
    const { api, allocator } = this.#owner;
    return runOnDevice(
      { api, allocator, info: memory.info, oneThread },
      {
        session,
        options: runOptions(api),
        inputs: bound.inputs.map((tensor, i) => [this.inputs[i]!, tensor.pointer]),
        outputs: bound.outputs.map((name, i) => [name, bound.targets[i]?.pointer ?? 0n]),
      },
    );
  }

  async #runOnCpu(session: Pointer, { inputs, outputs, targets }: BoundRun<NativeTensor>): Promise<BigUint64Array> {
    const values = BigUint64Array.from(targets, (tensor) => tensor?.pointer ?? 0n);
    await this.#owner.run({
      session,
      options: runOptions(this.#owner.api),
      inputNames: this.#names.inputs,
      inputs: BigUint64Array.from(inputs, (tensor) => tensor.pointer),
      outputNames: BigUint64Array.from(outputs, (name) => this.#names.outputs.get(name) as Pointer),
      outputs: values,
    });
    return values;
  }

  #results({ outputs, targets }: BoundRun<NativeTensor>, values: BigUint64Array): Map<string, DeviceTensor> {
    const tensors = new Map<string, DeviceTensor>();
    const unsupported: string[] = [];
    outputs.forEach((name, i) => {
      const tensor = targets[i] ?? adoptTensor(this.#owner.tensors, values[i] as Pointer);
      if (tensor) tensors.set(name, tensor);
      else unsupported.push(name);
    });
    if (unsupported.length === 0) return tensors;
    outputs.forEach((name, i) => targets[i] ?? tensors.get(name)?.dispose());
    throw new RunError(
      'OUTPUT_TYPE',
      `session '${this.name}': output '${unsupported.join("', '")}' is no tensor of a type that hpff moves`,
    );
  }
}

/** Names as C strings. The addresses are good as long as `memory` is held. */
interface NativeNames {
  readonly memory: Buffer;
  /** Addresses of the inputs' names, in the session's order. */
  readonly inputs: BigUint64Array;
  readonly outputs: ReadonlyMap<string, Pointer>;
}

function nativeNames(inputs: readonly string[], outputs: readonly string[]): NativeNames {
  const { memory, addresses } = cStrings([...inputs, ...outputs]);
  return {
    memory,
    inputs: BigUint64Array.from(addresses.slice(0, inputs.length)),
    outputs: new Map(outputs.map((name, i) => [name, addresses[inputs.length + i] as Pointer])),
  };
}

function readNames(
  owner: SessionOwner,
  session: Pointer,
  count: 'SessionGetInputCount' | 'SessionGetOutputCount',
  name: 'SessionGetInputName' | 'SessionGetOutputName',
): string[] {
  const { api, allocator } = owner;
  const length = Number(obtain(api, (out) => api[count](session, out)));
  return Array.from({ length }, (_, index) =>
    readOwnedString(owner, (out) => api[name](session, index, allocator, out)),
  );
}

/** A string that the call makes with the owner's allocator. */
function readOwnedString({ api, allocator }: SessionOwner, call: (out: BigUint64Array) => Pointer | null): string {
  const address = obtain(api, call);
  const text = readString(address);
  check(api, api.AllocatorFree(allocator, address));
  return text;
}
