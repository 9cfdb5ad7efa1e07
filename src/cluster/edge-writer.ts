/**
 * The writing end of an edge. Values are stored in the order of `send`, each part with the message id
 * `<generation>.<step>.<name>.<part>`, and sent again under the same id until the server has confirmed it; the server
 * drops what it has already. The parts of one value travel a few at a time, those of different values never together, so
 * a refused part cannot be overtaken by the next value.
 *
 * A full stream is waited for by asking the server for the stream's size, with growing pauses: a small request, where
 * offering the part again would carry megabytes to be refused. The server's own bound is the credit, so nothing needs to
 * be said between reader and writer, and nothing is lost when either of them or the server restarts.
 */
import { HpffError, RunError } from '../errors.js';
import { quoted } from '../files/printable.js';
import { headers as newHeaders, type MsgHdrs } from '@nats-io/transport-node';
import type { ClusterConnection } from './connection.js';
import { classify } from './failures.js';
import { edgeStream, edgeSubject, streamFailed, streamGone, type EdgeAddress } from './streams.js';
import { partHeaders, splitTensor, type Encoding, type TensorPart, type TensorValue } from './tensor-message.js';
import { Backoff, sleep } from './waiting.js';

export interface WriterOptions {
  /** `float16`: float32 tensors are rounded to half precision on the way, which is lossy. `raw` without. */
  readonly encoding?: Encoding;
  /** Bytes of data in a part; at most and by default what the connection allows. */
  readonly partBytes?: number;
  /** Milliseconds to wait for the server to confirm a part before sending it again; 10,000 without. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/** Parts of one value under way at once: enough to hide the round trip of each. */
const PARTS_UNDER_WAY = 4;
/** How long a stream must be missing before it counts as gone: a server that starts may find it only later. */
const GONE_MILLISECONDS = 5_000;
/** The server's record of a message beside headers and payload: subject, lengths, time, checksum. */
const RECORD_BYTES = 256;

export class EdgeWriter {
  private tail: Promise<void> = Promise.resolve();
  private failure: HpffError | null = null;
  private readonly stop = new AbortController();
  /** Milliseconds that `send` has spent waiting for room in the stream. */
  waitedForRoom = 0;

  private constructor(
    private readonly connection: ClusterConnection,
    private readonly address: EdgeAddress,
    private readonly limits: Limits,
    private readonly options: WriterOptions,
  ) {}

  /** @throws RunError `CLUSTER_STREAM_GONE` where `createEdge` was not called */
  static async open(
    connection: ClusterConnection,
    address: EdgeAddress,
    options: WriterOptions = {},
  ): Promise<EdgeWriter> {
    const stream = edgeStream(address);
    try {
      const request = (): Promise<StreamSize> => streamSize(connection, stream);
      const { limits } = await connection.insist(`stream ${stream}`, request, 30_000, options.signal);
      return new EdgeWriter(connection, address, limits, options);
    } catch (error) {
      throw classify(error) === 'gone' ? streamGone(connection, stream, error) : error;
    }
  }

  /**
   * Stores a value; resolves once the server has all of it. The tensor's memory is read until then. Calls are served in
   * order; awaiting each is what holds the writer back when the stream is full. After a failure or an abort, which may
   * leave a value half sent, the writer takes no more.
   * @throws UsageError `CLUSTER_VALUE_INVALID`; RunError `CLUSTER_VALUE_TOO_LARGE`, `CLUSTER_STREAM_GONE`,
   * `CLUSTER_STREAM_FAILED`, `CLUSTER_WRITER_CLOSED`; the signal's reason
   */
  send(value: TensorValue, signal?: AbortSignal): Promise<void> {
    const turn = this.tail.then(() => this.sendNow(value, signal));
    this.tail = turn.catch(() => undefined);
    return turn;
  }

  /** Ends waiting sends with RunError `CLUSTER_WRITER_CLOSED`; what is stored stays. The connection stays open. */
  async close(): Promise<void> {
    this.failure ??= new RunError('CLUSTER_WRITER_CLOSED', `${this.stream}: the writer is closed`);
    this.stop.abort(this.failure);
    await this.tail;
  }

  private get stream(): string {
    return edgeStream(this.address);
  }

  private async sendNow(value: TensorValue, signal: AbortSignal | undefined): Promise<void> {
    if (this.failure !== null) throw this.failure;
    const { generation } = this.address;
    const partBytes = Math.min(this.options.partBytes ?? Infinity, this.connection.partBytes);
    const parts = splitTensor(value, { generation, partBytes, encoding: this.options.encoding });
    this.checkFits(value, parts);
    const signals = [signal, this.options.signal, this.stop.signal];
    try {
      await this.publishAll(parts, signals);
    } catch (error) {
      const reason = `${this.stream}: no more values after ${quoted(value.name)}, step ${value.step}, was not sent`;
      this.failure ??= new RunError('CLUSTER_WRITER_CLOSED', reason, { cause: error });
      throw error;
    }
  }

