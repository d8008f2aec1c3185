import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  connect,
  constants,
  createServer,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { Code } from '../../../gen/google/rpc/code_pb.js';
import { ErrorInfoSchema } from '../../../gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../../../gen/google/rpc/status_pb.js';
import {
  BatchRenderResponseSchema,
  RenderRequestSchema,
  RenderResponseSchema,
  RenderService,
} from '../../../gen/platen/v1/render_service_pb.js';
import { NotFound } from '../../../src/domain/errors.ts';
import { PREFIX_BYTES, allocateFrame } from '../../../src/rpc/grpc-frames.ts';
import { Http2Call, OK_TRAILERS, type StreamListener } from '../../../src/rpc/http2-call.ts';
import { MAX_REQUEST_BYTES } from '../../../src/rpc/limits.ts';
import type { CallContext } from '../../../src/rpc/method.ts';
import { TestServer, fakeServices, until } from '../../support/rpc-server.ts';

const RENDER = '/platen.v1.RenderService/Render';
const BATCH_RENDER = '/platen.v1.RenderService/BatchRender';
/** No compression that is used, but one that is named: such a call is left to grpc-js. */
const BY_GRPC_JS = { 'grpc-encoding': 'gzip' };

/** The server's end of a stream. */
type Served = Parameters<StreamListener>[0];

type Headers = Readonly<Record<string, string>>;

function framed(message: Uint8Array): Buffer {
  const frame = allocateFrame(message.length);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

function requestFor(tenant: string): Buffer {
  return framed(toBinary(RenderRequestSchema, create(RenderRequestSchema, { tenant })));
}

/** All that a caller is told. */
interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Those after the body; of an answer without one they may be among the headers. */
  readonly trailers: IncomingHttpHeaders;
}

/** A connection whose calls are what the test makes of them. */
class Caller {
  readonly session: ClientHttp2Session;

  constructor(url: string) {
    this.session = connect(url);
  }

  get localPort(): number {
    return this.session.socket.localPort as number;
  }

  open(headers: Headers = {}, path = RENDER): ClientHttp2Stream {
    const stream = this.session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    return stream.on('error', () => {});
  }

  /** Sends a request in pieces of its own, and reads the answer. */
  call(request: readonly Uint8Array[], headers: Headers = {}, path = RENDER): Promise<Answer> {
    const stream = this.open(headers, path);
    for (const piece of request) stream.write(piece);
    stream.end();
    return answerOf(stream);
  }
}

async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  let headers: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  stream
    .on('response', (received) => (headers = received))
    .on('trailers', (received) => (trailers = received))
    .on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'close');
  return { headers, body: Buffer.concat(chunks), trailers };
}

/** The same of every answer to the same call. */
function withoutDate({ headers: { date, ...headers }, body, trailers }: Answer) {
  assert.ok(date);
  return { headers: { ...headers }, body, trailers: { ...trailers } };
}

function codeIn({ trailers }: Answer): string | undefined {
  return Code[Number(trailers['grpc-status'])];
}

function statusIn({ trailers }: Answer) {
  return fromBinary(StatusSchema, Buffer.from(trailers['grpc-status-details-bin'] as string, 'base64'));
}

function reasonIn(answer: Answer): string | undefined {
  return anyUnpack(statusIn(answer).details[0]!, ErrorInfoSchema)?.reason;
}

function textIn({ body }: Answer): string {
  return fromBinary(RenderResponseSchema, body.subarray(PREFIX_BYTES)).text;
}

