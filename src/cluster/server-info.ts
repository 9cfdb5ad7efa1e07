/**
 * What a server says of itself before anything else. By TLS 1.3 a client without a certificate is turned away only after its side of the handshake is done,
 * and the library takes that for silence; the greeting tells that certificates are asked for.
 */
import { connect } from 'node:net';

/** A server that greets does so at once. */
const MILLISECONDS = 2_000;
const MAX_CHARACTERS = 65_536;

/** @param servers host and port of each @returns whether one of them asks clients for certificates; false where none answers */
export async function someAskForCertificates(servers: readonly string[]): Promise<boolean> {
  const greetings = await Promise.all(servers.map(async (server) => greetingOf(server)));
  return greetings.some((greeting) => greeting.tls_verify === true);
}

/** @returns nothing where the server does not greet as NATS servers do */
async function greetingOf(server: string): Promise<{ readonly tls_verify?: unknown }> {
  const text = await firstLine(server);
  const [, info] = /^INFO (\{.*\})/.exec(text) ?? [];
  try {
    return info === undefined ? {} : (JSON.parse(info) as object);
  } catch {
    return {};
  }
}

async function firstLine(server: string): Promise<string> {
  const at = server.lastIndexOf(':');
  const host = server.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  const socket = connect({ host, port: Number(server.slice(at + 1)), timeout: MILLISECONDS });
  try {
    return await new Promise<string>((resolve) => {
      let text = '';
      const over = (): void => resolve(text);
      socket.on('data', (data: Buffer) => {
        text += data.toString('latin1');
        if (text.includes('\n') || text.length > MAX_CHARACTERS) over();
      });
      for (const event of ['error', 'close', 'timeout']) socket.once(event, over);
    });
  } finally {
    socket.on('error', () => undefined).destroy();
  }
}
