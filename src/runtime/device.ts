/** Names of devices, as users type them. */
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';

export interface Device {
  readonly kind: DeviceKind;
  /** Which of the kind, from 0. */
  readonly index: number;
  /** `cpu`, or kind and index: `cuda:0`. Equal names are the same device. */
  readonly name: string;
}

/**
 * Devices by their names, separated by commas.
 * @throws InputError as `parseDevice`; for a device other than the CPU that is named twice
 */
export function parseDevices(text: string, where = 'device'): Device[] {
  const devices = text.split(',').map((name) => parseDevice(name.trim(), where));
  const twice = devices.find(
    ({ kind, name }, i) => kind !== 'cpu' && devices.findIndex((each) => each.name === name) < i,
  );
  if (twice === undefined) return devices;
  throw new InputError(
    'DEVICE_TWICE',
    `${where}: found ${twice.name} twice, allowed: once (--stages puts several stages on one)`,
  );
}

export type DeviceKind = 'cpu' | 'cuda' | 'webgpu';

const ALLOWED = 'cpu, cuda, cuda:N, webgpu, webgpu:N (hpff devices lists what this machine has)';

/**
 * A device by its name; without a number it is the first of its kind.
 * @param where for the message, e.g. `--device`
 * @throws InputError for any other text
 */
export function parseDevice(text: string, where = 'device'): Device {
  if (text === 'cpu') return { kind: 'cpu', index: 0, name: 'cpu' };
  const match = /^(cuda|webgpu)(?::(0|[1-9][0-9]{0,2}))?$/.exec(text);
  if (match === null) {
    throw new InputError('DEVICE_UNKNOWN', `${where}: found '${printable(text, 60)}', allowed: ${ALLOWED}`);
  }
  const kind = match[1] as 'cuda' | 'webgpu';
  const index = Number(match[2] ?? 0);
  return { kind, index, name: `${kind}:${index}` };
}
