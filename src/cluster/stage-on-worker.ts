/** A stage as the coordinator sees it: given to a worker, with the edges to and from it. */
import { toJson } from '../recipe/index.js';
import type { ClusterConnection } from './connection.js';
import { request } from './control.js';
import type { ClusterPlan } from './cluster-plan.js';
import { EdgeReader } from './edge-reader.js';
import { EdgeWriter } from './edge-writer.js';
import { assignmentOf, downEdge, type Hello, SIGN_MILLISECONDS, upEdge } from './protocol.js';
import { clockAhead } from './worker-clock.js';
import { LostError, type Workforce } from './workforce.js';

export interface StageOnWorker {
  readonly index: number;
  readonly modules: readonly number[];
  readonly worker: Hello;
  readonly down: EdgeWriter;
  readonly up: EdgeReader;
  /** Milliseconds by which its worker's clock is ahead; known where tasks are traced. */
  readonly ahead: number;
  /** Names of the losses in its reports, in order. */
  readonly losses: readonly string[];
  times: { busy: number; waiting: number; transfer: number };
  /** Whether the worker has said that it has the stage: its last word may be from before. */
  confirmed: boolean;
}

/** Where stages are given out, and under which number. */
export interface Attempt {
  readonly connection: ClusterConnection;
  readonly workforce: Workforce;
  readonly plan: ClusterPlan;
  readonly generation: number;
}

/** Loading graphs on a slow machine takes a while. */
const ASSIGN_MILLISECONDS = 300_000;

/**
 * Has a worker load its stage and open its edges.
 * @param arranged modules of all stages
 * @throws LostError where the worker is gone before it answers; RunError with its reason to refuse; the signal's reason
 */
export async function giveStage(
  { connection, workforce, plan, generation }: Attempt,
  worker: Hello,
  stage: number,
  arranged: number[][],
  signal?: AbortSignal,
): Promise<void> {
  const { run, manifest, recipeHash, code, lowering, delay, encoding } = plan;
  const assignment = {
    run,
    generation,
    stage,
    code,
    recipe: JSON.parse(toJson(manifest.recipe)) as unknown,
    recipeHash,
    modules: arranged[stage]!,
    stages: arranged.length,
    lowering,
    delay,
    encoding,
    trace: plan.trace !== undefined,
  };
  const lost = new AbortController();
  const look = setInterval(() => {
    const fate = workforce.fateOf(worker);
    if (fate) lost.abort(new LostError(fate));
  }, SIGN_MILLISECONDS);
  try {
    await request(connection, assignmentOf(worker.worker), assignment, {
      whom: worker.place,
      timeout: ASSIGN_MILLISECONDS,
      signal: AbortSignal.any([lost.signal, ...(signal ? [signal] : [])]),
    });
  } finally {
    clearInterval(look);
  }
}

/** Opens the coordinator's ends of the edges of a stage that a worker has. */
export async function openStage(
  { connection, plan, generation }: Attempt,
  worker: Hello,
  index: number,
  modules: readonly number[],
): Promise<StageOnWorker> {
  const { run, manifest } = plan;
  const hosted = new Set(modules);
  const made = new Set(
    manifest.graphs
      .filter(({ module }) => module !== null && hosted.has(module))
      .flatMap(({ outputs }) => outputs.map(({ name }) => name)),
  );
  return {
    index,
    modules,
    worker,
    down: await EdgeWriter.open(connection, { run, generation, edge: downEdge(index) }),
    up: await EdgeReader.open(connection, { run, generation, edge: upEdge(index) }),
    ahead: plan.trace ? await clockAhead(connection, worker) : 0,
    losses: manifest.losses.map(({ name }) => name).filter((name) => made.has(`loss/${name}`)),
    times: { busy: 0, waiting: 0, transfer: 0 },
    confirmed: false,
  };
}
