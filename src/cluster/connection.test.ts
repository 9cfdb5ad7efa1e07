import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noNatsServer, NatsServer } from '../../test/support/nats-server.js';
import { InputError, RunError, type HpffError } from '../errors.js';
import { connectTo, type ConnectOptions } from './connection.js';
import { listEdges } from './streams.js';

const skipped = noNatsServer === null ? '' : ` (${noNatsServer})`;
const env = {}; // nothing from outside

async function failure(url: string, options: ConnectOptions = {}): Promise<HpffError> {
  try {
    await (await connectTo(url, { env, ...options })).close();
  } catch (error) {
    return error as HpffError;
  }
  throw new Error('connected');
}

describe('connectTo', () => {
  it('refuses what is no URL of a server, and shows no password', async () => {
    for (const url of ['', 'http://host:1', 'nats://', 'nats://user:secret@', 'nats://user:secret@host:99999']) {
      const error = await failure(url);
      expect(error).toBeInstanceOf(InputError);
      expect(error.code).toBe('CLUSTER_URL_INVALID');
      expect(error.message).not.toContain('secret');
    }
  });

  it('says when nobody is there, or no such host', async () => {
    const refused = await failure('nats://user:secret@127.0.0.1:1');
    expect(refused).toBeInstanceOf(RunError);
    expect(refused.message).toBe(
      'nats://127.0.0.1:1: no NATS server answers (connection refused); start one there (nats-server -js), or check ' +
        'host, port and firewall',
    );
    const unknown = await failure('nats://no-such-host.invalid:4222');
    expect(unknown).toBeInstanceOf(InputError);
    expect(unknown.message).toMatch(/^nats:\/\/no-such-host\.invalid:4222: no such host \(E/);
  });

  it('names a credentials file that is missing or none', async () => {
    expect(await failure('nats://h', { credentials: '/no/such.creds' })).toMatchObject({ code: 'FILE_MISSING' });
    expect(await failure('nats://h', { credentials: __filename })).toMatchObject({
      code: 'CLUSTER_CREDENTIALS_INVALID',
    });
    expect(await failure('nats://h', { tls: { ca: '/no/ca.pem' } })).toMatchObject({ code: 'FILE_MISSING' });
  });
});

describe.skipIf(noNatsServer !== null)(`a protected server${skipped}`, () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await NatsServer.start({ config: 'authorization { user: trainer, password: "s3cret/@" }' });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it('lets in who has the password: in the URL, as an option, or in the environment', async () => {
    const withUser = server.url.replace('//', '//trainer:s3cret%2F%40@');
    for (const [url, options] of [
      [withUser, {}],
      [server.url, { user: 'trainer', password: 's3cret/@' }],
      [server.url, { env: { NATS_USER: 'trainer', NATS_PASSWORD: 's3cret/@' } }],
    ] as const) {
      const connection = await connectTo(url, { env, ...options });
      expect(connection.url).toBe(server.url);
      expect(connection.partBytes).toBe(2 ** 20 - 4096); // the server's default max_payload is 1 MiB
      await connection.close();
    }
  });

  it('refuses everybody else, and no message shows the password', async () => {
    for (const url of [
      server.url,
      server.url.replace('//', '//trainer:wr0ng@'),
      server.url.replace('//', '//wr0ng@'),
    ]) {
      const error = await failure(url);
      expect(error).toBeInstanceOf(InputError);
      expect(error.message).toMatch(
        /^nats:\/\/127\.0\.0\.1:\d+: the server refuses these credentials \(.*Authorization/,
      );
      expect(error.message).not.toContain('wr0ng');
      expect(error.message).not.toContain('\n');
    }
  });
});

describe.skipIf(noNatsServer !== null)(`a server that denies streams${skipped}`, () => {
  it('says so in one line, and what to look up', async () => {
    const permissions = 'publish: ["$JS.API.INFO"], subscribe: ["_INBOX.>"]';
    const config = `authorization { users: [{ user: guest, password: pw, permissions: { ${permissions} } }] }`;
    await using server = await NatsServer.start({ config });
    const connection = await connectTo(server.url, { env, user: 'guest', password: 'pw' });
    try {
      const error = await listEdges(connection, 'run').catch((reason: unknown) => reason as HpffError);
      expect(error).toBeInstanceOf(InputError);
      expect((error as HpffError).message).toMatch(
        /^nats:\/\/127.*: the server denies this user what it takes \(.*\); docs\/cluster\.md/,
      );
    } finally {
      await connection.close();
    }
  });
});

describe.skipIf(noNatsServer !== null)(`a server${skipped}`, () => {
  it('without JetStream is refused', async () => {
    await using server = await NatsServer.start({ jetstream: false });
    const error = await failure(server.url);
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toMatch(/: JetStream cannot be used there \(.*\); start the server with JetStream/);
  });

  it('that restarts gets its clients back, who tell of it; requests in between are answered', async () => {
    await using server = await NatsServer.start();
    const lines: string[] = [];
    const connection = await connectTo(server.url, { onStatus: (line) => lines.push(line) });
    await server.kill();
    await expect.poll(() => lines).toEqual([`${server.url}: the connection was cut; reconnecting`]);
    const asked = connection.insist('the account', () => connection.streams.getAccountInfo(), 10_000);
    const patient = connection.insist('the account', () => connection.streams.getAccountInfo(), 200);
    await expect(patient).rejects.toMatchObject({
      code: 'CLUSTER_NO_ANSWER',
      message: `${server.url}: the account: no answer within 0.2 s: the connection is cut`,
    });
    await server.restart();
    expect(await asked).toMatchObject({ streams: 0 });
    expect(lines.at(-1)).toBe(`${server.url}: reconnected`);
    await connection.close();
    await expect(connection.untilConnected()).rejects.toMatchObject({ code: 'CLUSTER_CLOSED' });
    await connection.close();
  });

  it('that asks for certificates says so to clients without one, or with one that it does not know', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'hpff-tls-'));
    const made = ['server', 'other'].map((name) => {
      const [cert, key] = [path.join(folder, `${name}.pem`), path.join(folder, `${name}.key`)];
      const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
      const files = ['-keyout', key, '-out', cert];
      execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files, ...subject], {
        stdio: 'pipe',
      });
      return { cert, key };
    });
    const [own, other] = made as [(typeof made)[0], (typeof made)[0]];
    const ca = own.cert;
    const config = `tls { cert_file: "${own.cert}", key_file: "${own.key}", ca_file: "${ca}", verify: true }`;
    await using server = await NatsServer.start({ config });
    const url = server.url.replace('nats:', 'tls:');
    const lacking = await failure(url, { tls: { ca }, timeout: 500 });
    expect(lacking).toMatchObject({ code: 'CLUSTER_TLS', exitCode: 2 });
    expect(lacking.message).toBe(
      `${url}: no TLS connection: the server asks for a certificate of the client; needed: --tls-cert and --tls-key`,
    );
    const unknown = await failure(url, { tls: { ca, cert: other.cert, key: other.key }, timeout: 500 });
    expect(unknown).toMatchObject({ code: 'CLUSTER_TLS' });
    await (await connectTo(url, { tls: { ca, cert: own.cert, key: own.key } })).close();
    rmSync(folder, { recursive: true });
  });

  it('with TLS is reached by whoever knows its authority', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'hpff-tls-'));
    const [cert, key] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const files = ['-keyout', key, '-out', cert];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files, ...subject], { stdio: 'pipe' });
    await using server = await NatsServer.start({ config: `tls { cert_file: "${cert}", key_file: "${key}" }` });
    const connection = await connectTo(server.url.replace('nats:', 'tls:'), { tls: { ca: cert } });
    expect(connection.url).toBe(server.url.replace('nats:', 'tls:'));
    await connection.close();
    const stranger = await failure(server.url);
    expect(stranger).toMatchObject({ code: 'CLUSTER_TLS' });
    writeFileSync(cert, 'no certificate');
    expect(await failure(server.url, { tls: { ca: cert } })).toMatchObject({ code: 'CLUSTER_TLS' });
    rmSync(folder, { recursive: true });
    await using open = await NatsServer.start();
    expect(await failure(open.url.replace('nats:', 'tls:'))).toMatchObject({ code: 'CLUSTER_TLS' });
  });
});
