import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials } from '@grpc/grpc-js';
import { connect } from '../../../src/cli/client.ts';
import { RpcServer } from '../../../src/rpc/server.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { fakeServices, memoryLogger } from '../../support/rpc-server.ts';

const AGE_MS = 20;
const CONNECTIONS = 10;

describe('Connections age', () => {
  const { logger, lines } = memoryLogger();
  const held = Promise.withResolvers<{ text: string }>();
  let server: RpcServer;
  let address: string;

  const connections = () => new Set(lines.map(({ peer }) => peer)).size;

  before(async () => {
    const services = fakeServices({ render: async (_call, { tenant }) => (tenant === 'held' ? held.promise : {}) });
    server = new RpcServer({ services, logger, metrics: new Metrics(), connectionAgeMs: AGE_MS });
    ({ grpcAddress: address } = await server.start({ grpcAddress: '127.0.0.1:0', httpAddress: '127.0.0.1:0' }));
  });

  beforeEach(() => lines.splice(0));

  after(() => server.drain(0));

  /** That of the command line: Connect by itself repeats nothing. */
  function connectClient() {
    const { clients, close } = connect(address);
    return { render: () => clients.renders.render({}), held: () => clients.renders.render({ tenant: 'held' }), close };
  }

  function grpcClient() {
    const client = new Client(address, credentials.createInsecure());
    const identity = (bytes: Buffer) => bytes;
    const render = () =>
      new Promise<void>((resolve, reject) => {
        const done = (error: unknown) => (error === null ? resolve() : reject(error as Error));
        client.makeUnaryRequest('/platen.v1.RenderService/Render', identity, identity, Buffer.alloc(0), done);
      });
    return { render, close: () => client.close() };
  }

  /** Calls by so many callers at once, until there were many connections. @param pauseMs of each after an answer, at most */
  async function callOn(render: () => Promise<unknown>, callers: number, pauseMs = 0): Promise<void> {
    const caller = async () => {
      while (connections() < CONNECTIONS) {
        await render();
        if (pauseMs > 0) await sleep(pauseMs * Math.random());
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
  }

  for (const [callers, pauseMs] of [
    [1, 0],
    [16, 0],
    [8, 3],
  ] as const) {
    for (const [by, open] of [
      ['grpc-js', grpcClient],
      ['the client of the command line', connectClient],
    ] as const) {
      it(`no call fails by it or hangs, by ${by}: ${callers} at once, ${pauseMs} ms in between at most`, async () => {
        const client = open();
        await callOn(client.render, callers, pauseMs);
        client.close();
      });
    }
  }

  it('a call that takes longer than its connection is kept is answered', async () => {
    const client = connectClient();
    const long = client.held();
    await callOn(client.render, 1);
    held.resolve({ text: 'at last' });
    assert.equal((await long).text, 'at last');
    client.close();
  });
});
