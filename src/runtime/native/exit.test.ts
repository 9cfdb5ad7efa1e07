import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { transpileSources, type Transpiled } from '../../../test/transpiled.js';

const compiler = spawnSync('cc', ['--version']).status === 0 && process.platform === 'linux';

let transpiled: Transpiled;
beforeAll(() => void (transpiled = transpileSources()));
afterAll(() => transpiled.remove());

/** Runs a program with a runtime and a native library that writes `handler` when the process exits. */
function program(body: string): { status: number | null; stdout: string } {
  const [file, source, library] = ['exit.js', 'handler.c', 'handler.so'].map((name) =>
    path.join(transpiled.folder, name),
  ) as [string, string, string];
  writeFileSync(
    source,
    `#include <unistd.h>
     __attribute__((destructor)) static void handle(void) { if (write(1, "handler", 7)) {} }
     int loaded(void) { return 1; }`,
  );
  expect(spawnSync('cc', ['-shared', '-fPIC', '-o', library, source]).status).toBe(0);
  writeFileSync(
    file,
    `import koffi from 'koffi';
     import { createNativeRuntime } from './src/runtime/native/index.js';
     import { skipExitHandlers } from './src/runtime/native/exit.js';
     const runtime = await createNativeRuntime({ threads: 1 });
     globalThis.held = koffi.load(${JSON.stringify(library)});
     ${body}`,
  );
  const { status, stdout } = spawnSync(process.execPath, [file], { encoding: 'utf8', timeout: 20_000 });
  return { status, stdout };
}

describe.runIf(compiler)('native exit handlers', () => {
  it('run unless they are to be skipped', () => {
    expect(program('process.exitCode = 3;')).toEqual({ status: 3, stdout: 'handler' });
  });

  it('are skipped while a runtime is alive, and the exit code is kept', () => {
    expect(program('skipExitHandlers(); process.exitCode = 3;')).toEqual({ status: 3, stdout: '' });
    expect(program('skipExitHandlers(); process.exit(4);')).toEqual({ status: 4, stdout: '' });
  });

  it('run once the runtime is disposed', () => {
    expect(program('skipExitHandlers(); runtime.dispose();')).toEqual({ status: 0, stdout: 'handler' });
  });
});
