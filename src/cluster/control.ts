/**
 * Small typed messages between coordinator and workers: requests with replies, and announcements to whoever listens, as
 * JSON over plain NATS. They are not stored: what must not be lost is asked for again by whoever needs it.
 *
 * A message that does not fit its schema ends nothing: a request is answered with an error, an announcement is dropped,
 * and the listener's `onNote` hears of it.
 */
import type { Msg, Subscription } from '@nats-io/transport-node';
import { z } from 'zod';
import { HpffError, RunError, UsageError } from '../errors.js';
import { decodeJson } from '../files/json.js';
import { printable, quoted } from '../files/printable.js';
import type { ClusterConnection } from './connection.js';
import { classify, reasonOf } from './failures.js';
import { Backoff, sleep } from './waiting.js';

/** A kind of request: where it goes, what it holds and what comes back. */
export interface RequestKind<Request, Reply> {
  /** Words joined by dots, such as `hpff.control.<run>.place`. */
  readonly subject: string;
  readonly request: z.ZodType<Request>;
  readonly reply: z.ZodType<Reply>;
}

/** A kind of announcement. */
export interface AnnouncementKind<Message> {
  readonly subject: string;
  readonly message: z.ZodType<Message>;
}

export interface Listener {
  /** Stops listening; what is being answered is still answered. */
  close(): void;
}

export interface ListenOptions {
  /** Of the listeners with the same group, one gets each message. */
  readonly group?: string;
  /** Told in one line of messages that could not be used. */
  readonly onNote?: (line: string) => void;
}

/** What travels back. */
const envelope = z.union([
  z.strictObject({ reply: z.unknown() }),
  z.strictObject({ error: z.strictObject({ code: z.string().regex(/^[A-Z0-9_]{1,100}$/), message: z.string() }) }),
]);
type Envelope = { reply: unknown } | { error: { code: string; message: string } };

/**
 * Asks, and waits for the reply; while nobody listens it tries again, so both sides may start in any order.
 * @param options.whom who is waited for, for the error: `worker 2 (node-b)`
 * @param options.timeout milliseconds; only after a cut is a request sent again, which may then come twice
 * @throws RunError `CONTROL_NO_ANSWER`, `CONTROL_REPLY_INVALID`, or with the code and message that the other side answers;
 * UsageError `CONTROL_MESSAGE_INVALID` for a request that does not fit its own schema; the signal's reason
 */
export async function request<Request, Reply>(
  connection: ClusterConnection,
  kind: RequestKind<Request, Reply>,
  message: Request,
  options: { readonly whom: string; readonly timeout: number; readonly signal?: AbortSignal },
): Promise<Reply> {
  const payload = encode(connection, kind.subject, kind.request, message);
  const answer = await firstAnswer(connection, kind.subject, payload, options);
  const at = `${kind.subject}: the answer of ${printable(options.whom)}`;
  const content = decode(envelope, answer.data, at);
  if ('error' in content) throw new RunError(content.error.code, printable(content.error.message, 1000));
  return validate(kind.reply, content.reply, at);
}

async function firstAnswer(
  connection: ClusterConnection,
  subject: string,
  payload: string,
  { whom, timeout, signal }: { readonly whom: string; readonly timeout: number; readonly signal?: AbortSignal },
): Promise<Msg> {
  const over = new AbortController();
  const timer = setTimeout(() => {
    const message = `${printable(whom)} did not answer within ${timeout / 1000} s (${subject} at ${connection.url})`;
    over.abort(new RunError('CONTROL_NO_ANSWER', message));
  }, timeout);
  const backoff = new Backoff(50, 1_000);
  try {
    for (;;) {
      try {
        const ask = (): Promise<Msg> => connection.nats.request(subject, payload, { timeout });
        return await connection.ask(ask, signal, over.signal);
      } catch (error) {
        if (classify(error) !== 'later') throw failed(connection, subject, error, signal);
      }
      await sleep(backoff.next(), signal, over.signal);
    }
  } finally {
    clearTimeout(timer);
  }
}

function failed(connection: ClusterConnection, subject: string, error: unknown, signal?: AbortSignal): unknown {
  if (error instanceof HpffError || (signal?.aborted === true && error === signal.reason)) return error;
  return new RunError('CONTROL_FAILED', `${connection.url}: ${subject}: ${reasonOf(error)}`, { cause: error });
}

/**
 * Answers requests of a kind. What `handle` throws is answered as an error: an HpffError with its code and message,
 * anything else as `CONTROL_HANDLER_FAILED`, and noted.
 */
