import assert from 'node:assert/strict';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { Client, Metadata, type ServiceError, credentials, status } from '@grpc/grpc-js';
import { BadRequestSchema, ErrorInfoSchema } from '../../../gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../../../gen/google/rpc/status_pb.js';
import { RenderRequestSchema, RenderResponseSchema } from '../../../gen/platen/v1/render_service_pb.js';
import type { CallContext } from '../../../src/rpc/method.ts';
import { TestServer, fakeServices, until } from '../../support/rpc-server.ts';

const RENDER = '/platen.v1.RenderService/Render';
const identity = (bytes: Buffer) => bytes;

function request(tenant: string): Buffer {
  return Buffer.from(toBinary(RenderRequestSchema, create(RenderRequestSchema, { tenant })));
}

/** One call with raw bytes, and the means to cancel it. */
function send(client: Client, bytes: Buffer, { path = RENDER, metadata = new Metadata(), deadline = Infinity } = {}) {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const call = client.makeUnaryRequest(path, identity, identity, bytes, metadata, { deadline }, (error, answer) => {
    if (error === null) resolve(answer as Buffer);
    else reject(error);
  });
  return { call, answer: promise };
}

async function refusal(answer: Promise<Buffer>): Promise<ServiceError> {
  return answer.then(
    () => assert.fail('the call succeeded'),
    (error: ServiceError) => error,
  );
}

function statusIn(error: ServiceError) {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  return fromBinary(StatusSchema, bytes as Buffer);
}

function infoIn(error: ServiceError) {
  return anyUnpack(statusIn(error).details[0]!, ErrorInfoSchema);
}

