import { expect, it } from 'vitest';
import { InputError } from '../errors.js';
import { parseDevice } from './device.js';

it.each([
  ['cpu', { kind: 'cpu', index: 0, name: 'cpu' }],
  ['cuda', { kind: 'cuda', index: 0, name: 'cuda:0' }],
  ['cuda:0', { kind: 'cuda', index: 0, name: 'cuda:0' }],
  ['cuda:12', { kind: 'cuda', index: 12, name: 'cuda:12' }],
  ['webgpu', { kind: 'webgpu', index: 0, name: 'webgpu:0' }],
  ['webgpu:1', { kind: 'webgpu', index: 1, name: 'webgpu:1' }],
])('%s is a device', (text, device) => {
  expect(parseDevice(text)).toEqual(device);
});

it.each(['', 'gpu', 'CPU', 'cpu:0', 'cuda:', 'cuda:-1', 'cuda:01', 'cuda:1.5', 'cuda:1000', 'cuda:0 ', 'cuda,cpu'])(
  '"%s" is none',
  (text) => {
    expect(() => parseDevice(text, '--device')).toThrow(
      new InputError(
        'DEVICE_UNKNOWN',
        `--device: found '${text}', allowed: cpu, cuda, cuda:N, webgpu, webgpu:N (hpff devices lists what this machine has)`,
      ),
    );
  },
);