describe('Plain calls are answered on their streams', () => {
  let server: TestServer;
  let caller: Caller;
  const contexts: CallContext[] = [];
  const held: (() => void)[] = [];

  before(async () => {
    server = await TestServer.start(
      fakeServices({
        render: async (context, { tenant }) => {
          contexts.push(context);
          if (tenant === 'held') await new Promise<void>((resolve) => held.push(resolve));
          if (tenant === 'nobody') throw new NotFound('tenant', 'niemand: 100 % Übermut, "ganz" ☃\n');
          return { tenant, text: `hello ${tenant}` };
        },
      }),
    );
    caller = new Caller(server.grpcUrl);
    await once(caller.session, 'connect');
  });
  beforeEach(() => {
    contexts.length = 0;
    held.length = 0;
  });
  after(async () => {
    caller.session.destroy();
    await server.stop();
  });

  function lineOf(callId: string) {
    return server.logs.find((line) => line['call_id'] === callId);
  }

  describe('The answer is that of grpc-js, to the byte', () => {
    const cases: readonly [what: string, request: readonly Buffer[], path?: string][] = [
      ['an answer', [requestFor('acme')]],
      ['an empty request', [framed(Buffer.alloc(0))]],
      ['the answer to a batch', [framed(Buffer.from([0x0a, 0, 0x0a, 0]))], BATCH_RENDER],
      ['an error, its message in ASCII and its details', [requestFor('nobody')]],
      ['the violations of a request', [requestFor('a\0b')]],
      ['what is no protobuf', [framed(Buffer.from([0x0a, 0xff]))]],
    ];
    for (const [what, request, path] of cases) {
      it(what, async () => {
        const headers = { 'x-request-id': `same-${what.length}` };
        const direct = await caller.call(request, headers, path);
        const byGrpcJs = await caller.call(request, { ...headers, ...BY_GRPC_JS }, path);
        assert.deepEqual(withoutDate(direct), withoutDate(byGrpcJs));
        assert.ok(direct.trailers['grpc-status']);
      });
    }

    it('a percent sign stands for what ASCII has no sign for', async () => {
      const answer = await caller.call([requestFor('nobody')]);
      const sent = answer.trailers['grpc-message'] as string;
      assert.match(sent, /^[\x20-\x7e]+$/);
      assert.equal(decodeURI(sent), statusIn(answer).message);
      assert.match(statusIn(answer).message, /100 % Übermut, \\?"ganz\\?" ☃/);
      assert.deepEqual([codeIn(answer), reasonIn(answer)], ['NOT_FOUND', 'RESOURCE_NOT_FOUND']);
    });
  });

  describe('What is no request is refused, as by grpc-js', () => {
    const refusals: readonly [what: string, request: readonly Buffer[], code: string, message: RegExp][] = [
      ['no message', [], 'UNIMPLEMENTED', /^Received no request message/],
      ['half a message', [requestFor('acme').subarray(0, 7)], 'UNIMPLEMENTED', /^Received no request message/],
      ['two messages', [requestFor('acme'), requestFor('b')], 'UNIMPLEMENTED', /^Received a second request message/],
    ];
    for (const [what, request, code, message] of refusals) {
      it(`${what}: ${code}`, async () => {
        const direct = await caller.call(request);
        assert.equal(codeIn(direct), code);
        assert.match(decodeURI(direct.trailers['grpc-message'] as string), message);
        assert.equal(direct.body.length, 0);
        const byGrpcJs = await caller.call(request, BY_GRPC_JS);
        assert.equal(Number(byGrpcJs.headers['grpc-status'] ?? byGrpcJs.trailers['grpc-status']), Code[code as 'OK']);
        assert.equal(contexts.length, 0);
      });
    }

    it('a message over 4 MiB, as soon as its length is known: RESOURCE_EXHAUSTED', async () => {
      const prefix = allocateFrame(MAX_REQUEST_BYTES + 1).subarray(0, PREFIX_BYTES);
      const stream = caller.open();
      stream.write(prefix);
      const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
      assert.equal(headers[':status'], 200);
      const [trailers] = (await once(stream, 'trailers')) as [IncomingHttpHeaders];
      assert.equal(Number(trailers['grpc-status']), Code.RESOURCE_EXHAUSTED);
      assert.equal(
        decodeURI(trailers['grpc-message'] as string),
        'Received message larger than max (4194305 vs 4194304)',
      );
      // What follows is read, and goes nowhere.
      stream.resume().end(Buffer.alloc(1024 * 1024));
      await once(stream, 'close');
      assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
      assert.equal(contexts.length, 0);
    });

    it('a message that says it is compressed, in a call that does not: INTERNAL', async () => {
      const request = requestFor('acme');
      request[0] = 1;
      const answer = await caller.call([request]);
      assert.equal(codeIn(answer), 'INTERNAL');
      assert.match(decodeURI(answer.trailers['grpc-message'] as string), /compressed/);
      assert.equal(contexts.length, 0);
    });
  });

  describe('Whatever is not plain is answered by grpc-js', () => {
    it('a compressed request', async () => {
      const request = requestFor('acme');
      const compressed = framed(gzipSync(request.subarray(PREFIX_BYTES)));
      compressed[0] = 1;
      const answer = await caller.call([compressed], { 'grpc-encoding': 'gzip', 'x-request-id': 'gzip' });
      assert.deepEqual([codeIn(answer), textIn(answer)], ['OK', 'hello acme']);
      const direct = await caller.call([request], { 'x-request-id': 'gzip' });
      assert.deepEqual(withoutDate(answer), withoutDate(direct));
    });

    it('a deadline that cannot be read', async () => {
      for (const timeout of ['soon', '5', 'm']) {
        const { headers } = await caller.call([requestFor('acme')], { 'grpc-timeout': timeout });
        assert.equal(Number(headers['grpc-status']), Code.INTERNAL, timeout);
        assert.match(decodeURI(headers['grpc-message'] as string), /^Invalid grpc-timeout value/);
      }
    });

    it('another media type of gRPC, and what is no gRPC', async () => {
      const answer = await caller.call([requestFor('acme')], { 'content-type': 'application/grpc;x=y' });
      assert.equal(textIn(answer), 'hello acme');
      const refused = await caller.call([requestFor('acme')], { 'content-type': 'application/json' });
      assert.equal(refused.headers[':status'], 415);
    });

    it('an unknown method', async () => {
      const answer = await caller.call([requestFor('acme')], {}, '/platen.v1.RenderService/Nothing');
      assert.equal(Number(answer.headers['grpc-status']), Code.UNIMPLEMENTED);
    });
  });

  describe('Deadlines are honoured', () => {
    it('as the call says, with our error', async () => {
      const answer = await caller.call([requestFor('held')], { 'grpc-timeout': '20m' });
      assert.deepEqual([codeIn(answer), reasonIn(answer)], ['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED']);
      assert.equal(statusIn(answer).message, decodeURI(answer.trailers['grpc-message'] as string));
      const { signal } = contexts[0]!;
      assert.equal((signal.reason as Error).name, 'DeadlineExceeded');
      held[0]!();
      assert.equal(textIn(await caller.call([requestFor('acme')])), 'hello acme');
    });

    it('in every unit', async () => {
      const units = { '2H': 7_200_000, '3M': 180_000, '45S': 45_000, '60000m': 60_000, '70000000u': 70_000 };
      for (const [timeout, ms] of Object.entries(units)) {
        const before = Date.now();
        await caller.call([requestFor('acme')], { 'grpc-timeout': timeout });
        const { deadline } = contexts.pop()!;
        assert.ok(deadline! >= before + ms && deadline! <= Date.now() + ms, timeout);
      }
      const answer = await caller.call([requestFor('held')], { 'grpc-timeout': '99999999n' });
      assert.equal(codeIn(answer), 'DEADLINE_EXCEEDED');
    });

    it('while the request is not complete, and the caller is told to send no more of it', async () => {
      const stream = caller.open({ 'grpc-timeout': '50m', 'x-request-id': 'incomplete' });
      stream.write(requestFor('acme').subarray(0, 7));
      const answer = await answerOf(stream);
      assert.deepEqual([codeIn(answer), reasonIn(answer)], ['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED']);
      assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
      assert.equal(lineOf('incomplete')!['code'], 'DEADLINE_EXCEEDED');
      assert.deepEqual(contexts, []);
    });

    it('there is none where the call has none', async () => {
      await caller.call([requestFor('acme')]);
      assert.equal(contexts[0]!.deadline, undefined);
    });
  });

  describe('Cancelled work ends', () => {
    it('the signal of the handler tells, and the log', async () => {
      const stream = caller.open({ 'x-request-id': 'cancelled' });
      stream.end(requestFor('held'));
      await until(() => held.length === 1);
      stream.close(constants.NGHTTP2_CANCEL);
      await until(() => contexts[0]!.signal.aborted);
      assert.equal((contexts[0]!.signal.reason as Error).name, 'Cancelled');
      await until(() => lineOf('cancelled') !== undefined);
      assert.equal(lineOf('cancelled')!['code'], 'CANCELLED');
      held[0]!();
      assert.equal(textIn(await caller.call([requestFor('acme')])), 'hello acme');
    });

    it('a call that is cancelled before its message was complete never begins', async () => {
      const stream = caller.open({ 'x-request-id': 'never' });
      stream.write(requestFor('acme').subarray(0, 7));
      await caller.call([requestFor('acme')]);
      stream.close(constants.NGHTTP2_CANCEL);
      await once(stream, 'close');
      await caller.call([requestFor('acme')]);
      assert.equal(contexts.length, 2);
      assert.equal(lineOf('never'), undefined);
    });

    it('the signal stays as it is once the call is answered', async () => {
      await caller.call([requestFor('acme')]);
      assert.equal(contexts[0]!.signal.aborted, false);
    });
  });

  describe('A call is known by what it carries', () => {
    it('its id, in the answer as well', async () => {
      for (const tenant of ['acme', 'nobody']) {
        const answer = await caller.call([requestFor(tenant)], { 'x-request-id': `id-of-${tenant}` });
        assert.equal(answer.headers['x-request-id'], `id-of-${tenant}`);
        assert.equal(contexts.pop()!.callId, `id-of-${tenant}`);
      }
    });

    it('the address of its caller, in the log', async () => {
      await caller.call([requestFor('acme')], { 'x-request-id': 'peer-1' });
      await caller.call([requestFor('acme')], { 'x-request-id': 'peer-2' });
      await until(() => lineOf('peer-2') !== undefined);
      const peer = `127.0.0.1:${caller.localPort}`;
      assert.deepEqual([lineOf('peer-1')!['peer'], lineOf('peer-2')!['peer']], [peer, peer]);
      assert.deepEqual([lineOf('peer-1')!['transport'], lineOf('peer-1')!['code']], ['grpc', 'OK']);
    });

    it('its headers that are text', async () => {
      for (const headers of [{}, BY_GRPC_JS]) {
        await caller.call([requestFor('acme')], { ...headers, 'x-text': 'text', 'x-bytes-bin': 'Ynl0ZXM=' });
        const context = contexts.pop()!;
        assert.equal(context.header('x-text'), 'text');
        assert.equal(context.header('x-bytes-bin'), undefined);
        assert.equal(context.header('x-none'), undefined);
      }
    });
  });

  it('a request may come in pieces of any size', async () => {
    const request = requestFor('acme');
    const stream = caller.open();
    for (const byte of request) stream.write(Uint8Array.of(byte));
    stream.end();
    assert.equal(textIn(await answerOf(stream)), 'hello acme');
  });

  it('a batch is answered', async () => {
    const answer = await caller.call([framed(Buffer.from([0x0a, 0, 0x0a, 0, 0x0a, 0]))], {}, BATCH_RENDER);
    assert.equal(fromBinary(BatchRenderResponseSchema, answer.body.subarray(PREFIX_BYTES)).outcomes.length, 3);
  });
});

