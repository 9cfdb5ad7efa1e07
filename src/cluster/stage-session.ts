/** A worker's part in one generation of a run: the modules of one stage, trained run of steps after run of steps as the coordinator says. */
import { RunError } from '../errors.js';
import { float32, type HostTensor, type NamedTensors } from '../files/tensor.js';
import {
  collectYoungGarbage,
  Orchestrator,
  type OpenStage,
  StageClock,
  type StepInput,
  type StepReport,
  type TraceEvent,
} from '../pipeline/index.js';
import type { ClusterConnection } from './connection.js';
import { EdgeReader, type EdgeValue } from './edge-reader.js';
import { EdgeWriter } from './edge-writer.js';
import { type Assignment, downEdge, featuresEdge, relaysEdge, STATE, upEdge } from './protocol.js';
import { decodeRate } from './step-rate.js';
import { encodeTasks } from './task-times.js';

interface Edges {
  readonly down: EdgeReader;
  readonly up: EdgeWriter;
  /** From the stages below and above. */
  readonly incoming: readonly EdgeReader[];
  readonly features: EdgeWriter | undefined;
  readonly relays: EdgeWriter | undefined;
}

/** Of each edge into a stage, what may be here before it is asked for; the rest waits in the stream. One value may exceed it. */
const AHEAD_BYTES = 4 * 2 ** 20;

export class StageSession {
  private readonly clock: StageClock;
  private readonly stop = new AbortController();
  private orchestrator: Orchestrator | undefined;
  private orchestratorMade: () => void = () => undefined;
  private readonly state: NamedTensors = new Map();
  /** Of which the coordinator has not been told. */
  private tasks: TraceEvent[] = [];

  private constructor(
    readonly assignment: Assignment,
    private readonly host: OpenStage,
    private readonly edges: Edges,
  ) {
    this.clock = new StageClock(assignment.modules);
  }

  /** @throws RunError where an edge cannot be opened */
  static async open(connection: ClusterConnection, assignment: Assignment, host: OpenStage): Promise<StageSession> {
    const { run, generation, stage, stages, encoding } = assignment;
    const read = (edge: string) =>
      EdgeReader.open(connection, { run, generation, edge }, { prefetchBytes: AHEAD_BYTES });
    const write = (edge: string, options = {}) => EdgeWriter.open(connection, { run, generation, edge }, options);
    const below = stage > 0;
    const above = stage < stages - 1;
    const edges = {
      down: await read(downEdge(stage)),
      up: await write(upEdge(stage)),
      incoming: [
        ...(below ? [await read(featuresEdge(stage - 1))] : []),
        ...(above ? [await read(relaysEdge(stage + 1))] : []),
      ],
      features: above ? await write(featuresEdge(stage), { encoding }) : undefined,
      relays: below ? await write(relaysEdge(stage), { encoding }) : undefined,
    };
    return new StageSession(assignment, host, edges);
  }

  /** Works until `end` is called; rejects with the first error, when all has ended. */
  async work(): Promise<void> {
    const errors: unknown[] = [];
    const parts = [this.obey(), ...this.edges.incoming.map(async (edge) => this.passOn(edge))];
    await Promise.all(
      parts.map(async (part) =>
        part.catch((error: unknown) => {
          if (error !== ENDED) errors.push(error);
          this.end();
        }),
      ),
    );
    const { down, up, incoming, features, relays } = this.edges;
    await Promise.all([down, up, ...incoming, features, relays].map(async (edge) => edge?.close()));
    if (errors.length > 0) throw errors[0];
  }

  /** Ends the work as soon as the task that runs is over. */
  end(): void {
    this.stop.abort(ENDED);
    this.orchestrator?.fail(ENDED);
    this.orchestratorMade();
  }

  /** Does what comes from the coordinator. */
  private async obey(): Promise<void> {
    for (;;) {
      const value = await this.nextDown();
      const { name, step, tensor } = value;
      value.done();
      if (name.startsWith(STATE)) this.state.set(name.slice(STATE.length), tensor);
      else if (name === 'run') await this.train(step);
      else throw unexpected(name, 'a run');
    }
  }

