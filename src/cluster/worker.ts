/**
 * A worker: a process that trains stages for whichever coordinator asks, one at a time. It holds nothing that must not be lost: when it dies, the run goes
 * on from its last checkpoint on the workers that are there.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { HpffError, RunError } from '../errors.js';
import { printable } from '../files/printable.js';
import { chooseLowering, type LoweringChoice, openStage, type OpenStage } from '../pipeline/index.js';
import { recipeHash } from '../recipe/hash.js';
import { parseRecipe, type Recipe } from '../recipe/index.js';
import { createNativeRuntime } from '../runtime/native/index.js';
import type { Runtime } from '../runtime/runtime.js';
import { type ClusterConnection, connectTo, type ConnectOptions } from './connection.js';
import { announce, answer, hear, type Listener } from './control.js';
import { fingerprint } from './fingerprint.js';
import {
  type Assignment,
  assignmentOf,
  clockOf,
  failureOf,
  helloOf,
  LOST_MILLISECONDS,
  presenceOf,
  refusalOf,
  SIGN_MILLISECONDS,
} from './protocol.js';
import { clockTime } from './task-times.js';
import { StageSession } from './stage-session.js';
import { Presence } from './presence.js';

export interface WorkerOptions extends ConnectOptions {
  /** URL of the NATS server. */
  readonly connect: string;
  /** Coordinators find the workers of a pool. Default `default`. */
  readonly pool?: string;
  /** Threads of ONNX Runtime; default: all cores. */
  readonly threads?: number;
  /** Serve this recipe only. */
  readonly recipe?: Recipe;
  /** Takes a line on what happens. */
  readonly note?: (line: string) => void;
  /** Ends the worker. */
  readonly signal?: AbortSignal;
}

/**
 * Serves until `options.signal` is aborted.
 * @throws InputError or RunError where the server cannot be reached, or refuses
 */
export async function work(options: WorkerOptions): Promise<void> {
  const connection = await connectTo(options.connect, { ...options, onStatus: options.note });
  try {
    const runtime = await createNativeRuntime(options.threads === undefined ? {} : { threads: options.threads });
    const worker = new Worker(connection, runtime, await chooseLowering('auto', runtime), await fingerprint(), options);
    try {
      await worker.serve();
    } finally {
      await worker.close();
      runtime.dispose();
    }
  } finally {
    await connection.close();
  }
}

interface Current {
  readonly session: StageSession;
  readonly coordinator: Presence;
  readonly listener: Listener;
  readonly ended: Promise<void>;
}

class Worker {
  private readonly id = randomBytes(8).toString('hex');
  private readonly place = printable(`${hostname()}, process ${process.pid}`, 200);
  private readonly note: (line: string) => void;
  private current: Current | undefined;
  /** The modules that are loaded, and what they are of. */
  private loaded: { readonly key: string; readonly stage: OpenStage } | undefined;
  /** Assignments are dealt with one after another. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly connection: ClusterConnection,
    private readonly runtime: Runtime,
    private readonly lowering: LoweringChoice,
    private readonly code: string,
    private readonly options: WorkerOptions,
  ) {
    this.note = options.note ?? (() => undefined);
  }

  async serve(): Promise<void> {
    const { pool = 'default', signal } = this.options;
    const onNote = this.note;
    const listeners = [
      answer(this.connection, assignmentOf(this.id), async (assignment) => this.inTurn(() => this.take(assignment)), {
        onNote,
      }),
      answer(this.connection, clockOf(this.id), () => ({ now: clockTime() }), { onNote }),
      hear(this.connection, refusalOf(this.id), ({ reason }) => this.note(`refused: ${printable(reason, 500)}`), {
        onNote,
      }),
    ];
    const sign = setInterval(() => this.sayHello(pool), SIGN_MILLISECONDS);
    this.sayHello(pool);
    this.note(`worker ${this.id} serves pool '${pool}' of ${this.connection.url} (${this.lowering.lowering.name})`);
    try {
      await new Promise<void>((resolve) => {
        if (signal?.aborted) resolve();
        signal?.addEventListener('abort', () => resolve(), { once: true });
      });
    } finally {
      clearInterval(sign);
      this.sayHello(pool, true);
      for (const listener of listeners) listener.close();
    }
  }

  async close(): Promise<void> {
    await this.inTurn(async () => this.leave());
    this.loaded?.stage[Symbol.dispose]();
  }

  private async inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.turn.then(task);
    this.turn = result.catch(() => undefined);
    return result;
  }

  private sayHello(pool: string, leaves = false): void {
    const { current } = this;
    const recipe = this.options.recipe ? recipeHash(this.options.recipe) : null;
    const { run, generation, stage } = current?.session.assignment ?? { run: '', generation: 0, stage: 0 };
    const session = current ? { run, generation, stage } : null;
    const hello = {
      worker: this.id,
      place: this.place,
      code: this.code,
      recipe,
      session,
      ...(leaves && ({ leaves: true } as const)),
    };
    announce(this.connection, helloOf(pool), hello);
    if (current?.coordinator.isLost()) {
      this.note(`run ${run}: its coordinator is gone`);
      void this.inTurn(async () => (this.current === current ? this.leave() : undefined));
    }
  }

  /** Begins an assignment, in place of an earlier one of the same run. @throws InputError or RunError with the reason to refuse it */
  private async take(assignment: Assignment): Promise<{ readonly ready: true }> {
    const recipe = this.accept(assignment);
    await this.leave();
    const { run, generation, stage, stages, modules } = assignment;
    const host = await this.load(recipe, assignment);
    const session = await StageSession.open(this.connection, assignment, host);
    const coordinator = new Presence(this.connection, LOST_MILLISECONDS);
    const listener = hear(this.connection, presenceOf(run), (message) => {
      coordinator.seen();
      if (message.generation === generation) return;
      void this.inTurn(async () => (this.current?.session === session ? this.leave() : undefined));
    });
    const ended = session.work().catch((error: unknown) => this.fail(session, error));
    this.current = { session, coordinator, listener, ended };
    void ended.then(() => {
      this.note(`run ${run}: its stage here has ended`);
      this.forget(session);
    });
    this.note(
      `run ${run}: stage ${stage} of ${stages}, modules ${modules[0]} to ${modules.at(-1)} of ${printable(recipe.name)}`,
    );
    return { ready: true };
  }

