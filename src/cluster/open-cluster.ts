/** From a recipe to an engine whose stages are on the workers of a NATS server. */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { InputError } from '../errors.js';
import { quoted } from '../files/printable.js';
import {
  balanceOf,
  chooseLowering,
  collectGarbage,
  type EngineOptions,
  ModuleCosts,
  type OpenEngine,
  openEvaluator,
} from '../pipeline/index.js';
import { recipeHash } from '../recipe/hash.js';
import type { Recipe } from '../recipe/index.js';
import { createNativeRuntime } from '../runtime/native/index.js';
import { removeAbandoned } from './abandoned.js';
import { ClusterEngine } from './cluster-engine.js';
import { connectTo, type ConnectOptions } from './connection.js';
import { reasonOf } from './failures.js';
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
  options: Pick<EngineOptions, 'delay' | 'balance' | 'lowering' | 'threads' | 'note' | 'trace'>,
  name: string,
  signal?: AbortSignal,
): Promise<OpenEngine> {
  const note = options.note ?? (() => undefined);
  const { pool = 'default' } = cluster;
  if (!POOL.test(pool)) {
    throw new InputError('POOL', `--pool: found ${quoted(pool, 80)}, allowed: 1 to 64 letters, digits or "_"`);
  }
  const balance = balanceOf(options.balance);
  const connection = await connectTo(cluster.connect, { ...cluster, onStatus: note });
  const closers: (() => void | Promise<void>)[] = [() => connection.close()];
  const leave = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        // What is left on the server matters less than how the training ended; the next one removes it.
        note(`${connection.url}: not cleared away: ${reasonOf(error)}`);
      }
    }
  };
  try {
    const run = runName(name);
    const removed = removeAbandoned(connection, run, note, signal);
    removed.catch(() => undefined); // awaited below
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
    const { delay = 0 } = options;
    const costs = new ModuleCosts(recipe, runtime, lowering.lowering, { balance, delay });
    const engine = new ClusterEngine(connection, workforce, {
      ...identity,
      run,
      manifest,
      lowering: { name: lowering.lowering.name, block: lowering.lowering.block ?? null },
      delay,
      encoding: cluster.encoding ?? 'raw',
      workers: cluster.workers,
      arrange: (stages) => costs.arrange(stages),
      evaluator,
      note,
      trace: options.trace,
    });
    closers.push(async () => engine.close());
    await removed;
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
