import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { noNatsServer, NatsServer } from '../../test/support/nats-server.js';
import { InputError, RunError, UsageError } from '../errors.js';
import { connectTo, type ClusterConnection } from './connection.js';
import { announce, answer, hear, request } from './control.js';

const skipped = noNatsServer === null ? '' : ` (${noNatsServer})`;

const doubling = {
  subject: 'hpff.control.double',
  request: z.strictObject({ number: z.number() }),
  reply: z.strictObject({ number: z.number() }),
};

describe.skipIf(noNatsServer !== null)(`control messages${skipped}`, () => {
  let server: NatsServer;
  let here: ClusterConnection;
  let there: ClusterConnection;
  beforeAll(async () => {
    server = await NatsServer.start();
    here = await connectTo(server.url);
    there = await connectTo(server.url);
  });
  // The server is to know of listeners that were closed before the next test asks.
  afterEach(() => there.nats.flush());
  afterAll(async () => {
    await Promise.all([here.close(), there.close()]);
    await server[Symbol.asyncDispose]();
  });

  const ask = (number: number, timeout = 2_000): Promise<{ number: number }> =>
    request(here, doubling, { number }, { whom: 'worker 1', timeout });

  it('brings requests and replies, whoever starts first', async () => {
    const early = ask(1);
    await new Promise((resolve) => setTimeout(resolve, 120));
    const listener = answer(there, doubling, async ({ number }) => ({ number: 2 * number }));
    expect(await early).toEqual({ number: 2 });
    expect(await Promise.all([ask(5), ask(6)])).toEqual([{ number: 10 }, { number: 12 }]);
    listener.close();
  });

  it('names whom it waited for', async () => {
    const nobody = await ask(1, 150).catch((error: unknown) => error);
    expect(nobody).toBeInstanceOf(RunError);
    expect(nobody).toMatchObject({
      code: 'CONTROL_NO_ANSWER',
      message: `worker 1 did not answer within 0.15 s (hpff.control.double at ${server.url})`,
    });
    const listener = answer(there, doubling, () => new Promise(() => undefined));
    await expect(ask(1, 150)).rejects.toMatchObject({ code: 'CONTROL_NO_ANSWER' });
    const stop = new AbortController();
    const waiting = request(here, doubling, { number: 1 }, { whom: 'x', timeout: 5_000, signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    listener.close();
  });

  it('passes refusals on with their codes, and what went wrong otherwise in one line', async () => {
    const notes: string[] = [];
    const onNote = (line: string): void => void notes.push(line);
    const listener = answer(
      there,
      doubling,
      ({ number }) => {
        if (number === 1) throw new InputError('WORKER_OTHER_CODE', 'worker 1 has version 0.2, needed: 0.1');
        if (number === 2) throw new TypeError('x is\nundefined');
        return { number: 'much' as unknown as number };
      },
      { onNote },
    );
    await expect(ask(1)).rejects.toMatchObject({
      code: 'WORKER_OTHER_CODE',
      message: 'worker 1 has version 0.2, needed: 0.1',
    });
    await expect(ask(2)).rejects.toMatchObject({ code: 'CONTROL_HANDLER_FAILED' });
    await expect(ask(3)).rejects.toMatchObject({
      code: 'CONTROL_MESSAGE_INVALID',
      message: expect.stringMatching(/^hpff.control.double: the answer of worker 1: "number": .*number/) as string,
    });
    expect(notes).toEqual(['hpff.control.double: x is\\u{a}undefined']);
    await expect(ask('1' as unknown as number)).rejects.toBeInstanceOf(UsageError);
    listener.close();
  });

  it('answers a message that fits no schema with an error, and goes on', async () => {
    const notes: string[] = [];
    const options = { onNote: (line: string): void => void notes.push(line) };
    const listener = answer(there, doubling, ({ number }) => ({ number: 2 * number }), options);
    await there.nats.flush();
    for (const bad of ['', 'no JSON', '{"number":"1"}', '{"number":1,"more":2}', '\xff', '{"number":1,"number":1}']) {
      const reply = await here.nats.request(doubling.subject, Buffer.from(bad, 'latin1'));
      expect(reply.json()).toMatchObject({ error: { code: 'CONTROL_MESSAGE_INVALID' } });
    }
    expect(notes).toHaveLength(6);
    expect(await ask(4)).toEqual({ number: 8 });
    listener.close();
  });

  it('refuses a reply that is no reply', async () => {
    const subscription = there.nats.subscribe(doubling.subject, {
      callback: (_, message) => void message.respond('{"error":"bad"}'),
    });
    await there.nats.flush();
    await expect(ask(1)).rejects.toMatchObject({ code: 'CONTROL_MESSAGE_INVALID' });
    subscription.unsubscribe();
  });

  it('brings announcements to all who listen, in order, and drops bad ones with a note', async () => {
    const kind = { subject: 'hpff.control.progress', message: z.strictObject({ step: z.int() }) };
    const heard: number[][] = [[], []];
    const notes: string[] = [];
    const listeners = heard.map((steps) =>
      hear(there, kind, ({ step }) => void steps.push(step), { onNote: (line) => notes.push(line) }),
    );
    await there.nats.flush();
    announce(here, kind, { step: 1 });
    here.nats.publish(kind.subject, '{"step":1.5}');
    announce(here, kind, { step: 2 });
    await expect
      .poll(() => heard)
      .toEqual([
        [1, 2],
        [1, 2],
      ]);
    expect(notes).toHaveLength(2);
    expect(() => announce(here, kind, { step: 0.5 })).toThrow(UsageError);
    const large = { subject: 'hpff.control.large', message: z.string() };
    expect(() => announce(here, large, 'x'.repeat(2 ** 20))).toThrow(/1048578 bytes; allowed: at most 1048576/);
    for (const listener of listeners) listener.close();
  });
});
