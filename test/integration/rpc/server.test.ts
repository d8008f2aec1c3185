import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { type Socket, connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { Client, type ServiceError, credentials, status } from '@grpc/grpc-js';
import { RetryInfoSchema } from '../../../gen/google/rpc/error_details_pb.js';
import {
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../../../gen/grpc/health/v1/health_pb.js';
import { RenderRequestSchema, RenderResponseSchema, RenderService } from '../../../gen/platen/v1/render_service_pb.js';
import { RpcServer } from '../../../src/rpc/server.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { TestServer, failure, fakeServices, memoryLogger, reasonOf, until } from '../../support/rpc-server.ts';

const GRACE_MS = 60_000;
const identity = (bytes: Buffer) => bytes;

/** A server whose renders of the tenant `held` wait for `release`. */
class HeldServer {
  readonly test: TestServer;
  readonly held: (() => void)[] = [];
  readonly signals: AbortSignal[] = [];

  private constructor(test: TestServer, held: (() => void)[], signals: AbortSignal[]) {
    this.test = test;
    this.held = held;
    this.signals = signals;
  }

  static async start(): Promise<HeldServer> {
    const held: (() => void)[] = [];
    const signals: AbortSignal[] = [];
    const services = fakeServices({
      render: async ({ signal }, { tenant }) => {
        signals.push(signal);
        if (tenant === 'held') await new Promise<void>((resolve) => held.push(resolve));
        return { text: `hello ${tenant}` };
      },
    });
    return new HeldServer(await TestServer.start(services), held, signals);
  }

  release(): void {
    for (const resolve of this.held) resolve();
  }
}

function healthClient(server: TestServer) {
  const client = new Client(server.addresses.grpcAddress, credentials.createInsecure());
  const path = (method: string) => `/grpc.health.v1.Health/${method}`;
  const encode = (service: string) =>
    Buffer.from(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service })));
  const decode = (bytes: Buffer) => fromBinary(HealthCheckResponseSchema, bytes);
  return {
    check: (service: string) =>
      new Promise<ServingStatus>((resolve, reject) => {
        client.makeUnaryRequest(path('Check'), identity, decode, encode(service), (error, answer) => {
          if (error === null) resolve((answer as HealthCheckResponse).status);
          else reject(error);
        });
      }),
    watch: (service: string) => client.makeServerStreamRequest(path('Watch'), identity, decode, encode(service)),
    close: () => client.close(),
  };
}

type Caller = (tenant: string) => Promise<string>;

/**
 * Renders by grpc-js and by every protocol of the HTTP port. connect-node's own gRPC client is left out: it does not
 * retry a stream that was refused with GOAWAY, as gRPC demands of clients, and calls it INTERNAL.
 */
function callers(server: TestServer): { protocol: string; render: Caller }[] {
  const client = new Client(server.addresses.grpcAddress, credentials.createInsecure());
  const encode = (tenant: string) =>
    Buffer.from(toBinary(RenderRequestSchema, create(RenderRequestSchema, { tenant })));
  const decode = (bytes: Buffer) => fromBinary(RenderResponseSchema, bytes).text;
  const path = '/platen.v1.RenderService/Render';
  const grpc: Caller = (tenant) =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, encode, decode, tenant, (error, text) => {
        if (error === null) resolve(text as string);
        else reject(error);
      });
    });
  const http = server.clients(RenderService).filter(({ protocol }) => protocol !== 'gRPC');
  return [
    { protocol: 'gRPC', render: grpc },
    ...http.map(({ protocol, client: renders }) => ({
      protocol,
      render: async (tenant: string) => (await renders.render({ tenant })).text,
    })),
  ];
}

/** The code with which a call must fail. */
function codeOf(call: Promise<unknown>): Promise<number> {
  return call.then(
    () => assert.fail('the call succeeded'),
    (error: ServiceError) => error.code,
  );
}

describe('Health serves once ready', () => {
  it('says NOT_SERVING and 503 until it is told that the server is ready', async () => {
    const { logger } = memoryLogger();
    const metrics = new Metrics();
    const server = new RpcServer({ services: fakeServices(), logger, metrics, connectionAgeMs: 0 });
    const addresses = await server.start({ grpcAddress: '127.0.0.1:0', httpAddress: '127.0.0.1:0' });
    const health = healthClient({ addresses } as TestServer);
    const readyz = async () => (await fetch(`http://${addresses.httpAddress}/readyz`)).status;
    try {
      assert.equal(await health.check(''), ServingStatus.NOT_SERVING);
      assert.equal(await readyz(), 503);
      server.setServing();
      for (const service of ['', 'platen.v1.RenderService', 'platen.v1.TenantService']) {
        assert.equal(await health.check(service), ServingStatus.SERVING, service);
      }
      assert.equal(await readyz(), 200);
      await assert.rejects(health.check('platen.v1.Nothing'), { code: 5 });
    } finally {
      health.close();
      await server.drain(0);
    }
  });

  it('is alive and shows metrics on the HTTP port', async () => {
    const server = await TestServer.start();
    try {
      const healthz = await fetch(`${server.httpUrl}/healthz?verbose`);
      assert.deepEqual([healthz.status, await healthz.text()], [200, 'ok\n']);
      await server.grpc(RenderService).render({ tenant: 'acme' });
      const page = await fetch(`${server.httpUrl}/metrics`);
      assert.match(page.headers.get('content-type') as string, /^text\/plain; version=0\.0\.4/);
      const counter = 'platen_rpc_seconds_count{rpc="platen.v1.RenderService/Render",code="OK"} 1\n';
      assert.ok((await page.text()).includes(counter));
      assert.equal((await fetch(`${server.httpUrl}/nothing`)).status, 404);
    } finally {
      await server.stop();
    }
  });
});

