/** Devices other than the CPU: whether this machine can use them, and opening one. */
import { availableParallelism, cpus } from 'node:os';
import { InputError } from '../../../errors.js';
import { type Device, parseDevice } from '../../device.js';
import { check, OrtFailure } from '../calls.js';
import { leaseEnvironment } from '../environment.js';
import type { Pointer } from '../functions.js';
import { loadLibrary, type OrtLibrary } from '../library.js';
import { cuda } from './cuda.js';
import { DeviceMemory } from './memory.js';
import type { DeviceProvider, Findings, Missing, ProviderSettings } from './provider.js';
import { webgpu } from './webgpu.js';

export type { Missing } from './provider.js';

export interface DeviceStatus {
  /** As `--device` takes it. */
  readonly name: string;
  readonly usable: boolean;
  /** What it is, where that could be found out. */
  readonly description?: string;
  /** Why it is not usable. */
  readonly missing: readonly Missing[];
}

const PROVIDERS: readonly DeviceProvider[] = [cuda, webgpu];

/** An open device. */
export interface OpenDevice {
  readonly memory: DeviceMemory;
  /** As in `DeviceProvider`. */
  readonly oneThread: boolean;
  /** As in `ProviderSettings`. */
  readonly graph: boolean;
  /** Has a session with these options run on the device. @throws OrtFailure */
  prepare(sessionOptions: Pointer): void;
}

/**
 * Every device that this machine has or might have. Those that lack nothing are opened for a moment, to be sure.
 * @param libraryPath as in `NativeRuntimeOptions`
 * @throws InputError if ONNX Runtime's library is missing, broken or of another version
 */
export async function listDevices(libraryPath?: string): Promise<DeviceStatus[]> {
  const library = loadLibrary(libraryPath);
  // Providers report to the environment's log.
  const environment = leaseEnvironment(library, { threads: 1, spinning: false });
  try {
    const found = [cpu()];
    for (const provider of PROVIDERS) found.push(...(await statusesOf(library, environment.pointer, provider)));
    return found;
  } finally {
    environment.release();
  }
}

function cpu(): DeviceStatus {
  const model = cpus()[0]?.model.trim() ?? process.arch;
  return { name: 'cpu', usable: true, description: `${model}, ${availableParallelism()} threads`, missing: [] };
}

/** Of the devices of a provider; of its first one where they cannot be counted. */
async function statusesOf(
  library: OrtLibrary,
  environment: Pointer,
  provider: DeviceProvider,
): Promise<DeviceStatus[]> {
  const { devices, missing } = provider.find(library);
  const statuses: DeviceStatus[] = [];
  for (let index = 0; index < Math.max(1, devices.length); index++) {
    const device = parseDevice(`${provider.kind}:${index}`);
    const all = missing.length > 0 ? missing : await tryOpen(library, environment, device);
    const description = devices[index];
    const described = description ? { description } : {};
    statuses.push({ name: device.name, usable: all.length === 0, ...described, missing: all });
  }
  return statuses;
}

async function tryOpen(library: OrtLibrary, environment: Pointer, device: Device): Promise<readonly Missing[]> {
  try {
    (await openDevice(library, environment, device)).memory.dispose();
    return [];
  } catch (error) {
    if (error instanceof DeviceUnavailable) return error.missing;
    throw error;
  }
}

/** Says what a device lacks. */
export class DeviceUnavailable extends InputError {
  constructor(
    device: Device,
    readonly missing: readonly Missing[],
    options?: { cause?: unknown },
  ) {
    const needs = missing.map(({ problem, remedy }) => `${problem}: ${remedy}`).join('; ');
    super('DEVICE_UNAVAILABLE', `device ${device.name} cannot be used here: ${needs}`, options);
  }
}

/**
 * Opens a device other than the CPU.
 * @param environment OrtEnv
 * @param graph as in `ProviderSettings`
 * @throws InputError if something is missing, saying what, and how to get it
 */
export async function openDevice(
  library: OrtLibrary,
  environment: Pointer,
  device: Device,
  graph = false,
): Promise<OpenDevice> {
  const { api } = library;
  const { index } = device;
  const provider = PROVIDERS.find(({ kind }) => kind === device.kind)!;
  refuseMissing(device, provider.find(library));
  const append = (sessionOptions: Pointer, settings: ProviderSettings): void => {
    check(api, api.SetDeterministicCompute(sessionOptions, true));
    provider.append(api, sessionOptions, settings);
  };
  const { oneThread } = provider;
  try {
    // Copies have another tensor every time: nothing to record.
    const prepare = (sessionOptions: Pointer): void => append(sessionOptions, { index, graph: false });
    const memory = await DeviceMemory.open({ api, environment, oneThread, prepare });
    return { memory, oneThread, graph, prepare: (sessionOptions) => append(sessionOptions, { index, graph }) };
  } catch (cause) {
    if (!(cause instanceof OrtFailure)) throw cause;
    throw new DeviceUnavailable(device, [provider.explain(cause)], { cause });
  }
}

/** @throws InputError if a device is not there, or something that it needs */
export function refuseMissing(device: Device, { devices, missing }: Findings): void {
  if (missing.length > 0) throw new DeviceUnavailable(device, missing);
  if (device.index < devices.length) return;
  const known = devices.map((_, index) => `${device.kind}:${index}`).join(', ');
  throw new InputError('DEVICE_UNAVAILABLE', `device ${device.name} does not exist; there is: ${known}`);
}
