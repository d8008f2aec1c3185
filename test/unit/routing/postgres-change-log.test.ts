import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { postgresChangeLog } from '../../../src/routing/postgres-change-log.ts';

/** AuthenticationOk and ReadyForQuery, as PostgreSQL sends them. */
const WELCOME = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]);

describe('A silent connection is caught up', () => {
  let server: Server;

  beforeEach(async () => {
    server = createServer((socket) => {
      socket.once('data', () => {
        socket.write(WELCOME);
        socket.once('data', () => socket.destroy());
      });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
  });

  afterEach(() => {
    server.close();
  });

  it('and one that is cut before it listens has failed to open, and is not reported as lost too', async () => {
    const { port } = server.address() as AddressInfo;
    const lost: Error[] = [];
    const open = postgresChangeLog(`postgres://platen@127.0.0.1:${port}/platen`, 'platen_server');
    await assert.rejects(open(() => {}, (error) => lost.push(error)), /Connection terminated/);
    assert.deepEqual(lost, []);
  });
});
