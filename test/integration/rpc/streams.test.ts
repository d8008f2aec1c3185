import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { type Client, Code, ConnectError } from '@connectrpc/connect';
import { Client as GrpcClient, Metadata, type ServiceError, credentials, status } from '@grpc/grpc-js';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../../../gen/google/rpc/error_details_pb.js';
import {
  AuditService,
  type ReplayReceiptsRequest,
  ReplayReceiptsRequestSchema,
  type ReplayReceiptsResponse,
} from '../../../gen/platen/v1/audit_service_pb.js';
import { InvalidInput, Unavailable } from '../../../src/domain/errors.ts';
import type { CallContext, Send } from '../../../src/rpc/method.ts';
import { TestServer, fakeAudit, fakeServices, reasonOf, until } from '../../support/rpc-server.ts';

const REPLAY = 'platen.v1.AuditService/ReplayReceipts';
const RENDER = 'platen.v1.RenderService/Render';
const GRACE_MS = 60_000;
/** 100 MiB in all: much more than sockets hold. */
const LARGE = 'x'.repeat(256 * 1024);
const MESSAGES = 400;
const FEW = 3;

type Audit = Client<typeof AuditService>;
type ReplaySend = Send<(typeof AuditService)['method']['replayReceipts']['output']>;

/** What became of one stream, on the server's side. */
class Stream {
  readonly context: CallContext;
  sent = 0;
  /** What `send` rejected with; undefined: it did not. */
  refusal: unknown;
  ended = false;

  constructor(context: CallContext) {
    this.context = context;
  }
}

/** A server whose streams do as the tenant says. */
class StreamServer {
  readonly test: TestServer;
  readonly streams: Stream[];
  readonly held: (() => void)[];

  private constructor(test: TestServer, streams: Stream[], held: (() => void)[]) {
    this.test = test;
    this.streams = streams;
    this.held = held;
  }

  static async start(): Promise<StreamServer> {
    const streams: Stream[] = [];
    const held: (() => void)[] = [];
    const replayReceipts = async (context: CallContext, request: ReplayReceiptsRequest, send: ReplaySend) => {
      const stream = new Stream(context);
      streams.push(stream);
      const count = async (message: Parameters<ReplaySend>[0]) => {
        await send(message);
        stream.sent += 1;
      };
      try {
        await act(request.tenant, count, () => new Promise((resolve) => held.push(resolve)));
      } catch (error) {
        stream.refusal = error;
        throw error;
      } finally {
        stream.ended = true;
      }
    };
    const test = await TestServer.start([...fakeServices(), fakeAudit({ replayReceipts })]);
    return new StreamServer(test, streams, held);
  }

  /** The stream that was begun last. */
  get last(): Stream {
    return this.streams.at(-1)!;
  }

  release(): void {
    for (const resolve of this.held.splice(0)) resolve();
  }
}

async function act(tenant: string, send: ReplaySend, held: () => Promise<void>): Promise<void> {
  if (tenant === 'none') return;
  if (tenant === 'refused') throw new Unavailable('OVERLOADED', 'too many jobs', 1000);
  if (tenant === 'invalid') throw new InvalidInput([{ field: 'tenant', reason: 'BAD_FORMAT', description: 'bad' }]);
  if (tenant === 'large' || tenant === 'few large') {
    for (let n = 0; n < (tenant === 'large' ? MESSAGES : FEW); n++) await send({ total: 1n, deviations: [{ renderId: LARGE }] });
    return;
  }
  if (tenant === 'endless') for (;;) await send({ total: 1n });
  await send({ total: 2n, replayed: 1n });
  if (tenant === 'defect') throw new TypeError('secret');
  if (tenant === 'unencodable') await send({ deviations: [{ rendererVersion: 'one' as unknown as number }] });
  if (tenant === 'away') throw new Unavailable('DATABASE_UNAVAILABLE', 'away', 1000);
  if (tenant === 'held') await held();
  await send({ total: 2n, replayed: 2n });
}

