/** A NATS server of a test's own: on a free loopback port, with JetStream's storage in a temporary folder. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const program = findProgram();

/** Why tests that need a server are skipped; null where there is one. Put it into the name of what is skipped. */
export const noNatsServer: string | null = program === null ? 'needs the program nats-server' : null;

function findProgram(): string | null {
  // Debian puts it into /usr/sbin, which is not on every user's PATH.
  for (const folder of [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin', '/usr/local/bin']) {
    const candidate = path.join(folder || '.', 'nats-server');
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // not here
    }
  }
  return null;
}

/** A test process that ends early leaves no server behind. */
const running = new Set<ChildProcess>();
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export interface ServerSettings {
  /** Lines of nats-server's configuration beside port and JetStream, such as `authorization { … }`. */
  readonly config?: string;
  /** Without JetStream when false. */
  readonly jetstream?: boolean;
}

export class NatsServer implements AsyncDisposable {
  private child: ChildProcess | null = null;

  private constructor(
    readonly port: number,
    private readonly folder: string,
  ) {}

  static async start(settings: ServerSettings = {}): Promise<NatsServer> {
    const folder = mkdtempSync(path.join(tmpdir(), 'hpff-nats-'));
    const server = new NatsServer(await freePort(), folder);
    const storage = settings.jetstream === false ? '' : `jetstream { store_dir: "${folder}/storage" }`;
    writeFileSync(server.configFile, `listen: "127.0.0.1:${server.port}"\n${storage}\n${settings.config ?? ''}\n`);
    await server.run();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Ends it at once, as a crash would (SIGKILL). */
  async kill(): Promise<void> {
    const child = this.child;
    this.child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** Kills it if it runs, and starts it again with the same port and storage. */
  async restart(): Promise<void> {
    await this.kill();
    await this.run();
  }

  pause(): void {
    this.child?.kill('SIGSTOP');
  }

  resume(): void {
    this.child?.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private get configFile(): string {
    return path.join(this.folder, 'server.conf');
  }

  private async run(): Promise<void> {
    const child = spawn(program!, ['-c', this.configFile], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.child = child;
    let log = '';
    child.stderr.on('data', (text: Buffer) => (log = (log + text.toString()).slice(-4000)));
    running.add(child);
    child.once('exit', () => running.delete(child));
    for (let attempt = 0; attempt < 400; attempt++) {
      if (child.exitCode !== null) throw new Error(`nats-server ended: ${log}`);
      if (await answers(this.port)) return;
      await sleep(25);
    }
    throw new Error(`nats-server does not answer: ${log}`);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Whether a server greets there. */
async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    const [greeting] = (await once(socket, 'data', { signal: AbortSignal.timeout(1000) })) as [Buffer];
    return greeting.toString().startsWith('INFO ');
  } catch {
    return false;
  } finally {
    socket.on('error', () => undefined).destroy();
  }
}
