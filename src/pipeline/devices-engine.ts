/**
 * Trains by the asynchronous schedule on several devices of one process: a stage on each, in a runtime of its own. What passes between stages, and nothing
 * else, comes to the host and goes on to the other device.
 */
import { averagedWeights, keptStates, type Manifest } from '../artifacts/index.js';
import type { Batch } from '../data/dataset.js';
import type { HostTensor, NamedTensors } from '../files/tensor.js';
import {
  runOneStep,
  type StageTimes,
  type StepInput,
  type StepReport,
  type StepRun,
  type TrainEngine,
} from './engine.js';
import type { Evaluator } from './evaluator.js';
import { JoinedReports } from './joined-reports.js';
import { inMicroSteps } from './micro-steps.js';
import type { OpenStage } from './open-stage.js';
import { Orchestrator, type TraceEvent } from './orchestrator.js';
import { StageClock } from './stage-clock.js';

export class DevicesEngine implements TrainEngine {
  /** Is told of each task when it has run. */
  trace: ((event: TraceEvent) => void) | undefined;
  private readonly clocks: readonly StageClock[];
  /** Whether the evaluator has the state. */
  private evaluable = false;

  /** @param hosts stages that have all modules between them. The weights are undefined until `load`. */
  constructor(
    private readonly manifest: Manifest,
    private readonly hosts: readonly OpenStage[],
    private readonly evaluator: Evaluator,
    readonly delay: number,
  ) {
    this.clocks = hosts.map(({ hosted }) => new StageClock(hosted.modules.map(({ index }) => index)));
  }

  load(weights: NamedTensors, optimizer?: NamedTensors): void {
    for (const { runner } of this.hosts) runner.load(weights, optimizer);
    this.evaluable = false;
  }

  async readWeights(): Promise<NamedTensors> {
    return this.gather(this.manifest.parameters, async ({ runner }) => runner.readWeights());
  }

  async readOptimizer(): Promise<NamedTensors> {
    return this.gather(keptStates(this.manifest.states), async ({ runner }) => runner.readOptimizer());
  }

  async run(steps: StepRun): Promise<void> {
    const run = inMicroSteps(steps, this.manifest);
    this.evaluable = false;
    const inputs = new SharedInputs(run.next, this.hosts.length);
    const reports = new JoinedReports(this.manifest, run.report, this.hosts.length);
    const parts: Orchestrator[] = [];
    let failure: { readonly error: unknown } | undefined;
    const failed = (error: unknown): void => {
      failure ??= { error };
      for (const part of parts) part.fail(error);
    };
    this.hosts.forEach((host, stage) => {
      const own: StepRun = {
        ...run,
        next: async () => inputs.next(stage),
        report: async (report, step) => reports.add(report, step),
      };
      const send = async (name: string, step: number, tensor: HostTensor): Promise<void> => {
        const readers = parts.filter((_, i) => i !== stage && this.hosts[i]!.hosted.readersOf(name) > 0);
        await Promise.all(readers.map(async (reader) => passTo(reader, name, step, tensor)));
      };
      const trace = (event: TraceEvent): void => this.trace?.({ ...event, stage });
      parts.push(
        new Orchestrator(host, own, { delay: this.delay, clocks: [this.clocks[stage]!], trace, send, failed }),
      );
    });
    await Promise.all(parts.map(async (part) => part.finish().catch(failed)));
    if (failure) throw failure.error;
  }

  async step(batch: Batch, learningRate: number, step: number, gradients = false): Promise<StepReport> {
    return runOneStep(this, { batch, learningRate }, step, gradients);
  }

  async evaluate(image: Batch['image']): Promise<Float32Array> {
    if (!this.evaluable) this.evaluator.load(averagedWeights(await this.readWeights(), await this.readOptimizer()));
    this.evaluable = true;
    return this.evaluator.evaluate(image);
  }

  takeTimes(): StageTimes[] {
    return this.clocks.map((clock) => clock.take());
  }

  /** Stages and evaluator are their opener's. */
  dispose(): void {}

  /** What each stage has, in the manifest's order. */
  private async gather(
    entries: readonly { readonly name: string }[],
    read: (host: OpenStage) => Promise<NamedTensors>,
  ): Promise<NamedTensors> {
    const found: NamedTensors = new Map();
    for (const host of this.hosts) for (const [name, tensor] of await read(host)) found.set(name, tensor);
    return new Map(entries.map(({ name }) => [name, found.get(name)!]));
  }
}

async function passTo(reader: Orchestrator, name: string, step: number, tensor: HostTensor): Promise<void> {
  await reader.untilNear(name, step);
  reader.receive(name, step, tensor);
}

/** The inputs of a run, for several that each take all of them. */
class SharedInputs {
  private readonly given = new Map<number, { readonly input: Promise<StepInput | undefined>; left: number }>();
  private readonly taken: number[];

  constructor(
    private readonly source: StepRun['next'],
    private readonly takers: number,
  ) {
    this.taken = Array.from({ length: takers }, () => 0);
  }

  /** The next for one of them; each asks again only when it has got one, so the source is never asked twice at a time. */
  async next(taker: number): Promise<StepInput | undefined> {
    const index = this.taken[taker]!++;
    const entry = this.given.get(index) ?? { input: this.source(), left: this.takers };
    this.given.set(index, entry);
    if (--entry.left === 0) this.given.delete(index);
    return entry.input;
  }
}
