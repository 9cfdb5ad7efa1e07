/** The workers of a pool, as their coordinator sees them. */
import { RunError } from '../errors.js';
import { printable } from '../files/printable.js';
import type { ClusterConnection } from './connection.js';
import { announce, hear, type Listener } from './control.js';
import { Presence } from './presence.js';
import { type Hello, helloOf, LOST_MILLISECONDS, refusalOf, SIGN_MILLISECONDS } from './protocol.js';
import { sleep } from './waiting.js';

interface Known {
  hello: Hello;
  readonly presence: Presence;
  refused: boolean;
}

export interface WorkforceOptions {
  readonly pool: string;
  /** Workers must run this program, and serve this recipe. */
  readonly code: string;
  readonly recipeHash: string;
  readonly recipeName: string;
  readonly note: (line: string) => void;
}

const isThere = ({ hello, presence }: Known): boolean => !hello.leaves && !presence.isLost();

/** With no number asked for: how long to look for further workers once one is there. */
const GATHER_MILLISECONDS = 2_000;

export class Workforce {
  private readonly known = new Map<string, Known>();
  private readonly listener: Listener;

  constructor(
    private readonly connection: ClusterConnection,
    private readonly options: WorkforceOptions,
  ) {
    this.listener = hear(connection, helloOf(options.pool), (hello) => this.meet(hello), { onNote: options.note });
  }

  /**
   * Waits for workers that are free, or belong to the run already.
   * @param wanted how many; undefined: those that are there, one at least
   * @param patience milliseconds after which fewer will do, one at least
   * @throws the signal's reason
   */
  async gather(run: string, wanted: number | undefined, patience: number, signal?: AbortSignal): Promise<Hello[]> {
    const begun = performance.now();
    let told = -1;
    let firstSeen: number | undefined;
    for (;;) {
      const able = this.able(run);
      if (able.length > 0) firstSeen ??= performance.now();
      if (wanted !== undefined && able.length >= wanted) return able.slice(0, wanted);
      const since = (time: number | undefined): number => (time === undefined ? 0 : performance.now() - time);
      const enough = wanted === undefined ? since(firstSeen) > GATHER_MILLISECONDS : since(begun) > patience;
      if (enough && able.length > 0) return able;
      if (able.length < (wanted ?? 1) && able.length !== told && since(begun) > GATHER_MILLISECONDS) {
        told = able.length;
        this.options.note(`waiting for workers in pool '${this.options.pool}': ${told} of ${wanted ?? 1} are there`);
      }
      await sleep(SIGN_MILLISECONDS / 2, signal);
    }
  }

  /** The worker's last sign of life, unless it is lost or has left. */
  find(worker: string): Hello | undefined {
    const known = this.known.get(worker);
    return known && isThere(known) ? known.hello : undefined;
  }

  /** What has become of a worker that is not there any more, for a message; undefined of one that is. */
  fateOf({ worker, place }: Hello): string | undefined {
    if (this.find(worker)) return undefined;
    return `worker ${printable(place)} ${this.known.get(worker)?.hello.leaves ? 'has left' : 'is lost'}`;
  }

  close(): void {
    this.listener.close();
  }

  /** In an order that does not depend on who was heard first. */
  private able(run: string): Hello[] {
    return [...this.known.values()]
      .filter((known) => !known.refused && isThere(known))
      .map(({ hello }) => hello)
      .filter(({ session }) => session === null || session.run === run)
      .sort((a, b) => (a.place < b.place || (a.place === b.place && a.worker < b.worker) ? -1 : 1));
  }

  private meet(hello: Hello): void {
    const known = this.known.get(hello.worker);
    if (known) {
      known.hello = hello;
      known.presence.seen();
      return;
    }
    const reason = this.reasonToRefuse(hello);
    const presence = new Presence(this.connection, LOST_MILLISECONDS);
    this.known.set(hello.worker, { hello, presence, refused: reason !== undefined });
    if (reason === undefined) return;
    this.options.note(`worker refused: ${reason}`);
    announce(this.connection, refusalOf(hello.worker), { reason });
  }

  private reasonToRefuse({ place, code, recipe }: Hello): string | undefined {
    const { code: own, recipeHash, recipeName } = this.options;
    const who = printable(place);
    if (code !== own) return `${who} runs hpff ${printable(code)}; the coordinator runs ${own}`;
    if (recipe !== null && recipe !== recipeHash) return `${who} serves another recipe; the run's is ${recipeName}`;
    return undefined;
  }
}

/** A worker or its stage is lost: the run can go on from its last checkpoint. */
export class LostError extends RunError {
  constructor(reason: string) {
    super('CLUSTER_LOST', reason);
  }
}
