/** How a process ends that has used the native runtime: no crash, no hang, whatever was left undone. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { transpileSources, type Transpiled } from './transpiled.js';

let transpiled: Transpiled;
beforeAll(() => void (transpiled = transpileSources()));
afterAll(() => transpiled.remove());

interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Settings {
  /** Folder for temporary files. */
  readonly temporary?: string;
  readonly runThreads?: number;
}

/** Runs a program that finds a runtime, a deep session and its feeds ready. */
function program(body: string, { temporary, runThreads = 0 }: Settings = {}): Ended {
  const file = path.join(transpiled.folder, `${program.count++}.js`);
  writeFileSync(
    file,
    `import { createNativeRuntime } from './src/runtime/native/index.js';
     import { deepModel, feedsOfDeepModel } from './test/small-models.js';
     const runtime = await createNativeRuntime({ threads: 2, runThreads: ${runThreads} });
     const model = deepModel(60);
     const session = await runtime.createSession(model, { name: 'deep' });
     const feeds = feedsOfDeepModel(runtime, 64);
     ${body}`,
  );
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [file], {
    encoding: 'utf8',
    timeout: 20_000,
    env: temporary === undefined ? process.env : { ...process.env, TMPDIR: temporary },
  });
  return { status, signal, stdout, stderr };
}
program.count = 0;

const quietly = (status: number, stdout = ''): Ended => ({ status, signal: null, stdout, stderr: '' });

test.each([0, 2])('with everything disposed, %i threads for runs', (runThreads) => {
  const ended = program(
    `
    for (const tensor of (await session.run(feeds)).values()) tensor.dispose();
    for (const tensor of feeds.values()) tensor.dispose();
    session.dispose();
    runtime.dispose();
    console.log('end');`,
    { runThreads },
  );
  expect(ended).toEqual(quietly(0, 'end\n'));
});

test('leaving no files of ONNX Runtime behind', () => {
  const temporary = path.join(transpiled.folder, 'temporary');
  mkdirSync(temporary);
  expect(program(`await session.run(feeds); console.log('end');`, { temporary })).toEqual(quietly(0, 'end\n'));
  expect(readdirSync(temporary)).toEqual([]);
});

test.each([0, 2])('with nothing disposed, %i threads for runs', (runThreads) => {
  expect(program(`await session.run(feeds); console.log('end');`, { runThreads })).toEqual(quietly(0, 'end\n'));
});

test.each([0, 2])(
  'by process.exit with runs in flight, without waiting for them, %i threads for runs',
  (runThreads) => {
    const ended = program(
      `
    const start = performance.now();
    await session.run(feeds);
    const whole = performance.now() - start;
    for (let i = 0; i < 8; i++) void session.run(feeds);
    process.once('exit', () => console.log(JSON.stringify({ whole, exit: Date.now() })));
    setTimeout(() => process.exit(3), 20);`,
      { runThreads },
    );
    const end = Date.now();
    expect(ended).toMatchObject({ status: 3, signal: null, stderr: '' });
    const { whole, exit } = JSON.parse(ended.stdout) as { whole: number; exit: number };
    // Several runs at once would take several times as long as one.
    expect(end - exit).toBeLessThan(whole);
  },
);

test('by process.exit while sessions load', () => {
  const ended = program(`
    for (let i = 0; i < 8; i++) void runtime.createSession(model, { name: 'more' });
    process.exit(4);`);
  expect(ended).toEqual(quietly(4));
});

test.each([0, 2])('by an exception with runs in flight, %i threads for runs', (runThreads) => {
  const ended = program(
    `
    void session.run(feeds);
    setTimeout(() => { throw new Error('on purpose'); }, 10);`,
    { runThreads },
  );
  expect(ended).toMatchObject({ status: 1, signal: null });
  expect(ended.stderr).toContain('on purpose');
});

test.each([0, 2])('by a signal with runs in flight, %i threads for runs', (runThreads) => {
  const ended = program(
    `
    void session.run(feeds);
    setTimeout(() => process.kill(process.pid, 'SIGTERM'), 10);`,
    { runThreads },
  );
  expect(ended).toMatchObject({ status: null, signal: 'SIGTERM', stderr: '' });
});

test('after a worker thread that used the runtime, too', () => {
  const ended = program(`
    const { Worker } = await import('node:worker_threads');
    const worker = new Worker(\`
      const { parentPort, workerData } = require('node:worker_threads');
      (async () => {
        const { createNativeRuntime } = await import(workerData + '/src/runtime/native/index.js');
        const { smallModel } = await import(workerData + '/test/small-models.js');
        const model = smallModel({ inputs: { x: [1] }, outputs: { y: [1] }, nodes: [['Neg', ['x'], ['y']]] });
        const runtime = await createNativeRuntime({ threads: 1 });
        const session = await runtime.createSession(model, { name: 'inside' });
        const x = runtime.upload({ dtype: 'float32', shape: [1], data: Float32Array.of(4) });
        parentPort.postMessage((await session.run(new Map([['x', x]]))).get('y').read().data[0]);
      })();\`, { eval: true, workerData: ${JSON.stringify(transpiled.folder)} });
    worker.on('message', (answer) => console.log('worker', answer));
    await new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject));
    const y = (await session.run(feeds)).get('y');
    console.log('main', y.shape.join());`);
  expect(ended).toEqual(quietly(0, 'worker -4\nmain 16\n'));
});
