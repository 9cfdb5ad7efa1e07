/** Training on workers over NATS, in processes of their own: the bits of one process, whatever is killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { connectTo } from '../src/cluster/connection.js';
import { edgeStream, listEdges, listRuns } from '../src/cluster/streams.js';
import { hpff } from './cli.js';
import { latestBits, metricsOf, tinyRecipeFile } from './support/training.js';
import { NatsServer, noNatsServer } from './support/nats-server.js';
import { transpileSources, type Transpiled } from './transpiled.js';

const digits = path.join(import.meta.dirname, '../data/digits');
const reason = noNatsServer === null ? '' : ` (skipped: ${noNatsServer})`;

// Each test starts several processes, and losses are noticed after seconds.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

interface TraceItem {
  readonly name: string;
  readonly cat?: string;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly args: { readonly name?: string; readonly module?: number; readonly step?: number };
}

interface Program {
  readonly child: ChildProcess;
  /** What it has written, both streams. */
  readonly output: () => string;
  readonly ended: Promise<number | null>;
  /** Waits until the output matches. */
  readonly says: (pattern: RegExp) => Promise<void>;
}

describe.skipIf(noNatsServer !== null)(`training over NATS${reason}`, () => {
  let transpiled: Transpiled;
  let root: string;
  let recipe: string;
  const running = new Set<ChildProcess>();

  beforeAll(() => {
    transpiled = transpileSources();
    root = mkdtempSync(path.join(tmpdir(), 'hpff-cluster-'));
    recipe = path.join(root, 'tiny.json');
    writeFileSync(recipe, JSON.stringify(tinyRecipeFile({ schedule: { type: 'cosine', epochs: 8 } })));
  });
  afterEach(() => {
    for (const child of running) child.kill('SIGKILL');
  });
  afterAll(() => {
    transpiled.remove();
    rmSync(root, { recursive: true });
  });

  function start(...args: string[]): Program {
    const child = spawn(process.execPath, ['hpff.js', ...args], {
      cwd: transpiled.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let output = '';
    const waiting = new Set<() => void>();
    const changed = (): void => waiting.forEach((check) => check());
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        output += data.toString();
        changed();
      });
    }
    let over = false;
    const ended = new Promise<number | null>((resolve) => {
      child.on('close', (code) => {
        over = true;
        running.delete(child);
        changed();
        resolve(code);
      });
    });
    const says = async (pattern: RegExp): Promise<void> =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (!pattern.test(output) && !over) return;
          waiting.delete(check);
          if (pattern.test(output)) resolve();
          else reject(new Error(`ended without saying ${pattern}: ${output}`));
        };
        waiting.add(check);
        check();
      });
    return { child, output: () => output, ended, says };
  }

  const startWorker = (url: string, ...more: string[]): Program =>
    start('worker', '--connect', url, '--threads', '1', ...more);

  const startTraining = (folder: string, url: string, ...more: string[]): Program => {
    const where = ['-o', folder, '--data', digits, '--connect', url, '--checkpoint-every', '3'];
    return start('train', recipe, ...where, '--threads', '1', '--lowering', 'portable', '--verbose', ...more);
  };

  /** What one process gives. */
  const undisturbed = new Map<number, Promise<string>>();
  function expectedRun(delay: number): Promise<string> {
    const known = undisturbed.get(delay);
    if (known) return known;
    const folder = path.join(root, `undisturbed-${delay}`);
    const settings = ['--schedule', 'async', '--stages', '1', '--delay', String(delay), '--checkpoint-every', '3'];
    const training = start(
      ...['train', recipe, '-o', folder, '--data', digits, '--threads', '1', '--lowering', 'portable', ...settings],
    );
    const done = training.ended.then((code) => {
      if (code !== 0) throw new Error(training.output());
      return folder;
    });
    undisturbed.set(delay, done);
    return done;
  }

  async function expectSameRun(training: Program, folder: string, delay: number): Promise<void> {
    expect({ code: await training.ended, output: training.output() }).toMatchObject({ code: 0 });
    const expected = await expectedRun(delay);
    expect(latestBits(folder)).toEqual(latestBits(expected));
    expect(metricsOf(folder)).toEqual(metricsOf(expected));
  }

  test.each([
    [2, 0],
    [3, 1],
  ])('%i workers give the bits of one process, delay %i', async (workers, delay) => {
    await using server = await NatsServer.start();
    for (let i = 0; i < workers; i++) startWorker(server.url);
    const folder = path.join(root, `workers-${workers}`);
    const trace = path.join(root, `workers-${workers}.json`);
    const settings = ['--workers', String(workers), '--delay', String(delay), '--trace', trace];
    const before = Date.now();
    await expectSameRun(startTraining(folder, server.url, ...settings), folder, delay);
    expectTrace(trace, workers, Date.now() - before);
  });

  /** Every stage has a track, with as many forward passes as steps for each module, at times within the training. */
  function expectTrace(file: string, stages: number, milliseconds: number): void {
    const { traceEvents } = JSON.parse(readFileSync(file, 'utf8')) as { traceEvents: TraceItem[] };
    const tracks = traceEvents.filter(({ name }) => name === 'thread_name');
    const named = tracks.filter(({ args }) => args.name?.startsWith('stage '));
    expect(named).toHaveLength(stages);
    const tasks = traceEvents.filter(({ cat }) => cat === 'forward');
    expect(new Set(tasks.map(({ tid }) => tid))).toEqual(new Set(named.map(({ tid }) => tid)));
    const modules = new Set(tasks.map(({ args }) => args.module)).size;
    const steps = Math.max(...tasks.map(({ args }) => args.step!));
    expect(tasks).toHaveLength(modules * steps);
    // Clocks of one machine: what a worker did lies within the time of the coordinator's process.
    const times = tasks.flatMap(({ ts, dur }) => [ts! / 1000, (ts! + dur!) / 1000]);
    expect(Math.min(...times)).toBeGreaterThan(0);
    expect(Math.max(...times)).toBeLessThan(milliseconds);
    // A module's forward pass comes after that of the module below.
    const ofStep = tasks.filter(({ args }) => args.step === 2).sort((a, b) => a.args.module! - b.args.module!);
    ofStep.slice(1).forEach(({ ts }, i) => expect(ts! + 20_000).toBeGreaterThan(ofStep[i]!.ts!));
  }

  test('a worker that is killed is replaced by another; then the run goes on with one alone', async () => {
    await using server = await NatsServer.start();
    const [first, second] = [startWorker(server.url), startWorker(server.url)];
    const folder = path.join(root, 'killed');
    const training = startTraining(folder, server.url, '--workers', '2', '--delay', '1');
    await training.says(/epoch 1 /);
    first.child.kill('SIGKILL');
    const third = startWorker(server.url);
    await training.says(/is lost; training goes on from the last checkpoint/);
    await training.says(/epoch 3 /);
    second.child.kill('SIGKILL');
    await third.says(/stage 0 of 1/);
    await expectSameRun(training, folder, 1);
  });

  test('a worker that is told to end says so, and another takes its stage', async () => {
    await using server = await NatsServer.start();
    const [first] = [startWorker(server.url), startWorker(server.url)];
    const folder = path.join(root, 'left');
    const training = startTraining(folder, server.url, '--workers', '2');
    await training.says(/epoch 1 /);
    const third = startWorker(server.url);
    await third.says(/serves pool/);
    first.child.kill('SIGTERM');
    await training.says(/has left; training goes on from the last checkpoint/);
    expect(await first.ended).toBe(0);
    await third.says(/stage [01] of 2/);
    await expectSameRun(training, folder, 0);
    expect(training.output()).not.toMatch(/is lost/);
  });

  test('a server that is killed and started again loses nothing', async () => {
    await using server = await NatsServer.start();
    for (let i = 0; i < 2; i++) startWorker(server.url);
    const folder = path.join(root, 'server');
    const training = startTraining(folder, server.url, '--workers', '2');
    for (const epoch of [1, 4]) {
      await training.says(new RegExp(`epoch ${epoch} `));
      await server.kill();
      await sleep(1000);
      await server.restart();
    }
    await expectSameRun(training, folder, 0);
  });

  test('a worker that is paused for long comes back to the pool', async () => {
    await using server = await NatsServer.start();
    const [first] = [startWorker(server.url), startWorker(server.url)];
    const folder = path.join(root, 'paused');
    const training = startTraining(folder, server.url, '--workers', '2');
    await training.says(/epoch 1 /);
    first.child.kill('SIGSTOP');
    await training.says(/is lost; training goes on/);
    first.child.kill('SIGCONT');
    await expectSameRun(training, folder, 0);
  });

  test('a coordinator that is killed is resumed', async () => {
    await using server = await NatsServer.start();
    for (let i = 0; i < 2; i++) startWorker(server.url);
    const folder = path.join(root, 'coordinator');
    const training = startTraining(folder, server.url, '--workers', '2');
    await training.says(/epoch 2 /);
    training.child.kill('SIGKILL');
    await training.ended;
    await expectSameRun(startTraining(folder, server.url, '--workers', '2', '--resume'), folder, 0);
  });

  test('Ctrl-C writes a checkpoint and lets the workers go', async () => {
    await using server = await NatsServer.start();
    const worker = startWorker(server.url);
    const folder = path.join(root, 'stopped');
    const training = startTraining(folder, server.url, '--workers', '1');
    await training.says(/epoch 1 /);
    training.child.kill('SIGINT');
    expect(await training.ended).toBe(1);
    expect(training.output()).toMatch(/TRAIN_INTERRUPTED: .*; go on with --resume/);
    const more = startTraining(folder, server.url, '--resume');
    await expectSameRun(more, folder, 0);
    worker.child.kill('SIGTERM');
    expect(await worker.ended).toBe(0);
  });

  test('SIGTERM ends a training that waits for workers', async () => {
    await using server = await NatsServer.start();
    const folder = path.join(root, 'waiting');
    mkdirSync(folder);
    const training = startTraining(folder, server.url);
    await training.says(/waiting for workers in pool 'default': 0 of 1 are there/);
    training.child.kill('SIGTERM');
    expect(await training.ended).toBe(1);
    const [, ending] = /\n(hpff: TRAIN_INTERRUPTED: .*)\n$/.exec(training.output()) ?? [];
    expect(ending).toMatch(/waiting: stopped as asked while it waited for workers; nothing was written$/);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('SIGTERM ends a training whose server is away', async () => {
    await using server = await NatsServer.start();
    startWorker(server.url);
    const folder = path.join(root, 'away');
    const training = startTraining(folder, server.url);
    await training.says(/epoch 1 /);
    await server.kill();
    await training.says(/the connection was cut/);
    training.child.kill('SIGTERM');
    expect(await training.ended).toBe(1);
    expect(training.output()).toMatch(/\nhpff: TRAIN_INTERRUPTED: [^\n]*; go on with --resume\n$/);
    await server.restart();
    await expectSameRun(startTraining(folder, server.url, '--resume'), folder, 0);
  });

  test('streams that somebody removes are made anew', async () => {
    await using server = await NatsServer.start();
    for (let i = 0; i < 2; i++) startWorker(server.url);
    const folder = path.join(root, 'removed');
    const training = startTraining(folder, server.url, '--workers', '2');
    await training.says(/epoch 1 /);
    const connection = await connectTo(server.url);
    const edges = (await Promise.all((await listRuns(connection)).map((run) => listEdges(connection, run)))).flat();
    // What stages tell the coordinator: it is the one to notice.
    const up = edges.filter(({ edge }) => edge.endsWith('-up'));
    expect(up.length).toBe(2);
    for (const edge of up) await connection.streams.streams.delete(edgeStream(edge));
    await connection.close();
    await training.says(/training goes on from the last checkpoint/);
    await expectSameRun(training, folder, 0);
  });

  test('a server without room ends the training before it begins', async () => {
    const config = `jetstream { store_dir: "${path.join(root, 'small')}", max_file_store: 1MB }`;
    await using server = await NatsServer.start({ jetstream: false, config });
    startWorker(server.url);
    const training = startTraining(path.join(root, 'room'), server.url);
    expect(await training.ended).toBe(2);
    expect(training.output()).toMatch(/\nhpff: CLUSTER_NO_STORAGE: [^\n]*\n$/);
  });

  test('a user whom the server allows too little is refused, and waits for nobody', async () => {
    const config =
      'authorization { users: [{ user: u, password: p, permissions: { publish: ["other", "$JS.API.INFO"] } }] }';
    await using server = await NatsServer.start({ config });
    const training = startTraining(path.join(root, 'denied'), server.url.replace('://', '://u:p@'), '--workers', '1');
    expect(await training.ended).toBe(2);
    expect(training.output()).toMatch(/\nhpff: SERVER_DENIED: [^\n]*docs\/cluster.md lists the permissions\n$/);
  });

  test('a worker that serves another recipe is refused, and is told why', async () => {
    await using server = await NatsServer.start();
    const other = path.join(root, 'other.json');
    writeFileSync(other, JSON.stringify(tinyRecipeFile({ name: 'other', seed: 9 })));
    const refused = startWorker(server.url, '--recipe', other);
    const training = startTraining(path.join(root, 'refused'), server.url);
    await training.says(/worker refused: .* serves another recipe/);
    await refused.says(/refused: .* serves another recipe/);
    startWorker(server.url);
    expect(await training.ended).toBe(0);
  });

  test('nobody without credentials takes part', async () => {
    await using server = await NatsServer.start({ config: 'authorization { user: trainer, password: "secret word" }' });
    const worker = startWorker(server.url);
    expect(await worker.ended).toBe(2);
    expect(worker.output()).toMatch(/^hpff: CLUSTER_REFUSED: [^\n]*\n$/);
    const address = server.url.replace('://', '://trainer:secret%20word@');
    startWorker(address);
    const training = startTraining(path.join(root, 'credentials'), address);
    expect(await training.ended).toBe(0);
    expect(training.output()).not.toContain('secret');
  });
});

test.each([
  [['--workers', '2'], '--workers: found without --connect, allowed: with it only'],
  [['--tls-ca', 'ca.pem'], '--tls-ca: found without --connect, allowed: with it only'],
  [['--connect', 'nats://h', '--schedule', 'sync'], "--schedule: found 'sync' with --connect, allowed: async"],
  [['--connect', 'nats://h', '--stages', '2'], '--stages: found with --connect, allowed: --workers'],
  [['--connect', 'nats://h', '--device', 'cuda'], "--device: found 'cuda:0' with --connect, allowed: cpu"],
  [['--connect', 'nats://h', '--pool', 'a b'], '--pool: found "a b", allowed: 1 to 64 letters, digits or "_"'],
])('%j is refused in one line, before anything is written', async (options, problem) => {
  const recipe = path.join(import.meta.dirname, '../graphs/digits-hpff.json');
  const folder = path.join(tmpdir(), 'hpff-never-made');
  const { code, stderr } = await hpff('train', recipe, '-o', folder, ...options);
  expect({ code, lines: stderr.trimEnd().split('\n').length }).toEqual({ code: 2, lines: 1 });
  expect(stderr).toContain(problem);
  expect(existsSync(folder)).toBe(false);
});
