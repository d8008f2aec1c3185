import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { gzipSync } from 'node:zlib';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { base64Decode } from '@bufbuild/protobuf/wire';
import { ErrorInfoSchema } from '../../../gen/google/rpc/error_details_pb.js';
import {
  PreviewRequestSchema,
  PreviewResponseSchema,
  RenderRequestSchema,
  RenderResponseSchema,
} from '../../../gen/platen/v1/render_service_pb.js';
import { AlreadyExists, InvalidInput, PreconditionFailed, Stale, Unavailable } from '../../../src/domain/errors.ts';
import { TestServer, fakeServices, until } from '../../support/rpc-server.ts';

const RENDER = 'platen.v1.RenderService/Render';
const PREVIEW = 'platen.v1.RenderService/Preview';

interface ErrorBody {
  code: string;
  message: string;
  details: { type: string; value: string; debug: Record<string, unknown> }[];
}

/** The reason in a Connect error. */
function reasonIn({ details }: ErrorBody): string {
  const info = details.find(({ type }) => type === 'google.rpc.ErrorInfo');
  return fromBinary(ErrorInfoSchema, base64Decode(info?.value ?? '')).reason;
}

async function errorOf(response: Response): Promise<ErrorBody & { status: number }> {
  return { status: response.status, ...((await response.json()) as ErrorBody) };
}

function envelope(bytes: Uint8Array, flags = 0): Uint8Array<ArrayBuffer> {
  const header = Buffer.alloc(5);
  header.writeUInt8(flags);
  header.writeUInt32BE(bytes.length, 1);
  return new Uint8Array(Buffer.concat([header, bytes]));
}

/** Posts a body byte by byte. @returns the answer's body */
async function postInPieces(url: string, body: Uint8Array): Promise<string> {
  const headers = { 'content-type': 'application/grpc-web+proto' };
  const request = httpRequest(`${url}/${RENDER}`, { method: 'POST', headers });
  for (const byte of body) request.write(Uint8Array.of(byte));
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return Buffer.concat(await response.toArray()).toString('latin1');
}

