/**
 * A connection to a NATS server with JetStream. It reconnects for as long as it is open; what was asked for while it was
 * cut is asked for again by whoever asked (edges and control messages do).
 */
import { readFile } from 'node:fs/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import { connect, credsAuthenticator } from '@nats-io/transport-node';
import type { NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node';
import { InputError, RunError } from '../errors.js';
import { printable, quoted } from '../files/printable.js';
import { readError } from '../files/system-errors.js';
import { connectError, jetStreamError } from './connect-errors.js';
import { CutError, classify, isDenied, reasonOf } from './failures.js';
import { abortable, Backoff, settledWithin, sleep } from './waiting.js';

export interface ConnectOptions {
  /** Path of a credentials file (JWT and key, as `nsc` writes it). */
  readonly credentials?: string;
  /** User and password; the URL's come first, NATS_USER and NATS_PASSWORD of the environment last. */
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** Paths of PEM files: the authority that signed the server's certificate, and this client's own. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** The client's name in the server's logs and monitoring. */
  readonly name?: string;
  /** Milliseconds to wait for each answer of the server while connecting; 5,000 without. */
  readonly timeout?: number;
  /** Told about cuts and reconnections, one line each. */
  readonly onStatus?: (line: string) => void;
  /** In place of the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Headers, subject and message id of a part; far above what they take. */
const HEADROOM_BYTES = 4096;
const MAX_PART_BYTES = 4 * 2 ** 20;
/** A dead link (no reset, no answer) is noticed after at most three of these. */
const PING_MILLISECONDS = 10_000;
const CLOSE_MILLISECONDS = 2_000;

/**
 * Connects and checks that JetStream is there.
 * @param url `nats://` or `tls://` with host and port, or several of one cluster, separated by commas; user and password,
 * or a token, may stand before the host
 * @throws InputError `CLUSTER_URL_INVALID`, `CLUSTER_REFUSED` (credentials), `CLUSTER_HOST_UNKNOWN`, `CLUSTER_TLS`,
 * `CLUSTER_NO_JETSTREAM`, or what reading a file raises; RunError `CLUSTER_UNREACHABLE`. No message holds a password.
 */
export async function connectTo(url: string, options: ConnectOptions = {}): Promise<ClusterConnection> {
  const address = parseUrl(url);
  const { env = process.env, timeout = 5_000 } = options;
  const reconnection = new ReconnectionPauses();
  const settings: NodeConnectionOptions = {
    ...(await login(address, options, env)),
    ...(await tlsOptions(address, options)),
    servers: address.servers,
    name: options.name ?? 'hpff',
    timeout,
    pingInterval: PING_MILLISECONDS,
    maxPingOut: 2,
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true,
    reconnectDelayHandler: () => reconnection.current,
    noAsyncTraces: true,
  };
  let nats: NatsConnection;
  try {
    nats = await connect(settings);
  } catch (error) {
    throw await connectError(address, options.tls?.cert !== undefined, error);
  }
  try {
    const streams = await jetstreamManager(nats, { timeout });
    return new ClusterConnection(address.shown, nats, streams, reconnection, options.onStatus);
  } catch (error) {
    await nats.close();
    throw jetStreamError(address.shown, error);
  }
}

export class ClusterConnection {
  /** For publishing into streams. */
  readonly publisher: JetStreamClient;
  /** Bytes that one message may hold, headers included, as the server says. */
  readonly maxPayload: number;
  /** Resolved while connected. */
  private up: Promise<void> = Promise.resolve();
  private setUp: () => void = () => undefined;
  private cut = new AbortController();
  private readonly end = new AbortController();

  constructor(
    /** The server's URL without user, password or token. */
    readonly url: string,
    readonly nats: NatsConnection,
    readonly streams: JetStreamManager,
    private readonly reconnection: ReconnectionPauses,
    private readonly onStatus: ((line: string) => void) | undefined,
  ) {
    this.publisher = jetstream(nats, { timeout: 5_000 });
    this.maxPayload = nats.info?.max_payload ?? 2 ** 20;
    void this.watch();
    void nats.closed().then(() => this.ended());
  }

  /** Bytes of data that one part of a tensor may hold. */
  get partBytes(): number {
    return Math.max(1024, Math.min(MAX_PART_BYTES, this.maxPayload - HEADROOM_BYTES));
  }

  /** Aborted when the connection is cut the next time, or closed. */
  get untilCut(): AbortSignal {
    return this.cut.signal;
  }

  /** @throws RunError `CLUSTER_CLOSED` after `close`; a signal's reason */
  async untilConnected(...signals: readonly (AbortSignal | undefined)[]): Promise<void> {
    await abortable(this.up, this.end.signal, ...signals);
  }

  /**
   * One request, once there is a connection. An answer that a cut swallowed is not waited for.
   * @throws CutError, what the request throws, RunError `CLUSTER_CLOSED`, or a signal's reason
   */
  async ask<T>(request: () => Promise<T>, ...signals: readonly (AbortSignal | undefined)[]): Promise<T> {
    await this.untilConnected(...signals);
    return abortable(request(), this.end.signal, ...signals, this.untilCut);
  }

  /**
   * A request that may be repeated, until the server answers it.
   * @param what for the error: `the stream …`
   * @param patience milliseconds before it gives up; without end when Infinity
   * @throws RunError `CLUSTER_NO_ANSWER` after that time; InputError `SERVER_DENIED`; else as `ask`, but no failure that trying again may mend
   */
  async insist<T>(what: string, request: () => Promise<T>, patience: number, signal?: AbortSignal): Promise<T> {
    const backoff = new Backoff(50, 2_000);
    const over = patience === Infinity ? undefined : AbortSignal.timeout(patience);
    let found = 'the connection is cut';
    try {
      for (;;) {
        try {
          return await this.ask(request, signal, over);
        } catch (error) {
          if (isDenied(error)) throw denied(this.url, what, error);
          if (classify(error) !== 'later') throw error;
          found = reasonOf(error);
        }
        await sleep(backoff.next(), signal, over, this.end.signal);
      }
    } catch (error) {
      if (over?.aborted !== true || signal?.aborted === true || error !== over.reason) throw error;
      throw new RunError('CLUSTER_NO_ANSWER', `${this.url}: ${what}: no answer within ${patience / 1000} s: ${found}`);
    }
  }

  /** Acknowledges a delivered message, best effort: a message whose acknowledgement is lost is delivered again. */
  acknowledge(replySubject: string): void {
    if (!this.nats.isClosed()) this.nats.publish(replySubject, '+ACK');
  }

  /** Waits, for a while, until the server has what was published so far. */
  async flush(): Promise<void> {
    if (!this.cut.signal.aborted) await settledWithin(CLOSE_MILLISECONDS, this.nats.flush());
  }

  /** Lets what was published go out, and closes; never hangs. */
  async close(): Promise<void> {
    if (this.nats.isClosed()) return;
    await this.flush();
    this.ended();
    await settledWithin(CLOSE_MILLISECONDS, this.nats.close());
  }

  private ended(): void {
    if (!this.end.signal.aborted)
      this.end.abort(new RunError('CLUSTER_CLOSED', `${this.url}: the connection is closed`));
    if (!this.cut.signal.aborted) this.cut.abort(new CutError('the connection is closed'));
  }

  private async watch(): Promise<void> {
    for await (const status of this.nats.status()) {
      switch (status.type) {
        case 'disconnect':
          this.disconnected();
          break;
        case 'reconnecting':
          this.reconnection.attempted();
          break;
        case 'reconnect':
          this.reconnected();
          break;
        case 'error':
          this.onStatus?.(`${this.url}: ${reasonOf(status.error)}`);
      }
    }
  }

  private disconnected(): void {
    if (this.cut.signal.aborted) return;
    this.up = new Promise((resolve) => {
      this.setUp = resolve;
    });
    this.cut.abort(new CutError('the connection was cut'));
    this.onStatus?.(`${this.url}: the connection was cut; reconnecting`);
  }

  private reconnected(): void {
    this.reconnection.reset();
    if (this.end.signal.aborted) return;
    this.cut = new AbortController();
    this.setUp();
    this.onStatus?.(`${this.url}: reconnected`);
  }
}

function denied(url: string, what: string, error: unknown): InputError {
  const reason = `the server denies this user what it takes (${reasonOf(error)}); docs/cluster.md lists the permissions`;
  return new InputError('SERVER_DENIED', `${url}: ${what}: ${reason}`, { cause: error });
}

/** The client asks for the pause many times between two attempts, and must be told the same until the next one. */
class ReconnectionPauses {
  private readonly backoff = new Backoff(100, 5_000);
  /** Milliseconds. */
  current = 0;

  attempted(): void {
    this.current = this.backoff.next();
  }

  reset(): void {
    this.backoff.reset();
    this.current = 0;
  }
}

interface Address {
  /** `host:port`, for the client. */
  readonly servers: string[];
  readonly secure: boolean;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** What messages show: no user, password or token. */
  readonly shown: string;
}

function parseUrl(text: string): Address {
  const urls = text.split(',').map((one) => parseOne(one.trim()));
  const [first] = urls as [URL];
  const user = decode(first.username);
  const password = decode(first.password);
  const login = user === '' ? {} : password === '' ? { token: user } : { user, password };
  return {
    ...login,
    servers: urls.map((url) => `${url.hostname}:${url.port || '4222'}`),
    secure: urls.some((url) => url.protocol === 'tls:'),
    shown: urls.map((url) => printable(`${url.protocol}//${url.hostname}:${url.port || '4222'}`)).join(','),
  };
}

function parseOne(text: string): URL {
  const withProtocol = text.includes('://') ? text : `nats://${text}`;
  const url = URL.canParse(withProtocol) ? new URL(withProtocol) : null;
  if (url !== null && ['nats:', 'tls:'].includes(url.protocol) && url.hostname !== '') return url;
  // Whatever stands before an "@" may be a password.
  const shown = text.replace(/^(.*:\/\/)?.*@/s, '$1…@');
  throw new InputError(
    'CLUSTER_URL_INVALID',
    `${quoted(shown, 100)} is not the URL of a NATS server; allowed: nats://host:port or tls://host:port`,
  );
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

async function login(
  address: Address,
  options: ConnectOptions,
  env: Readonly<Record<string, string | undefined>>,
): Promise<NodeConnectionOptions> {
  if (options.credentials !== undefined) {
    return { authenticator: credsAuthenticator(await credentialsOf(options.credentials)) };
  }
  if (address.token !== undefined) return { token: address.token };
  if (address.user !== undefined) return { user: address.user, pass: address.password };
  if (options.token !== undefined) return { token: options.token };
  const user = options.user ?? env.NATS_USER;
  const pass = options.password ?? env.NATS_PASSWORD;
  return user === undefined || user === '' ? {} : { user, pass };
}

async function credentialsOf(path: string): Promise<Uint8Array> {
  const content = await contentOf(path);
  const isCredentials = /-+BEGIN NATS USER JWT-+[^]*-+BEGIN USER NKEY SEED-+/.test(content);
  if (isCredentials) return Buffer.from(content);
  throw new InputError(
    'CLUSTER_CREDENTIALS_INVALID',
    `${printable(path)}: not a credentials file of NATS: a user JWT and an NKEY seed are needed (nsc generate creds)`,
  );
}

async function tlsOptions(address: Address, { tls }: ConnectOptions): Promise<NodeConnectionOptions> {
  if (tls === undefined) return address.secure ? { tls: {} } : {};
  const [ca, cert, key] = await Promise.all([tls.ca, tls.cert, tls.key].map(async (path) => path && contentOf(path)));
  return { tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) } };
}

async function contentOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw readError(path, error);
  }
}
