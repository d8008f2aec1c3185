import assert from 'node:assert/strict';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { Client, credentials } from '@grpc/grpc-js';
import { RenderService } from '../../../gen/platen/v1/render_service_pb.js';
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

  function connectClient() {
    return createClient(RenderService, createGrpcTransport({ baseUrl: `http://${address}` }));
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

  /** Calls without a pause, by so many callers at once, until there were many connections. */
  async function callOn(render: () => Promise<unknown>, callers: number): Promise<void> {
    const caller = async () => {
      while (connections() < CONNECTIONS) await render();
    };
    await Promise.all(Array.from({ length: callers }, caller));
  }

  for (const callers of [1, 16]) {
    it(`no call fails by it, by grpc-js with ${callers} at once`, async () => {
      const client = grpcClient();
      await callOn(client.render, callers);
      client.close();
    });

    it(`or by Connect, which repeats none, with ${callers} at once`, async () => {
      const client = connectClient();
      await callOn(() => client.render({}), callers);
    });
  }

  it('a call that takes longer than its connection is kept is answered', async () => {
    const client = connectClient();
    const long = client.render({ tenant: 'held' });
    await callOn(() => client.render({}), 1);
    held.resolve({ text: 'at last' });
    assert.equal((await long).text, 'at last');
  });
});