  private async train(first: number): Promise<void> {
    if (this.state.size > 0) this.host.runner.load(this.state, this.state);
    this.state.clear();
    const { delay } = this.assignment;
    const trace = this.assignment.trace ? (event: TraceEvent): void => void this.tasks.push(event) : undefined;
    let last = first - 1;
    const run = {
      first,
      next: async () => this.nextInput(),
      report: async (report: StepReport, step: number) => {
        last = step;
        await this.report(report, step);
      },
    };
    const send = async (name: string, step: number, tensor: HostTensor, signal: AbortSignal): Promise<void> => {
      const edge = name.startsWith('relay/') ? this.edges.relays! : this.edges.features!;
      await edge.send({ name, step, tensor }, signal);
    };
    this.orchestrator = new Orchestrator(this.host, run, { delay, clocks: [this.clock], trace, send });
    this.orchestratorMade();
    await this.orchestrator.finish();
    this.orchestrator = undefined;
    await this.sendState(last);
  }

  /** Passes what neighbours have made to the orchestrator, when there is one. */
  private async passOn(edge: EdgeReader): Promise<void> {
    for (;;) {
      const value = await edge.next(this.stop.signal);
      if (!value) throw ENDED;
      while (!this.orchestrator) {
        await new Promise<void>((resolve) => {
          const before = this.orchestratorMade;
          this.orchestratorMade = () => {
            before();
            resolve();
          };
        });
        this.stop.signal.throwIfAborted();
      }
      this.orchestrator.receive(value.name, value.step, value.tensor, () => value.done());
      value.recycle();
    }
  }

  private async nextInput(): Promise<StepInput | undefined> {
    const first = await this.nextDown();
    first.done();
    if (first.name === 'end') return undefined;
    const values = new Map([[first.name, first.tensor]]);
    while (values.size < 3) {
      const value = await this.nextDown();
      value.done();
      values.set(value.name, value.tensor);
    }
    const [image, label, rate] = ['image', 'label', 'rate'].map((name) => {
      const tensor = values.get(name);
      if (!tensor) throw unexpected([...values.keys()].join(', '), 'image, label and rate');
      return tensor;
    }) as [HostTensor<'float32'>, HostTensor<'int64'>, HostTensor<'int64'>];
    return { batch: { image, label }, learningRate: decodeRate(rate) };
  }

  private async nextDown(): Promise<EdgeValue> {
    const value = await this.edges.down.next(this.stop.signal);
    if (!value) throw ENDED;
    return value;
  }

  /** Losses of the step in the manifest's order, then busy, waiting and transfer seconds since the report before. */
  private async report({ losses }: StepReport, step: number): Promise<void> {
    collectYoungGarbage();
    if (this.assignment.trace) {
      await this.edges.up.send({ name: 'tasks', step, tensor: encodeTasks(this.tasks.splice(0)) }, this.stop.signal);
    }
    const { busySeconds, waitingSeconds, transferSeconds } = this.clock.take();
    const numbers = this.host.manifest.losses.flatMap(({ name }) => losses.get(name) ?? []);
    const tensor = float32([numbers.length + 3], [...numbers, busySeconds, waitingSeconds, transferSeconds]);
    await this.edges.up.send({ name: 'report', step, tensor }, this.stop.signal);
  }

  private async sendState(step: number): Promise<void> {
    const { runner } = this.host;
    for (const [name, tensor] of [...(await runner.readWeights()), ...(await runner.readOptimizer())]) {
      await this.edges.up.send({ name: `${STATE}${name}`, step, tensor }, this.stop.signal);
    }
    await this.edges.up.send({ name: 'saved', step, tensor: float32([0], []) }, this.stop.signal);
  }
}

const ENDED = new RunError('STAGE_ENDED', 'the stage was given up');

function unexpected(found: string, allowed: string): RunError {
  return new RunError('STAGE_ORDER', `the coordinator sent ${found}; allowed here: ${allowed}`);
}
