/** `hpff devices`: what this machine can compute on, and why the rest cannot be used. */
import { type DeviceStatus, listDevices } from '../../runtime/native/index.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import { Output } from '../output.js';

export const addDevices: AddCommand = (program, streams) => {
  newCommand(program, 'devices', 'list the devices of this machine, and what those that cannot be used lack').action(
    async (options: CommonOptions) => {
      const devices = await listDevices();
      new Output(streams, options.json ?? false).result({ devices }, deviceTable(devices));
    },
  );
};

/** A line for each device, and two below it for each thing that it lacks. */
export function deviceTable(devices: readonly DeviceStatus[]): string {
  const width = Math.max(...devices.map(({ name }) => name.length));
  const indent = ' '.repeat(width + 2);
  return devices.map((device) => lines(device, width, indent).join('\n')).join('\n');
}

function lines({ name, usable, description, missing }: DeviceStatus, width: number, indent: string): string[] {
  const state = usable ? 'usable' : 'not usable here';
  const needs = missing.flatMap(({ problem, remedy }) => [`${indent}- ${problem}`, `${indent}  → ${remedy}`]);
  return [`${name.padEnd(width)}  ${state}${description === undefined ? '' : `: ${description}`}`, ...needs];
}
