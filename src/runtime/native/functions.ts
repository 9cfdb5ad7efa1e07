/** The functions of ONNX Runtime's C API that the native runtime calls: where each stands in `OrtApi`, and its C signature. */

/** ONNX Runtime that this table, the lowerings and their numbers were checked with: major and minor version. */
export const ORT_VERSION = '1.30';

/** Address of something native. */
export type Pointer = bigint;

/** C types of arguments. `bytes` is memory of ours that the call reads or fills; JavaScript passes a typed array. `path` is wide on Windows. */
type CType = 'handle' | 'bytes' | 'string' | 'path' | 'size' | 'int' | 'bool' | 'float';

interface JsTypes {
  handle: Pointer | null;
  bytes: NodeJS.ArrayBufferView;
  string: string;
  path: string;
  size: number | bigint;
  int: number;
  bool: boolean;
  float: number;
}

/** `status` is an `OrtStatus *`, null for success; `text` is a string that ORT owns. */
type CResult = 'status' | 'text' | 'int' | 'void';

interface JsResults {
  status: Pointer | null;
  text: string;
  int: number;
  void: void;
}

export interface CFunction {
  /** Index in `OrtApi`; the struct only ever grows at its end. */
  readonly slot: number;
  /** First version of the API that has the function (0: all that we could meet). */
  readonly since: number;
  readonly result: CResult;
  readonly args: readonly CType[];
}

/** An entry of a table of functions. */
export function fn<const R extends CResult, const A extends readonly CType[]>(
  slot: number,
  since: number,
  result: R,
  args: A,
): { slot: number; since: number; result: R; args: A } {
  return { slot, since, result, args };
}

