import { expect, test } from 'vitest';
import { hpff } from '../../../test/cli.js';
import { deviceTable } from './devices.js';

test('devices lists what there is', async () => {
  const { code, stdout } = await hpff('devices');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^cpu {7}usable: .*, \d+ threads\n/);
  expect(stdout).toMatch(/^cuda:0 {4}/m);
  expect(stdout).toMatch(/^webgpu:0 {2}/m);
});

test('devices --json writes one document', async () => {
  const { code, stdout } = await hpff('devices', '--json');
  expect(code).toBe(0);
  const { devices } = JSON.parse(stdout) as { devices: { name: string; usable: boolean }[] };
  expect(devices[0]).toMatchObject({ name: 'cpu', usable: true, missing: [] });
});

test('devices takes no arguments', async () => {
  expect(await hpff('devices', 'cpu')).toMatchObject({ code: 2, stdout: '' });
  expect(await hpff('devices', '--all')).toMatchObject({ code: 2, stdout: '' });
});

test('the table says what is missing, and how to get it', () => {
  const missing = [
    { problem: 'no driver', remedy: 'install it' },
    { problem: 'no library', remedy: 'fetch it' },
  ];
  const table = deviceTable([
    { name: 'cpu', usable: true, description: 'a CPU, 2 threads', missing: [] },
    { name: 'cuda:0', usable: false, description: 'a GPU', missing },
    { name: 'cuda:1', usable: false, missing: missing.slice(1) },
  ]);
  expect(table.split('\n')).toEqual([
    'cpu     usable: a CPU, 2 threads',
    'cuda:0  not usable here: a GPU',
    '        - no driver',
    '          → install it',
    '        - no library',
    '          → fetch it',
    'cuda:1  not usable here',
    '        - no library',
    '          → fetch it',
  ]);
});
