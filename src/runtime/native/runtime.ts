/** The native runtime: ONNX Runtime's C API on this machine's CPU. */
import { availableParallelism } from 'node:os';
import koffi from 'koffi';
import { UsageError } from '../../errors.js';
import type { DType, HostTensor } from '../../files/tensor.js';
import type { DeviceTensor, Runtime, RuntimeOptions, Session, SessionOptions } from '../runtime.js';
import { check, obtain, readString } from './calls.js';
import { leaseEnvironment } from './environment.js';
import type { EnvironmentLease } from './environment.js';
import type { Pointer } from './functions.js';
import { loadLibrary } from './library.js';
import { trimHeap } from './malloc.js';
import type { OrtLibrary } from './library.js';
import { loadSession } from './load.js';
import type { SessionSettings } from './load.js';
import type { SessionOwner } from './session.js';
import { allocateTensor, checkHostTensor } from './tensor.js';

export interface NativeRuntimeOptions extends RuntimeOptions {
  /** Whether idle threads of the pool wait by spinning. Default false: they sleep, and leave the cores to other work. */
  readonly spinning?: boolean;
  /** Whether sessions plan their memory ahead in one block. Default false: the block is held beside the arena. */
  readonly memoryPattern?: boolean;
  /** ONNX Runtime's shared library. Default: the one inside the package onnxruntime-node. */
  readonly libraryPath?: string;
}

/**
 * A runtime on this machine's CPU.
 * @throws InputError if ONNX Runtime's library is missing, broken or of another version; UsageError for impossible options
 */
export async function createNativeRuntime(options: NativeRuntimeOptions = {}): Promise<NativeRuntime> {
  const threads = options.threads ?? availableParallelism();
  if (!Number.isSafeInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new UsageError('RUNTIME_THREADS', `runtime: threads is ${threads}; allowed: 1 to ${MAX_THREADS}`);
  }
  const library = loadLibrary(options.libraryPath);
  const { spinning = false, memoryPattern = false } = options;
  return new NativeRuntime(library, { threads, spinning, memoryPattern });
}

/** A bound against slips: ONNX Runtime would try to start them all. */
const MAX_THREADS = 1024;

/**
 * The execution providers that ONNX Runtime's library was built with, e.g. `CPUExecutionProvider`.
 * @throws InputError if the library is missing, broken or of another version
 */
export function availableProviders(libraryPath?: string): string[] {
  const { api } = loadLibrary(libraryPath);
  const count = new Int32Array(1);
  const strings = obtain(api, (out) => api.GetAvailableProviders(out, count));
  const length = count[0] ?? 0;
  const addresses = koffi.decode(strings, 'void *', length) as Pointer[];
  const names = addresses.map(readString);
  check(api, api.ReleaseAvailableProviders(strings, length));
  return names;
}

type Settings = Required<Pick<NativeRuntimeOptions, 'threads' | 'spinning' | 'memoryPattern'>>;

export class NativeRuntime implements Runtime {
  readonly device = 'cpu';
  readonly version: string;
  readonly threads: number;
  readonly #environment: EnvironmentLease;
  readonly #owner: SessionOwner;
  readonly #sessionSettings: SessionSettings;
  #disposed = false;
  #sessions = 0;
  #tensors = 0;

  /** For `createNativeRuntime`. */
  constructor(library: OrtLibrary, settings: Settings) {
    const { api } = library;
    this.version = library.version;
    this.threads = settings.threads;
    this.#environment = leaseEnvironment(library, settings);
    this.#owner = {
      api,
      allocator: obtain(api, (out) => api.GetAllocatorWithDefaultOptions(out)),
      opened: () => void this.#sessions++,
      closed: () => void this.#sessions--,
      tensors: {
        api,
        opened: () => void this.#tensors++,
        closed: () => void this.#tensors--,
      },
    };
    this.#sessionSettings = {
      environment: this.#environment.pointer,
      memoryPattern: settings.memoryPattern,
      ownThreads: this.#environment.sharedPool ? undefined : settings.threads,
    };
  }

  /** Whether all sessions share one thread pool. If not, another living runtime has other threads, and each session has a pool. */
  get sharedPool(): boolean {
    return this.#environment.sharedPool;
  }

  async createSession(model: Uint8Array, options: SessionOptions): Promise<Session> {
    this.#checkAlive();
    return loadSession(this.#owner, this.#sessionSettings, model, options);
  }

  upload(tensor: HostTensor): DeviceTensor {
    checkHostTensor(tensor);
    const uploaded = this.allocate(tensor.dtype, tensor.shape);
    uploaded.write(tensor);
    return uploaded;
  }

  allocate(dtype: DType, shape: readonly number[]): DeviceTensor {
    this.#checkAlive();
    return allocateTensor(this.#owner.tensors, this.#owner.allocator, dtype, shape);
  }

  trim(): void {
    trimHeap();
  }

  dispose(): void {
    if (this.#disposed) return;
    if (this.#sessions > 0 || this.#tensors > 0) {
      throw new UsageError(
        'RUNTIME_IN_USE',
        `runtime cannot be disposed: ${this.#sessions} sessions and ${this.#tensors} tensors are still alive; dispose them first`,
      );
    }
    this.#disposed = true;
    this.#environment.release();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #checkAlive(): void {
    if (this.#disposed) throw new UsageError('RUNTIME_DISPOSED', 'runtime was used after it was disposed');
  }
}
