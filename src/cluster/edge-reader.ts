/**
 * The reading end of an edge: complete values, each once, in the order in which they were sent.
 *
 * The server numbers what it delivers to a consumer. A number that is missing (a message was under way when the
 * connection was cut), a new connection and a new reader all lead to the same: the durable consumer is made anew under
 * its name. It then delivers everything that is not acknowledged, in order and at once, and what is here already is
 * dropped. So order never depends on the server's redelivery timer, which only catches what nothing else noticed.
 */
import { randomUUID } from 'node:crypto';
import type { Consumer, JsMsg } from '@nats-io/jetstream';
import { HpffError, RunError } from '../errors.js';
import { SpareBuffers } from '../files/spare-buffers.js';
import { Arrivals } from './arrivals.js';
import type { ClusterConnection } from './connection.js';
import { classify, isConsumerMissing } from './failures.js';
import { CONSUMER, consumerConfig, edgeStream, streamFailed, streamGone, type EdgeAddress } from './streams.js';
import { parsePart, type TensorValue } from './tensor-message.js';
import { abortable, Backoff, onAbort, sleep } from './waiting.js';

export interface ReaderOptions {
  /** Values of earlier steps are acknowledged and dropped; 0 without. */
  readonly fromStep?: number;
  /** Bytes of values to have here before they are asked for; 32 MiB without. One value may exceed it. */
  readonly prefetchBytes?: number;
  /** Milliseconds after which the server sends again what is not acknowledged; 10 minutes without. */
  readonly ackWait?: number;
  readonly signal?: AbortSignal;
}

/** A value that came. */
export interface EdgeValue extends TensorValue {
  /** Acknowledges it: no longer needed for recovery. Deletes it from the stream. Harmless the second time. */
  done(): void;
  /** Gives the tensor's memory to values to come: nobody may use the tensor any more. To be called once at most. */
  recycle(): void;
}

/** A request for messages ends after that time, and is made anew. */
const FETCH_MILLISECONDS = 10_000;
/** While there is nothing to send, the server says so at this pace; two that are missing end the request. */
const HEARTBEAT_MILLISECONDS = 2_500;
const MAX_FETCH = 256;
/** How long a stream must be missing before it counts as gone: a server that starts may find it only later. */
const GONE_MILLISECONDS = 5_000;

export class EdgeReader implements AsyncIterable<EdgeValue> {
  private readonly arrivals: Arrivals;
  private readonly buffers = new SpareBuffers();
  private readonly queue: EdgeValue[] = [];
  private queuedBytes = 0;
  private readonly stop = new AbortController();
  private failure: HpffError | null = null;
  /** Settles when the queue or the reader's state changes, and is made anew then. */
  private change = deferred();
  private readonly pumping: Promise<void>;

  private constructor(
    private readonly connection: ClusterConnection,
    private readonly address: EdgeAddress,
    private readonly options: ReaderOptions,
    /** Tells this reader from another of the same edge. */
    private readonly id: string,
    consumer: Consumer,
  ) {
    this.arrivals = new Arrivals(address.generation, options.fromStep ?? 0, this.buffers);
    this.pumping = this.pump(consumer);
  }

  /**
   * Begins to read; takes over from an earlier reader of the edge, getting again what that one did not acknowledge.
   * @throws RunError `CLUSTER_STREAM_GONE` where `createEdge` was not called, `CLUSTER_NO_ANSWER`
   */
  static async open(
    connection: ClusterConnection,
    address: EdgeAddress,
    options: ReaderOptions = {},
  ): Promise<EdgeReader> {
    const stream = edgeStream(address);
    const id = randomUUID();
    const make = (): Promise<Consumer> => makeConsumer(connection, stream, id, options.ackWait);
    try {
      const consumer = await connection.insist(`stream ${stream}`, make, 30_000, options.signal);
      return new EdgeReader(connection, address, options, id, consumer);
    } catch (error) {
      options.signal?.throwIfAborted();
      throw failureOf(connection, stream, error);
    }
  }