/** Reads a stream to its end. */
async function readAll(stream: AsyncIterable<ReplayReceiptsResponse>) {
  const replayed: number[] = [];
  try {
    for await (const message of stream) replayed.push(Number(message.replayed));
  } catch (error) {
    return { replayed, error: ConnectError.from(error) };
  }
  return { replayed, error: undefined };
}

async function failureOf(stream: AsyncIterable<ReplayReceiptsResponse>): Promise<ConnectError> {
  const { error } = await readAll(stream);
  assert.ok(error, 'the stream succeeded');
  return error;
}

function envelope(bytes: Uint8Array, flags = 0): Uint8Array<ArrayBuffer> {
  const header = Buffer.alloc(5);
  header.writeUInt8(flags);
  header.writeUInt32BE(bytes.length, 1);
  return new Uint8Array(Buffer.concat([header, bytes]));
}

/** The content type of each protocol; undefined: it is not for HTTP/1.1. */
const RAW: Readonly<Record<string, string | undefined>> = {
  gRPC: undefined,
  'gRPC-Web': 'application/grpc-web+proto',
  'gRPC-Web with JSON': 'application/grpc-web+json',
  Connect: 'application/connect+proto',
  'Connect with JSON': 'application/connect+json',
};

interface RawStream {
  readonly body: AsyncIterable<Uint8Array>;
  leave(): void;
}

/**
 * Opens a stream whose body is read as the test reads it (connect-node's own client reads ahead without bound on
 * HTTP/1.1), and whose deadline only the server knows.
 */
async function openRaw(server: TestServer, protocol: string, tenant: string, timeoutMs = 60_000): Promise<RawStream> {
  const contentType = RAW[protocol];
  const bytes = toBinary(ReplayReceiptsRequestSchema, create(ReplayReceiptsRequestSchema, { tenant }));
  if (contentType === undefined) return openGrpc(server, Buffer.from(bytes), timeoutMs);
  const headers = {
    'content-type': contentType,
    ...(protocol.startsWith('gRPC')
      ? { 'grpc-timeout': `${timeoutMs}m` }
      : { 'connect-timeout-ms': String(timeoutMs) }),
  };
  const request = httpRequest(`${server.httpUrl}/${REPLAY}`, { method: 'POST', headers });
  request.end(envelope(contentType.endsWith('json') ? Buffer.from(JSON.stringify({ tenant })) : bytes));
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { body: response, leave: () => response.destroy() };
}

function openGrpc(server: TestServer, bytes: Buffer, timeoutMs: number): RawStream {
  const client = new GrpcClient(server.addresses.grpcAddress, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set('grpc-timeout', `${timeoutMs}m`);
  const identity = (message: Buffer) => message;
  const call = client.makeServerStreamRequest(`/${REPLAY}`, identity, identity, bytes, metadata);
  async function* body(): AsyncGenerator<Buffer> {
    try {
      yield* call;
    } catch (error) {
      yield Buffer.from(`grpc-status: ${(error as ServiceError).code}`);
    } finally {
      client.close();
    }
  }
  const leave = () => {
    call.on('error', () => client.close());
    call.cancel();
  };
  return { body: body(), leave };
}

/** The last bytes of a body. */
async function endOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  let end = Buffer.alloc(0);
  for await (const chunk of body) end = Buffer.concat([end, chunk]).subarray(-1000);
  return end.toString('latin1');
}

/** The messages of a body of envelopes, as text. */
function envelopesIn(body: Buffer): { flags: number; text: string }[] {
  const found = [];
  for (let at = 0; at < body.length; ) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    const flags = body.readUInt8(at);
    const bytes = body.subarray(at + 5, end);
    found.push({ flags, text: ((flags & 1) === 1 ? gunzipSync(bytes) : bytes).toString() });
    at = end;
  }
  return found;
}

