/** From a recipe to an engine whose stages are on the workers of a NATS server. */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { buildSharedGraphs, type Manifest, type SharedGraphs } from '../artifacts/index.js';
import type { Batch } from '../data/dataset.js';
import { InputError } from '../errors.js';
import { quoted } from '../files/printable.js';
import type { NamedTensors } from '../files/tensor.js';
import { buildStep, moduleCosts } from '../local/index.js';
import type { Lowering } from '../lower/index.js';
import {
  balance,
  balanceNames,
  chooseLowering,
  collectGarbage,
  type EngineOptions,
  LoadedGraphs,
  measureModules,
  memoryCosts,
  type OpenEngine,
  PipelineEngine,
  TaskRunner,
  trunkScores,
} from '../pipeline/index.js';
import { recipeHash, type Recipe } from '../recipe/index.js';
import { createNativeRuntime } from '../runtime/native/index.js';
import type { Runtime } from '../runtime/runtime.js';
import { ClusterEngine, type Evaluator } from './cluster-engine.js';
import { connectTo, type ConnectOptions } from './connection.js';
import { fingerprint } from './fingerprint.js';
import { POOL } from './protocol.js';
import type { Encoding } from './tensor-message.js';
import { Workforce } from './workforce.js';

export interface ClusterOptions extends ConnectOptions {
  /** URL of the NATS server. */
  readonly connect: string;
  /** Whose workers to use. Default `default`. */
  readonly pool?: string;
  /** How many to wait for, each for one stage. Default: those that are there, one at least. */
  readonly workers?: number;
  /** How features and relays travel; `float16` halves them and rounds them. Default `raw`. */
  readonly encoding?: Encoding;
}

/**
 * Waits for workers and gives them their stages.
 * @param name what tells this training from others on the server, such as the path of its run folder
 * @throws InputError or RunError as `connectTo`, or with the reason of a worker that refuses; the signal's reason
 */
export async function openCluster(
  recipe: Recipe,
  cluster: ClusterOptions,
  options: Pick<EngineOptions, 'delay' | 'balance' | 'lowering' | 'threads' | 'note'>,
  name: string,
  signal?: AbortSignal,
): Promise<OpenEngine> {
  const note = options.note ?? (() => undefined);
  const { pool = 'default' } = cluster;
  if (!POOL.test(pool)) {
    throw new InputError('POOL', `--pool: found ${quoted(pool, 80)}, allowed: 1 to 64 letters, digits or "_"`);
  }
  const connection = await connectTo(cluster.connect, { ...cluster, onStatus: note });
  const closers: (() => void | Promise<void>)[] = [() => connection.close()];
  const leave = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const runtime = await createNativeRuntime(options.threads === undefined ? {} : { threads: options.threads });
    closers.push(() => runtime.dispose());
    const lowering = await chooseLowering(options.lowering ?? 'auto', runtime);
    note(`lowering ${lowering.lowering.name}: ${lowering.reason}`);
    const { manifest, evaluator } = await openEvaluator(recipe, runtime, lowering.lowering);
    closers.push(() => evaluator.dispose());
    collectGarbage();
    runtime.trim();
    const identity = { code: await fingerprint(), recipeHash: recipeHash(recipe) };
    const workforce = new Workforce(connection, { pool, recipeName: recipe.name, note, ...identity });
    closers.push(() => workforce.close());
    const costs = new ModuleCosts(recipe, runtime, lowering.lowering, options.balance ?? 'time');
    const engine = new ClusterEngine(connection, workforce, {
      ...identity,
      run: runName(name),
      manifest,
      lowering: { name: lowering.lowering.name, block: lowering.lowering.block ?? null },
      delay: options.delay ?? 0,
      encoding: cluster.encoding ?? 'raw',
      workers: cluster.workers,
      arrange: (stages) => costs.arrange(stages),
      evaluator,
      note,
    });
    closers.push(async () => engine.close());
    await engine.begin(signal);
    return {
      engine,
      manifest,
      runtime,
      lowering,
      leave,
      dispose: () => undefined,
      recover: (until) => engine.recover(until),
    };
  } catch (error) {
    await leave();
    throw error;
  }
}

/** A resumed training has the name of the one before, and removes what that left on the server. */
const runName = (name: string): string =>
  createHash('sha256').update(`${hostname()}\0${name}`).digest('hex').slice(0, 16);

/** What modules cost: known when stages are first made. */
class ModuleCosts {
  private known: Promise<number[]> | undefined;

  constructor(
    private readonly recipe: Recipe,
    private readonly runtime: Runtime,
    private readonly lowering: Lowering,
    private readonly by: string,
  ) {
    if (balanceNames.some((name) => name === by)) return;
    throw new InputError('BALANCE_UNKNOWN', `--balance: found '${by}', allowed: ${balanceNames.join(', ')}`);
  }

  async arrange(stages: number): Promise<number[][]> {
    if (stages === 1) return balance(this.byMemory(), 1);
    this.known ??= this.by === 'memory' ? Promise.resolve(this.byMemory()) : this.measure();
    return balance(await this.known, stages);
  }

  private byMemory(): number[] {
    return memoryCosts(moduleCosts(buildStep(this.recipe, this.recipe.data.batch)));
  }

  private async measure(): Promise<number[]> {
    const { recipe, runtime } = this;
    const engine = await this.openPipeline();
    try {
      return await measureModules(engine, recipe);
    } finally {
      engine.dispose();
      collectGarbage();
      runtime.trim();
    }
  }

  /** The graphs are garbage when this returns. */
  private async openPipeline(): Promise<PipelineEngine> {
    const graphs = buildSharedGraphs(this.recipe, { lowering: this.lowering, schedules: ['sync'] });
    return PipelineEngine.create(this.runtime, graphs, { delay: 0 });
  }
}

/** The graphs of the modules are garbage when this returns. */
async function openEvaluator(
  recipe: Recipe,
  runtime: Runtime,
  lowering: Lowering,
): Promise<{ manifest: Manifest; evaluator: Evaluator & { dispose(): void } }> {
  const graphs = buildSharedGraphs(recipe, { lowering, schedules: ['sync'], modules: new Set() });
  return { manifest: graphs.manifest, evaluator: await loadEvaluator(runtime, graphs) };
}

async function loadEvaluator(
  runtime: Runtime,
  { manifest, uses }: SharedGraphs,
): Promise<Evaluator & { dispose(): void }> {
  const entries = manifest.graphs.filter(({ phase }) => phase === 'eval');
  const loaded = await LoadedGraphs.load(runtime, uses, entries, ({ file }) => ({ name: file }));
  const runner = new TaskRunner(runtime, { ...manifest, states: [] });
  return {
    load: (weights: NamedTensors) => runner.load(weights),
    evaluate: async (image: Batch['image']) =>
      trunkScores(runtime, loaded.graphs[0]!, (name) => runner.get(name)!, image),
    dispose: () => {
      runner.dispose();
      loaded.dispose();
    },
  };
}