  /**
   * The next value; null once the reader is closed.
   * @throws RunError `CLUSTER_MESSAGE_INVALID`, `CLUSTER_STREAM_GONE`, `CLUSTER_STREAM_FAILED`, `CLUSTER_READER_REPLACED`,
   * `CLUSTER_CLOSED` (the connection); the reason of a signal
   */
  async next(signal?: AbortSignal): Promise<EdgeValue | null> {
    for (;;) {
      signal?.throwIfAborted();
      this.options.signal?.throwIfAborted();
      if (this.stop.signal.aborted) return null;
      const value = this.queue.shift();
      if (value !== undefined) {
        this.queuedBytes -= value.tensor.data.byteLength;
        this.changed();
        return value;
      }
      if (this.failure !== null) throw this.failure;
      await abortable(this.change.promise, signal, this.options.signal);
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EdgeValue, void> {
    for (let value = await this.next(); value !== null; value = await this.next()) yield value;
  }

  /** Ends reading and waiting; what is not acknowledged stays in the stream. The connection stays open. */
  async close(): Promise<void> {
    this.stop.abort(new RunError('CLUSTER_READER_CLOSED', `${this.stream}: the reader is closed`));
    this.changed();
    await this.pumping;
    this.queue.length = 0;
    await this.connection.flush();
  }

  private get stream(): string {
    return edgeStream(this.address);
  }

  private get signals(): [AbortSignal, AbortSignal | undefined] {
    return [this.stop.signal, this.options.signal];
  }

  private get isStopped(): boolean {
    return this.signals.some((signal) => signal?.aborted);
  }

  private changed(): void {
    this.change.resolve();
    this.change = deferred();
  }

  /** Receives until the reader is closed or fails; never rejects. */
  private async pump(first: Consumer): Promise<void> {
    const backoff = new Backoff(20, 2_000);
    let consumer: Consumer | null = first;
    let goneSince: number | null = null;
    while (!this.isStopped && this.failure === null) {
      try {
        consumer ??= await this.connection.ask(() => this.renewConsumer(), ...this.signals);
        goneSince = null;
        backoff.reset();
        await this.receive(consumer);
      } catch (error) {
        if (classify(error) === 'gone') goneSince ??= performance.now();
        const isGone = goneSince !== null && performance.now() - goneSince > GONE_MILLISECONDS;
        const mayPass = classify(error) === 'later' || (classify(error) === 'gone' && !isGone);
        if (!mayPass && !this.isStopped) this.failure = failureOf(this.connection, this.stream, error);
        else await sleep(backoff.next(), ...this.signals).catch(() => undefined);
      }
      consumer = null;
    }
    this.changed();
  }

  /** The consumer anew, if it is still this reader's. */
  private async renewConsumer(): Promise<Consumer> {
    const { consumers } = this.connection.streams;
    try {
      const { config } = await consumers.info(this.stream, CONSUMER);
      if (config.description !== this.id) {
        throw new RunError('CLUSTER_READER_REPLACED', `${this.stream}: another reader has taken this edge over`);
      }
    } catch (error) {
      if (!isConsumerMissing(error)) throw error;
    }
    return makeConsumer(this.connection, this.stream, this.id, this.options.ackWait);
  }

  /** Returns when the connection was cut, or a message is missing: the consumer must be made anew. */
  private async receive(consumer: Consumer): Promise<void> {
    const cut = this.connection.untilCut;
    let delivered = 0;
    while (!cut.aborted && !this.isStopped) {
      await this.untilRoom(cut);
      const batch = await consumer.fetch({
        max_messages: this.messagesWanted(),
        expires: FETCH_MILLISECONDS,
        idle_heartbeat: HEARTBEAT_MILLISECONDS,
      });
      const stopListening = onAbort([cut, ...this.signals], () => void batch.close());
      try {
        for await (const message of batch) {
          if (message.info.deliverySequence !== ++delivered) return;
          this.take(message);
        }
      } finally {
        stopListening();
        void batch.close();
      }
    }
  }

  private get prefetchBytes(): number {
    return this.options.prefetchBytes ?? 32 * 2 ** 20;
  }

  private async untilRoom(cut: AbortSignal): Promise<void> {
    while (this.queue.length > 0 && this.queuedBytes >= this.prefetchBytes) {
      await abortable(this.change.promise, cut, ...this.signals);
    }
  }

  private messagesWanted(): number {
    const parts = Math.floor((this.prefetchBytes - this.queuedBytes) / this.connection.partBytes);
    return Math.max(1, Math.min(MAX_FETCH, parts));
  }

  private take(message: JsMsg): void {
    const where = `${this.stream}, message ${message.info.streamSequence}`;
    const part = parsePart(message.headers, message.data, where);
    const delivery = { sequence: message.info.streamSequence, ack: ackSubject(message) };
    const value = this.arrivals.accept(part, delivery, where);
    if (value === 'unwanted') return this.connection.acknowledge(delivery.ack);
    if (value === null) return;
    const recycle = (): void => this.buffers.give(value.tensor.data.buffer as ArrayBuffer);
    this.queue.push({ ...value, done: () => this.finish(value), recycle });
    this.queuedBytes += value.tensor.data.byteLength;
    this.changed();
  }

  /** An acknowledgement that gets lost is made up for: the message comes again, and is known to be done. */
  private finish(value: TensorValue): void {
    for (const { ack } of this.arrivals.finish(value)) this.connection.acknowledge(ack);
  }
}

/**
 * Where a message is acknowledged. Kept in place of the message itself, whose `ack` would hold on to its payload; the
 * client's messages have it, its interface leaves it out.
 */
function ackSubject(message: JsMsg): string {
  return (message as JsMsg & { readonly reply: string }).reply;
}

/** The durable consumer, as if for the first time: it delivers all that is not acknowledged, numbered from 1. */
async function makeConsumer(
  connection: ClusterConnection,
  stream: string,
  reader: string,
  ackWait = 600_000,
): Promise<Consumer> {
  const { consumers } = connection.streams;
  try {
    await consumers.delete(stream, CONSUMER);
  } catch (error) {
    if (!isConsumerMissing(error)) throw error;
  }
  return connection.publisher.consumers.getConsumerFromInfo(
    await consumers.add(stream, consumerConfig(reader, ackWait)),
  );
}

function failureOf(connection: ClusterConnection, stream: string, error: unknown): HpffError {
  if (error instanceof HpffError) return error;
  return classify(error) === 'gone' ? streamGone(connection, stream, error) : streamFailed(connection, stream, error);
}

interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

function deferred(): Deferred {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