/** An out-parameter is `bytes`: an array of one 64-bit word that receives it. */
export const FUNCTIONS = {
  GetErrorCode: fn(1, 0, 'int', ['handle']),
  GetErrorMessage: fn(2, 0, 'text', ['handle']),
  ReleaseStatus: fn(93, 0, 'void', ['handle']),

  // (severity, log id, threading options, out env)
  CreateEnvWithGlobalThreadPools: fn(119, 0, 'status', ['int', 'string', 'handle', 'bytes']),
  ReleaseEnv: fn(92, 0, 'void', ['handle']),
  CreateThreadingOptions: fn(121, 0, 'status', ['bytes']),
  SetGlobalIntraOpNumThreads: fn(147, 0, 'status', ['handle', 'int']),
  SetGlobalInterOpNumThreads: fn(148, 0, 'status', ['handle', 'int']),
  SetGlobalSpinControl: fn(149, 0, 'status', ['handle', 'int']),
  ReleaseThreadingOptions: fn(122, 0, 'void', ['handle']),

  // (names of settings, their values, count, out configuration)
  CreateArenaCfgV2: fn(164, 0, 'status', ['bytes', 'bytes', 'size', 'bytes']),
  ReleaseArenaCfg: fn(157, 0, 'void', ['handle']),
  // (env, memory info, arena configuration)
  CreateAndRegisterAllocator: fn(144, 0, 'status', ['handle', 'handle', 'handle']),
  // (allocator type, memory type, out info)
  CreateCpuMemoryInfo: fn(69, 0, 'status', ['int', 'int', 'bytes']),
  GetAllocatorWithDefaultOptions: fn(78, 0, 'status', ['bytes']),
  AllocatorFree: fn(76, 0, 'status', ['handle', 'handle']),
  // (session, out info of each input, count)
  SessionGetMemoryInfoForInputs: fn(380, 23, 'status', ['handle', 'bytes', 'size']),
  // (session, memory info, out allocator)
  CreateAllocator: fn(131, 0, 'status', ['handle', 'handle', 'bytes']),
  ReleaseAllocator: fn(132, 0, 'void', ['handle']),

  CreateSessionOptions: fn(10, 0, 'status', ['bytes']),
  EnableMemPattern: fn(16, 0, 'status', ['handle']),
  DisableMemPattern: fn(17, 0, 'status', ['handle']),
  SetSessionLogId: fn(20, 0, 'status', ['handle', 'string']),
  SetSessionGraphOptimizationLevel: fn(23, 0, 'status', ['handle', 'int']),
  SetIntraOpNumThreads: fn(24, 0, 'status', ['handle', 'int']),
  SetInterOpNumThreads: fn(25, 0, 'status', ['handle', 'int']),
  DisablePerSessionThreads: fn(120, 0, 'status', ['handle']),
  AddSessionConfigEntry: fn(130, 0, 'status', ['handle', 'string', 'string']),
  // (options, prefix of the file)
  EnableProfiling: fn(14, 0, 'status', ['handle', 'path']),
  SetDeterministicCompute: fn(273, 0, 'status', ['handle', 'bool']),
  // (options, name of the provider, names of its options, their values, count)
  SessionOptionsAppendExecutionProvider: fn(216, 0, 'status', ['handle', 'string', 'handle', 'handle', 'size']),
  CreateCUDAProviderOptions: fn(205, 0, 'status', ['bytes']),
  // (CUDA options, names, values, count)
  UpdateCUDAProviderOptions: fn(206, 0, 'status', ['handle', 'bytes', 'bytes', 'size']),
  SessionOptionsAppendExecutionProvider_CUDA_V2: fn(204, 0, 'status', ['handle', 'handle']),
  ReleaseCUDAProviderOptions: fn(208, 0, 'void', ['handle']),
  ReleaseSessionOptions: fn(100, 0, 'void', ['handle']),

  // (env, model, byte count, options, out session)
  CreateSessionFromArray: fn(8, 0, 'status', ['handle', 'bytes', 'size', 'handle', 'bytes']),
  SessionGetInputCount: fn(30, 0, 'status', ['handle', 'bytes']),
  SessionGetOutputCount: fn(31, 0, 'status', ['handle', 'bytes']),
  // (session, index, allocator, out string to free)
  SessionGetInputName: fn(36, 0, 'status', ['handle', 'size', 'handle', 'bytes']),
  SessionGetOutputName: fn(37, 0, 'status', ['handle', 'size', 'handle', 'bytes']),
  // (session, run options, input names, inputs, input count, output names, output count, outputs)
  Run: fn(9, 0, 'status', ['handle', 'handle', 'bytes', 'bytes', 'size', 'bytes', 'size', 'bytes']),
  CreateIoBinding: fn(134, 0, 'status', ['handle', 'bytes']),
  // (binding, name, value)
  BindInput: fn(136, 0, 'status', ['handle', 'string', 'handle']),
  BindOutput: fn(137, 0, 'status', ['handle', 'string', 'handle']),
  // (binding, name, memory info)
  BindOutputToDevice: fn(138, 0, 'status', ['handle', 'string', 'handle']),
  // (session, run options, binding)
  RunWithBinding: fn(133, 0, 'status', ['handle', 'handle', 'handle']),
  // (binding, allocator, out array of values, to free; out count)
  GetBoundOutputValues: fn(140, 0, 'status', ['handle', 'handle', 'bytes', 'bytes']),
  ReleaseIoBinding: fn(135, 0, 'void', ['handle']),
  // (session, allocator, out name of the file, to free)
  SessionEndProfiling: fn(110, 0, 'status', ['handle', 'handle', 'bytes']),
  CreateRunOptions: fn(39, 0, 'status', ['bytes']),
  RunOptionsSetTerminate: fn(46, 0, 'status', ['handle']),
  ReleaseSession: fn(95, 0, 'void', ['handle']),

  // (allocator, dimensions, rank, element type, out value)
  CreateTensorAsOrtValue: fn(48, 0, 'status', ['handle', 'bytes', 'size', 'int', 'bytes']),
  // (memory info, data, byte count, dimensions, rank, element type, out value)
  CreateTensorWithDataAsOrtValue: fn(49, 0, 'status', ['handle', 'bytes', 'size', 'bytes', 'size', 'int', 'bytes']),
  IsTensor: fn(50, 0, 'status', ['handle', 'bytes']),
  GetTensorMutableData: fn(51, 0, 'status', ['handle', 'bytes']),
  // (value, out element type, out address of the dimensions, out rank)
  GetTensorElementTypeAndShapeDataReference: fn(414, 24, 'status', ['handle', 'bytes', 'bytes', 'bytes']),
  ReleaseValue: fn(96, 0, 'void', ['handle']),

  // (out array of strings, out length)
  GetAvailableProviders: fn(125, 0, 'status', ['bytes', 'bytes']),
  ReleaseAvailableProviders: fn(126, 0, 'status', ['handle', 'int']),
} as const satisfies Record<string, CFunction>;

export type FunctionName = keyof typeof FUNCTIONS;

/** The version of the API to ask for: the lowest that has every function above. */
export const API_VERSION = Math.max(...Object.values(FUNCTIONS).map(({ since }) => since));

type JsArguments<A extends readonly CType[]> = { -readonly [I in keyof A]: JsTypes[A[I]] };

type JsFunction<F extends CFunction> = ((...args: JsArguments<F['args']>) => JsResults[F['result']]) & {
  /** Calls on one of libuv's threads, then `done` on ours. */
  async(
    ...args: [...JsArguments<F['args']>, done: (error: Error | null, result: JsResults[F['result']]) => void]
  ): void;
};

/** The functions of a table as JavaScript functions. */
export type BoundFunctions<F extends Readonly<Record<string, CFunction>>> = {
  readonly [N in keyof F]: JsFunction<F[N]>;
};

/** The API as JavaScript functions. */
export type OrtFunctions = BoundFunctions<typeof FUNCTIONS>;
