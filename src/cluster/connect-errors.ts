/** Why a server could not be connected to, in one line. */
import { errors } from '@nats-io/transport-node';
import { InputError, RunError, type HpffError } from '../errors.js';
import { classify, isJetStreamOff, reasonOf } from './failures.js';
import { someAskForCertificates } from './server-info.js';

const hostUnknown = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_NONAME']);

/**
 * @param address `servers`: host and port of each; `shown`: for messages
 * @param certified whether the client has a certificate of its own
 */
export async function connectError(
  { shown: url, servers }: { readonly shown: string; readonly servers: readonly string[] },
  certified: boolean,
  error: unknown,
): Promise<HpffError> {
  const cause = { cause: error };
  const code = deepestCode(error);
  const reason = reasonOf(error);
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError) {
    return new InputError(
      'CLUSTER_REFUSED',
      `${url}: the server refuses these credentials (${reason}); allowed: a credentials file, a token, or user and ` +
        'password that the server knows (NATS_USER and NATS_PASSWORD)',
      cause,
    );
  }
  if (hostUnknown.has(code)) {
    return new InputError('CLUSTER_HOST_UNKNOWN', `${url}: no such host (${code}); check the name in the URL`, cause);
  }
  if (isTls(code, reason)) {
    return new InputError(
      'CLUSTER_TLS',
      `${url}: no TLS connection: ${reason}; needed: the authority's certificate that signed the server's, and the ` +
        "client's certificate and key where the server asks for them",
      cause,
    );
  }
  if (await someAskForCertificates(servers)) {
    const problem = certified
      ? "the server ends it, and checks clients' certificates: it may not know the authority of this one"
      : 'the server asks for a certificate of the client; needed: --tls-cert and --tls-key';
    return new InputError('CLUSTER_TLS', `${url}: no TLS connection: ${problem}`, cause);
  }
  return new RunError(
    'CLUSTER_UNREACHABLE',
    `${url}: no NATS server answers (${reason}); start one there (nats-server -js), or check host, port and firewall`,
    cause,
  );
}

function isTls(code: string, reason: string): boolean {
  return (
    /CERT|SSL|TLS|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/.test(code) || /\btls\b|certificate/i.test(reason)
  );
}

/** The code of the innermost error that has one. */
function deepestCode(error: unknown): string {
  let code = '';
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') code = at.code;
  }
  return code;
}

export function jetStreamError(url: string, error: unknown): HpffError {
  const cause = { cause: error };
  if (isJetStreamOff(error) || classify(error) === 'final') {
    return new InputError(
      'CLUSTER_NO_JETSTREAM',
      `${url}: JetStream cannot be used there (${reasonOf(error)}); start the server with JetStream (nats-server -js), and ` +
        'allow it for this account',
      cause,
    );
  }
  return new RunError('CLUSTER_UNREACHABLE', `${url}: the server does not answer (${reasonOf(error)})`, cause);
}