  /** @throws RunError with the reason */
  private accept({ run, code, recipe: given, recipeHash: hash, lowering }: Assignment): Recipe {
    if (this.current && this.current.session.assignment.run !== run) {
      throw new RunError('WORKER_BUSY', `${this.place}: works on another run`);
    }
    if (code !== this.code) {
      throw new RunError('WORKER_CODE', `${this.place}: runs hpff ${this.code}; the coordinator runs ${code}`);
    }
    const recipe = parseRecipe(given, 'the recipe of the coordinator');
    if (recipeHash(recipe) !== hash)
      throw new RunError('WORKER_RECIPE', `${this.place}: the recipe was altered on its way`);
    if (this.options.recipe && recipeHash(this.options.recipe) !== hash) {
      throw new RunError('WORKER_RECIPE', `${this.place}: serves ${this.options.recipe.name} only, as it was then`);
    }
    const { name, block = null } = this.lowering.lowering;
    if (lowering.name !== 'portable' && (lowering.name !== name || lowering.block !== block)) {
      const has = block === null ? name : `${name} by ${block} channels`;
      throw new RunError(
        'WORKER_LOWERING',
        `${this.place}: its lowering is ${has}, the coordinator's ${lowering.name} by ${lowering.block}; allowed: --lowering portable, which all have`,
      );
    }
    return recipe;
  }

  private async load(recipe: Recipe, { recipeHash: hash, modules, lowering }: Assignment): Promise<OpenStage> {
    const key = JSON.stringify([hash, modules, lowering]);
    if (this.loaded?.key === key) return this.loaded.stage;
    this.loaded?.stage[Symbol.dispose]();
    this.loaded = undefined;
    const chosen = (await chooseLowering(lowering.name, this.runtime)).lowering;
    const stage = await openStage(recipe, this.runtime, chosen, modules);
    this.loaded = { key, stage };
    return stage;
  }

  /** Gives up what it works on. */
  private async leave(): Promise<void> {
    const { current } = this;
    if (!current) return;
    current.session.end();
    await current.ended;
    this.forget(current.session);
  }

  private forget(session: StageSession): void {
    if (this.current?.session !== session) return;
    this.current.listener.close();
    this.current = undefined;
  }

  private fail({ assignment: { run, generation } }: StageSession, error: unknown): void {
    const code = error instanceof HpffError ? error.code : 'WORKER_FAILED';
    const message = printable(error instanceof Error ? error.message : String(error), 1000);
    this.note(`run ${run}: ${code}: ${message}`);
    announce(this.connection, failureOf(run), { worker: this.id, generation, code, message });
  }
}
