/** Finding and loading ONNX Runtime's shared library, once per process. */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import koffi from 'koffi';
import type { LibraryHandle } from 'koffi';
import { InputError, UsageError } from '../../errors.js';
import { API_VERSION, FUNCTIONS, ORT_VERSION } from './functions.js';
import type { BoundFunctions, CFunction, FunctionName, OrtFunctions, Pointer } from './functions.js';
import { loadedBytes } from './whole-file.js';

/** ONNX Runtime, loaded. */
export interface OrtLibrary {
  readonly path: string;
  /** e.g. `1.30.0` */
  readonly version: string;
  readonly api: OrtFunctions;
  /** A function of the API as koffi binds it, for other threads. */
  readonly native: (name: FunctionName) => NativeFunction;
}

/** Address and C types of a function. */
export interface NativeFunction {
  readonly address: Pointer;
  readonly result: string;
  readonly args: readonly string[];
}

interface Loaded {
  readonly library: OrtLibrary;
  /** koffi unloads a library whose handle is collected, and native threads would run into nothing: held for ever. */
  readonly handle: LibraryHandle;
}

const FILES: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'libonnxruntime.so.1',
  darwin: 'libonnxruntime.1.dylib',
  win32: 'onnxruntime.dll',
};

/** Kernels run deep on koffi's own stack; its default of 128 KiB for asynchronous calls is too small for them. */
export const STACK_BYTES = 4 << 20;

let loaded: Loaded | undefined;

/**
 * The library at `file`, or the one inside the package onnxruntime-node. A process uses one library: the first that was loaded.
 * @throws InputError if there is none for this platform, it cannot be loaded, its version is another, or another is loaded already
 */
export function loadLibrary(file?: string): OrtLibrary {
  const wanted = path.resolve(file ?? loaded?.library.path ?? bundledLibrary());
  loaded ??= load(wanted);
  if (loaded.library.path !== wanted) {
    throw new InputError(
      'RUNTIME_LIBRARY_CHANGED',
      `ONNX Runtime library ${wanted}: this process already uses ${loaded.library.path}; a process can use only one`,
    );
  }
  return loaded.library;
}

/**
 * Where the package onnxruntime-node keeps the library for this platform.
 * @throws InputError if the package is not installed or has no library for this platform
 */
export function bundledLibrary(platform: NodeJS.Platform = process.platform, arch: string = process.arch): string {
  const folder = path.join(packageFolder(), 'bin');
  const name = FILES[platform];
  const candidates = name === undefined ? [] : napiFolders(folder).map((napi) => path.join(napi, platform, arch, name));
  const found = candidates.find((candidate) => existsSync(candidate));
  if (found !== undefined) return found;
  const shipped = napiFolders(folder).flatMap((napi) =>
    subfolders(napi).flatMap((os) => subfolders(os).map((cpu) => `${path.basename(os)}-${path.basename(cpu)}`)),
  );
  throw new InputError(
    'RUNTIME_PLATFORM',
    `package onnxruntime-node has no library for ${platform}-${arch} in ${folder}; it has: ${shipped.join(', ') || 'none'}`,
  );
}

function packageFolder(): string {
  try {
    return path.dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  } catch (cause) {
    throw new InputError(
      'RUNTIME_LIBRARY_MISSING',
      `package onnxruntime-node is not installed beside hpff; install onnxruntime-node ${ORT_VERSION}.x or pass libraryPath`,
      { cause },
    );
  }
}

/** Folders `napi-v6`, …, newest first. */
function napiFolders(folder: string): string[] {
  return subfolders(folder)
    .filter((child) => path.basename(child).startsWith('napi-v'))
    .reverse();
}

function subfolders(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => path.join(folder, entry.name))
    .sort();
}

