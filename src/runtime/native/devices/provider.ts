/** An execution provider of ONNX Runtime other than the CPU's: what it needs of the machine, and how sessions get it. */
import koffi from 'koffi';
import type { LibraryHandle } from 'koffi';
import type { OrtFailure } from '../calls.js';
import type { OrtFunctions, Pointer } from '../functions.js';
import type { OrtLibrary } from '../library.js';
import { providersOf } from './build.js';

/** Something that a device cannot work without, and how to get it. */
export interface Missing {
  /** e.g. `libcuda.so.1 cannot be loaded: the NVIDIA driver is not installed` */
  readonly problem: string;
  /** e.g. `install the NVIDIA driver` */
  readonly remedy: string;
}

/** What the machine has for a provider. */
export interface Findings {
  /** Names of the devices, by their index; '' for a device without one. Empty where they cannot be counted. */
  readonly devices: readonly string[];
  /** Where nothing is missing, a device may still fail when it is opened. */
  readonly missing: readonly Missing[];
}

export interface ProviderSettings {
  /** Index of the device. */
  readonly index: number;
  /** Record the work of a session's first run and replay it in later ones; see `NativeRuntimeOptions.cudaGraph`. */
  readonly graph: boolean;
}

export interface DeviceProvider {
  readonly kind: 'cuda' | 'webgpu';
  /** Whether everything on the device must happen on one thread, ours: runs then block the event loop. */
  readonly oneThread: boolean;
  /** Looks without opening a device; to be called while there is an environment. Never throws for what the machine lacks. */
  find(library: OrtLibrary): Findings;
  /** What a device lacks that could not be opened although nothing was found missing. */
  explain(failure: OrtFailure): Missing;
  /**
   * Has sessions of these options run on a device; what the provider has no kernel for stays on the CPU.
   * @throws OrtFailure if the provider cannot be loaded or refuses the device
   */
  append(api: OrtFunctions, sessionOptions: Pointer, settings: ProviderSettings): void;
}

/** What is missing where ONNX Runtime was built without a provider; empty if it has it. @param remedy where to find a build that has it */
export function missingInBuild(library: OrtLibrary, provider: string, remedy: string): Missing[] {
  if (providersOf(library).includes(provider)) return [];
  return [{ problem: `ONNX Runtime's library ${library.path} was built without ${provider}`, remedy }];
}

/** A shared library that the system's loader finds, or in one line why it cannot be loaded. */
export function tryLoad(name: string): LibraryHandle | string {
  try {
    return koffi.load(name);
  } catch (error) {
    return String(error instanceof Error ? error.message : error).replace(/\s+/g, ' ');
  }
}
