/** What passes between the coordinator and its stages in a run of steps: state and batches down, reports and state up. */
import { keptStates } from '../artifacts/index.js';
import { sameShape } from '../graph/index.js';
import { float32, type HostTensor, type NamedTensors } from '../files/tensor.js';
import { printable } from '../files/printable.js';
import type { StepRun } from '../pipeline/index.js';
import type { ClusterPlan } from './cluster-plan.js';
import { STATE } from './protocol.js';
import { ReportMerger } from './report-merger.js';
import type { StageOnWorker } from './stage-on-worker.js';
import { encodeRate } from './step-rate.js';
import { decodeTasks } from './task-times.js';
import { LostError } from './workforce.js';

/** Parameters, statistics and optimizer state of all stages, as of the last step of a run. */
export interface SharedState {
  /** @param sends whether the stages have not got it yet */
  readonly sends: boolean;
  readonly tensors: NamedTensors;
  /** Takes what a stage has made of one. */
  readonly set: (name: string, tensor: HostTensor) => void;
}

/**
 * Carries out a run on stages that are open.
 * @throws LostError where one sends what it should not; what the edges and `run` throw; the signal's reason
 */
export async function runOnStages(
  plan: ClusterPlan,
  stages: readonly StageOnWorker[],
  state: SharedState,
  run: StepRun,
  signal: AbortSignal,
): Promise<void> {
  const merger = new ReportMerger(plan.manifest, run, stages.length);
  const traffic = new StageTraffic(plan, stages, state, merger);
  await Promise.all([
    traffic.feed(run, signal),
    ...stages.map(async (stage) => traffic.collect(stage, run.first, signal)),
  ]);
}

class StageTraffic {
  constructor(
    private readonly plan: ClusterPlan,
    private readonly stages: readonly StageOnWorker[],
    private readonly state: SharedState,
    private readonly merger: ReportMerger,
  ) {}

  /** Gives the stages their state where they have not got it, and the batches, a few ahead of the reports. */
  async feed(run: StepRun, signal: AbortSignal): Promise<void> {
    const toAll = async (step: number, values: (stage: StageOnWorker) => Iterable<readonly [string, HostTensor]>) => {
      await Promise.all(
        this.stages.map(async (stage) => {
          for (const [name, tensor] of values(stage)) await stage.down.send({ name, step, tensor }, signal);
        }),
      );
    };
    const { first } = run;
    if (this.state.sends) await toAll(first - 1, (stage) => this.stateOf(stage));
    const nothing = float32([0], []);
    await toAll(first, () => [['run', nothing]]);
    const ahead = 2 * this.stages.length * (this.plan.delay + 1) + 2;
    for (let step = first; ; step++) {
      await this.merger.reported(step - ahead, signal);
      const input = await run.next();
      signal.throwIfAborted();
      if (!input) return toAll(step, () => [['end', nothing]]);
      const { image, label } = input.batch;
      const rate = encodeRate(input.learningRate);
      await toAll(step, () => [
        ['image', image],
        ['label', label],
        ['rate', rate],
      ]);
    }
  }

  /** Takes what comes from a stage until its state is here. */
  async collect(stage: StageOnWorker, first: number, signal: AbortSignal): Promise<void> {
    const due = new Set(this.namesOf(stage));
    let reported = first - 1;
    for (;;) {
      const value = await stage.up.next(signal);
      if (!value) throw new LostError('the stage was given up');
      const { name, step, tensor } = value;
      value.done();
      if (name === 'saved' && step === reported) return requireNothingDue(stage, due);
      if (name === 'report') {
        await this.takeReport(stage, step, tensor);
        reported = step;
      } else if (name === 'tasks') {
        for (const event of decodeTasks(tensor, stage.index, stage.ahead)) this.plan.trace?.(event);
      } else if (name.startsWith(STATE)) {
        this.takeState(stage, due, name.slice(STATE.length), tensor);
      } else {
        throw new LostError(`${printable(stage.worker.place)} sent ${printable(name)} of step ${step} out of turn`);
      }
    }
  }

  /** Losses, then the stage's seconds. */
  private async takeReport(stage: StageOnWorker, step: number, tensor: HostTensor): Promise<void> {
    const { losses, times, worker } = stage;
    const numbers = tensor.data;
    if (!(numbers instanceof Float32Array) || numbers.length !== losses.length + 3) {
      throw new LostError(`${printable(worker.place)} sent a report of step ${step} that does not fit its stage`);
    }
    const [busy, waiting, transfer] = numbers.subarray(losses.length) as unknown as [number, number, number];
    if (![busy, waiting, transfer].every(Number.isFinite)) {
      throw new LostError(`${printable(worker.place)} sent times of step ${step} that are none`);
    }
    times.busy += busy;
    times.waiting += waiting;
    times.transfer += transfer;
    await this.merger.add(
      step,
      losses.map((loss, i) => [loss, numbers[i]!] as const),
    );
  }

  /** @param due names that have not come yet */
  private takeState({ worker }: StageOnWorker, due: Set<string>, name: string, tensor: HostTensor): void {
    const known = this.state.tensors.get(name);
    if (!due.delete(name) || !known || tensor.dtype !== known.dtype || !sameShape(tensor.shape, known.shape)) {
      const found = `${tensor.dtype} [${tensor.shape.join(', ')}]`;
      throw new LostError(`${printable(worker.place)} sent ${printable(name)} as ${found}, which is not due`);
    }
    this.state.set(name, tensor);
  }

  private *stateOf(stage: StageOnWorker): Generator<readonly [string, HostTensor]> {
    for (const name of this.namesOf(stage)) yield [`${STATE}${name}`, this.state.tensors.get(name)!];
  }

  private namesOf({ modules }: StageOnWorker): string[] {
    const { parameters, states } = this.plan.manifest;
    const held = new Set(parameters.filter(({ module }) => modules.includes(module)).map(({ name }) => name));
    return [...held, ...keptStates(states).flatMap(({ name, parameter }) => (held.has(parameter) ? name : []))];
  }
}

function requireNothingDue({ worker }: StageOnWorker, due: ReadonlySet<string>): void {
  const [missing] = due;
  if (missing !== undefined) throw new LostError(`${printable(worker.place)} did not send ${printable(missing)}`);
}