describe('gRPC on grpc-js', () => {
  let server: TestServer;
  let client: Client;
  const contexts: CallContext[] = [];
  let finished = 0;
  const release: (() => void)[] = [];

  before(async () => {
    server = await TestServer.start(
      fakeServices({
        render: async (context, { tenant, fallbackText }) => {
          contexts.push(context);
          if (tenant === 'held') await new Promise<void>((resolve) => release.push(resolve));
          finished += 1;
          return { tenant, text: fallbackText || `hello ${tenant}` };
        },
        preview: async (context) => {
          contexts.push(context);
          await new Promise<void>((resolve) => release.push(resolve));
          finished += 1;
          return {};
        },
      }),
    );
    client = new Client(server.addresses.grpcAddress, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
    });
  });
  beforeEach(() => {
    contexts.length = 0;
    release.length = 0;
    finished = 0;
  });
  after(() => {
    client.close();
    return server.stop();
  });

  it('answers', async () => {
    const answer = await send(client, request('acme')).answer;
    assert.equal(fromBinary(RenderResponseSchema, answer).text, 'hello acme');
  });

  it('sends google.rpc.Status in grpc-status-details-bin', async () => {
    const error = await refusal(send(client, request('a\0b')).answer);
    assert.equal(error.code, status.INVALID_ARGUMENT);
    assert.equal(error.details, 'tenant: U+0000 is not allowed');
    const { code, message, details } = statusIn(error);
    assert.deepEqual([code, message], [status.INVALID_ARGUMENT, 'tenant: U+0000 is not allowed']);
    assert.equal(anyUnpack(details[0]!, ErrorInfoSchema)?.reason, 'INVALID_INPUT');
    assert.equal(anyUnpack(details[1]!, BadRequestSchema)?.fieldViolations[0]?.field, 'tenant');
  });

  it('answers unknown methods with UNIMPLEMENTED', async () => {
    const path = '/platen.v1.RenderService/Nothing';
    assert.equal((await refusal(send(client, request('acme'), { path }).answer)).code, status.UNIMPLEMENTED);
  });

  it('knows headers that are text', async () => {
    const metadata = new Metadata();
    metadata.set('x-text', 'text');
    metadata.set('x-bytes-bin', Buffer.from('bytes'));
    await send(client, request('acme'), { metadata }).answer;
    assert.equal(contexts[0]?.header('x-text'), 'text');
    assert.equal(contexts[0]?.header('x-bytes-bin'), undefined);
  });

  it('answers every violation of a hostile request in one trailer', async () => {
    const labels = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`label-${i}`, '\0']));
    const message = create(RenderRequestSchema, { labels });
    const error = await refusal(send(client, Buffer.from(toBinary(RenderRequestSchema, message))).answer);
    assert.equal(error.code, status.INVALID_ARGUMENT);
    const badRequest = anyUnpack(statusIn(error).details[1]!, BadRequestSchema);
    assert.ok((badRequest?.fieldViolations.length ?? 0) > 100);
  });

  describe('Malformed bytes are an invalid argument', () => {
    for (const [what, bytes] of [
      ['bytes that end too early', Buffer.from([0x0a, 0xff])],
      ['bytes that are no protobuf', Buffer.from([0xff, 0xff, 0xff])],
      ['text that is not UTF-8', Buffer.from([0x0a, 1, 0xff])],
    ] as const) {
      it(what, async () => {
        const error = await refusal(send(client, bytes).answer);
        assert.equal(error.code, status.INVALID_ARGUMENT);
        assert.equal(infoIn(error)?.reason, 'MALFORMED_REQUEST');
        assert.match(error.details, /^the request cannot be decoded/);
        assert.equal(contexts.length, 0);
      });
    }
  });

  describe('Requests are bounded', () => {
    const large = (size: number) =>
      Buffer.from(toBinary(RenderRequestSchema, create(RenderRequestSchema, { fallbackText: 'x'.repeat(size) })));

    it('takes 4 MiB less what the message needs, and answers as much', async () => {
      const answer = await send(client, large(4 * 1024 * 1024 - 10)).answer;
      assert.equal(fromBinary(RenderResponseSchema, answer).text.length, 4 * 1024 * 1024 - 10);
    });

    it('refuses more with RESOURCE_EXHAUSTED', async () => {
      const error = await refusal(send(client, large(4 * 1024 * 1024)).answer);
      assert.equal(error.code, status.RESOURCE_EXHAUSTED);
    });

    it('refuses metadata over 16 KiB with RESOURCE_EXHAUSTED', async () => {
      const metadata = new Metadata();
      metadata.set('x-large', 'x'.repeat(20_000));
      const error = await refusal(send(client, request('acme'), { metadata }).answer);
      assert.equal(error.code, status.RESOURCE_EXHAUSTED);
      assert.equal(contexts.length, 0);
      assert.ok(await send(client, request('acme')).answer);
    });
  });

  describe('Requests are bounded before they cost', () => {
    it('refuses two million values that nothing has looked at yet', async () => {
      const noVariables = Buffer.alloc(4 * 1024 * 1024, new Uint8Array([0x2a, 0]));
      const error = await refusal(send(client, noVariables).answer);
      assert.equal(error.code, status.INVALID_ARGUMENT);
      assert.equal(infoIn(error)?.reason, 'INVALID_INPUT');
      assert.equal(error.details, 'the request has more than 50000 fields, those inside lists and objects counted');
      const badRequest = anyUnpack(statusIn(error).details[1]!, BadRequestSchema);
      assert.deepEqual(badRequest?.fieldViolations.map(({ field, reason }) => [field, reason]), [['', 'TOO_MANY']]);
      assert.equal(contexts.length, 0);
      assert.ok(await send(client, request('acme')).answer);
    });
  });

  describe('Deadlines are honoured', () => {
    it('answers at the deadline, though the handler runs on', async () => {
      const error = await refusal(send(client, request('held'), { deadline: Date.now() + 50 }).answer);
      assert.equal(error.code, status.DEADLINE_EXCEEDED);
      assert.equal(finished, 0);
      const { signal } = contexts[0] as CallContext;
      await until(() => signal.aborted);
      release[0]?.();
      await until(() => finished === 1);
      assert.ok(await send(client, request('acme')).answer);
    });

    it('also where grpc-js answers at the deadline', async () => {
      const path = '/platen.v1.RenderService/Preview';
      const error = await refusal(send(client, Buffer.alloc(0), { path, deadline: Date.now() + 50 }).answer);
      assert.equal(error.code, status.DEADLINE_EXCEEDED);
      const { signal } = contexts[0] as CallContext;
      await until(() => signal.aborted);
      assert.equal((signal.reason as Error).name, 'DeadlineExceeded');
      release[0]?.();
      await until(() => finished === 1);
    });

    it('knows the deadline of the caller', async () => {
      const deadline = Date.now() + 5000;
      await send(client, request('acme'), { deadline }).answer;
      assert.ok(Math.abs((contexts[0]?.deadline ?? 0) - deadline) < 1000);
      await send(client, request('acme')).answer;
      assert.equal(contexts[1]?.deadline, undefined);
    });

    it('leaves the signal alone once the call is answered', async () => {
      await send(client, request('acme'), { deadline: Date.now() + 5000 }).answer;
      await send(client, request('acme')).answer;
      assert.equal(contexts[0]?.signal.aborted, false);
    });
  });

  it('serves other calls of a connection on which thousands were cancelled', async function () {
    this.timeout(60_000);
    for (let round = 0; round < 10; round++) {
      const calls = Array.from({ length: 400 }, () => send(client, request('held')));
      await until(() => contexts.length === 400);
      for (const { call } of calls) call.cancel();
      const codes = await Promise.all(calls.map(async ({ answer }) => (await refusal(answer)).code));
      assert.deepEqual(new Set(codes), new Set([status.CANCELLED]));
      await until(() => contexts.every(({ signal }) => signal.aborted));
      contexts.length = 0;
      assert.ok(await send(client, request('acme')).answer);
      contexts.length = 0;
      for (const resolve of release.splice(0)) resolve();
    }
  });
});
