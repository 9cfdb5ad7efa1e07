/** What the failures of NATS requests mean: try again, wait for room, give up. */
import { errors } from '@nats-io/transport-node';
import { JetStreamApiCodes, JetStreamApiError, JetStreamError } from '@nats-io/jetstream';
import { printable } from '../files/printable.js';

/**
 * `later`: the server is away or not ready yet, so the same request again may succeed. `full`: the stream has no room.
 * `gone`: the stream does not exist. `closed`: this connection was closed. `final`: anything else.
 */
export type Failure = 'later' | 'full' | 'gone' | 'closed' | 'final';

/** The connection was cut before the answer came. */
export class CutError extends Error {
  override readonly name = 'CutError';
}

/** Error codes of the JetStream API (`server/errors.json` of nats-server). */
const codes = {
  streamStoreFailed: 10077,
  streamExists: 10058,
  insufficientStorage: [10023, 10028, 10047, 10002],
  notReady: [10004, 10008, 10009],
} as const;

export function classify(error: unknown): Failure {
  if (error instanceof JetStreamApiError) return classifyApiError(error);
  // JetStream's other errors say that it is not up, or how a request for messages ended.
  if (error instanceof CutError || isJetStreamOff(error) || error instanceof JetStreamError) return 'later';
  const cause = error instanceof errors.RequestError ? error.cause : error;
  if (cause instanceof errors.ClosedConnectionError || cause instanceof errors.DrainingConnectionError) return 'closed';
  if (cause instanceof errors.PermissionViolationError) return 'final';
  if (cause instanceof errors.TimeoutError || cause instanceof errors.NoRespondersError) return 'later';
  if (cause instanceof errors.ConnectionError) return 'later';
  return error instanceof errors.RequestError ? 'later' : 'final';
}

function classifyApiError(error: JetStreamApiError): Failure {
  if (error.code === JetStreamApiCodes.StreamNotFound) return 'gone';
  if (error.code === codes.streamStoreFailed && /^maximum (messages|bytes) exceeded$/.test(error.message))
    return 'full';
  if ((codes.notReady as readonly number[]).includes(error.code) || error.status === 503) return 'later';
  return 'final';
}

/** Whether nobody answers JetStream requests: it is off, or not up yet. */
export function isJetStreamOff(error: unknown): boolean {
  return error instanceof Error && error.name === 'JetStreamNotEnabled';
}

/** Whether the server denies the request to this user. */
export function isDenied(error: unknown): boolean {
  const cause = error instanceof errors.RequestError ? error.cause : error;
  return cause instanceof errors.PermissionViolationError;
}

/** Whether there is no consumer of this name. */
export function isConsumerMissing(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === (JetStreamApiCodes.ConsumerNotFound as number);
}

/** Whether a stream of this name exists with another configuration. */
export function isTaken(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === codes.streamExists;
}

/** Whether the server or the account has no room for another stream of that size. */
export function isWithoutStorage(error: unknown): boolean {
  return error instanceof JetStreamApiError && (codes.insufficientStorage as readonly number[]).includes(error.code);
}

/** What the server or the client said, for the end of a message. */
export function reasonOf(error: unknown): string {
  if (error instanceof errors.RequestError && error.cause instanceof Error) return printable(error.cause.message);
  return printable(error instanceof Error ? error.message : String(error));
}
