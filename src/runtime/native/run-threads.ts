/**
 * Threads of a runtime's own for its runs, a worker of Node's each.
 *
 * libuv's threads take turns. Each has last run on some core or other, and where all cores compute, the system often starts the next run on one that is
 * taken while another falls idle: two stages on two cores lose an eighth of their time to that. Here the thread that ended last begins next, on
 * the core that it has just left.
 */
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import koffi from 'koffi';
import PQueue from 'p-queue';
import { RunError } from '../../errors.js';
import { check } from './calls.js';
import type { Pointer } from './functions.js';
import { type OrtLibrary, STACK_BYTES } from './library.js';
import type { RunArguments, RunCall } from './run-call.js';

/** What the worker does: calls one native function with whatever it is sent, and sends back what that returns. */
const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const koffi = require(workerData.koffi);
  koffi.config({ sync_stack_size: workerData.stackBytes });
  globalThis.held = koffi.load(workerData.library); // koffi gives calls no stack before it has loaded something
  const { address, result, args } = workerData.native;
  const run = koffi.decode(address, koffi.proto(result, args));
  parentPort.on('message', (values) => parentPort.postMessage(run(...values)));
`;

/** It only passes numbers on. */
const LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 };

export class RunThreads {
  /** Those that are not running anything; the one that ended last is the last. */
  private readonly idle: RunThread[] = [];
  private readonly started: RunThread[] = [];
  private readonly queue: PQueue;

  /** @param count how many at most; they are started when they are needed */
  constructor(
    private readonly library: OrtLibrary,
    count: number,
  ) {
    this.queue = new PQueue({ concurrency: count });
  }

  readonly call: RunCall = async (run) => {
    await this.queue.add(async () => {
      const thread = this.idle.pop() ?? this.start();
      const status = await thread.call(run);
      this.idle.push(thread);
      check(this.library.api, status);
    });
  };

  /** No call may be under way. */
  dispose(): void {
    for (const thread of this.started) thread.dispose();
  }

  private start(): RunThread {
    const thread = new RunThread(this.library);
    this.started.push(thread);
    return thread;
  }
}

class RunThread {
  private readonly worker: Worker;

  constructor({ path, native }: OrtLibrary) {
    const workerData = {
      library: path,
      native: native('Run'),
      koffi: createRequire(import.meta.url).resolve('koffi'),
      stackBytes: STACK_BYTES,
    };
    this.worker = new Worker(WORKER, { eval: true, workerData, execArgv: [], resourceLimits: LIMITS });
    this.worker.unref();
  }

  /** @returns the status; null: success @throws RunError where the thread has died */
  async call(run: RunArguments): Promise<Pointer | null> {
    const { session, options, inputNames, inputs, outputNames, outputs } = run;
    const at = (array: BigUint64Array): Pointer => (array.length === 0 ? 0n : koffi.address(array));
    const values = [
      ...[session, options, at(inputNames), at(inputs), inputs.length],
      ...[at(outputNames), outputNames.length, at(outputs)],
    ];
    this.worker.ref();
    try {
      return await this.answer(values);
    } finally {
      this.worker.unref();
      void run; // its memory is kept until here
    }
  }

  dispose(): void {
    void this.worker.terminate();
  }

  private answer(values: readonly (Pointer | number)[]): Promise<Pointer | null> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        this.worker.off('message', onMessage).off('error', onError).off('exit', onExit);
        act();
      };
      const onMessage = (status: Pointer | null): void => settle(() => resolve(status));
      const onError = (error: Error): void => settle(() => reject(died(error.message)));
      const onExit = (code: number): void => settle(() => reject(died(`exit code ${code}`)));
      this.worker.on('message', onMessage).on('error', onError).on('exit', onExit);
      this.worker.postMessage(values);
    });
  }
}

const died = (how: string): RunError => new RunError('RUN_THREAD', `a thread that runs graphs has ended: ${how}`);
