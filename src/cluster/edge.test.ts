import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noNatsServer, NatsServer } from '../../test/support/nats-server.js';
import { connectTo, type ClusterConnection } from './connection.js';
import { createEdge, deleteEdges, edgeSubject, listEdges, purgeEdge, type EdgeAddress } from './streams.js';
import { EdgeReader, type EdgeValue } from './edge-reader.js';
import { EdgeWriter } from './edge-writer.js';
import type { HostTensor } from '../files/tensor.js';
import type { TensorValue } from './tensor-message.js';

const skipped = noNatsServer === null ? '' : ` (${noNatsServer})`;

describe.skipIf(noNatsServer !== null)(`edges over NATS${skipped}`, () => {
  let server: NatsServer;
  let connection: ClusterConnection;
  let count = 0;
  beforeAll(async () => {
    server = await NatsServer.start();
    connection = await connectTo(server.url);
  });
  afterAll(async () => {
    await connection.close();
    await server[Symbol.asyncDispose]();
  });

  /** An edge that no other test uses. */
  async function newEdge(options: Parameters<typeof createEdge>[2] = { storage: 'memory' }): Promise<EdgeAddress> {
    const address = { run: `test${count++}`, generation: 3, edge: '0-features' };
    await createEdge(connection, address, options);
    return address;
  }

  it('brings values in order, each bit of them, in one part or several', async () => {
    const address = await newEdge();
    const writer = await EdgeWriter.open(connection, address, { partBytes: 4096 });
    const reader = await EdgeReader.open(connection, address);
    const values = someValues(60);
    const sending = sendAll(writer, values);
    for (const sent of values) {
      const came = (await reader.next())!;
      expectSame(came, sent);
      came.done();
    }
    await sending;
    await eventuallyEmpty(connection, address);
    await reader.close();
    expect(await reader.next()).toBeNull();
  });

  it('holds a fast writer back, and loses nothing', async () => {
    const bytes = 20_000;
    const address = await newEdge({ storage: 'memory', maxBytes: 100_000 });
    const writer = await EdgeWriter.open(connection, address, { partBytes: 8_000 });
    const values = Array.from({ length: 30 }, (_, step) => noise(step, 'x', [bytes / 4]));
    let sent = 0;
    const sending = (async () => {
      for (const value of values) {
        await writer.send(value);
        sent++;
      }
    })();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(sent).toBe(4); // 20,000 bytes and what belongs to them, in 100,000
    const reader = await EdgeReader.open(connection, address, { prefetchBytes: bytes });
    for (const [i, value] of values.entries()) {
      const came = (await reader.next())!;
      expectSame(came, value);
      expect(sent).toBeLessThanOrEqual(i + 5);
      came.done();
      if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 30));
    }
    await sending;
    expect(writer.waitedForRoom).toBeGreaterThan(200);
    await reader.close();
  });

  it('has no more here than it is allowed before it is asked for', async () => {
    const address = await newEdge();
    const writer = await EdgeWriter.open(connection, address, { partBytes: 8_000 });
    const values = Array.from({ length: 30 }, (_, step) => noise(step, 'x', [5_000]));
    await sendAll(writer, values);
    const reader = await EdgeReader.open(connection, address, { prefetchBytes: 40_000 });
    await new Promise((resolve) => setTimeout(resolve, 200));
    const { consumers } = connection.streams;
    const { delivered } = await consumers.info(`hpff-${address.run}-3-0-features`, 'reader');
    expect(delivered.consumer_seq).toBeGreaterThanOrEqual(6);
    expect(delivered.consumer_seq).toBeLessThanOrEqual(9); // three parts each: two values, and one under way
    for (const value of values) expectSame((await reader.next())!, value);
    await reader.close();
  });

  it('refuses a value that the stream could never hold', async () => {
    const address = await newEdge({ storage: 'memory', maxBytes: 50_000, maxMessages: 3 });
    const writer = await EdgeWriter.open(connection, address, { partBytes: 1024 });
    await expect(writer.send(noise(0, 'big', [20_000]))).rejects.toMatchObject({ code: 'CLUSTER_VALUE_TOO_LARGE' });
    await expect(writer.send(noise(0, 'parts', [1_000]))).rejects.toMatchObject({ code: 'CLUSTER_VALUE_TOO_LARGE' });
    await writer.send(noise(0, 'fits', [512]));
  });

  it('rounds features to half precision where that is asked for, and leaves labels alone', async () => {
    const address = await newEdge();
    const writer = await EdgeWriter.open(connection, address, { encoding: 'float16', partBytes: 1024 });
    const reader = await EdgeReader.open(connection, address);
    await writer.send({ step: 0, name: 'x', tensor: { dtype: 'float32', shape: [2], data: Float32Array.of(0.1, -2) } });
    await writer.send({ step: 0, name: 'y', tensor: { dtype: 'int64', shape: [1], data: BigInt64Array.of(-7n) } });
    expect((await reader.next())!.tensor).toEqual({
      dtype: 'float32',
      shape: [2],
      data: Float32Array.of(0.0999755859375, -2),
    });
    expect((await reader.next())!.tensor.data).toEqual(BigInt64Array.of(-7n));
    await reader.close();
  });

  it('gives a new reader what the one before did not acknowledge, in order and at once', async () => {
    const address = await newEdge();
    const writer = await EdgeWriter.open(connection, address, { partBytes: 1024 });
    const values = Array.from({ length: 8 }, (_, step) => noise(step, 'x', [600]));
    await sendAll(writer, values);
    const first = await EdgeReader.open(connection, address);
    for (let i = 0; i < 6; i++) {
      const value = (await first.next())!;
      if (value.step === 0 || value.step === 3) value.done();
    }
    await first.close();
    const second = await EdgeReader.open(connection, address);
    for (const step of [1, 2, 4, 5, 6, 7]) expectSame((await second.next())!, values[step]!);
    await second.close();
    const third = await EdgeReader.open(connection, address, { fromStep: 5 });
    for (const step of [5, 6, 7]) expectSame((await third.next())!, values[step]!);
    await third.close();
  });

  it('gives a value once, though the server sends it again as long as it is not acknowledged', async () => {
    const address = await newEdge();
    const writer = await EdgeWriter.open(connection, address, { partBytes: 1024 });
    const values = [noise(0, 'x', [600]), noise(1, 'x', [600])];
    await sendAll(writer, values);
    const reader = await EdgeReader.open(connection, address, { ackWait: 200 });
    const held = [(await reader.next())!, (await reader.next())!];
    const { consumers } = connection.streams;
    const deliveries = async (): Promise<number> =>
      (await consumers.info(`hpff-${address.run}-3-0-features`, 'reader')).delivered.consumer_seq;
    await expect.poll(deliveries, { timeout: 5_000 }).toBeGreaterThanOrEqual(12); // six parts, twice
    await writer.send(noise(2, 'x', [600]));
    const last = (await reader.next())!;
    expect(last.step).toBe(2);
    for (const value of [...held, last]) value.done();
    await eventuallyEmpty(connection, address);
    await reader.close();
  });

  it('drops repeated messages and those of another generation', async () => {
    const address = await newEdge();
    const writer = await EdgeWriter.open(connection, address);
    const [a, b] = [noise(0, 'x', [100]), noise(1, 'x', [100])];
    await writer.send(a);
    await writer.send(a); // same id: the server drops it
    await sendWithoutIds(a, address, 3);
    await sendWithoutIds(a, address, 2);
    const reader = await EdgeReader.open(connection, address);
    const first = (await reader.next())!;
    expectSame(first, a);
    first.done();
    await sendWithoutIds(a, address, 3); // comes when it is done already
    await writer.send(b);
    const second = (await reader.next())!;
    expectSame(second, b);
    second.done();
    second.done();
    await eventuallyEmpty(connection, address);
    await reader.close();
  });

  /** As a server that has forgotten the ids would store it. */
  async function sendWithoutIds(value: TensorValue, address: EdgeAddress, generation: number): Promise<void> {
    const { partHeaders, splitTensor } = await import('./tensor-message.js');
    const { headers } = await import('@nats-io/transport-node');
    for (const part of splitTensor(value, { generation, partBytes: connection.partBytes })) {
      const natsHeaders = headers();
      for (const [name, text] of partHeaders(part)) natsHeaders.set(name, text);
      await connection.publisher.publish(edgeSubject(address), part.payload, { headers: natsHeaders });
    }
  }

  it('fails on a damaged message, and names its place', async () => {
    const address = await newEdge();
    await connection.publisher.publish(edgeSubject(address), 'no tensor');
    const reader = await EdgeReader.open(connection, address);
    await expect(reader.next()).rejects.toMatchObject({
      code: 'CLUSTER_MESSAGE_INVALID',
      message: `hpff-${address.run}-3-0-features, message 1: the header Hpff-Format is missing`,
    });
    await reader.close();
  });

  it('says so when there is no such stream, or another reader takes over', async () => {
    const nowhere = { run: 'nowhere', generation: 0, edge: 'x' };
    await expect(EdgeWriter.open(connection, nowhere)).rejects.toMatchObject({ code: 'CLUSTER_STREAM_GONE' });
    await expect(EdgeReader.open(connection, nowhere)).rejects.toMatchObject({ code: 'CLUSTER_STREAM_GONE' });
    const address = await newEdge();
    const first = await EdgeReader.open(connection, address);
    const waiting = first.next();
    const second = await EdgeReader.open(connection, address);
    await expect(waiting).rejects.toMatchObject({ code: 'CLUSTER_READER_REPLACED' });
    await (await EdgeWriter.open(connection, address)).send(noise(0, 'x', [1]));
    expect((await second.next())!.step).toBe(0);
    await Promise.all([first.close(), second.close()]);
  });

  it('waits no longer than its signals say', async () => {
    const address = await newEdge({ storage: 'memory', maxMessages: 1 });
    const reader = await EdgeReader.open(connection, address);
    const reason = new Error('enough');
    const stop = new AbortController();
    const reading = reader.next(stop.signal);
    stop.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await reader.close();
    const writer = await EdgeWriter.open(connection, address);
    await writer.send(noise(0, 'x', [1]));
    const full = writer.send(noise(1, 'x', [1]), AbortSignal.any([stop.signal]));
    await expect(full).rejects.toBe(reason);
    await expect(writer.send(noise(2, 'x', [1]))).rejects.toMatchObject({ code: 'CLUSTER_WRITER_CLOSED' });
    const other = await EdgeWriter.open(connection, address);
    const closed = other.send(noise(1, 'x', [1]));
    await other.close();
    await expect(closed).rejects.toMatchObject({ code: 'CLUSTER_WRITER_CLOSED' });
  });

  it('lists, purges and deletes the streams of a run', async () => {
    const run = 'a';
    const edges = [
      { run, generation: 0, edge: '0-x' },
      { run, generation: 1, edge: '0-x' },
      { run, generation: 1, edge: '1-x' },
    ];
    const other = { run: 'a_1', generation: 1, edge: 'x' };
    for (const edge of [...edges, other]) await createEdge(connection, edge, { storage: 'memory' });
    await createEdge(connection, edges[0]!, { storage: 'memory' }); // again
    await expect(createEdge(connection, edges[0]!, { storage: 'memory', maxMessages: 7 })).rejects.toMatchObject({
      code: 'CLUSTER_STREAM_TAKEN',
    });
    expect(await listEdges(connection, run)).toEqual(expect.arrayContaining(edges));
    expect(await listEdges(connection, run)).toHaveLength(3);
    await (await EdgeWriter.open(connection, edges[1]!)).send(noise(0, 'x', [3]));
    await purgeEdge(connection, edges[1]!);
    await eventuallyEmpty(connection, edges[1]!);
    expect(await deleteEdges(connection, run, 1)).toBe(2);
    expect(await listEdges(connection, run)).toEqual([edges[0]]);
    expect(await deleteEdges(connection, run)).toBe(1);
    expect(await listEdges(connection, 'a_1')).toEqual([other]);
    await expect(createEdge(connection, { ...other, edge: 'a.b' })).rejects.toMatchObject({
      code: 'CLUSTER_NAME_INVALID',
    });
  });
});