describe('Draining flips health', () => {
  it('tells watchers and ends their streams, which would hold up the drain', async () => {
    const server = await TestServer.start();
    const health = healthClient(server);
    const watch = health.watch('');
    const seen: ServingStatus[] = [];
    watch.on('data', (answer: HealthCheckResponse) => seen.push(answer.status));
    await until(() => seen.length === 1);
    const ended = once(watch, 'end');
    await server.server.drain(GRACE_MS);
    await ended;
    health.close();
    assert.deepEqual(seen, [ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
  });

  it('forgets watchers that have gone', async () => {
    const server = await TestServer.start();
    const health = healthClient(server);
    const watch = health.watch('');
    watch.on('error', () => {});
    await once(watch, 'data');
    watch.cancel();
    health.close();
    await server.server.drain(GRACE_MS);
  });

  it('answers 503 on connections that are still open', async () => {
    const server = await HeldServer.start();
    const agent = new Agent({ keepAlive: true, maxSockets: 2 });
    const slow = post(server.test, agent, '{"tenant":"held"}');
    await until(() => server.held.length === 1);
    // Open, and in the middle of a request when the drain begins.
    const socket = connect(portOf(server.test.httpUrl), '127.0.0.1');
    socket.write('GET /readyz HTTP/1.1\r\n');
    await until(() => socket.bytesWritten > 0);
    await fetch(`${server.test.httpUrl}/healthz`);
    const drained = server.test.server.drain(GRACE_MS);
    socket.write('Host: x\r\n\r\n');
    const answer = await text(socket);
    assert.match(answer, /^HTTP\/1\.1 503 /);
    assert.match(answer, /\r\nConnection: close\r\n/i);
    server.release();
    assert.equal((await slow).statusCode, 200);
    await drained;
    agent.destroy();
  });
});

function portOf(url: string): number {
  return Number(new URL(url).port);
}

/** Posts a render through an agent, and resolves with the answer read. */
async function post(server: TestServer, agent: Agent, body: string): Promise<IncomingMessage & { body: string }> {
  const request = httpRequest(`${server.httpUrl}/platen.v1.RenderService/Render`, {
    method: 'POST',
    agent,
    headers: { 'content-type': 'application/json' },
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return Object.assign(response, { body: await text(response) });
}

describe('Draining loses no request', () => {
  it('finishes what is in flight in every protocol, and takes nothing new', async () => {
    const server = await HeldServer.start();
    const all = callers(server.test);
    const inFlight = all.map(({ render }) => render('held'));
    await until(() => server.held.length === all.length);
    let drained = false;
    const drain = server.test.server.drain(GRACE_MS).then(() => (drained = true));
    for (const { protocol, render } of all) assert.equal(await codeOf(render('late')), status.UNAVAILABLE, protocol);
    assert.equal(drained, false);
    server.release();
    for (const answer of await Promise.all(inFlight)) assert.equal(answer, 'hello held');
    await drain;
    assert.equal(server.signals.length, all.length);
    assert.ok(server.signals.every(({ aborted }) => !aborted));
  });

  it('refuses a call on a connection that is open still with DRAINING and a time to retry', async () => {
    const server = await HeldServer.start();
    const socket = connect(portOf(server.test.httpUrl), '127.0.0.1');
    const body = '{"tenant":"late"}';
    socket.write(`POST /platen.v1.RenderService/Render HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`);
    await until(() => socket.bytesWritten > 0);
    await fetch(`${server.test.httpUrl}/healthz`);
    const drain = server.test.server.drain(GRACE_MS);
    socket.write(`Content-Length: ${body.length}\r\n\r\n${body}`);
    const answer = await text(socket);
    assert.match(answer, /^HTTP\/1\.1 503 /);
    assert.match(answer, /\r\nConnection: close\r\n/i);
    assert.match(answer, /"DRAINING"/);
    assert.match(answer, /google\.rpc\.RetryInfo/);
    await drain;
    assert.equal(server.signals.length, 0);
  });

  it('closes connections that are idle or were never used', async () => {
    const server = await TestServer.start();
    const agent = new Agent({ keepAlive: true });
    assert.equal((await post(server, agent, '{"tenant":"acme"}')).statusCode, 200);
    const grpc = server.grpc(RenderService);
    await grpc.render({ tenant: 'acme' });
    const unused: Socket[] = [];
    for (const url of [server.httpUrl, server.grpcUrl]) {
      const socket = connect(portOf(url), '127.0.0.1').on('error', () => {}).resume();
      await once(socket, 'connect');
      unused.push(socket);
    }
    const closed = unused.map((socket) => once(socket, 'close'));
    await server.server.drain(GRACE_MS);
    await Promise.all(closed);
    agent.destroy();
  });

  it('ends a keep-alive connection after the answer that was in flight', async () => {
    const server = await HeldServer.start();
    const agent = new Agent({ keepAlive: true });
    const slow = post(server.test, agent, '{"tenant":"held"}');
    await until(() => server.held.length === 1);
    const drain = server.test.server.drain(GRACE_MS);
    server.release();
    const response = await slow;
    assert.equal(response.headers.connection, 'close');
    assert.deepEqual(JSON.parse(response.body), { text: 'hello held' });
    await drain;
    agent.destroy();
  });

  it('loses none of many calls that go on while it drains', async () => {
    const server = await TestServer.start(
      fakeServices({
        render: async (_context, { tenant }) => {
          await new Promise((resolve) => setImmediate(resolve));
          return { text: tenant };
        },
      }),
    );
    const codes = new Set<number>();
    let answered = 0;
    const callUntilRefused = async (render: Caller) => {
      while (codes.size === 0) {
        try {
          await render('acme');
          answered += 1;
        } catch (error) {
          codes.add((error as ServiceError).code);
        }
      }
    };
    const running = callers(server).flatMap(({ render }) => Array.from({ length: 10 }, () => callUntilRefused(render)));
    await until(() => answered > 500);
    await server.server.drain(GRACE_MS);
    await Promise.all(running);
    // Connect says ABORTED of a kept connection that was closed before it took the request.
    codes.delete(status.ABORTED);
    assert.deepEqual([...codes], [status.UNAVAILABLE]);
    const done = server.logs.filter((line) => line['code'] === 'OK').length;
    assert.equal(done, answered);
  });

  it('answers what is not done at the end of the grace period with DRAINING', async () => {
    const server = await HeldServer.start();
    const clients = server.test.clients(RenderService);
    const stuck = clients.map(({ client }) => failure(client.render({ tenant: 'held' })));
    await until(() => server.held.length === clients.length);
    await server.test.server.drain(10);
    for (const error of await Promise.all(stuck)) {
      assert.equal(error.code, Code.Unavailable);
      assert.equal(reasonOf(error), 'DRAINING');
      assert.equal(error.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds, 1n);
    }
    assert.ok(server.signals.every(({ reason }) => reason.reason === 'DRAINING'));
    server.release();
  });

  it('cuts off a caller that does not even read the answer', async () => {
    const large = 'x'.repeat(32 * 1024 * 1024);
    const server = await TestServer.start(fakeServices({ render: async () => ({ text: large }) }));
    const body = '{}';
    const socket = connect(portOf(server.httpUrl), '127.0.0.1').on('error', () => {});
    socket.pause();
    socket.write('POST /platen.v1.RenderService/Render HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n');
    socket.write(`Content-Length: ${body.length}\r\n\r\n${body}`);
    await until(() => server.logs.length === 1);
    await server.server.drain(10);
    socket.destroy();
  });

  it('drains once, however often it is told to', async () => {
    const server = await TestServer.start();
    const first = server.server.drain(GRACE_MS);
    assert.equal(server.server.drain(0), first);
    await first;
  });

  it('refuses connections after the drain', async () => {
    const server = await TestServer.start();
    const { grpcUrl, httpUrl } = server;
    await server.stop();
    for (const url of [grpcUrl, httpUrl]) {
      const socket = connect(portOf(url), '127.0.0.1');
      const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ECONNREFUSED');
    }
  });
});

describe('Ports are bound together or not at all', () => {
  it('tells which address is taken', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const taken = `127.0.0.1:${(blocker.address() as { port: number }).port}`;
    const free = '127.0.0.1:0';
    const start = (grpcAddress: string, httpAddress: string) => {
      const { logger } = memoryLogger();
      const server = new RpcServer({ services: fakeServices(), logger, metrics: new Metrics(), connectionAgeMs: 0 });
      return server.start({ grpcAddress, httpAddress });
    };
    try {
      await assert.rejects(start(free, taken), new RegExp(`cannot listen on ${taken}: .*EADDRINUSE`));
      await assert.rejects(start(taken, free), new RegExp(`cannot listen on ${taken}: .*EADDRINUSE`));
    } finally {
      blocker.close();
    }
  });
});

describe('Connections are kept', () => {
  it('answers many calls on one HTTP connection', async () => {
    const server = await TestServer.start();
    let connections = 0;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const transport = createConnectTransport({ baseUrl: server.httpUrl, httpVersion: '1.1', nodeOptions: { agent } });
    agent.on('free', () => (connections = Object.values(agent.freeSockets).flat().length));
    const client = createClient(RenderService, transport);
    for (let call = 0; call < 3; call++) await client.render({ tenant: 'acme' });
    assert.ok(connections <= 1);
    const peers = new Set(server.logs.map((line) => line['peer']));
    assert.equal(peers.size, 1);
    agent.destroy();
    await server.stop();
  });
});