describe('A call on its stream', () => {
  const server = createServer();
  let caller: Caller;

  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    caller = new Caller(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  after(() => {
    caller.session.destroy();
    server.close();
  });

  /** Opens a call. @returns both of its ends */
  async function open(headers: Headers = {}): Promise<{ stream: ClientHttp2Stream; call: Http2Call; served: Served }> {
    const { promise, resolve } = Promise.withResolvers<{ call: Http2Call; served: Served }>();
    const listener: StreamListener = (served, received) => {
      served.resume();
      resolve({ call: new Http2Call(RenderService.method.render, RENDER, served, received), served });
    };
    server.once('stream', listener);
    const stream = caller.open(headers);
    return { stream, ...(await promise) };
  }

  it('whose caller goes away after its deadline was too late', async () => {
    const { stream, call } = await open({ 'grpc-timeout': '0n' });
    stream.close(constants.NGHTTP2_CANCEL);
    await until(() => call.aborted);
    assert.equal((call.signal.reason as Error).name, 'DeadlineExceeded');
  });

  it('whose caller has gone is answered into nothing', async () => {
    const { stream, call } = await open({ 'grpc-timeout': '1H' });
    stream.close(constants.NGHTTP2_CANCEL);
    await until(() => call.aborted);
    assert.equal((call.signal.reason as Error).name, 'Cancelled');
    call.sendHeaders();
    call.finish(OK_TRAILERS, requestFor('acme'));
    assert.equal(call.ended, true);
  });

  it('whose stream is closed and not destroyed yet is answered into nothing as well', async () => {
    const { call, served, stream } = await open();
    stream.on('error', () => {});
    served.close(constants.NGHTTP2_CANCEL);
    assert.deepEqual([served.closed, served.destroyed], [true, false]);
    call.sendHeaders();
    call.finish(OK_TRAILERS, requestFor('acme'));
    assert.deepEqual([call.ended, served.headersSent], [true, false]);
  });

  it('sends its headers once, and ends once', async () => {
    const { stream, call } = await open();
    call.setResponseHeader('x-request-id', 'r-1');
    call.sendHeaders();
    call.sendHeaders();
    call.finish(OK_TRAILERS, requestFor('acme'));
    call.finish({ 'grpc-status': Code.INTERNAL });
    stream.end();
    const { headers, body, trailers } = await answerOf(stream);
    assert.deepEqual([headers['x-request-id'], trailers['grpc-status'], body], ['r-1', '0', requestFor('acme')]);
  });
});