describe.skipIf(noNatsServer !== null)(`edges when the server fails${skipped}`, () => {
  it('brings everything once and in order over crashes and pauses of the server', async () => {
    await using server = await NatsServer.start();
    const connection = await connectTo(server.url);
    const far = await connectTo(server.url);
    const address = { run: 'crashes', generation: 0, edge: 'x' };
    await createEdge(connection, address, { maxBytes: 2_000_000 });
    const writer = await EdgeWriter.open(connection, address, { partBytes: 20_000, timeout: 2_000 });
    const reader = await EdgeReader.open(far, address, { prefetchBytes: 300_000 });
    const values = Array.from({ length: 120 }, (_, step) => noise(step, 'x', [30_000]));
    const sending = sendAll(writer, values);
    const disturbing = (async () => {
      for (let i = 0; i < 4; i++) {
        await new Promise((resolve) => setTimeout(resolve, 250));
        if (i === 2) {
          server.pause();
          await new Promise((resolve) => setTimeout(resolve, 300));
          server.resume();
        } else await server.restart();
      }
    })();
    const open: EdgeValue[] = [];
    for (const sent of values) {
      const came = (await reader.next())!;
      expectSame(came, sent);
      open.push(came);
      if (open.length > 5) open.shift()!.done(); // some are needed for a while
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await Promise.all([sending, disturbing]);
    for (const value of open) value.done();
    await eventuallyEmpty(connection, address);
    await reader.close();
    await Promise.all([connection.close(), far.close()]);
  });

  it('ends when a stream in memory is lost with the server', async () => {
    await using server = await NatsServer.start();
    const connection = await connectTo(server.url);
    const address = { run: 'lost', generation: 0, edge: 'x' };
    await createEdge(connection, address, { storage: 'memory' });
    const writer = await EdgeWriter.open(connection, address);
    const reader = await EdgeReader.open(connection, address);
    await server.restart();
    const gone = { code: 'CLUSTER_STREAM_GONE' };
    await Promise.all([
      expect(writer.send(noise(0, 'x', [1]))).rejects.toMatchObject(gone),
      expect(reader.next()).rejects.toMatchObject(gone),
    ]);
    await reader.close();
    await connection.close();
  });

  it('closes without hanging while the server is away or stands still', async () => {
    await using server = await NatsServer.start();
    const address = { run: 'away', generation: 0, edge: 'x' };
    for (const trouble of ['paused', 'killed'] as const) {
      const connection = await connectTo(server.url);
      await createEdge(connection, address, { maxMessages: 1 });
      const writer = await EdgeWriter.open(connection, address);
      const reader = await EdgeReader.open(connection, address);
      if (trouble === 'killed') await server.kill();
      else server.pause();
      const sending = writer.send(noise(1, 'x', [1000]));
      sending.catch(() => undefined);
      const reading = reader.next();
      const start = performance.now();
      await Promise.all([reader.close(), writer.close()]);
      await connection.close();
      expect(performance.now() - start).toBeLessThan(5_000);
      expect(await reading).toBeNull();
      await expect(sending).rejects.toMatchObject({ code: 'CLUSTER_WRITER_CLOSED' });
      server.resume();
    }
  });
});

async function sendAll(writer: EdgeWriter, values: readonly TensorValue[]): Promise<void> {
  for (const value of values) await writer.send(value);
}

async function eventuallyEmpty(connection: ClusterConnection, address: EdgeAddress): Promise<void> {
  const stream = `hpff-${address.run}-${address.generation}-${address.edge}`;
  await expect
    .poll(async () => (await connection.streams.streams.info(stream)).state.messages, { timeout: 5_000 })
    .toBe(0);
}

/** Tensors of all types and sizes, empty and scalar ones among them, two names a step. */
function someValues(count: number): TensorValue[] {
  const shapes = [[7, 11, 13], [], [0, 3], [1], [9000], [4, 1024]];
  return Array.from({ length: count }, (_, i) => {
    const shape = shapes[i % shapes.length]!;
    const value = noise(Math.floor(i / 2), i % 2 === 0 ? 'features' : 'labels/y', shape);
    const { buffer } = value.tensor.data;
    const n = value.tensor.data.length;
    const others: HostTensor[] = [
      value.tensor,
      { dtype: 'int32', shape, data: new Int32Array(buffer as ArrayBuffer) },
      { dtype: 'uint8', shape, data: new Uint8Array(buffer as ArrayBuffer, 0, n) },
      { dtype: 'int64', shape, data: BigInt64Array.from({ length: n }, (_, k) => BigInt(k) - 5n) },
      { dtype: 'bool', shape, data: Uint8Array.from({ length: n }, (_, k) => k % 2) },
    ];
    return { ...value, tensor: others[i % others.length]! };
  });
}

/** Random bits, NaNs among them; the same for the same step. */
function noise(step: number, name: string, shape: readonly number[]): TensorValue {
  const length = shape.reduce((a, b) => a * b, 1);
  let state = step * 2654435761 + 1;
  const bits = Uint32Array.from({ length }, () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0));
  return { step, name, tensor: { dtype: 'float32', shape, data: new Float32Array(bits.buffer) } };
}

function expectSame(came: TensorValue, sent: TensorValue): void {
  expect([came.step, came.name, came.tensor.dtype, came.tensor.shape]).toEqual([
    sent.step,
    sent.name,
    sent.tensor.dtype,
    sent.tensor.shape,
  ]);
  expect(Buffer.compare(bytes(came), bytes(sent)), `bits of step ${sent.step}`).toBe(0);
}

function bytes({ tensor: { data } }: TensorValue): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
