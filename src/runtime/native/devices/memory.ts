/**
 * A device's memory: allocating there, and copying from and to the host.
 *
 * A copy is the run of a graph with one Identity: ONNX Runtime moves what it is fed to where the graph wants it, and its result to where the caller's
 * tensor lies. That holds for every execution provider, also for element types that a provider has no kernel for (the Identity then runs on the CPU).
 */
import type { DType, HostTensor } from '../../../files/tensor.js';
import { encodeModel } from '../../../onnx/encode.js';
import { check, cStrings, inBackground, obtain } from '../calls.js';
import { cpuMemory } from '../cpu-memory.js';
import { elementCodes } from '../elements.js';
import type { OrtFunctions, Pointer } from '../functions.js';
import { background } from '../queue.js';
import type { TensorMemory } from '../tensor.js';

export interface DeviceSessions {
  readonly api: OrtFunctions;
  /** OrtEnv */
  readonly environment: Pointer;
  /** Has a session with these options run on the device. @throws OrtFailure */
  prepare(sessionOptions: Pointer): void;
  readonly oneThread: boolean;
}

const names = cStrings(['x', 'y']);
const INPUT = BigUint64Array.of(names.addresses[0]!);
const OUTPUT = BigUint64Array.of(names.addresses[1]!);

export class DeviceMemory implements TensorMemory {
  readonly #sessions: DeviceSessions;
  /** OrtSessions, each for tensors of one element type. */
  readonly #copiers = new Map<DType, Pointer>();
  /** OrtMemoryInfo: where tensors lie. It and the allocator are those of the first session. */
  readonly info: Pointer;
  readonly allocator: Pointer;

  /** @param first a session of the float32 model; taken over */
  private constructor(sessions: DeviceSessions, first: Pointer) {
    const { api } = sessions;
    this.#sessions = sessions;
    this.#copiers.set('float32', first);
    const info = new BigUint64Array(1);
    check(api, api.SessionGetMemoryInfoForInputs(first, info, 1));
    this.info = info[0]!;
    this.allocator = obtain(api, (out) => api.CreateAllocator(first, this.info, out));
  }

  /**
   * Opens the device, which takes seconds for some.
   * @throws OrtFailure if it cannot be opened
   */
  static async open(sessions: DeviceSessions): Promise<DeviceMemory> {
    const session = sessions.oneThread
      ? createSession(sessions, 'float32')
      : await createSessionInBackground(sessions, 'float32');
    return new DeviceMemory(sessions, session);
  }

  copyIn(value: Pointer, source: HostTensor): void {
    this.#withHost(source, (host) => this.#copy(source.dtype, host, value));
  }

  copyOut(value: Pointer, target: HostTensor): void {
    this.#withHost(target, (host) => this.#copy(target.dtype, value, host));
  }

  /** Tensors in the memory must be gone by now. */
  dispose(): void {
    const { api } = this.#sessions;
    api.ReleaseAllocator(this.allocator);
    for (const session of this.#copiers.values()) api.ReleaseSession(session);
  }

  /** Lends ONNX Runtime the memory of a typed array. */
  #withHost({ dtype, shape, data }: HostTensor, use: (value: Pointer) => void): void {
    const { api } = this.#sessions;
    if (data.length === 0) return;
    const dimensions = BigInt64Array.from(shape, BigInt);
    const code = elementCodes[dtype];
    const value = obtain(api, (out) =>
      api.CreateTensorWithDataAsOrtValue(cpuMemory(api), data, data.byteLength, dimensions, shape.length, code, out),
    );
    try {
      use(value);
    } finally {
      api.ReleaseValue(value);
    }
  }

  #copy(dtype: DType, from: Pointer, to: Pointer): void {
    const { api } = this.#sessions;
    let session = this.#copiers.get(dtype);
    if (session === undefined) this.#copiers.set(dtype, (session = createSession(this.#sessions, dtype)));
    const [inputs, outputs] = [BigUint64Array.of(from), BigUint64Array.of(to)];
    check(api, api.Run(session, null, INPUT, inputs, 1, OUTPUT, 1, outputs));
    void names.memory;
  }
}

function createSession(sessions: DeviceSessions, dtype: DType): Pointer {
  const { api, environment } = sessions;
  const model = identity(dtype);
  const options = sessionOptions(sessions);
  try {
    return obtain(api, (out) => api.CreateSessionFromArray(environment, model, model.byteLength, options, out));
  } finally {
    api.ReleaseSessionOptions(options);
  }
}

async function createSessionInBackground(sessions: DeviceSessions, dtype: DType): Promise<Pointer> {
  const { api, environment } = sessions;
  const model = identity(dtype);
  const options = sessionOptions(sessions);
  const out = new BigUint64Array(1);
  try {
    await background.add(() =>
      inBackground(api, [model, out], (done) =>
        api.CreateSessionFromArray.async(environment, model, model.byteLength, options, out, done),
      ),
    );
    return out[0]!;
  } finally {
    api.ReleaseSessionOptions(options);
  }
}

function sessionOptions(sessions: DeviceSessions): Pointer {
  const { api } = sessions;
  const options = obtain(api, (out) => api.CreateSessionOptions(out));
  try {
    check(api, api.DisablePerSessionThreads(options));
    check(api, api.AddSessionConfigEntry(options, 'session.use_env_allocators', '1'));
    sessions.prepare(options);
    return options;
  } catch (error) {
    api.ReleaseSessionOptions(options);
    throw error;
  }
}

/** y = x, of any shape. */
function identity(dtype: DType): Uint8Array {
  const value = (name: string) => ({ name, dtype, shape: null });
  return encodeModel({
    irVersion: 8,
    opsets: { '': 17 },
    graph: {
      name: 'copy',
      nodes: [{ name: 'copy', domain: '', opType: 'Identity', inputs: ['x'], outputs: ['y'], attributes: {} }],
      inputs: [value('x')],
      outputs: [value('y')],
      initializers: [],
    },
  });
}
