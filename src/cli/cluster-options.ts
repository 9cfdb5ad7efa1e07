/** Options of the commands that work with others over a NATS server. */
import { type Command, Option } from 'commander';
import type { ClusterOptions } from '../cluster/index.js';

export interface ClusterCommandOptions {
  readonly connect?: string;
  readonly pool?: string;
  readonly creds?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

export const connectOption = () =>
  new Option(
    '--connect <url>',
    'NATS server, e.g. nats://host:4222 or tls://host:4222; user and password may be in it, or in NATS_USER and NATS_PASSWORD',
  );

export function addClusterOptions(command: Command): Command {
  return command
    .option('--pool <name>', 'workers and coordinators of one name find each other (default: default)')
    .option('--creds <file>', 'credentials file of NATS')
    .option('--tls-ca <file>', "certificate of the authority that signed the server's")
    .option('--tls-cert <file>', 'own certificate, where the server asks for one')
    .option('--tls-key <file>', 'its key');
}

/** @param url of the server */
export function clusterOptions(url: string, options: ClusterCommandOptions): ClusterOptions {
  const { pool, creds, tlsCa, tlsCert, tlsKey } = options;
  const files = { ca: tlsCa, cert: tlsCert, key: tlsKey };
  const tls = Object.fromEntries(Object.entries(files).filter(([, file]) => file !== undefined));
  return {
    connect: url,
    ...(pool === undefined ? {} : { pool }),
    ...(creds === undefined ? {} : { credentials: creds }),
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
  };
}
