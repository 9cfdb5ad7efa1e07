/**
 * ONNX Runtime by its JavaScript API, as browsers have it. The caller imports the package and hands it over: which build of it is right, and where its
 * WebAssembly files lie, depends on the page.
 */
import { InputError, UsageError } from '../../errors.js';
import { type DType, elementCount, type HostTensor } from '../../files/tensor.js';
import { requireUnused } from '../in-use.js';
import { arrays, checkHostTensor, checkLayout } from '../layout.js';
import type { DeviceTensor, Runtime, Session, SessionOptions } from '../runtime.js';
import type { Ort } from './ort.js';
import { messageOf, type SessionOwner, WebSession } from './session.js';
import { WebTensor } from './tensor.js';

export interface WebRuntimeOptions {
  /** Execution provider of onnxruntime-web: `wasm` (default), or one that its build has, such as `webgpu`. */
  readonly provider?: string;
}

/**
 * A runtime on onnxruntime-web. The number of threads is ONNX Runtime's own setting, `ort.env.wasm.numThreads`, to be set before the first session is made;
 * several need a page that is isolated from other origins. Runs and loading take turns, and hold up the thread that they are on, which therefore should be
 * a worker's.
 *
 * Tensors lie in JavaScript's memory and are copied for every run, to a GPU and back as well.
 *
 * @param ort the module, e.g. `import * as ort from 'onnxruntime-web/wasm'`
 */
export function createWebRuntime(ort: Ort, { provider = 'wasm' }: WebRuntimeOptions = {}): Runtime {
  return new WebRuntime(ort, provider);
}

class WebRuntime implements Runtime {
  readonly version: string;
  readonly #ort: Ort;
  readonly #owner: SessionOwner;
  #last: Promise<unknown> = Promise.resolve();
  #disposed = false;
  #sessions = 0;
  #tensors = 0;

  constructor(
    ort: Ort,
    readonly device: string,
  ) {
    const { web, node, common } = ort.env.versions;
    this.version = web ?? node ?? common;
    this.#ort = ort;
    this.#owner = {
      ort,
      inTurn: async (call) => this.#inTurn(call),
      closed: () => void this.#sessions--,
      tensors: { device, opened: () => void this.#tensors++, closed: () => void this.#tensors-- },
    };
  }

  async createSession(
    model: Uint8Array,
    { name, optimization = 'disabled', profileFolder }: SessionOptions,
  ): Promise<Session> {
    this.#checkAlive();
    if (profileFolder !== undefined) {
      throw new UsageError(
        'SESSION_OPTION',
        `session '${name}': a web runtime does not measure nodes; leave profileFolder away`,
      );
    }
    const options = {
      executionProviders: [this.device],
      graphOptimizationLevel: optimization,
      logSeverityLevel: 3,
    } as const;
    if (this.#ort.env.wasm.proxy) {
      throw new UsageError(
        'SESSION_OPTION',
        `session '${name}': ort.env.wasm.proxy is set, by which ONNX Runtime takes the memory of tensors away; allowed: false, and a worker of your own`,
      );
    }
    this.#sessions++;
    try {
      const session = await this.#inTurn(async () => this.#ort.InferenceSession.create(model, options));
      return new WebSession(this.#owner, session, name);
    } catch (cause) {
      this.#sessions--;
      throw refusal(name, this.device, messageOf(cause), cause);
    }
  }

  upload(tensor: HostTensor): DeviceTensor {
    this.#checkAlive();
    checkHostTensor(tensor);
    return new WebTensor(this.#owner.tensors, tensor.dtype, [...tensor.shape], tensor.data.slice());
  }

  allocate(dtype: DType, shape: readonly number[]): DeviceTensor {
    this.#checkAlive();
    checkLayout(dtype, shape);
    return new WebTensor(this.#owner.tensors, dtype, [...shape], new arrays[dtype](elementCount(shape)));
  }

  /** WebAssembly's memory never shrinks. */
  trim(): void {}

  dispose(): void {
    if (this.#disposed) return;
    requireUnused(this.#sessions, this.#tensors);
    this.#disposed = true;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** ONNX Runtime's WebAssembly does one thing at a time. */
  #inTurn<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#last.then(call);
    this.#last = result.catch(() => undefined);
    return result;
  }

  #checkAlive(): void {
    if (this.#disposed) throw new UsageError('RUNTIME_DISPOSED', 'runtime was used after it was disposed');
  }
}

function refusal(session: string, provider: string, reason: string, cause: unknown): InputError {
  if (!reason.startsWith('no available backend found')) {
    return new InputError('MODEL_REJECTED', `session '${session}': ONNX Runtime refused the model: ${reason}`, {
      cause,
    });
  }
  const advice =
    'is it in this build of onnxruntime-web, and do its .wasm files lie where ort.env.wasm.wasmPaths says?';
  const problem = `onnxruntime-web cannot compute with the provider '${provider}': ${reason}`;
  return new InputError('DEVICE_UNAVAILABLE', `${problem}; ${advice}`, { cause });
}