describe("Streams keep to the caller's pace", () => {
  let server: StreamServer;

  before(async () => {
    server = await StreamServer.start();
  });
  beforeEach(() => {
    server.streams.length = 0;
  });
  after(() => server.test.stop());

  function inEveryProtocol(run: (audit: Audit, protocol: string) => Promise<void>) {
    return async () => {
      for (const { protocol, client } of server.test.clients(AuditService)) await run(client, protocol);
    };
  }

  const logOf = (callId: string) => server.test.logs.filter((line) => line['call_id'] === callId);

  describe('A stream is answered in every protocol', () => {
    it(
      'with its messages in order',
      inEveryProtocol(async (audit, protocol) => {
        assert.deepEqual(await readAll(audit.replayReceipts({})), { replayed: [1, 2], error: undefined }, protocol);
      }),
    );

    it(
      'with none',
      inEveryProtocol(async (audit, protocol) => {
        const { replayed, error } = await readAll(audit.replayReceipts({ tenant: 'none' }));
        assert.deepEqual([replayed, error], [[], undefined], protocol);
      }),
    );

    it(
      'with its first message as soon as that is sent, and the id of the call before it',
      inEveryProtocol(async (audit, protocol) => {
        const told: (string | null)[] = [];
        const onHeader = (headers: Headers) => void told.push(headers.get('x-request-id'));
        const headers = { 'x-request-id': 'r-1' };
        const stream = audit.replayReceipts({ tenant: 'held' }, { headers, onHeader })[Symbol.asyncIterator]();
        const first = await stream.next();
        assert.equal(first.value?.replayed, 1n, protocol);
        assert.deepEqual(told, ['r-1'], protocol);
        assert.equal(server.last.ended, false);
        await until(() => server.held.length === 1);
        server.release();
        assert.equal((await stream.next()).value?.replayed, 2n, protocol);
        assert.equal((await stream.next()).done, true, protocol);
      }),
    );

    it(
      'and tells the id of the call with an error before the first message too',
      inEveryProtocol(async (audit, protocol) => {
        const told: (string | null)[] = [];
        const onHeader = (headers: Headers) => void told.push(headers.get('x-request-id'));
        const headers = { 'x-request-id': 'r-2' };
        const error = await failureOf(audit.replayReceipts({ tenant: 'refused' }, { headers, onHeader }));
        assert.deepEqual([reasonOf(error), told], ['OVERLOADED', ['r-2']], protocol);
      }),
    );

    it(
      'with one line in the log and one call in the metrics',
      inEveryProtocol(async (audit, protocol) => {
        const countOf = async (code: string): Promise<number> => {
          const page = await server.test.metrics.text();
          const pattern = new RegExp(`platen_rpc_seconds_count\\{rpc="${REPLAY}",code="${code}"\\} (\\d+)\\n`);
          return Number(pattern.exec(page)?.[1] ?? 0);
        };
        const before = [await countOf('OK'), await countOf('UNAVAILABLE')] as const;
        await readAll(audit.replayReceipts({}, { headers: { 'x-request-id': `once ${protocol}` } }));
        await readAll(audit.replayReceipts({ tenant: 'away' }, { headers: { 'x-request-id': `once ${protocol}` } }));
        const codes = logOf(`once ${protocol}`).map((line) => line['code']);
        assert.deepEqual(codes, ['OK', 'UNAVAILABLE']);
        const after = [await countOf('OK'), await countOf('UNAVAILABLE')];
        assert.deepEqual(after, [before[0] + 1, before[1] + 1]);
      }),
    );

    it(
      'to a handler that sees the same context as one of a single answer',
      inEveryProtocol(async (audit, protocol) => {
        await readAll(audit.replayReceipts({}, { headers: { 'x-request-id': 'r' }, timeoutMs: 10_000 }));
        const { context } = server.last;
        assert.deepEqual([context.rpc, context.callId], [REPLAY, 'r'], protocol);
        assert.equal(context.method, AuditService.method.replayReceipts);
        assert.match(context.peer, /^127\.0\.0\.1:\d+$/, protocol);
        assert.ok((context.deadline as number) > Date.now(), protocol);
        assert.equal(context.signal.aborted, false, protocol);
      }),
    );
  });

  describe('A stream fails as calls do', () => {
    it(
      'before its first message',
      inEveryProtocol(async (audit, protocol) => {
        const { replayed, error } = await readAll(audit.replayReceipts({ tenant: 'invalid' }));
        assert.deepEqual([replayed, error?.code], [[], Code.InvalidArgument], protocol);
        assert.equal(error?.rawMessage, 'tenant: bad', protocol);
        assert.equal(reasonOf(error), 'INVALID_INPUT', protocol);
        assert.equal(error.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field, 'tenant', protocol);
      }),
    );

    it(
      'after some messages',
      inEveryProtocol(async (audit, protocol) => {
        const { replayed, error } = await readAll(audit.replayReceipts({ tenant: 'away' }));
        assert.deepEqual([replayed, error?.code, error?.rawMessage], [[1], Code.Unavailable, 'away'], protocol);
        assert.equal(reasonOf(error!), 'DATABASE_UNAVAILABLE', protocol);
        assert.equal(error!.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds, 1n, protocol);
      }),
    );

    for (const tenant of ['defect', 'unencodable']) {
      it(
        `with INTERNAL and an id where it is ${tenant}`,
        inEveryProtocol(async (audit, protocol) => {
          const { replayed, error } = await readAll(audit.replayReceipts({ tenant }));
          assert.deepEqual([replayed, error?.code], [[1], Code.Internal], protocol);
          const [info] = error!.findDetails(ErrorInfoSchema);
          assert.equal(info?.reason, 'INTERNAL', protocol);
          assert.ok(server.test.logs.some((line) => line['error_id'] === info?.metadata['error_id']), protocol);
        }),
      );
    }

    it(
      'where its request has ill-formed text',
      inEveryProtocol(async (audit, protocol) => {
        const error = await failureOf(audit.replayReceipts({ tenant: 'a\0b' }));
        assert.deepEqual([error.code, reasonOf(error)], [Code.InvalidArgument, 'INVALID_INPUT'], protocol);
        assert.equal(server.streams.length, 0);
      }),
    );
  });

  describe('A slow reader holds up the handler', () => {
    for (const protocol of Object.keys(RAW)) {
      it(`which is never far ahead of what was read, in ${protocol}`, async () => {
        const { body } = await openRaw(server.test, protocol, 'large');
        let bytes = 0;
        let ahead = 0;
        for await (const chunk of body) {
          bytes += chunk.byteLength;
          ahead = Math.max(ahead, server.last.sent - Math.floor(bytes / LARGE.length));
        }
        assert.ok(bytes > MESSAGES * LARGE.length);
        assert.ok(ahead < MESSAGES / 2, String(ahead));
      });

      it(`and which ends at the deadline of one who has stopped reading, in ${protocol}`, async () => {
        const { body } = await openRaw(server.test, protocol, 'large', 200);
        await until(() => server.streams.length === 1 && server.last.ended);
        const { refusal, context, sent } = server.last;
        assert.equal((refusal as Error).name, 'DeadlineExceeded');
        assert.equal(refusal, context.signal.reason);
        assert.ok(sent < MESSAGES / 2, String(sent));
        // What had been handed over arrives, and then why there is no more.
        assert.match(await endOf(body), /deadline_exceeded|grpc-status: 4/);
      });

      it(`and which ends when one who has stopped reading goes away, in ${protocol}`, async () => {
        const { leave } = await openRaw(server.test, protocol, 'large');
        await until(() => server.streams.length === 1 && server.last.sent > 0);
        leave();
        await until(() => server.last.ended);
        assert.equal((server.last.refusal as Error).name, 'Cancelled');
        assert.equal(server.last.refusal, server.last.context.signal.reason);
        assert.ok(server.last.sent < MESSAGES / 2);
      });
    }
  });

  describe('A stream ends when its caller goes away', () => {
    it(
      'while the handler sends',
      inEveryProtocol(async (audit, protocol) => {
        const controller = new AbortController();
        const { signal } = controller;
        const stream = audit.replayReceipts({ tenant: 'endless' }, { signal })[Symbol.asyncIterator]();
        await stream.next();
        controller.abort();
        await assert.rejects(async () => {
          while (!(await stream.next()).done);
        });
        await until(() => server.last.ended);
        assert.equal((server.last.refusal as Error).name, 'Cancelled', protocol);
        assert.equal(server.last.refusal, server.last.context.signal.reason, protocol);
        const { callId } = server.last.context;
        await until(() => logOf(callId).length === 1);
        assert.equal(logOf(callId)[0]?.['code'], 'CANCELLED', protocol);
      }),
    );

    it(
      'while the handler works in silence',
      inEveryProtocol(async (audit, protocol) => {
        const controller = new AbortController();
        const { signal } = controller;
        const stream = audit.replayReceipts({ tenant: 'held' }, { signal })[Symbol.asyncIterator]();
        await stream.next();
        await until(() => server.held.length === 1);
        controller.abort();
        await until(() => server.last.context.signal.aborted);
        assert.equal(server.last.context.signal.reason.name, 'Cancelled', protocol);
        server.release();
        await until(() => server.last.ended);
        assert.equal(server.last.refusal, server.last.context.signal.reason, protocol);
      }),
    );
  });

  it(
    'A stream ends at the deadline, and its caller learns of it',
    inEveryProtocol(async (audit, protocol) => {
      const error = await failureOf(audit.replayReceipts({ tenant: 'held' }, { timeoutMs: 100 }));
      assert.equal(error.code, Code.DeadlineExceeded, protocol);
      await until(() => server.last.context.signal.aborted);
      server.release();
      await until(() => server.last.ended);
      assert.equal(server.last.refusal, server.last.context.signal.reason, protocol);
    }),
  );

  describe('On the HTTP port', () => {
    const streamJson = { 'content-type': 'application/connect+json' };
    const streamProto = { 'content-type': 'application/connect+proto' };
    const post = (body: Uint8Array<ArrayBuffer>, headers: Record<string, string>) =>
      server.test.post(REPLAY, body, headers);
    const json = (body: string) => envelope(Buffer.from(body));
    const bodyOf = async (response: Response) => envelopesIn(Buffer.from(await response.arrayBuffer()));
    const request = new Uint8Array(
      toBinary(ReplayReceiptsRequestSchema, create(ReplayReceiptsRequestSchema, { tenant: 'acme' })),
    );

    it('a stream of Connect is made of envelopes, the last of which says how it ended', async () => {
      const response = await post(json('{"tenant":"away"}'), streamJson);
      assert.deepEqual([response.status, response.headers.get('content-type')], [200, 'application/connect+json']);
      const [message, end] = await bodyOf(response);
      assert.deepEqual(message, { flags: 0, text: '{"total":"2","replayed":"1"}' });
      assert.equal(end?.flags, 2);
      const { error } = JSON.parse(end.text) as { error: { code: string; details: { type: string }[] } };
      assert.equal(error.code, 'unavailable');
      assert.deepEqual(error.details.map(({ type }) => type), ['google.rpc.ErrorInfo', 'google.rpc.RetryInfo']);
    });

    it('messages are compressed for those who ask for it', async () => {
      const headers = { ...streamJson, 'connect-accept-encoding': 'gzip' };
      const response = await post(json('{"tenant":"few large"}'), headers);
      assert.equal(response.headers.get('connect-content-encoding'), 'gzip');
      const envelopes = await bodyOf(response);
      assert.equal(envelopes.length, FEW + 1);
      assert.deepEqual(envelopes[0]?.flags, 1);
    });

    const REFUSED: [what: string, send: () => Promise<Response>, status: number][] = [
      ['a request without an envelope', () => server.test.post(REPLAY, '{}'), 415],
      ['protobuf without an envelope', () => post(request, { 'content-type': 'application/proto' }), 415],
      ['a stream of a method that has one answer', () => server.test.post(RENDER, json('{}'), streamJson), 415],
      ['a GET', () => fetch(`${server.test.httpUrl}/${REPLAY}?connect=v1&encoding=json&message=%7B%7D`), 415],
      ['a PUT', () => fetch(`${server.test.httpUrl}/${REPLAY}`, { method: 'PUT', headers: streamJson }), 405],
      ['gRPC', () => post(envelope(request), { 'content-type': 'application/grpc' }), 415],
    ];
    for (const [what, send, expected] of REFUSED) {
      it(`${what} is refused with ${expected}`, async () => {
        const response = await send();
        await response.arrayBuffer();
        assert.equal(response.status, expected);
        assert.equal(server.streams.length, 0);
      });
    }

    const many = `{"labels":{"a":[${'0,'.repeat(60_000)}0]}}`;
    const MALFORMED: [what: string, send: () => Promise<Response>, message: RegExp, reason?: string][] = [
      ['JSON that is none', () => post(json('{"tenant":'), streamJson), /cannot be decoded .*JSON/],
      ['a JSON field that is unknown', () => post(json('{"tennant":"x"}'), streamJson), /"tennant" is unknown/],
      ['protobuf that is none', () => post(envelope(Uint8Array.of(0xff, 0xff)), streamProto), /cannot be decoded/],
      ['two messages', () => post(twice(envelope(request)), streamProto), /there is more than one message/],
      ['an envelope that is cut off', () => post(envelope(request).slice(0, 7), streamProto), /cannot be decoded/],
      ['a timeout that is no number', () => post(json('{}'), { ...streamJson, 'connect-timeout-ms': 'x' }), /timeout/],
      ['many fields', () => post(json(many), streamJson), /more than 50000 fields/, 'INVALID_INPUT'],
    ];
    for (const [what, send, message, reason = 'MALFORMED_REQUEST'] of MALFORMED) {
      it(`${what} is an invalid argument`, async () => {
        const response = await send();
        const callId = response.headers.get('x-request-id') as string;
        const [end, ...more] = await bodyOf(response);
        assert.deepEqual([response.status, end?.flags, more], [200, 2, []]);
        const { error } = JSON.parse(end!.text) as {
          error: { code: string; message: string; details: { debug: { reason?: string } }[] };
        };
        assert.equal(error.code, 'invalid_argument');
        assert.match(error.message, message);
        assert.equal(error.details[0]?.debug.reason, reason);
        assert.deepEqual(logOf(callId).map((line) => line['reason']), [reason]);
        assert.equal(server.streams.length, 0);
      });
    }

    it('a request without a message is unimplemented, as the protocol says', async () => {
      const [end] = await bodyOf(await post(new Uint8Array(), streamJson));
      assert.match(end!.text, /"unimplemented"/);
    });

    it('malformed bytes in gRPC-Web are one too', async () => {
      const headers = { 'content-type': 'application/grpc-web+proto' };
      const [end] = await bodyOf(await post(envelope(Uint8Array.of(0xff, 0xff)), headers));
      assert.equal(end?.flags, 0x80);
      assert.match(end.text, /grpc-status: 3\r\n/);
      assert.match(decodeURIComponent(end.text), /cannot be decoded/);
    });
  });

  describe('On the gRPC port', () => {
    const identity = (bytes: Buffer) => bytes;
    let client: GrpcClient;

    before(() => {
      client = new GrpcClient(server.test.addresses.grpcAddress, credentials.createInsecure());
    });
    after(() => client.close());

    function open(bytes: Buffer, metadata = new Metadata()) {
      const call = client.makeServerStreamRequest(`/${REPLAY}`, identity, identity, bytes, metadata);
      const failed = once(call, 'error').then(([error]) => error as ServiceError);
      return { call, failed };
    }

    const requestOf = (tenant: string) =>
      Buffer.from(toBinary(ReplayReceiptsRequestSchema, create(ReplayReceiptsRequestSchema, { tenant })));

    it('malformed bytes are an invalid argument', async () => {
      const { call, failed } = open(Buffer.from([0xff, 0xff]));
      call.resume();
      const error = await failed;
      assert.equal(error.code, status.INVALID_ARGUMENT);
      assert.match(error.details, /^the request cannot be decoded/);
      assert.equal(error.metadata.get('grpc-status-details-bin').length, 1);
      assert.equal(server.streams.length, 0);
    });

    it('a caller who leaves the deadline to the server learns of it in the middle of many messages', async () => {
      const metadata = new Metadata();
      metadata.set('grpc-timeout', '50m');
      const { call, failed } = open(requestOf('endless'), metadata);
      call.resume();
      assert.equal((await failed).code, status.DEADLINE_EXCEEDED);
      await until(() => server.last.ended);
      assert.equal((server.last.refusal as Error).name, 'DeadlineExceeded');
    });
  });
});

