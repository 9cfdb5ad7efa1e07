import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../errors.js';
import { API_VERSION, FUNCTIONS } from './functions.js';
import { bundledLibrary, loadLibrary } from './library.js';
import { createNativeRuntime } from './runtime.js';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(path.join(tmpdir(), 'hpff-library-'))));
afterAll(() => rmSync(folder, { recursive: true }));

const compiler = spawnSync('cc', ['--version']).status === 0 && process.platform === 'linux';

/** A shared library that says it is ONNX Runtime, and that it has nothing above an API version. */
function imitation(version: string, highestApi: number): string {
  const source = path.join(folder, `${version}.c`);
  const library = path.join(folder, `libonnxruntime-${version}.so`);
  writeFileSync(
    source,
    `static void *table[1];
     static const void *get_api(unsigned version) { return version > ${highestApi} ? 0 : table; }
     static const char *get_version(void) { return "${version}"; }
     static const void *base[2] = { get_api, get_version };
     const void *OrtGetApiBase(void) { return base; }`,
  );
  expect(spawnSync('cc', ['-shared', '-fPIC', '-o', library, source], { encoding: 'utf8' })).toMatchObject({
    status: 0,
  });
  return library;
}

describe('the bundled library', () => {
  it.each([
    ['linux', 'x64', 'linux/x64/libonnxruntime.so.1'],
    ['darwin', 'arm64', 'darwin/arm64/libonnxruntime.1.dylib'],
    ['win32', 'x64', 'win32/x64/onnxruntime.dll'],
  ] as const)('is found for %s-%s', (platform, arch, end) => {
    const file = bundledLibrary(platform, arch);
    expect(file.endsWith(path.normalize(end))).toBe(true);
    expect(existsSync(file)).toBe(true);
  });

  it('is reported missing for other platforms, with those that there are', () => {
    expect(() => bundledLibrary('sunos', 'sparc')).toThrow(InputError);
    expect(() => bundledLibrary('linux', 'mips')).toThrow(/has no library for linux-mips .*; it has: .*linux-x64/);
  });
});

describe('loading', () => {
  it('refuses a path with nothing there', async () => {
    const libraryPath = path.join(folder, 'none.so');
    await expect(createNativeRuntime({ libraryPath })).rejects.toThrow(
      new InputError('RUNTIME_LIBRARY_MISSING', `ONNX Runtime library ${libraryPath}: no such file`),
    );
  });

  it('refuses what is no library', () => {
    const text = path.join(folder, 'text.so');
    writeFileSync(text, 'not a library');
    expect(() => loadLibrary(text)).toThrow(
      expect.objectContaining({
        code: 'RUNTIME_LIBRARY_BROKEN',
        message: expect.stringContaining(text) as string,
      }) as Error,
    );
  });

  it.runIf(process.platform === 'linux')('refuses one that was cut off, which would end the process', () => {
    const cut = path.join(folder, 'cut.so');
    const whole = readFileSync(bundledLibrary());
    writeFileSync(cut, whole.subarray(0, 3_000_000));
    expect(() => loadLibrary(cut)).toThrow(/cut\.so: cannot be loaded \(3000000 of \d+ bytes are there\)$/);
    writeFileSync(cut, whole.subarray(0, 100));
    expect(() => loadLibrary(cut)).toThrow(/^ONNX Runtime library .*cut\.so: cannot be loaded/);
  });

  it.runIf(compiler)('refuses another version of ONNX Runtime', () => {
    const other = imitation('1.22.0', 22);
    expect(() => loadLibrary(other)).toThrow(
      new InputError('RUNTIME_VERSION', `ONNX Runtime library ${other}: found version 1.22.0; hpff is made for 1.30.x`),
    );
  });

  it.runIf(compiler)('refuses a library without the API', () => {
    const poor = imitation('1.30.7', API_VERSION - 1);
    expect(() => loadLibrary(poor)).toThrow(`ONNX Runtime library ${poor}: version 1.30.7 lacks API ${API_VERSION}`);
  });

  it('takes one library for the process, and keeps to it', () => {
    const library = loadLibrary();
    expect(library).toMatchObject({ path: bundledLibrary(), version: expect.stringMatching(/^1\.30\./) as string });
    expect(Object.keys(library.api)).toEqual(Object.keys(FUNCTIONS));
    expect(loadLibrary(library.path)).toBe(library);
    const other = path.join(folder, 'other.so');
    expect(() => loadLibrary(other)).toThrow(
      `ONNX Runtime library ${other}: this process already uses ${library.path}; a process can use only one`,
    );
  });
});
