import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { postgresChangeLog } from '../../../src/routing/postgres-change-log.ts';
import type { ChangeLog } from '../../../src/routing/route-feed.ts';
import { until } from '../../support/until.ts';

const READY = message('Z', 'I');
/** AuthenticationOk, then ready for a query. */
const WELCOME = Buffer.concat([message('R', '\0\0\0\0'), READY]);
const DONE = Buffer.concat([message('C', 'DONE\0'), READY]);
const REFUSED = Buffer.concat([message('E', 'SERROR\0C25006\0Mcannot execute LISTEN during recovery\0\0'), READY]);
/** The parts of an answer to a prepared query: parsed, bound, nothing described. */
const PREPARED = ['1', '2', 'n'].map((type) => message(type, ''));
const NO_ROWS = Buffer.concat([...PREPARED, message('C', 'SELECT 0\0'), READY]);

/** A message as PostgreSQL sends it (Frontend/Backend Protocol, message formats). */
function message(type: string, body: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, Buffer.from(body, 'latin1')]);
}

describe('A silent connection is caught up', () => {
  let server: Server;
  let sockets: Socket[];
  /** What the database does with what it is sent after the start of the session. */
  let answer: (socket: Socket, received: Buffer) => void;
  let lost: Error[];

  beforeEach(async () => {
    sockets = [];
    lost = [];
    answer = (socket) => socket.write(DONE);
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.write(WELCOME);
        socket.on('data', (received) => answer(socket, received));
      });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
  });

  afterEach(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });

  /** Opens connections for one feed. @param timeoutMs of a page, while the map is loaded */
  function opener(timeoutMs = 10_000) {
    const { port } = server.address() as AddressInfo;
    const url = `postgres://platen@127.0.0.1:${port}/platen`;
    const opening = postgresChangeLog(url, 'platen_server', { rows: 1_000, timeoutMs });
    return (signal: AbortSignal) => opening(() => {}, (error) => lost.push(error), signal);
  }

  function open(signal: AbortSignal = new AbortController().signal) {
    return opener()(signal);
  }

  it('and one that is cut before it listens has failed to open, and is not reported as lost too', async () => {
    answer = (socket) => socket.destroy();
    await assert.rejects(open(), /Connection terminated/);
    assert.deepEqual(lost, []);
  });

  it('a server that refuses to notify, as a standby does, is none to follow', async () => {
    answer = (socket, received) => socket.write(received.includes('listen') ? REFUSED : DONE);
    await assert.rejects(open(), { code: '25006' });
    await until('it is left', () => sockets[0]!.destroyed);
    assert.deepEqual(lost, []);
  });

  it('nothing is left of a connection that is given up while it opens', async () => {
    const caller = new AbortController();
    answer = () => caller.abort();
    await assert.rejects(open(caller.signal), /Connection terminated/);
    await until('it is left', () => sockets[0]!.destroyed);
    await assert.rejects(open(caller.signal), { name: 'AbortError' });
    assert.deepEqual([sockets.length, lost], [1, []]);
  });

  it('one on which nothing arrives is cut, and reported as lost', async () => {
    const log = await open();
    answer = () => {};
    await assert.rejects(log.from(1, 10), /the database was silent for 1000 ms/);
    assert.deepEqual(lost.map((error) => error.message), ['the database was silent for 1000 ms']);
    await log.close();
  });

  it('but not one whose answer is there while the process is too busy to read it', async () => {
    const log = await open();
    answer = (socket) => {
      socket.write(NO_ROWS);
      for (const end = Date.now() + 1_100; Date.now() < end; );
    };
    assert.deepEqual(await log.from(1, 10), []);
    assert.deepEqual(lost, []);
    await log.close();
  });

  it('nor a slow one for ever: after a cut it is given longer, up to a limit, while it needs that', async () => {
    const next = opener(1_500);
    const reopen = () => {
      answer = (socket) => socket.write(DONE);
      return next(new AbortController().signal);
    };
    const isCut = async (log: ChangeLog, silence: number) => {
      answer = () => {};
      await assert.rejects(log.from(1, 10), { message: `the database was silent for ${silence} ms` });
    };
    await isCut(await reopen(), 1_000);

    const slow = await reopen();
    answer = (socket) => {
      for (const end = Date.now() + 1_100; Date.now() < end; );
      socket.write(NO_ROWS);
    };
    assert.deepEqual(await slow.from(1, 10), []);
    await isCut(slow, 1_500);

    const quick = await reopen();
    answer = (socket) => socket.write(NO_ROWS);
    assert.deepEqual(await quick.from(1, 10), []);
    await isCut(quick, 1_000);
  });
});
