import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders, connect } from 'node:http2';
import { create, toBinary } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { RenderService, RenderStreamRequestSchema } from '../../../gen/platen/v1/render_service_pb.js';
import { PREFIX_BYTES, allocateFrame } from '../../../src/rpc/grpc-frames.ts';
import type { CallContext, ExchangeHandler } from '../../../src/rpc/method.ts';
import { RenderStream } from '../../support/render-stream.ts';
import { TestServer, failure, fakeServices, until } from '../../support/rpc-server.ts';

const MOST = 64;
const GRACE_MS = 60_000;
const MALFORMED = Buffer.from([0xff]);
/** Much more than sockets hold. */
const LARGE = 'x'.repeat(128 * 1024);

/** Of a method that the test server answers as the test says. */
type Answer = Awaited<ReturnType<ExchangeHandler<(typeof RenderService)['method']['renderStream']>>>;

/** A stream whose caller does what the test does, and no more. */
function rawStream(session: ClientHttp2Session, headers: Readonly<Record<string, string>> = {}): ClientHttp2Stream {
  const pseudo = { ':method': 'POST', ':path': '/platen.v1.RenderService/RenderStream' };
  const stream = session.request({ ...pseudo, 'content-type': 'application/grpc', te: 'trailers', ...headers });
  return stream.on('error', () => {}).resume();
}

