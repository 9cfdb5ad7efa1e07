/** What is said of machines that lack something: libraries are missing from folders of the test's own, or are imitations. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../../errors.js';
import { parseDevice } from '../../device.js';
import { leaseEnvironment } from '../environment.js';
import { loadLibrary, type OrtLibrary } from '../library.js';
import { createNativeRuntime } from '../runtime.js';
import { findCuda } from './cuda.js';
import { listDevices, refuseMissing } from './index.js';
import type { Findings } from './provider.js';
import { findWebGpu } from './webgpu.js';

const absent = 'libabsent.so.1';
const compiler = spawnSync('cc', ['--version']).status === 0 && process.platform === 'linux';
const library = loadLibrary();

let folder: string;
let environment: { release(): void };
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'hpff-devices-'));
  environment = leaseEnvironment(library, { threads: 1, spinning: false });
});
afterAll(() => {
  environment.release();
  rmSync(folder, { recursive: true });
});

/** ONNX Runtime as if its library lay in the test's folder. */
const elsewhere = (): OrtLibrary => ({ ...library, path: path.join(folder, path.basename(library.path)) });

/** A driver with so many GPUs, or one that fails. */
function driver(name: string, count: number, failure = 0): string {
  const source = path.join(folder, `${name}.c`);
  const file = path.join(folder, `${name}.so`);
  writeFileSync(
    source,
    `int cuInit(unsigned flags) { return ${failure}; }
     int cuDeviceGetCount(int *count) { *count = ${count}; return 0; }
     int cuDeviceGetName(char *name, int length, int device) {
       const char text[] = "Imitation 0"; for (int i = 0; i < sizeof text; i++) name[i] = text[i];
       name[sizeof text - 2] += device; return 0;
     }`,
  );
  expect(spawnSync('cc', ['-shared', '-fPIC', '-o', file, source]).status).toBe(0);
  return file;
}

const problems = ({ missing }: Findings): string => missing.map(({ problem }) => problem).join('\n');

