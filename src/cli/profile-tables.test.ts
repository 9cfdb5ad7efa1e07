import { expect, test } from 'vitest';
import type { Profile } from '../bench/index.js';
import { profileTables } from './profile-tables.js';

test('shares are of the measured step, which may be longer than one that is not measured', () => {
  const profile: Profile = {
    recipe: 'r',
    schedule: 'sync',
    lowering: 'blocked',
    threads: 1,
    batch: 8,
    steps: 1,
    stepSeconds: 2.3,
    runSeconds: 2.1,
    kernelSeconds: 1.84,
    breakdowns: [],
    nodes: [],
  };
  expect(profileTables(profile, 1).split('\n')).toEqual([
    'r: sync, blocked, threads 1, batch 8; every operator measured, medians of 1 step',
    '  measured step 2.300 s = kernels 1.840 s (80.0 %) + 0.260 s between them + 0.200 s outside ONNX Runtime',
    '  measuring makes a step 2.30 times as long: without, it takes 1.000 s',
    '  % below is of the kernels',
  ]);
});