export function answer<Request, Reply>(
  connection: ClusterConnection,
  kind: RequestKind<Request, Reply>,
  handle: (message: Request) => Promise<Reply> | Reply,
  options: ListenOptions = {},
): Listener {
  return listen(connection, kind.subject, options, async (message) => {
    const content = await answerOf(kind, handle, message.data, options.onNote);
    let payload: string;
    try {
      payload = encode(connection, kind.subject, z.unknown(), content);
    } catch (error) {
      payload = JSON.stringify({ error: refusal(kind.subject, error, options.onNote) });
    }
    message.respond(payload);
  });
}

async function answerOf<Request, Reply>(
  kind: RequestKind<Request, Reply>,
  handle: (message: Request) => Promise<Reply> | Reply,
  data: Uint8Array,
  onNote: ListenOptions['onNote'],
): Promise<Envelope> {
  try {
    return { reply: await handle(decode(kind.request, data, kind.subject)) };
  } catch (error) {
    return { error: refusal(kind.subject, error, onNote) };
  }
}

function refusal(subject: string, error: unknown, onNote: ListenOptions['onNote']): { code: string; message: string } {
  if (error instanceof HpffError) {
    if (error.code === 'CONTROL_MESSAGE_INVALID') onNote?.(error.message);
    return { code: error.code, message: error.message };
  }
  const message = `${subject}: ${reasonOf(error)}`;
  onNote?.(message);
  return { code: 'CONTROL_HANDLER_FAILED', message };
}

/** Tells whoever listens; nobody need. Lost while the connection is cut. @throws UsageError `CONTROL_MESSAGE_INVALID` */
export function announce<Message>(
  connection: ClusterConnection,
  kind: AnnouncementKind<Message>,
  message: Message,
): void {
  const payload = encode(connection, kind.subject, kind.message, message);
  if (!connection.nats.isClosed()) connection.nats.publish(kind.subject, payload);
}

/** Hears announcements of a kind, in the order in which they come. */
export function hear<Message>(
  connection: ClusterConnection,
  kind: AnnouncementKind<Message>,
  onMessage: (message: Message) => void,
  options: ListenOptions = {},
): Listener {
  return listen(connection, kind.subject, options, (message) => {
    try {
      onMessage(decode(kind.message, message.data, kind.subject));
    } catch (error) {
      options.onNote?.(error instanceof HpffError ? error.message : `${kind.subject}: ${reasonOf(error)}`);
    }
  });
}

function listen(
  connection: ClusterConnection,
  subject: string,
  { group, onNote }: ListenOptions,
  take: (message: Msg) => Promise<void> | void,
): Listener {
  const subscription: Subscription = connection.nats.subscribe(subject, {
    ...(group !== undefined && { queue: group }),
    callback: (error, message) => {
      if (error !== null) return onNote?.(`${connection.url}: ${subject}: ${reasonOf(error)}`);
      void Promise.resolve(take(message)).catch((failure) => onNote?.(`${subject}: ${reasonOf(failure)}`));
    },
  });
  return { close: () => subscription.unsubscribe() };
}

function encode<T>(connection: ClusterConnection, subject: string, schema: z.ZodType<T>, message: T): string {
  const { error } = schema.safeParse(message);
  if (error !== undefined) throw new UsageError('CONTROL_MESSAGE_INVALID', `${subject}: ${issues(error)}`);
  const payload = JSON.stringify(message) ?? 'null';
  const bytes = Buffer.byteLength(payload);
  if (bytes <= connection.maxPayload) return payload;
  const allowed = `allowed: at most ${connection.maxPayload} (the server's max_payload)`;
  throw new UsageError('CONTROL_MESSAGE_TOO_LARGE', `${subject}: the message has ${bytes} bytes; ${allowed}`);
}

/** @throws RunError `CONTROL_MESSAGE_INVALID` */
function decode<T>(schema: z.ZodType<T>, data: Uint8Array, where: string): T {
  let content: unknown;
  try {
    content = decodeJson(data, where);
  } catch (error) {
    throw new RunError('CONTROL_MESSAGE_INVALID', reasonOf(error), { cause: error });
  }
  return validate(schema, content, where);
}

function validate<T>(schema: z.ZodType<T>, content: unknown, where: string): T {
  const { data, error } = schema.safeParse(content);
  if (error === undefined) return data;
  throw new RunError('CONTROL_MESSAGE_INVALID', `${where}: ${issues(error)}`);
}

function issues(error: z.ZodError): string {
  const [first, ...others] = error.issues;
  const at = first === undefined || first.path.length === 0 ? 'the message' : quoted(first.path.join('.'), 100);
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  return printable(`${at}: ${first?.message ?? 'invalid'}${more}`);
}