function load(file: string): Loaded {
  if (!existsSync(file)) {
    throw new InputError('RUNTIME_LIBRARY_MISSING', `ONNX Runtime library ${file}: no such file`);
  }
  const { handle, version, getApi } = openLibrary(file);
  if (!version.startsWith(`${ORT_VERSION}.`)) {
    throw new InputError(
      'RUNTIME_VERSION',
      `ONNX Runtime library ${file}: found version ${version}; hpff is made for ${ORT_VERSION}.x`,
    );
  }
  const table = getApi(API_VERSION);
  if (table === null) {
    throw new InputError(
      'RUNTIME_VERSION',
      `ONNX Runtime library ${file}: version ${version} lacks API ${API_VERSION}`,
    );
  }
  const native = (name: FunctionName): NativeFunction => nativeFunction(table, FUNCTIONS[name]);
  return { handle, library: { path: file, version, api: bindTable(table, FUNCTIONS), native } };
}

/**
 * Loads a shared library that exports `OrtGetApiBase`, whatever its version.
 * @throws InputError `RUNTIME_LIBRARY_BROKEN`
 */
export function openLibrary(file: string): {
  /** To be held for ever. */
  handle: LibraryHandle;
  version: string;
  /** Address of the table of functions of a version of the API; null where the library has none. */
  getApi: (version: number) => Pointer | null;
} {
  provideStack();
  keepQuiet();
  const { handle, base } = open(file);
  // struct OrtApiBase { const OrtApi *(*GetApi)(uint32_t version); const char *(*GetVersionString)(void); }
  const versionString = functionAt(base, 1, 'str', []) as () => string;
  const getApi = functionAt(base, 0, 'void *', ['uint32_t']) as (version: number) => Pointer | null;
  return { handle, version: versionString(), getApi };
}

/**
 * Turns off ONNX Runtime's telemetry, which would write into the folder for temporary files and report to its makers, unless the user has decided
 * on it. The library reads the variable when it starts.
 */
function keepQuiet(): void {
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
}

function provideStack(): void {
  if ((koffi.config().async_stack_size ?? 0) >= STACK_BYTES) return;
  try {
    koffi.config({ async_stack_size: STACK_BYTES });
  } catch (cause) {
    throw new UsageError(
      'RUNTIME_STACK',
      'runtime: other code in this process has loaded a library through koffi, which fixes its settings; create the hpff runtime first',
      { cause },
    );
  }
}

function open(file: string): { handle: LibraryHandle; base: Pointer } {
  try {
    const bytes = loadedBytes(file);
    if (bytes && bytes.found < bytes.needed) throw new Error(`${bytes.found} of ${bytes.needed} bytes are there`);
    const handle = koffi.load(file);
    const getBase = handle.func('OrtGetApiBase', 'void *', []) as () => Pointer;
    return { handle, base: getBase() };
  } catch (cause) {
    const reason = String(cause instanceof Error ? cause.message : cause).replace(/\s+/g, ' ');
    throw new InputError('RUNTIME_LIBRARY_BROKEN', `ONNX Runtime library ${file}: cannot be loaded (${reason})`, {
      cause,
    });
  }
}

const KOFFI_TYPES = {
  handle: 'void *',
  bytes: 'void *',
  string: 'str',
  path: process.platform === 'win32' ? 'str16' : 'str',
  size: 'size_t',
  int: 'int',
  bool: 'bool',
  float: 'float',
  status: 'void *',
  text: 'str',
  void: 'void',
} as const;

/** Functions of a table of function pointers. */
export function bindTable<F extends Readonly<Record<string, CFunction>>>(
  table: Pointer,
  functions: F,
): BoundFunctions<F> {
  const entries = Object.entries(functions).map(([name, entry]) => [name, bind(nativeFunction(table, entry))]);
  return Object.fromEntries(entries) as BoundFunctions<F>;
}

/** The function whose address is in the given place of a table of function pointers. */
const functionAt = (table: Pointer, slot: number, result: string, args: string[]): unknown =>
  bind({ address: addressAt(table, slot), result, args });

const nativeFunction = (table: Pointer, { slot, result, args }: CFunction): NativeFunction => ({
  address: addressAt(table, slot),
  result: KOFFI_TYPES[result],
  args: args.map((arg) => KOFFI_TYPES[arg]),
});

const bind = ({ address, result, args }: NativeFunction): unknown =>
  koffi.decode(address, koffi.proto(result, [...args]));

const addressAt = (table: Pointer, slot: number): Pointer =>
  koffi.decode(table, slot * koffi.sizeof('void *'), 'void *') as Pointer;