function framedRequest(id: number): Buffer {
  const message = toBinary(RenderStreamRequestSchema, create(RenderStreamRequestSchema, { id }));
  const frame = allocateFrame(message.length);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/** A server whose renders wait until the test lets them go, unless their tenant says otherwise. */
class HeldServer {
  readonly test: TestServer;
  /** By the id of the request, in the order of their arrival. */
  readonly held: Map<number, () => void>;
  readonly contexts: readonly CallContext[];

  private constructor(test: TestServer, held: Map<number, () => void>, contexts: readonly CallContext[]) {
    this.test = test;
    this.held = held;
    this.contexts = contexts;
  }

  static async start(connectionAgeMs = 0): Promise<HeldServer> {
    const held = new Map<number, () => void>();
    const contexts: CallContext[] = [];
    const services = fakeServices({
      renderStream: async (context, { id, request }): Promise<Answer> => {
        contexts.push(context);
        const tenant = request?.tenant ?? '';
        if (tenant === 'defect') throw new TypeError('secret');
        if (tenant === 'unencodable') return { id: 'one' as unknown as number };
        if (tenant !== 'at once') await new Promise<void>((resolve) => held.set(id, resolve));
        const text = tenant === 'large' ? LARGE : `answer ${id}`;
        return { id, outcome: { outcome: { case: 'response', value: { text } } } };
      },
    });
    return new HeldServer(await TestServer.start(services, undefined, connectionAgeMs), held, contexts);
  }

  open(headers: Readonly<Record<string, string>> = {}): RenderStream {
    return new RenderStream(this.test.addresses.grpcAddress, headers);
  }

  /** Opens a stream, has the requests read, and no more. */
  async openWith(...ids: number[]): Promise<RenderStream> {
    const stream = this.open();
    stream.send(...ids.map((id) => ({ id })));
    await until(() => ids.every((id) => this.held.has(id)));
    return stream;
  }

  release(...ids: number[]): void {
    for (const id of ids) {
      this.held.get(id)!();
      this.held.delete(id);
    }
  }

  stop(): Promise<void> {
    return this.test.stop();
  }
}

function idsFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

describe("A render stream is bounded and keeps to the caller's pace", () => {
  let server: HeldServer;

  beforeEach(async () => {
    server = await HeldServer.start();
  });
  afterEach(() => server.stop());

  it('answers leave as they are done, each with the id of its request', async () => {
    const stream = await server.openWith(7, 8, 9);
    server.release(9);
    await until(() => stream.answers.length === 1);
    server.release(7);
    await until(() => stream.answers.length === 2);
    assert.deepEqual(stream.ids, [9, 7]);
    assert.equal(stream.answers[0]!.outcome?.outcome.case, 'response');
    stream.cancel();
  });

  it('at most 64 are under way; one that is done makes room for the next', async () => {
    const stream = server.open();
    stream.send(...idsFrom(1, 3 * MOST).map((id) => ({ id })));
    await until(() => server.held.size === MOST);
    // As much as another call takes there and back.
    await server.test.grpc(RenderService).render({});
    assert.deepEqual([...server.held.keys()], idsFrom(1, MOST));
    server.release(5);
    await until(() => server.held.has(MOST + 1));
    await server.test.grpc(RenderService).render({});
    assert.equal(server.held.size, MOST);
    while (stream.answers.length < 3 * MOST) {
      server.release(...server.held.keys());
      await until(() => server.held.size > 0 || stream.answers.length === 3 * MOST);
    }
    assert.deepEqual(stream.ids.toSorted((a, b) => a - b), idsFrom(1, 3 * MOST));
    stream.cancel();
  });

  it('a caller whose requests are not read any more is held up', async () => {
    const stream = server.open();
    const count = 4 * MOST;
    stream.send(...idsFrom(1, count).map((id) => ({ id, request: { fallbackText: LARGE } })));
    await until(() => server.held.size === MOST);
    let taken = 0;
    for (let quiet = 0; quiet < 20; quiet += 1) {
      await server.test.grpc(RenderService).render({});
      if (stream.taken > taken) quiet = 0;
      taken = stream.taken;
    }
    assert.ok(taken < count - MOST, String(taken));
    stream.cancel();
  });

  it('a caller who does not read the answers is not read from, and loses none', async () => {
    const stream = server.open();
    stream.pause();
    const count = 4 * MOST;
    stream.send(...idsFrom(1, count).map((id) => ({ id, request: { tenant: 'large' } })));
    let seen = 0;
    // Those that the connection and the client hold make room, the others do not.
    for (let quiet = 0; quiet < 50; quiet += 1) {
      server.release(...server.held.keys());
      await server.test.grpc(RenderService).render({});
      if (server.contexts.length > seen) quiet = 0;
      seen = server.contexts.length;
    }
    assert.ok(seen < count - MOST, String(seen));
    stream.resume();
    while (stream.answers.length < count) {
      server.release(...server.held.keys());
      await until(() => server.held.size > 0 || stream.answers.length === count);
    }
    assert.deepEqual(stream.ids.toSorted((a, b) => a - b), idsFrom(1, count));
    stream.cancel();
  });

  it('one stream that is full holds up no other', async () => {
    const full = server.open();
    full.send(...idsFrom(1, 2 * MOST).map((id) => ({ id })));
    await until(() => server.held.size === MOST);
    const other = server.open();
    other.send({ id: 1000, request: { tenant: 'at once' } });
    await until(() => other.answers.length === 1);
    full.cancel();
    other.cancel();
  });

  it('what identifies the call is that of the stream', async () => {
    const stream = server.open({ 'x-request-id': 'r-1', 'grpc-timeout': `${GRACE_MS}m` });
    await until(() => stream.headers !== undefined);
    assert.deepEqual(stream.headers!.get('x-request-id'), ['r-1']);
    stream.send({ id: 1, request: { tenant: 'at once' } }, { id: 2, request: { tenant: 'at once' } });
    stream.finish();
    assert.equal((await stream.end).code, 'OK');
    const [first, second] = server.contexts as [CallContext, CallContext];
    assert.equal(first, second);
    assert.deepEqual([first.callId, first.rpc], ['r-1', 'platen.v1.RenderService/RenderStream']);
    assert.equal(first.header('user-agent')?.startsWith('grpc-node-js'), true);
    assert.equal(first.header('authorization'), undefined);
    assert.match(first.peer, /^127\.0\.0\.1:\d+$/);
    assert.ok((first.deadline as number) > Date.now());
    const lines = server.test.logs.filter((line) => line['call_id'] === 'r-1');
    assert.deepEqual(lines.map((line) => line['code']), ['OK']);
  });
});

describe('A render stream ends so that nothing is lost in silence', () => {
  let server: HeldServer;

  beforeEach(async () => {
    server = await HeldServer.start();
  });
  afterEach(() => server.stop());

  it('with OK after the last answer, when the caller has no more', async () => {
    const stream = await server.openWith(1, 2, 3);
    stream.finish();
    server.release(2, 3);
    await until(() => stream.answers.length === 2);
    server.release(1);
    assert.deepEqual(await stream.end, { code: 'OK', reason: '', message: 'OK', retry: false });
    assert.deepEqual(stream.ids, [2, 3, 1]);
  });

  it('with OK, when the caller had none', async () => {
    const stream = server.open();
    stream.finish();
    assert.equal((await stream.end).code, 'OK');
  });

  it('unheard, when the caller goes away; the server goes on with others', async () => {
    const stream = await server.openWith(1, 2);
    const { signal } = server.contexts[0]!;
    stream.cancel();
    await until(() => signal.aborted);
    assert.equal((signal.reason as Error).name, 'Cancelled');
    server.release(1, 2);
    const other = await server.openWith(3);
    server.release(3);
    await until(() => other.answers.length === 1);
    other.cancel();
  });

  it('with DRAINING when the server drains: what was read is answered, the rest was not rendered', async () => {
    const stream = await server.openWith(...idsFrom(1, MOST));
    stream.send({ id: 100 });
    const drained = server.test.server.drain(GRACE_MS);
    stream.send({ id: 101 });
    server.release(...idsFrom(1, MOST));
    const { message, ...end } = await stream.end;
    assert.deepEqual(end, { code: 'UNAVAILABLE', reason: 'DRAINING', retry: true });
    assert.match(message, /shutting down/);
    assert.deepEqual(stream.ids, idsFrom(1, MOST));
    assert.equal(server.contexts.length, MOST);
    await drained;
  });

  it('with DRAINING at once, when the server drains and nothing is under way', async () => {
    const stream = server.open();
    await until(() => stream.headers !== undefined);
    const drained = server.test.server.drain(GRACE_MS);
    assert.equal((await stream.end).reason, 'DRAINING');
    await drained;
  });

  it('with DRAINING too where the caller never ends it, which does not hold up the drain', async () => {
    const session = connect(server.test.grpcUrl);
    const stream = rawStream(session);
    await once(stream, 'response');
    const ended = once(stream, 'trailers');
    await server.test.server.drain(GRACE_MS);
    const [trailers] = (await ended) as [IncomingHttpHeaders];
    assert.equal(Number(trailers['grpc-status']), Code.Unavailable);
    session.destroy();
  });

  it('with OK still, when the server drains after the caller had no more', async () => {
    const stream = await server.openWith(1);
    stream.finish();
    // The end of the requests is read when all before it is.
    await server.test.grpc(RenderService).render({});
    const drained = server.test.server.drain(GRACE_MS);
    server.release(1);
    assert.equal((await stream.end).code, 'OK');
    await drained;
  });

  it('with DRAINING at the end of the grace period, whatever is under way', async () => {
    const stream = await server.openWith(1, 2);
    server.release(1);
    await until(() => stream.answers.length === 1);
    await server.test.server.drain(10);
    assert.equal((await stream.end).reason, 'DRAINING');
    assert.deepEqual(stream.ids, [1]);
    server.release(2);
  });

  it('with DRAINING when it is as old as a connection may be, and another one can be opened', async () => {
    const aging = await HeldServer.start(50);
    try {
      const stream = await aging.openWith(1);
      const other = aging.open();
      const { message, ...end } = await other.end;
      assert.deepEqual(end, { code: 'UNAVAILABLE', reason: 'DRAINING', retry: true });
      assert.match(message, /open another one/);
      stream.send({ id: 2 });
      await aging.test.grpc(RenderService).render({});
      aging.release(1);
      assert.equal((await stream.end).reason, 'DRAINING');
      assert.deepEqual(stream.ids, [1]);
      assert.equal(aging.held.has(2), false);
      const next = aging.open();
      next.send({ id: 3, request: { tenant: 'at once' } });
      next.finish();
      assert.equal((await next.end).code, 'OK');
    } finally {
      await aging.stop();
    }
  });

  it('with MALFORMED_REQUEST after what is under way, when a message cannot be decoded', async () => {
    const stream = await server.openWith(1, 2);
    stream.sendBytes(MALFORMED);
    stream.send({ id: 3 });
    await server.test.grpc(RenderService).render({});
    server.release(2, 1);
    const { message, ...end } = await stream.end;
    assert.deepEqual(end, { code: 'INVALID_ARGUMENT', reason: 'MALFORMED_REQUEST', retry: false });
    assert.match(message, /cannot be decoded/);
    assert.deepEqual(stream.ids, [2, 1]);
    assert.equal(server.held.has(3), false);
  });

  for (const tenant of ['defect', 'unencodable']) {
    it(`with INTERNAL and an id after what is under way, where an answer is ${tenant}`, async () => {
      const stream = await server.openWith(1);
      stream.send({ id: 2, request: { tenant } });
      await until(() => server.contexts.length === 2);
      server.release(1);
      const { code, reason } = await stream.end;
      assert.deepEqual([code, reason, stream.ids], ['INTERNAL', 'INTERNAL', [1]]);
      assert.ok(server.test.logs.some((line) => line['error_id'] !== undefined));
    });
  }

  it('with DEADLINE_EXCEEDED at its deadline, whatever is under way', async () => {
    const stream = server.open({ 'grpc-timeout': '200m' });
    stream.send({ id: 1 });
    await until(() => server.held.has(1));
    assert.equal((await stream.end).code, 'DEADLINE_EXCEEDED');
    await until(() => server.contexts[0]!.signal.aborted);
    assert.equal((server.contexts[0]!.signal.reason as Error).name, 'DeadlineExceeded');
    server.release(1);
  });

  it('for good at its deadline: what is sent after it is not rendered', async () => {
    const session = connect(server.test.grpcUrl);
    const stream = rawStream(session, { 'grpc-timeout': '100m' });
    await once(stream, 'trailers');
    for (let id = 1; id <= MOST; id += 1) stream.write(framedRequest(id));
    await once(stream, 'close');
    await server.test.grpc(RenderService).render({});
    assert.deepEqual(server.contexts, []);
    session.destroy();
  });

  it('with MALFORMED_REQUEST after what is under way, when a message is larger than a request may be', async () => {
    const stream = await server.openWith(1);
    stream.send({ id: 2, request: { tenant: 'at once' } });
    stream.sendBytes(Buffer.alloc(4 * 1024 * 1024 + 1));
    stream.send({ id: 3, request: { tenant: 'at once' } });
    await until(() => stream.ids.includes(2));
    server.release(1);
    const { reason, message } = await stream.end;
    assert.equal(reason, 'MALFORMED_REQUEST');
    assert.match(message, /larger than max \(4194305 vs 4194304\)/);
    assert.deepEqual(stream.ids, [2, 1]);
  });

  it('with UNIMPLEMENTED, where messages are compressed', async () => {
    const session = connect(`http://${server.test.addresses.grpcAddress}`);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/platen.v1.RenderService/RenderStream',
      'content-type': 'application/grpc',
      'grpc-encoding': 'gzip',
    });
    const [trailers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    assert.equal(Number(trailers['grpc-status']), Code.Unimplemented);
    assert.match(String(trailers['grpc-message']), /compressed/);
    session.destroy();
  });

  it('with UNAVAILABLE at once, when it is opened while the server drains', async () => {
    const holding = await server.openWith(1);
    const drained = server.test.server.drain(GRACE_MS);
    assert.equal((await server.open().end).code, 'UNAVAILABLE');
    server.release(1);
    assert.equal((await holding.end).reason, 'DRAINING');
    await drained;
  });

  it('and is not served where HTTP/1.1 has no such streams', async () => {
    const answer = await server.test.post('platen.v1.RenderService/RenderStream', '{}');
    assert.equal(answer.status, 404);
    await answer.arrayBuffer();
    for (const { protocol, client } of server.test.clients(RenderService)) {
      if (protocol === 'gRPC') continue;
      const read = async () => {
        for await (const _ of client.renderStream((async function* () {})())) assert.fail('answered');
      };
      assert.equal((await failure(read())).code, Code.Unimplemented, protocol);
    }
  });
});
