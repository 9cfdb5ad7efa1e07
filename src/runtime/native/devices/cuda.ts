/**
 * NVIDIA GPUs, by ONNX Runtime's CUDA execution provider. It lives in two libraries of its own, which must lie beside ONNX Runtime's, and needs the
 * GPU's driver, the CUDA libraries that it was built for, and cuDNN.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { LibraryHandle } from 'koffi';
import { check, cStrings, obtain, OrtFailure } from '../calls.js';
import { skipExitHandlers } from '../exit.js';
import type { OrtFunctions, Pointer } from '../functions.js';
import type { OrtLibrary } from '../library.js';
import { type DeviceProvider, type Findings, type Missing, missingInBuild, tryLoad } from './provider.js';

const DRIVER = process.platform === 'win32' ? 'nvcuda.dll' : 'libcuda.so.1';
const CUDNN = process.platform === 'win32' ? 'cudnn64_9.dll' : 'libcudnn.so.9';

const FETCH =
  'fetch them with `ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node` (linux-x64, needs internet; docs/devices.md has another way)';
const PATHS = 'install it and name its folder in LD_LIBRARY_PATH';

export const cuda: DeviceProvider = {
  kind: 'cuda',
  oneThread: false,
  find: findCuda,
  explain: ({ message }) => ({
    problem: `the CUDA provider cannot open it (${message})`,
    remedy: 'see what nvidia-smi says of the GPU and its driver',
  }),
  append: (api, sessionOptions, { index, graph }) =>
    withOptions(api, { ...SETTINGS, enable_cuda_graph: graph ? '1' : '0', device_id: `${index}` }, (options) =>
      check(api, api.SessionOptionsAppendExecutionProvider_CUDA_V2(sessionOptions, options)),
    ),
};

/** Provider options, by ONNX Runtime's names. */
const SETTINGS = {
  // Each session has an arena of its own: what it does not need stays free for the others.
  arena_extend_strategy: 'kSameAsRequested',
  // Copies wait for the kernels before them.
  do_copy_in_default_stream: '1',
  // The exhaustive search, the default, times the algorithms, and picks others from run to run: results would not be the same bits.
  cudnn_conv_algo_search: 'HEURISTIC',
  // Tensor cores would round float32 factors to 10 bits of mantissa.
  use_tf32: '0',
};

export interface CudaFiles {
  /** The driver's library. */
  readonly driver: string;
  readonly cudnn: string;
}

/** @param files other names of libraries, for tests */
export function findCuda(library: OrtLibrary, files: CudaFiles = { driver: DRIVER, cudnn: CUDNN }): Findings {
  const notBuilt = missingInBuild(library, 'CUDAExecutionProvider', 'onnxruntime-node has it on linux-x64 only');
  if (notBuilt.length > 0) return { devices: [], missing: notBuilt };
  const gpus = findGpus(files.driver);
  const provider = missingProvider(library);
  const cudnn = provider.length > 0 ? [] : missingCudnn(files.cudnn);
  return { devices: gpus.devices, missing: [...gpus.missing, ...provider, ...cudnn] };
}

/** Asks the driver, whose library is the one that every CUDA program uses. */
function findGpus(name: string): Findings {
  const driver = tryLoad(name);
  if (typeof driver === 'string') {
    return none(
      `the NVIDIA driver's ${name} cannot be loaded (${driver})`,
      'install the driver of the GPU; in a container, start it with its GPUs (docker run --gpus all)',
    );
  }
  try {
    return countGpus(driver);
  } catch (error) {
    return none(`${name} is no NVIDIA driver (${(error as Error).message})`, 'install the driver of the GPU');
  }
}

function countGpus(driver: LibraryHandle): Findings {
  const init = driver.func('cuInit', 'int', ['uint32_t']) as (flags: number) => number;
  const deviceCount = driver.func('cuDeviceGetCount', 'int', ['void *']) as (out: Int32Array) => number;
  const deviceName = driver.func('cuDeviceGetName', 'int', ['void *', 'int', 'int']) as (
    out: Buffer,
    length: number,
    device: number,
  ) => number;
  const count = new Int32Array(1);
  const failure = init(0) || deviceCount(count);
  // CUDA_ERROR_NO_DEVICE
  if (failure === 100 || (failure === 0 && count[0] === 0)) {
    return none('the NVIDIA driver finds no GPU', 'see what nvidia-smi says; CUDA_VISIBLE_DEVICES may hide GPUs');
  }
  if (failure !== 0) return none(`the NVIDIA driver fails with CUDA error ${failure}`, 'see what nvidia-smi says');
  const devices = Array.from({ length: count[0]! }, (_, index) => {
    const text = Buffer.alloc(256);
    return deviceName(text, text.length, index) === 0 ? text.toString('utf8', 0, text.indexOf(0)) : 'NVIDIA GPU';
  });
  return { devices, missing: [] };
}

/** The provider's own libraries, and those that they need. */
function missingProvider(library: OrtLibrary): Missing[] {
  const folder = path.dirname(library.path);
  const absent = providerFiles().filter((file) => !existsSync(path.join(folder, file)));
  if (absent.length > 0) return [{ problem: `${absent.join(' and ')} not found in ${folder}`, remedy: FETCH }];
  try {
    withOptions(library.api, SETTINGS, () => {});
    return [];
  } catch (error) {
    if (!(error instanceof OrtFailure)) throw error;
    return [
      {
        problem: `the CUDA provider cannot be loaded (${error.message})`,
        remedy: 'install the CUDA version that it was built for and name its folder in LD_LIBRARY_PATH',
      },
    ];
  }
}

function providerFiles(): string[] {
  const names = ['onnxruntime_providers_shared', 'onnxruntime_providers_cuda'];
  return names.map((name) => (process.platform === 'win32' ? `${name}.dll` : `lib${name}.so`));
}

/** The provider loads it when a convolution first needs it. */
function missingCudnn(name: string): Missing[] {
  const loaded = tryLoad(name);
  return typeof loaded === 'string' ? [{ problem: `cuDNN's ${name} cannot be loaded (${loaded})`, remedy: PATHS }] : [];
}

function none(problem: string, remedy: string): Findings {
  return { devices: [], missing: [{ problem, remedy }] };
}

/** Loads the provider, if it is not loaded yet. @throws OrtFailure if it cannot be, or refuses an option */
function withOptions(
  api: OrtFunctions,
  settings: Readonly<Record<string, string>>,
  use: (options: Pointer) => void,
): void {
  const names = cStrings(Object.keys(settings));
  const values = cStrings(Object.values(settings));
  const options = obtain(api, (out) => api.CreateCUDAProviderOptions(out));
  try {
    const [keys, texts] = [BigUint64Array.from(names.addresses), BigUint64Array.from(values.addresses)];
    check(api, api.UpdateCUDAProviderOptions(options, keys, texts, keys.length));
    skipExitHandlers();
    use(options);
  } finally {
    api.ReleaseCUDAProviderOptions(options);
    void [names.memory, values.memory];
  }
}