describe('Connect, gRPC-Web and JSON on the HTTP port', () => {
  let server: TestServer;
  let rendered = 0;

  before(async () => {
    const failures: Record<string, Error> = {
      stale: new Stale('STALE_EDIT_VERSION', { value: 7, expected: 6, draftHash: 'ab', actor: 'jo', time: '' }),
      taken: new AlreadyExists('tenant', 'acme', 'ids are never reused'),
      invalid: new InvalidInput([{ field: 'tenant', reason: 'BAD_FORMAT', description: 'bad' }]),
      'in-use': new PreconditionFailed('RESOURCE_IN_USE', [{ type: 'X', subject: 'y', description: 'z' }]),
      away: new Unavailable('DATABASE_UNAVAILABLE', 'away', 1000),
      defect: new Error('secret'),
    };
    server = await TestServer.start(
      fakeServices(
        {
          render: async (_context, { tenant }) => {
            rendered += 1;
            if (tenant === 'stuck') await new Promise(() => {});
            return { tenant, text: `hello ${tenant}` };
          },
        },
        {
          updateTenant: async (_context, { tenant }) => {
            throw failures[tenant];
          },
        },
      ),
    );
  });
  after(() => server.stop());

  it('speaks JSON to curl', async () => {
    const response = await server.post(RENDER, '{"tenant": "acme"}');
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'application/json');
    assert.deepEqual(await response.json(), { tenant: 'acme', text: 'hello acme' });
  });

  const STATUSES: [tenant: string, status: number, code: string, reason: string][] = [
    ['invalid', 400, 'invalid_argument', 'INVALID_INPUT'],
    ['stale', 409, 'aborted', 'STALE_EDIT_VERSION'],
    ['taken', 409, 'already_exists', 'RESOURCE_EXISTS'],
    ['in-use', 400, 'failed_precondition', 'RESOURCE_IN_USE'],
    ['away', 503, 'unavailable', 'DATABASE_UNAVAILABLE'],
    ['defect', 500, 'internal', 'INTERNAL'],
  ];
  for (const [tenant, status, code, reason] of STATUSES) {
    it(`answers ${reason} with HTTP ${status}`, async () => {
      const response = await server.post('platen.v1.TenantService/UpdateTenant', JSON.stringify({ tenant }));
      const error = await errorOf(response);
      assert.deepEqual([error.status, error.code, reasonIn(error)], [status, code, reason]);
    });
  }

  it('answers what does not exist with HTTP 404', async () => {
    const error = await errorOf(await server.post('platen.v1.TenantService/GetTenant', '{"tenant":"nobody"}'));
    assert.deepEqual([error.status, error.code, reasonIn(error)], [404, 'not_found', 'RESOURCE_NOT_FOUND']);
    assert.deepEqual(error.details[0]?.debug, { reason: 'RESOURCE_NOT_FOUND', domain: 'platen' });
  });

  it('answers GET where the method has no side effects', async () => {
    const message = encodeURIComponent('{"tenant":"acme"}');
    const response = await fetch(`${server.httpUrl}/${PREVIEW}?connect=v1&encoding=json&message=${message}`);
    assert.deepEqual(await response.json(), { text: 'preview for acme' });
    const bytes = Buffer.from(toBinary(PreviewRequestSchema, create(PreviewRequestSchema, { tenant: 'acme' })));
    const base64 = bytes.toString('base64url');
    const binary = await fetch(`${server.httpUrl}/${PREVIEW}?connect=v1&encoding=proto&base64=1&message=${base64}`);
    assert.equal(binary.status, 200);
    assert.equal((await fetch(`${server.httpUrl}/${RENDER}?encoding=json&message=${message}`)).status, 405);
  });

  it('answers a request that is gone too long with HTTP 504, though the handler is stuck', async () => {
    const error = await errorOf(await server.post(RENDER, '{"tenant":"stuck"}', { 'connect-timeout-ms': '20' }));
    assert.deepEqual([error.status, error.code, reasonIn(error)], [504, 'deadline_exceeded', 'DEADLINE_EXCEEDED']);
  });

  it('answers unknown procedures with HTTP 404 and other content types with 415', async () => {
    assert.equal((await server.post('platen.v1.RenderService/Nothing', '{}')).status, 404);
    assert.equal((await server.post(RENDER, 'x', { 'content-type': 'text/plain' })).status, 415);
  });

  describe('Malformed bytes are an invalid argument', () => {
    const proto = { 'content-type': 'application/proto' };
    const malformed: [what: string, send: () => Promise<Response>, message: RegExp][] = [
      ['JSON that is none', () => server.post(RENDER, '{"tenant":'), /cannot be decoded .*JSON/],
      ['a JSON field that is unknown', () => server.post(RENDER, '{"tennant":"acme"}'), /"tennant" is unknown/],
      ['a JSON value of the wrong type', () => server.post(RENDER, '{"tenant":5}'), /tenant/],
      ['JSON that nests too deep', () => server.post(RENDER, deepJson(40_000)), /recursion depth/],
      ['protobuf that is none', () => server.post(RENDER, new Uint8Array([0xff, 0xff]), proto), /cannot be decoded/],
      ['protobuf that nests too deep', () => server.post(RENDER, deepProto(1000), proto), /recursion depth/],
      ['text that is no UTF-8', () => server.post(RENDER, new Uint8Array([0x0a, 1, 0xff]), proto), /cannot be decoded/],
      ['a broken GET', () => fetch(`${server.httpUrl}/${PREVIEW}?encoding=proto&base64=1&message=%21`), /base64/],
      ['a timeout that is no number', () => server.post(RENDER, '{}', { 'connect-timeout-ms': 'soon' }), /timeout/],
      ['a timeout of years', () => server.post(RENDER, '{}', { 'connect-timeout-ms': '9999999999' }), /timeout/],
      ['broken gzip', () => server.post(RENDER, 'x', { 'content-encoding': 'gzip' }), /cannot be decoded/],
    ];
    for (const [what, send, message] of malformed) {
      it(`in ${what}`, async () => {
        const before = rendered;
        const response = await send();
        const callId = response.headers.get('x-request-id');
        const error = await errorOf(response);
        assert.deepEqual([error.status, error.code, reasonIn(error)], [400, 'invalid_argument', 'MALFORMED_REQUEST']);
        assert.match(error.message, message);
        assert.equal(rendered, before);
        const line = server.logs.find((candidate) => candidate['call_id'] === callId);
        assert.equal(line?.['reason'], 'MALFORMED_REQUEST');
      });
    }

    it('in gRPC-Web, in its trailer', async () => {
      const headers = { 'content-type': 'application/grpc-web+proto', 'x-request-id': 'bad' };
      const response = await server.post(RENDER, envelope(new Uint8Array([0xff, 0xff])), headers);
      const text = Buffer.from(await response.arrayBuffer()).toString('latin1');
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('x-request-id'), 'bad');
      assert.match(text, /grpc-status: 3\r\n/);
      assert.match(text, /grpc-status-details-bin: /);
      assert.match(decodeURIComponent(text), /cannot be decoded/);
    });

    it('but nesting that can be read is refused by the path of the field', async () => {
      const error = await errorOf(await server.post(RENDER, deepJson(100)));
      assert.equal(reasonIn(error), 'INVALID_INPUT');
      assert.match(error.message, /^variables\.x(\[0\]){64}: /);
      const binary = await errorOf(await server.post(RENDER, deepProto(100), proto));
      assert.equal(reasonIn(binary), 'INVALID_INPUT');
      assert.match(binary.message, /^variables\.x(\[0\]){64}: /);
    });

    it('and unpaired surrogates in JSON are refused by the path of the field', async () => {
      const error = await errorOf(await server.post(RENDER, '{"variables":{"name":"a\\ud800"}}'));
      assert.equal(reasonIn(error), 'INVALID_INPUT');
      assert.match(error.message, /^variables\.name: an unpaired surrogate/);
    });
  });

  describe('Requests are bounded', () => {
    const large = (size: number) => JSON.stringify({ tenant: 't', fallback_text: 'x'.repeat(size) });

    it('takes 4 MiB less what the message needs', async () => {
      assert.equal((await server.post(RENDER, large(4 * 1024 * 1024 - 100))).status, 200);
    });

    it('refuses more with RESOURCE_EXHAUSTED, also when it is compressed', async () => {
      const plain = await server.post(RENDER, large(4 * 1024 * 1024));
      assert.deepEqual([plain.status, ((await plain.json()) as ErrorBody).code], [429, 'resource_exhausted']);
      const body = new Uint8Array(gzipSync(large(4 * 1024 * 1024)));
      const compressed = await server.post(RENDER, body, { 'content-encoding': 'gzip' });
      assert.deepEqual([compressed.status, ((await compressed.json()) as ErrorBody).code], [429, 'resource_exhausted']);
    });

    it('refuses headers over 16 KiB', async () => {
      assert.equal((await server.post(RENDER, '{}', { 'x-large': 'x'.repeat(20_000) })).status, 431);
    });

    it('takes gzip', async () => {
      const body = new Uint8Array(gzipSync('{"tenant":"acme"}'));
      const response = await server.post(RENDER, body, { 'content-encoding': 'gzip' });
      assert.deepEqual(await response.json(), { tenant: 'acme', text: 'hello acme' });
    });
  });

  describe('Requests are bounded before they cost', () => {
    const proto = { 'content-type': 'application/proto' };
    const web = { 'content-type': 'application/grpc-web+proto' };
    const bytes = (length: number) => new Uint8Array(Buffer.alloc(length, new Uint8Array([0x2a, 0])));
    const hostile = bytes(200_000);
    const json = `{"variables":{"a":[${'0,'.repeat(100_000)}0]}}`;
    const get = (query: string) => fetch(`${server.httpUrl}/${PREVIEW}?${query}`);
    const zipped = (content: string | Uint8Array) => new Uint8Array(gzipSync(content));
    const inUrl = (content: Uint8Array) => encodeURIComponent(Buffer.from(content).toString('base64'));

    const refused: [what: string, send: () => Promise<Response>][] = [
      ['JSON', () => server.post(RENDER, json)],
      ['JSON, compressed', () => server.post(RENDER, zipped(json), { 'content-encoding': 'gzip' })],
      ['JSON that says so in capitals', () => server.post(RENDER, json, { 'content-type': 'Application/JSON' })],
      ['protobuf', () => server.post(RENDER, hostile, proto)],
      [
        'protobuf that is said not to be compressed',
        () => server.post(RENDER, hostile, { ...proto, 'content-encoding': 'identity' }),
      ],
      ['protobuf, compressed', () => server.post(RENDER, zipped(hostile), { ...proto, 'content-encoding': 'gzip' })],
      ['a GET of JSON', () => get(`encoding=json&base64=1&compression=gzip&message=${inUrl(zipped(json))}`)],
      [
        'a GET of protobuf that speaks of json',
        () => get(`encoding=proto&json&base64=1&compression=gzip&message=${inUrl(zipped(hostile))}`),
      ],
    ];
    for (const [what, send] of refused) {
      it(`refuses many fields in ${what}`, async () => {
        const response = await send();
        const callId = response.headers.get('x-request-id');
        const error = await errorOf(response);
        assert.deepEqual([error.status, error.code, reasonIn(error)], [400, 'invalid_argument', 'INVALID_INPUT']);
        assert.equal(error.message, 'the request has more than 50000 fields, those inside lists and objects counted');
        const line = server.logs.find((candidate) => candidate['call_id'] === callId);
        assert.equal(line?.['reason'], 'INVALID_INPUT');
      });
    }

    it('refuses a Struct in pieces, though the URL of a GET is short', async () => {
      const pieces = Buffer.from([0x22, 8, 0x12, 6, 0x22, 0, 0x22, 0, 0x22, 0]);
      const error = await errorOf(await get(`encoding=proto&base64=1&message=${inUrl(pieces)}`));
      assert.equal(reasonIn(error), 'MALFORMED_REQUEST');
      assert.match(error.message, /model_config comes in pieces/);
    });

    const TOO_MANY = /more than 50000 fields/;
    const TWO = new Uint8Array(Buffer.concat([envelope(bytes(2)), envelope(bytes(2))]));
    const inWeb: [what: string, message: RegExp, body: Uint8Array<ArrayBuffer>, headers?: Record<string, string>][] = [
      ['many fields', TOO_MANY, envelope(hostile)],
      ['many fields, compressed', TOO_MANY, envelope(zipped(hostile), 1), { 'grpc-encoding': 'gzip' }],
      ['a second message', /there is more than one message/, TWO],
    ];
    for (const [what, message, body, headers] of inWeb) {
      it(`refuses ${what} in gRPC-Web`, async () => {
        const response = await server.post(RENDER, body, { ...web, ...headers });
        const text = Buffer.from(await response.arrayBuffer()).toString('latin1');
        assert.match(text, /grpc-status: 3\r\n/);
        assert.match(decodeURIComponent(text), message);
      });
    }

    it('takes a GET without a message for an empty one', async () => {
      const answer = new Uint8Array(await (await get('encoding=proto')).arrayBuffer());
      assert.equal(fromBinary(PreviewResponseSchema, answer).text, 'preview for ');
    });

    it('stops reading a body whose length nobody told after 4 MiB', async () => {
      const piece = Buffer.alloc(64 * 1024, 'x');
      let sent = 0;
      const body = new ReadableStream({
        pull: (controller) => {
          // A fallback_text of 64 MiB.
          controller.enqueue(sent === 0 ? Uint8Array.of(0x52, 0x80, 0x80, 0x80, 0x20) : piece);
          sent += piece.byteLength;
          if (sent > 64 * 1024 * 1024) controller.close();
        },
      });
      const init = { method: 'POST', body, duplex: 'half', headers: proto } as const;
      const outcome = await fetch(`${server.httpUrl}/${RENDER}`, init).then(({ status }) => status, () => 'cut off');
      assert.ok(outcome === 429 || outcome === 'cut off', String(outcome));
      assert.ok(sent < 32 * 1024 * 1024, String(sent));
    });

    it('takes an envelope in many pieces, and refuses one that is not whole', async () => {
      const whole = envelope(toBinary(RenderRequestSchema, create(RenderRequestSchema, { tenant: 'acme' })));
      assert.match(await postInPieces(server.httpUrl, whole), /hello acme/);
      assert.match(await postInPieces(server.httpUrl, whole.subarray(0, 3)), /grpc-status: 3\r\n/);
    });
  });

  it('survives a caller that leaves in the middle of its body', async () => {
    const before = server.logs.length;
    const request = httpRequest(`${server.httpUrl}/${RENDER}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': '1000' },
    });
    const closed = new Promise((resolve) => request.once('close', resolve));
    request.on('error', () => {});
    request.write('{"tenant":');
    await until(() => request.socket?.bytesWritten !== undefined && request.socket.bytesWritten > 0);
    request.destroy();
    await closed;
    assert.equal((await server.post(RENDER, '{}')).status, 200);
    assert.deepEqual(server.logs.slice(before).map((line) => line['code']), ['OK']);
  });

  it('refuses a request that names no host', async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      const { hostname, port } = new URL(server.httpUrl);
      const socket = connect(Number(port), hostname, () => {
        socket.write(`POST /${RENDER} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`);
      });
      let text = '';
      socket.on('data', (chunk) => (text += chunk)).once('close', () => resolve(text)).once('error', reject);
    });
    assert.match(answer, /^HTTP\/1\.1 400 /);
  });

  it('answers binary Connect', async () => {
    const body = new Uint8Array(toBinary(RenderRequestSchema, create(RenderRequestSchema, { tenant: 'acme' })));
    const response = await server.post(RENDER, body, { 'content-type': 'application/proto' });
    const bytes = new Uint8Array(await response.arrayBuffer());
    assert.equal(fromBinary(RenderResponseSchema, bytes).text, 'hello acme');
  });
});

function deepJson(depth: number): string {
  return `{"variables":{"x":${'['.repeat(depth)}${']'.repeat(depth)}}}`;
}

/** A RenderRequest with a variable of so many lists, made by hand: no encoder would. */
function deepProto(depth: number): Uint8Array<ArrayBuffer> {
  const field = (number: number, content: Buffer) =>
    Buffer.concat([varint((number << 3) | 2), varint(content.length), content]);
  let value: Buffer = Buffer.alloc(0);
  // Value.list_value = 6, ListValue.values = 1; the innermost list is empty.
  for (let level = 0; level < depth; level++) value = field(6, level === 0 ? value : field(1, value));
  const entry = Buffer.concat([field(1, Buffer.from('x')), field(2, value)]);
  return new Uint8Array(field(5, entry));
}

function varint(value: number): Buffer {
  const bytes = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}