function twice(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat([bytes, bytes]));
}

describe('Draining loses no request', () => {
  it('streams go on until they end, on connections that close then', async () => {
    const server = await StreamServer.start();
    const agent = new Agent({ keepAlive: true });
    const request = httpRequest(`${server.test.httpUrl}/${REPLAY}`, {
      method: 'POST',
      agent,
      headers: { 'content-type': 'application/connect+json' },
    });
    request.end(envelope(Buffer.from('{"tenant":"held"}')));
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    assert.equal(response.headers.connection, 'keep-alive');
    const streams = server.test.clients(AuditService).map(({ client }) => client.replayReceipts({ tenant: 'held' }));
    const answers = streams.map(readAll);
    await until(() => server.held.length === 1 + streams.length);
    const drained = server.test.server.drain(GRACE_MS);
    server.release();
    for (const answer of await Promise.all(answers)) assert.deepEqual(answer, { replayed: [1, 2], error: undefined });
    assert.equal(envelopesIn(Buffer.concat(await response.toArray())).length, 3);
    await drained;
    agent.destroy();
  });

  it('a stream that follows another one on the same connection is done before that closes', async () => {
    const server = await StreamServer.start();
    const { hostname, port } = new URL(server.test.httpUrl);
    const socket = connect(Number(port), hostname);
    const body = envelope(Buffer.from('{"tenant":"held"}'));
    const head = `POST /${REPLAY} HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+json\r\n`;
    const request = Buffer.concat([Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`), body]);
    socket.write(Buffer.concat([request, request]));
    await until(() => server.held.length === 2);
    const drained = server.test.server.drain(GRACE_MS);
    const [first, second] = server.held;
    let answer = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (answer += chunk));
    first?.();
    // The end of the first answer, and the head of the second.
    await until(() => /"replayed":"2"[^]*\r\n0\r\n\r\nHTTP\/1\.1 200 /.test(answer));
    second?.();
    await once(socket, 'close');
    await drained;
    assert.equal(answer.match(/"replayed":"2"/g)?.length, 2);
  });

  it('streams that are not done at the end of the grace period are told DRAINING, after what was sent', async () => {
    const server = await StreamServer.start();
    const streams = server.test.clients(AuditService).map(({ client }) => client.replayReceipts({ tenant: 'held' }));
    const answers = streams.map(readAll);
    await until(() => server.held.length === streams.length);
    await server.test.server.drain(10);
    for (const { replayed, error } of await Promise.all(answers)) {
      assert.deepEqual([replayed, error?.code], [[1], Code.Unavailable]);
      assert.equal(reasonOf(error!), 'DRAINING');
    }
    assert.ok(server.streams.every(({ context }) => context.signal.reason.reason === 'DRAINING'));
    server.release();
    await until(() => server.streams.every(({ ended }) => ended));
    for (const { refusal, context } of server.streams) assert.equal(refusal, context.signal.reason);
  });
});