  /** A value that fits no empty stream would wait for ever. */
  private checkFits(value: TensorValue, parts: readonly TensorPart[]): void {
    const { maxBytes, maxMessages } = this.limits;
    const bytes = parts.reduce((sum, part) => sum + storedBytes(part), 0);
    if (bytes <= maxBytes && parts.length <= maxMessages) return;
    throw new RunError(
      'CLUSTER_VALUE_TOO_LARGE',
      `${this.stream}: ${quoted(value.name)} takes ${bytes} bytes in ${parts.length} messages; the stream holds at most ` +
        `${maxBytes} bytes and ${maxMessages} messages; create it with larger bounds`,
    );
  }

  private async publishAll(parts: readonly TensorPart[], signals: Signals): Promise<void> {
    const failed = new AbortController();
    const queue = parts.values(); // shared: each lane takes the next part that nobody has taken
    const lane = async (): Promise<void> => {
      for (const part of queue) await this.publish(part, [...signals, failed.signal]);
    };
    const lanes = Array.from({ length: Math.min(PARTS_UNDER_WAY, parts.length) }, async () => {
      try {
        await lane();
      } catch (error) {
        failed.abort(error);
      }
    });
    await Promise.all(lanes);
    failed.signal.throwIfAborted();
  }

  private async publish(part: TensorPart, signals: Signals): Promise<void> {
    const { timeout = 10_000 } = this.options;
    const backoff = new Backoff(20, 2_000);
    const subject = edgeSubject(this.address);
    const message = { headers: natsHeaders(part), msgID: messageId(part), timeout };
    let goneSince: number | null = null;
    for (;;) {
      try {
        await this.connection.ask(() => this.connection.publisher.publish(subject, part.payload, message), ...signals);
        return;
      } catch (error) {
        for (const signal of signals) signal?.throwIfAborted();
        const failure = classify(error);
        if (failure === 'full') {
          await this.untilRoom(part, signals);
          continue;
        }
        if (failure !== 'later') throw this.failureOf(error);
        // Nobody listening on the subject looks the same whether JetStream is not up yet or the stream is gone.
        if (!(await this.isStreamMissing(signals))) goneSince = null;
        else if (performance.now() - (goneSince ??= performance.now()) > GONE_MILLISECONDS) {
          throw streamGone(this.connection, this.stream, error);
        }
        await sleep(backoff.next(), ...signals);
      }
    }
  }

  private async isStreamMissing(signals: Signals): Promise<boolean> {
    try {
      await this.connection.ask(() => streamSize(this.connection, this.stream), ...signals);
      return false;
    } catch (error) {
      for (const signal of signals) signal?.throwIfAborted();
      return classify(error) === 'gone';
    }
  }

  private async untilRoom(part: TensorPart, signals: Signals): Promise<void> {
    const since = performance.now();
    const backoff = new Backoff(2, 100);
    const { maxBytes, maxMessages } = this.limits;
    for (;;) {
      await sleep(backoff.next(), ...signals);
      try {
        const { bytes, messages } = await this.connection.ask(
          () => streamSize(this.connection, this.stream),
          ...signals,
        );
        if (messages < maxMessages && bytes + storedBytes(part) <= maxBytes) break;
      } catch (error) {
        for (const signal of signals) signal?.throwIfAborted();
        if (classify(error) !== 'later') throw this.failureOf(error);
      }
    }
    this.waitedForRoom += performance.now() - since;
  }

  private failureOf(error: unknown): unknown {
    if (error instanceof HpffError) return error;
    return classify(error) === 'gone'
      ? streamGone(this.connection, this.stream, error)
      : streamFailed(this.connection, this.stream, error);
  }
}

type Signals = readonly (AbortSignal | undefined)[];

interface Limits {
  readonly maxBytes: number;
  readonly maxMessages: number;
}

interface StreamSize {
  readonly limits: Limits;
  readonly bytes: number;
  readonly messages: number;
}

async function streamSize(connection: ClusterConnection, stream: string): Promise<StreamSize> {
  const { config, state } = await connection.streams.streams.info(stream);
  const unbounded = (limit: number): number => (limit > 0 ? limit : Infinity);
  return {
    limits: { maxBytes: unbounded(config.max_bytes), maxMessages: unbounded(config.max_msgs) },
    bytes: state.bytes,
    messages: state.messages,
  };
}

function storedBytes(part: TensorPart): number {
  return part.payload.length + 2 * part.name.length + RECORD_BYTES + 256; // headers, and the name once more in the id
}

/** The server drops a message whose id it has seen. */
function messageId({ generation, step, name, part }: TensorPart): string {
  return `${generation}.${step}.${name}.${part}`;
}

function natsHeaders(part: TensorPart): MsgHdrs {
  const headers = newHeaders();
  for (const [name, value] of partHeaders(part)) headers.set(name, value);
  return headers;
}
