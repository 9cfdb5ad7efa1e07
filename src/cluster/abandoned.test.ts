import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noNatsServer, NatsServer } from '../../test/support/nats-server.js';
import { removeAbandoned } from './abandoned.js';
import { type ClusterConnection, connectTo } from './connection.js';
import { announce } from './control.js';
import { presenceOf } from './protocol.js';
import { createEdge, listRuns } from './streams.js';

const skipped = noNatsServer === null ? '' : ` (${noNatsServer})`;

describe.skipIf(noNatsServer !== null)(`streams that are left behind${skipped}`, () => {
  let server: NatsServer;
  let connection: ClusterConnection;
  beforeAll(async () => {
    server = await NatsServer.start();
    connection = await connectTo(server.url);
  });
  afterAll(async () => {
    await connection.close();
    await server[Symbol.asyncDispose]();
  });

  it('are removed, but not those of trainings that go on, nor anyone else', { timeout: 30_000 }, async () => {
    for (const run of ['own', 'alive', 'dead']) {
      await createEdge(connection, { run, generation: 1, edge: '0-features' }, { storage: 'memory' });
    }
    await createEdge(connection, { run: 'dead', generation: 2, edge: '0-up' }, { storage: 'memory' });
    await connection.streams.streams.add({ name: 'other', subjects: ['other'] });
    const sign = setInterval(() => announce(connection, presenceOf('alive'), { generation: 1 }), 300);
    const notes: string[] = [];
    await removeAbandoned(connection, 'own', (line) => notes.push(line));
    clearInterval(sign);
    expect((await listRuns(connection)).sort()).toEqual(['alive', 'own']);
    expect(notes).toEqual(['removed the streams of trainings that nobody goes on with: 1']);
    expect(await connection.streams.streams.info('other')).toMatchObject({ config: { name: 'other' } });
  });

  it('are not waited for where there are none', async () => {
    await connection.streams.streams.delete('hpff-alive-1-0-features');
    const begun = performance.now();
    await removeAbandoned(connection, 'own', () => undefined);
    expect(performance.now() - begun).toBeLessThan(3000);
  }, 30_000);
});