// Only linux-x64 has the CUDA provider in its build.
describe.runIf(process.platform === 'linux' && process.arch === 'x64')('CUDA', () => {
  it('lacks a driver', () => {
    const { devices, missing } = findCuda(elsewhere(), { driver: absent, cudnn: absent });
    expect(devices).toEqual([]);
    expect(missing[0]).toEqual({
      problem: expect.stringMatching(/^the NVIDIA driver's libabsent\.so\.1 cannot be loaded \(.*\)$/) as string,
      remedy: 'install the driver of the GPU; in a container, start it with its GPUs (docker run --gpus all)',
    });
  });

  it('lacks the libraries of the provider, and says how to get them', () => {
    const { missing } = findCuda(elsewhere(), { driver: absent, cudnn: absent });
    expect(missing).toHaveLength(2);
    expect(missing[1]).toEqual({
      problem: `libonnxruntime_providers_shared.so and libonnxruntime_providers_cuda.so not found in ${folder}`,
      remedy: expect.stringContaining('`ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node`') as string,
    });
  });

  it('names the one library that is missing', () => {
    const shared = path.join(folder, 'libonnxruntime_providers_shared.so');
    writeFileSync(shared, '');
    try {
      expect(problems(findCuda(elsewhere(), { driver: absent, cudnn: absent }))).toContain(
        `\nlibonnxruntime_providers_cuda.so not found in ${folder}`,
      );
    } finally {
      rmSync(shared);
    }
  });

  it.runIf(compiler)('lacks a GPU', () => {
    const without = { driver: driver('none', 0), cudnn: absent };
    expect(problems(findCuda(elsewhere(), without))).toMatch(/^the NVIDIA driver finds no GPU\n/);
    const noDevice = { driver: driver('no-device', 0, 100), cudnn: absent };
    expect(problems(findCuda(elsewhere(), noDevice))).toMatch(/^the NVIDIA driver finds no GPU\n/);
  });

  it.runIf(compiler)('has a driver that fails', () => {
    const failing = { driver: driver('failing', 1, 999), cudnn: absent };
    expect(problems(findCuda(elsewhere(), failing))).toMatch(/^the NVIDIA driver fails with CUDA error 999\n/);
  });

  it.runIf(compiler)('has GPUs, which are counted and named whatever else is missing', () => {
    const findings = findCuda(elsewhere(), { driver: driver('two', 2), cudnn: absent });
    expect(findings.devices).toEqual(['Imitation 0', 'Imitation 1']);
    expect(problems(findings)).toMatch(/^libonnxruntime_providers_shared\.so and .* not found in /);
  });

  it('takes what is no driver for none', () => {
    const { missing } = findCuda(elsewhere(), { driver: 'libc.so.6', cudnn: absent });
    expect(missing[0]!.problem).toMatch(/^libc\.so\.6 is no NVIDIA driver \(.*cuInit.*\)$/);
  });
});

describe('WebGPU', () => {
  it('lacks the Vulkan loader', () => {
    expect(findWebGpu(library, absent).missing).toEqual([
      {
        problem: expect.stringMatching(/^the Vulkan loader libabsent\.so\.1 cannot be loaded \(.*\)$/) as string,
        remedy: 'install it (libvulkan1 in Debian) and a Vulkan driver of the GPU',
      },
    ]);
  });

  it('needs no loader where the system has another way to GPUs', () => {
    expect(findWebGpu(library, null)).toEqual({ devices: [''], missing: [] });
  });
});

describe('a device', () => {
  it('is refused with all that it lacks, on one line', () => {
    const missing = [
      { problem: 'no driver', remedy: 'install it' },
      { problem: 'no library', remedy: 'fetch it' },
    ];
    expect(() => refuseMissing(parseDevice('cuda'), { devices: [], missing })).toThrow(
      expect.objectContaining({
        code: 'DEVICE_UNAVAILABLE',
        exitCode: 2,
        message: 'device cuda:0 cannot be used here: no driver: install it; no library: fetch it',
      }) as Error,
    );
  });

  it('is refused where there are fewer', () => {
    const findings = { devices: ['a', 'b'], missing: [] };
    expect(() => refuseMissing(parseDevice('cuda:1'), findings)).not.toThrow();
    expect(() => refuseMissing(parseDevice('cuda:2'), findings)).toThrow(
      'device cuda:2 does not exist; there is: cuda:0, cuda:1',
    );
  });
});

describe('listing', () => {
  it('names the CPU and what else there might be', async () => {
    const devices = await listDevices();
    expect(devices[0]).toMatchObject({ name: 'cpu', usable: true, missing: [] });
    expect(devices.map(({ name }) => name)).toEqual(expect.arrayContaining(['cpu', 'cuda:0', 'webgpu:0']));
    for (const { usable, missing } of devices) expect(usable).toBe(missing.length === 0);
  });

  it('agrees with what happens when a runtime is created', async () => {
    for (const { name, usable, missing } of await listDevices()) {
      const creation = createNativeRuntime({ device: name, threads: 1 });
      if (usable) (await creation).dispose();
      else await expect(creation).rejects.toThrow(missing[0]!.problem);
    }
  });

  it('leaves nothing behind', async () => {
    environment.release();
    await listDevices();
    // Another pool than that of the listing: a living environment would keep its own.
    using runtime = await createNativeRuntime({ threads: 2 });
    expect(runtime.sharedPool).toBe(true);
    environment = leaseEnvironment(library, { threads: 2, spinning: false });
  });
});

describe('createNativeRuntime', () => {
  it('refuses names of no device', async () => {
    await expect(createNativeRuntime({ device: 'tpu' })).rejects.toThrow(
      /^runtime: device: found 'tpu', allowed: cpu, /,
    );
  });

  it('records no runs but on CUDA', async () => {
    await expect(createNativeRuntime({ cudaGraph: true })).rejects.toThrow(
      new UsageError('RUNTIME_CUDA_GRAPH', 'runtime: cudaGraph with device cpu; allowed: with cuda:N'),
    );
  });
});
