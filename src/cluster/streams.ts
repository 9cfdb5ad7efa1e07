/**
 * The streams of a run: one per edge of its pipeline and generation, `hpff-<run>-<generation>-<edge>`, taking the subject
 * `hpff.edge.<run>.<generation>.<edge>`. A stream is a work queue: what its one reader acknowledges is deleted. It is
 * bounded and refuses what does not fit, which is what holds a fast writer back.
 *
 * A generation has streams of its own, so a worker that was thought dead cannot take or add values of the next one, and
 * values that are computed again after a fault are new to the server's search for duplicates.
 */
import { AckPolicy, DeliverPolicy, DiscardPolicy, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import type { ConsumerConfig, StreamConfig } from '@nats-io/jetstream';
import { InputError, RunError, UsageError } from '../errors.js';
import { quoted } from '../files/printable.js';
import type { ClusterConnection } from './connection.js';
import { classify, isTaken, isWithoutStorage, reasonOf } from './failures.js';

export interface EdgeAddress {
  /** 1 to 64 letters, digits or `_`. */
  readonly run: string;
  /** Whole number; counts the restarts of the run. */
  readonly generation: number;
  /** Which output of which stage, such as `2-features`: 1 to 64 letters, digits, `-` or `_`. */
  readonly edge: string;
}

export interface EdgeOptions {
  /** `file` (default) survives a restart of the server, `memory` does not. */
  readonly storage?: 'file' | 'memory';
  /** Bytes that the stream may hold, headers included; 256 MiB without. */
  readonly maxBytes?: number;
  /** Messages (parts of values) that the stream may hold; 4,096 without. */
  readonly maxMessages?: number;
  /** Servers of a cluster that keep a copy; 1 without. */
  readonly replicas?: number;
}

/** How long the server knows message ids, which is how it finds repeated messages; readers find the later ones. */
const DUPLICATE_WINDOW_NANOSECONDS = 120 * 1e9;
/** Creating and deleting may wait that long for a server that restarts. */
const PATIENCE_MILLISECONDS = 30_000;

export const CONSUMER = 'reader';

/** @throws UsageError `CLUSTER_NAME_INVALID` */
export function edgeStream(address: EdgeAddress): string {
  checkAddress(address);
  return `hpff-${address.run}-${address.generation}-${address.edge}`;
}

export function edgeSubject(address: EdgeAddress): string {
  checkAddress(address);
  return `hpff.edge.${address.run}.${address.generation}.${address.edge}`;
}

/** A part of a subject and of a stream's name. @throws UsageError `CLUSTER_NAME_INVALID` */
function checkName(what: string, name: string, pattern: RegExp, allowed: string): void {
  if (pattern.test(name)) return;
  throw new UsageError('CLUSTER_NAME_INVALID', `${what} ${quoted(name, 100)}; allowed: ${allowed}`);
}

/** Without dashes, so that a stream's name can be taken apart. */
function checkRun(run: string): void {
  checkName('run', run, /^[A-Za-z0-9_]{1,64}$/, '1 to 64 letters, digits or "_"');
}

function checkAddress({ run, generation, edge }: EdgeAddress): void {
  checkRun(run);
  checkName('edge', edge, /^[A-Za-z0-9_-]{1,64}$/, '1 to 64 letters, digits, "-" or "_"');
  if (Number.isSafeInteger(generation) && generation >= 0) return;
  throw new UsageError('CLUSTER_NAME_INVALID', `generation ${generation}; allowed: a whole number`);
}

/**
 * Creates the stream of an edge; one that is there with the same options is left as it is.
 * @throws InputError `CLUSTER_NO_STORAGE`; RunError `CLUSTER_STREAM_TAKEN`, `CLUSTER_STREAM_FAILED`, `CLUSTER_NO_ANSWER`
 */
export async function createEdge(
  connection: ClusterConnection,
  address: EdgeAddress,
  options: EdgeOptions = {},
  signal?: AbortSignal,
): Promise<void> {
  const config = streamConfig(address, options);
  try {
    await insist(connection, config.name, () => connection.streams.streams.add(config), signal);
  } catch (error) {
    const at = `${connection.url}: stream ${config.name}`;
    const cause = { cause: error };
    if (isTaken(error)) {
      throw new RunError('CLUSTER_STREAM_TAKEN', `${at} is there with other settings; delete it first`, cause);
    }
    if (isWithoutStorage(error)) {
      throw new InputError(
        'CLUSTER_NO_STORAGE',
        `${at}: the server has no room for ${config.max_bytes} bytes in ${config.storage} (${reasonOf(error)}); ` +
          'allow it more in its configuration, or take smaller streams',
        cause,
      );
    }
    throw error;
  }
}

function streamConfig(address: EdgeAddress, options: EdgeOptions): Partial<StreamConfig> & { name: string } {
  const { storage = 'file', maxBytes = 256 * 2 ** 20, maxMessages = 4096, replicas = 1 } = options;
  return {
    name: edgeStream(address),
    subjects: [edgeSubject(address)],
    retention: RetentionPolicy.Workqueue,
    discard: DiscardPolicy.New,
    storage: storage === 'memory' ? StorageType.Memory : StorageType.File,
    max_bytes: maxBytes,
    max_msgs: maxMessages,
    max_consumers: 1,
    num_replicas: replicas,
    duplicate_window: DUPLICATE_WINDOW_NANOSECONDS,
  };
}

/** The durable pull consumer of an edge. @param reader who reads; a later reader takes the consumer over */
export function consumerConfig(reader: string, ackWaitMilliseconds: number): Partial<ConsumerConfig> {
  return {
    durable_name: CONSUMER,
    description: reader,
    ack_policy: AckPolicy.Explicit,
    ack_wait: ackWaitMilliseconds * 1e6,
    deliver_policy: DeliverPolicy.All,
    max_ack_pending: -1,
  };
}

/** Deletes all values of an edge that are not acknowledged. */
export async function purgeEdge(
  connection: ClusterConnection,
  address: EdgeAddress,
  signal?: AbortSignal,
): Promise<void> {
  const name = edgeStream(address);
  await insist(connection, name, () => connection.streams.streams.purge(name), signal);
}

/** The edges of a run that have a stream. @param generation only those of this one */
export async function listEdges(
  connection: ClusterConnection,
  run: string,
  generation?: number,
  signal?: AbortSignal,
): Promise<EdgeAddress[]> {
  checkRun(run);
  const filter = generation === undefined ? `hpff.edge.${run}.>` : `hpff.edge.${run}.${generation}.>`;
  const names = await insist(connection, filter, () => allStreams(connection, filter), signal);
  return names.flatMap((name) => {
    const rest = name.startsWith(`hpff-${run}-`) ? name.slice(`hpff-${run}-`.length) : '';
    const [, found, edge] = /^(\d+)-(.+)$/.exec(rest) ?? [];
    return edge === undefined ? [] : [{ run, generation: Number(found), edge }];
  });
}

/** The runs that have streams on the server. */
export async function listRuns(connection: ClusterConnection, signal?: AbortSignal): Promise<string[]> {
  const filter = 'hpff.edge.>';
  const names = await insist(connection, filter, () => allStreams(connection, filter), signal);
  const runs = names.flatMap((name) => /^hpff-([A-Za-z0-9_]{1,64})-\d+-/.exec(name)?.[1] ?? []);
  return [...new Set(runs)];
}

async function allStreams(connection: ClusterConnection, filter: string): Promise<string[]> {
  const names: string[] = [];
  for await (const name of connection.streams.streams.names(filter)) names.push(name);
  return names;
}

/**
 * Deletes the streams of a run. @param generation only those of this one
 * @returns how many there were
 */
export async function deleteEdges(
  connection: ClusterConnection,
  run: string,
  generation?: number,
  signal?: AbortSignal,
): Promise<number> {
  const edges = await listEdges(connection, run, generation, signal);
  for (const edge of edges) await deleteStream(connection, edgeStream(edge), signal);
  return edges.length;
}

async function deleteStream(connection: ClusterConnection, name: string, signal?: AbortSignal): Promise<void> {
  try {
    await insist(connection, name, () => connection.streams.streams.delete(name), signal);
  } catch (error) {
    if (classify(error) !== 'gone') throw error; // gone: the answer to an earlier attempt was lost
  }
}

/** One request about a stream, patiently; its refusal as a RunError where nothing more is known of it. */
async function insist<T>(
  connection: ClusterConnection,
  stream: string,
  request: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  return connection.insist(`stream ${stream}`, request, PATIENCE_MILLISECONDS, signal);
}

/** The stream is not there: deleted by someone, or kept in memory by a server that has restarted. */
export function streamGone(connection: ClusterConnection, stream: string, cause: unknown): RunError {
  return new RunError(
    'CLUSTER_STREAM_GONE',
    `${connection.url}: stream ${stream} does not exist (any more): the server has lost its storage, or somebody removed it`,
    { cause },
  );
}

/** The server refuses a request for good. */
export function streamFailed(connection: ClusterConnection, stream: string, cause: unknown): RunError {
  return new RunError('CLUSTER_STREAM_FAILED', `${connection.url}: stream ${stream}: ${reasonOf(cause)}`, { cause });
}
