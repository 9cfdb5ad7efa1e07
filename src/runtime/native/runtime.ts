/** The native runtime: ONNX Runtime's C API on a device of this machine. */
import { availableParallelism } from 'node:os';
import { UsageError } from '../../errors.js';
import type { DType, HostTensor } from '../../files/tensor.js';
import { parseDevice } from '../device.js';
import { requireUnused } from '../in-use.js';
import { checkHostTensor } from '../layout.js';
import type { DeviceTensor, Runtime, RuntimeOptions, Session, SessionOptions } from '../runtime.js';
import { obtain } from './calls.js';
import { hostMemory } from './cpu-memory.js';
import { providersOf } from './devices/build.js';
import { openDevice, type OpenDevice } from './devices/index.js';
import { leaseEnvironment } from './environment.js';
import type { EnvironmentLease } from './environment.js';
import { loadLibrary } from './library.js';
import { returnLargeBlocks, trimHeap } from './malloc.js';
import type { OrtLibrary } from './library.js';
import { loadSession } from './load.js';
import type { SessionSettings } from './load.js';
import { onSharedThreads } from './run-call.js';
import { RunThreads } from './run-threads.js';
import type { SessionOwner } from './session.js';
import { allocateTensor } from './tensor.js';

export interface NativeRuntimeOptions extends RuntimeOptions {
  /** Where sessions run and tensors lie: `cpu`, `cuda:N` or `webgpu`. Default `cpu`. */
  readonly device?: string;
  /**
   * On CUDA, each session records the kernels of its first run and launches them all at once in later runs. Only for sessions whose every node has a CUDA
   * kernel, and whose feeds and outputs are the same tensors in every run (all outputs `into`): others are refused. Default false.
   */
  readonly cudaGraph?: boolean;
  /** Whether idle threads of the pool wait by spinning. Default false: they sleep, and leave the cores to other work. */
  readonly spinning?: boolean;
  /**
   * Threads of the runtime's own to call runs on, each of some 8 MiB and started at need; so many runs go on at a time. 0, the default: libuv's, which cost
   * nothing, but take turns: where runs keep all cores busy, they get in each other's way. On the CPU only.
   */
  readonly runThreads?: number;
  /** Whether sessions plan their memory ahead in one block. Default false: the block is held beside the arena. */
  readonly memoryPattern?: boolean;
  /** ONNX Runtime's shared library. Default: the one inside the package onnxruntime-node. */
  readonly libraryPath?: string;
}

/**
 * A runtime on a device of this machine. Under glibc it also has the whole process give blocks from 1 MiB up back to the system when they are freed.
 * @throws InputError if ONNX Runtime's library is missing, broken or of another version, or if the device cannot be used, saying what is missing;
 * UsageError for impossible options
 */
export async function createNativeRuntime(options: NativeRuntimeOptions = {}): Promise<NativeRuntime> {
  const threads = options.threads ?? availableParallelism();
  if (!Number.isSafeInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new UsageError('RUNTIME_THREADS', `runtime: threads is ${threads}; allowed: 1 to ${MAX_THREADS}`);
  }
  const device = parseDevice(options.device ?? 'cpu', 'runtime: device');
  const library = loadLibrary(options.libraryPath);
  const { spinning = false, memoryPattern = false, cudaGraph = false, runThreads = 0 } = options;
  if (!Number.isSafeInteger(runThreads) || runThreads < 0 || runThreads > MAX_THREADS) {
    throw new UsageError('RUNTIME_THREADS', `runtime: runThreads is ${runThreads}; allowed: 0 to ${MAX_THREADS}`);
  }
  if (cudaGraph && device.kind !== 'cuda') {
    throw new UsageError('RUNTIME_CUDA_GRAPH', `runtime: cudaGraph with device ${device.name}; allowed: with cuda:N`);
  }
  const settings = { threads, spinning, memoryPattern, cudaGraph, runThreads };
  returnLargeBlocks();
  const environment = leaseEnvironment(library, settings);
  try {
    const opened =
      device.kind === 'cpu' ? undefined : await openDevice(library, environment.pointer, device, cudaGraph);
    return new NativeRuntime(library, settings, environment, device.name, opened);
  } catch (error) {
    environment.release();
    throw error;
  }
}

/** A bound against slips: ONNX Runtime would try to start them all. */
const MAX_THREADS = 1024;

/**
 * The execution providers that ONNX Runtime's library was built with, e.g. `CPUExecutionProvider`.
 * @throws InputError if the library is missing, broken or of another version
 */
export function availableProviders(libraryPath?: string): string[] {
  return providersOf(loadLibrary(libraryPath));
}

type Settings = Required<Omit<NativeRuntimeOptions, 'device' | 'libraryPath'>>;

export class NativeRuntime implements Runtime {
  readonly version: string;
  readonly threads: number;
  readonly #environment: EnvironmentLease;
  readonly #opened: OpenDevice | undefined;
  readonly #runThreads: RunThreads | undefined;
  readonly #owner: SessionOwner;
  readonly #sessionSettings: SessionSettings;
  #disposed = false;
  #sessions = 0;
  #tensors = 0;

  /** For `createNativeRuntime`. */
  constructor(
    library: OrtLibrary,
    settings: Settings,
    environment: EnvironmentLease,
    readonly device: string,
    opened: OpenDevice | undefined,
  ) {
    const { api } = library;
    this.version = library.version;
    this.threads = settings.threads;
    this.#environment = environment;
    this.#opened = opened;
    const { runThreads } = settings;
    this.#runThreads = runThreads === 0 ? undefined : new RunThreads(library, runThreads);
    this.#owner = {
      api,
      allocator: obtain(api, (out) => api.GetAllocatorWithDefaultOptions(out)),
      opened: () => void this.#sessions++,
      closed: () => void this.#sessions--,
      device: opened,
      run: this.#runThreads?.call ?? onSharedThreads(api),
      tensors: {
        api,
        device,
        memory: opened?.memory ?? hostMemory(api),
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
    return allocateTensor(this.#owner.tensors, this.#opened?.memory.allocator ?? this.#owner.allocator, dtype, shape);
  }

  trim(): void {
    trimHeap();
  }

  dispose(): void {
    if (this.#disposed) return;
    requireUnused(this.#sessions, this.#tensors);
    this.#disposed = true;
    this.#runThreads?.dispose();
    this.#opened?.memory.dispose();
    this.#environment.release();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #checkAlive(): void {
    if (this.#disposed) throw new UsageError('RUNTIME_DISPOSED', 'runtime was used after it was disposed');
  }
}
