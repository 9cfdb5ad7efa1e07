/**
 * The process that runs the steps of one benchmarked recipe: a fresh one, so that its peak memory is that of the recipe. It is told by messages what to do
 * and answers each with one.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Batch } from '../data/dataset.js';
import { syntheticBatch } from '../data/synthetic.js';
import { HpffError } from '../errors.js';
import { elementCount } from '../files/tensor.js';
import { initialWeights } from '../local/index.js';
import { collectGarbage, type EngineOptions, type OpenEngine, openEngine, residentMemory } from '../pipeline/index.js';
import type { Recipe } from '../recipe/index.js';
import { stepCosts } from './costs.js';
import type { Answer, Command, Subject } from './messages.js';

/** Steps that are measured together under the schedule `async`: beginning and end, when stages wait, are a small part of them. */
const ASYNC_STEPS = 8;

class Worker {
  private steps = 0;

  private constructor(
    private readonly open: OpenEngine,
    private readonly batch: Batch,
    /** The process's peak up to the weights. */
    private readonly startPeakBytes: number,
    /** Resident memory before the weights were loaded. */
    private readonly baseBytes: number,
    private readonly weightBytes: number,
    /** In which modules may be at different steps. */
    private readonly stepsAtOnce: number,
  ) {}

  static async start(
    { recipe, ...options }: Subject,
    profiling: Pick<EngineOptions, 'profileFolder'>,
  ): Promise<{ worker: Worker; answer: Answer }> {
    const started = performance.now();
    const notes: string[] = [];
    const open = await openEngine(recipe, { ...options, ...profiling, note: (line) => notes.push(line) });
    const openSeconds = (performance.now() - started) / 1000;
    const batch = syntheticBatch(recipe);
    const { parameters, states } = open.manifest;
    const weightBytes = [...parameters, ...states].reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);
    const startPeakBytes = residentMemory().peak;
    await settle(open);
    const baseBytes = residentMemory().now;
    loadInitialWeights(open, recipe);
    await settle(open);
    resetPeak();
    const atOnce = options.schedule === 'async' ? ASYNC_STEPS : 1;
    const worker = new Worker(open, batch, startPeakBytes, baseBytes, weightBytes, atOnce);
    const { name, block } = open.lowering.lowering;
    return {
      worker,
      answer: { kind: 'ready', openSeconds, lowering: name, notes, ...(block === undefined ? {} : { block }) },
    };
  }

  async step(): Promise<Answer> {
    const { batch, stepsAtOnce } = this;
    const end = this.steps + stepsAtOnce;
    const started = performance.now();
    await this.open.engine.run({
      first: this.steps + 1,
      next: async () => (this.steps < end ? (this.steps++, { batch, learningRate: 0.01 }) : undefined),
    });
    return { kind: 'stepped', seconds: (performance.now() - started) / 1000 / stepsAtOnce };
  }

  /** What the nodes took, without the first step. */
  async profile(): Promise<Answer> {
    return { kind: 'profiled', costs: stepCosts(await this.open.engine.endProfile!(), 1) };
  }

  finish(): Answer {
    const peak = residentMemory().peak;
    this.open.dispose();
    return {
      kind: 'finished',
      peakBytes: peak - this.baseBytes,
      weightBytes: this.weightBytes,
      processPeakBytes: Math.max(peak, this.startPeakBytes),
    };
  }
}

/** JavaScript's copy of the weights is garbage when this returns. */
function loadInitialWeights({ engine }: OpenEngine, recipe: Recipe): void {
  engine.load(initialWeights(recipe));
}

/** JavaScript gives collected memory back on threads of its own, some time later. */
const GIVEN_BACK_MS = 200;

/** Frees what is not needed any more. */
async function settle({ runtime }: OpenEngine): Promise<void> {
  collectGarbage();
  await delay(GIVEN_BACK_MS);
  runtime.trim();
}

/** Makes the kernel forget the peak so far, which building the graphs has left. */
function resetPeak(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // The peak then includes the start.
  }
}

let worker: Worker | null = null;

async function answer(command: Command): Promise<Answer> {
  try {
    if (command.kind === 'start') {
      const { subject, profileFolder } = command;
      const started = await Worker.start(subject, profileFolder === undefined ? {} : { profileFolder });
      worker = started.worker;
      return started.answer;
    }
    if (command.kind === 'profile') return await worker!.profile();
    return command.kind === 'step' ? await worker!.step() : worker!.finish();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return error instanceof HpffError
      ? { kind: 'failed', code: error.code, message, exitCode: error.exitCode }
      : { kind: 'failed', code: 'BENCH_FAILED', message, exitCode: 1 };
  }
}

process.on('message', (command: Command) => {
  void answer(command).then((reply) => {
    process.send!(reply, () => {
      if (command.kind === 'finish') process.disconnect();
    });
  });
});
// A parent that is gone asks nothing more.
process.on('disconnect', () => process.exit());
