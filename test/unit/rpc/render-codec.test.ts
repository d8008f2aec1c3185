import assert from 'node:assert/strict';
import {
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
  create,
  fromBinary,
  toBinary,
} from '@bufbuild/protobuf';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { type ValueSchema, anyPack } from '@bufbuild/protobuf/wkt';
import { ErrorInfoSchema } from '../../../gen/google/rpc/error_details_pb.js';
import {
  BatchRenderRequestSchema,
  BatchRenderResponseSchema,
  RenderRequestSchema,
  RenderResponseSchema,
  RenderStreamRequestSchema,
  RenderStreamResponseSchema,
} from '../../../gen/platen/v1/render_service_pb.js';
import { DECODE_OPTIONS } from '../../../src/rpc/limits.ts';
import {
  decodeBatchRenderRequest,
  decodeRenderRequest,
  decodeRenderStreamRequest,
} from '../../../src/rpc/render-codec.ts';
import {
  encodeBatchRenderResponse,
  encodeRenderResponse,
  encodeRenderStreamResponse,
} from '../../support/unframed.ts';

type RequestInit = MessageInitShape<typeof RenderRequestSchema>;
type ResponseInit = MessageInitShape<typeof RenderResponseSchema>;
type ValueInit = MessageInitShape<typeof ValueSchema>;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const GROUP = 3;

function generated<D extends DescMessage>(desc: D, bytes: Uint8Array): MessageShape<D> {
  return fromBinary(desc, bytes, DECODE_OPTIONS);
}

function encoded<D extends DescMessage>(desc: D, init: MessageInitShape<D>): Buffer {
  return Buffer.from(toBinary(desc, create(desc, init)));
}

/** Fields of a message: strings and messages as their bytes, varints as numbers or as their bytes. */
function message(...fields: [field: number, content: Uint8Array | string | number][]): Buffer {
  const writer = new BinaryWriter();
  for (const [field, content] of fields) {
    if (typeof content === 'number') writer.tag(field, VARINT).int32(content);
    else if (typeof content === 'string') writer.tag(field, BYTES).string(content);
    else writer.tag(field, BYTES).bytes(content);
  }
  return Buffer.from(writer.finish());
}

/** A field that is a varint, in bytes of the test's choice. */
function varint(field: number, ...bytes: number[]): Buffer {
  return Buffer.of((field << 3) | VARINT, ...bytes);
}

function text(value: string): Buffer {
  return message([3, value]);
}

function assertRead(bytes: Uint8Array): void {
  assert.deepEqual(decodeRenderRequest(bytes), generated(RenderRequestSchema, bytes));
}

/** Well formed, and yet left to the generated codec. */
function assertLeft(bytes: Uint8Array): void {
  assert.equal(decodeRenderRequest(bytes), undefined);
  generated(RenderRequestSchema, bytes);
}

function assertRefused(bytes: Uint8Array): void {
  assert.equal(decodeRenderRequest(bytes), undefined);
  assert.throws(() => generated(RenderRequestSchema, bytes));
}

function lists(levels: number): ValueInit {
  const inner = levels === 1 ? [] : [lists(levels - 1)];
  return { kind: { case: 'listValue', value: { values: inner } } };
}

const REQUEST: RequestInit = {
  tenant: 'acme',
  target: { case: 'bundle', value: { bundleId: 'reply', selector: { case: 'version', value: '1.4.0' } } },
  channel: 'canary',
  variables: {
    name: { kind: { case: 'stringValue', value: 'Jane Doe of the night shift' } },
    age: { kind: { case: 'numberValue', value: -41.5 } },
    vip: { kind: { case: 'boolValue', value: true } },
    gone: { kind: { case: 'nullValue', value: 0 } },
    none: {},
    tags: { kind: { case: 'listValue', value: { values: [{ kind: { case: 'boolValue', value: false } }, {}] } } },
    address: {
      kind: {
        case: 'structValue',
        value: { fields: { city: { kind: { case: 'stringValue', value: 'Zürich' } }, '': lists(2) } },
      },
    },
  },
  placeholders: { history: { messages: [{ role: 2, content: 'hi' }, {}] }, none: {} },
  minSeq: 2n ** 49n - 1n,
  requestId: 'r-1',
  labels: { env: 'prod', '': '', constructor: 'x' },
  fallbackText: 'Sorry.',
  view: 3,
};

describe("The hot path's codec agrees with the generated one", () => {
  describe('requests', () => {
    it('reads every field', () => {
      const bytes = encoded(RenderRequestSchema, REQUEST);
      assert.deepEqual(decodeRenderRequest(bytes), create(RenderRequestSchema, REQUEST));
      assertRead(bytes);
    });

    it('reads a request without fields', () => assertRead(Buffer.alloc(0)));

    it('reads bytes that are part of others', () => {
      const bytes = Uint8Array.from([1, 2, 3, ...encoded(RenderRequestSchema, REQUEST), 4]);
      assertRead(bytes.subarray(3, -1));
    });

    it('reads fields in any order, and takes the last of a kind', () => {
      assertRead(message([11, 1], [1, 'a'], [4, 'b'], [1, 'c'], [11, 2], [11, 0], [4, '']));
    });

    it('takes the last target', () => {
      const bundle = message([1, 'b']);
      assertRead(message([3, 1], [3, 2]));
      assertRead(message([2, bundle], [3, 1]));
      assertRead(message([3, 1], [2, bundle]));
      assertRead(message([2, message([2, '1.0.0'], [3, 'canary'], [1, 'x'], [1, 'y'])]));
    });

    it('leaves a bundle in pieces', () => assertLeft(message([2, message([1, 'b'])], [2, message([2, '1.0.0'])])));

    it('takes the last entry of a key', () => {
      assertRead(message([9, message([1, 'a'], [2, '1'])], [9, message([1, 'b'], [2, ''])]));
      assertRead(message([9, message([1, 'a'], [2, '1'])], [9, message([1, 'a'], [2, '2'])]));
      assertRead(message([5, message([1, 'a'], [2, text('1')])], [5, message([1, 'a'], [2, text('2')])]));
    });

    it('leaves map entries without key or value, with more, or in another order', () => {
      for (const [field, value] of [[5, text('1')], [6, message([1, message([2, 'hi'])])], [9, '1']] as const) {
        assertRead(message([field, message([1, 'a'], [2, value])]));
        assertLeft(message([field, message()]));
        assertLeft(message([field, message([1, 'a'])]));
        assertLeft(message([field, message([2, value])]));
        assertLeft(message([field, message([2, value], [1, 'a'])]));
        assertLeft(message([field, message([1, 'a'], [1, 'b'], [2, value])]));
        assertLeft(message([field, message([1, 'a'], [2, value], [2, value])]));
        assertLeft(message([field, message([1, 'a'], [2, value], [3, 'x'])]));
        assertLeft(message([field, message([1, 'a'], [3, value])]));
        assertLeft(message([field, message([3, 'a'], [2, value])]));
      }
    });

    it('leaves the name that would set a prototype', () => {
      assertLeft(message([9, message([1, '__proto__'], [2, 'x'])]));
      assertLeft(message([5, message([1, '__proto__'], [2, text('x')])]));
      const object = message([1, message([1, '__proto__'], [2, text('x')])]);
      assertLeft(message([5, message([1, 'a'], [2, message([5, object])])]));
    });

    it('leaves a value of two kinds', () => {
      assertLeft(message([5, message([1, 'a'], [2, Buffer.concat([text('x'), varint(4, 1)])])]));
    });

    it('reads varints that are longer than they need be, and leaves what has more than 49 bits', () => {
      assertRead(varint(11, 0x81, 0x80, 0x00));
      assertRead(varint(7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f));
      assertRead(Buffer.of((1 << 3) | BYTES, 0x82, 0x80, 0x80, 0x00, 0x61, 0x62));
      assertLeft(varint(7, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01));
      assertLeft(varint(7, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00));
      assertRefused(varint(7, ...Array<number>(11).fill(0x80)));
    });

    it('takes any varint but 0 for true', () => {
      for (const byte of [0, 1, 2, 127]) assertRead(message([5, message([1, 'a'], [2, varint(4, byte)])]));
      assertRead(message([5, message([1, 'a'], [2, varint(4, 0x80, 0x02)])]));
    });

    it('leaves tags that are longer than they need be', () => {
      assertLeft(Buffer.of(0x80 | (1 << 3) | BYTES, 0x00, 0x01, 0x61));
    });

    it('leaves negative numbers, and those beyond 32 bits', () => {
      for (const field of [3, 11]) {
        assertRead(varint(field, 0xff, 0xff, 0xff, 0xff, 0x07));
        assertLeft(message([field, -1]));
        assertLeft(varint(field, 0x80, 0x80, 0x80, 0x80, 0x08));
      }
      assertLeft(varint(7, ...Array<number>(9).fill(0xff), 0x01));
      assertLeft(message([6, message([1, 'a'], [2, message([1, message([1, -1])])])]));
      assertLeft(message([5, message([1, 'a'], [2, message([1, -1])])]));
      const beyond = varint(1, 0x80, 0x80, 0x80, 0x80, 0x08);
      assertLeft(message([6, message([1, 'a'], [2, message([1, beyond])])]));
      assertLeft(message([5, message([1, 'a'], [2, beyond])]));
    });

    it('leaves unknown fields, and known ones of another wire type', () => {
      const unknown = message([12, 'x']);
      assertLeft(unknown);
      assertLeft(message([2, unknown]));
      assertLeft(message([6, message([1, 'a'], [2, unknown])]));
      assertLeft(message([6, message([1, 'a'], [2, message([1, unknown])])]));
      assertLeft(message([5, message([1, 'a'], [2, unknown])]));
      assertLeft(message([5, message([1, 'a'], [2, message([5, unknown])])]));
      assertLeft(message([5, message([1, 'a'], [2, message([6, unknown])])]));
      const entry = message([1, 'a'], [2, text('x')]);
      assertLeft(message([5, message([1, 'a'], [2, message([5, message([2, entry])])])]));
      assertLeft(Buffer.of((12 << 3) | FIXED64, 1, 2, 3, 4, 5, 6, 7, 8));
      // The generated codec does not look at the wire type.
      assertLeft(Buffer.of((11 << 3) | BYTES, 1));
      assertLeft(Buffer.of((1 << 3) | VARINT, 1, 0x61));
    });

    it('leaves groups', () => {
      assertLeft(Buffer.of((12 << 3) | GROUP, (12 << 3) | (GROUP + 1)));
      assertRefused(Buffer.of((12 << 3) | GROUP));
    });

    it('leaves strings and messages that leave the message around them', () => {
      // The generated codec reads on behind it.
      assertLeft(Buffer.of((2 << 3) | BYTES, 3, (1 << 3) | BYTES, 2, 0x61, 0x62));
      assertLeft(Buffer.of((2 << 3) | BYTES, 1, (1 << 3) | BYTES, 0));
      assertLeft(Buffer.of((9 << 3) | BYTES, 0, (1 << 3) | BYTES, 0, (2 << 3) | BYTES, 0));
      const entry = [(1 << 3) | BYTES, 0, (2 << 3) | BYTES, 1, (2 << 3) | FIXED64];
      assertLeft(Buffer.concat([Buffer.of((5 << 3) | BYTES, entry.length, ...entry), Buffer.alloc(8)]));
    });

    it('refuses what ends too early', () => {
      const bytes: Buffer = encoded(RenderRequestSchema, REQUEST);
      for (let length = 0; length < bytes.length; length += 1) {
        const part: Buffer = bytes.subarray(0, length);
        let expected: unknown;
        try {
          expected = generated(RenderRequestSchema, part);
        } catch {
          // What is left is undefined.
        }
        assert.deepEqual(decodeRenderRequest(part), expected, `${length} bytes`);
      }
    });

    it('reads text of any script, and at any place', () => {
      const texts = ['', 'plain', 'Ünïcödé', '日本語', '👨‍👩‍👧', '\ufeffmark', 'a\0b', '\u007f', '\u0080', 'x'.repeat(99)];
      for (const first of texts) {
        for (const second of texts) assertRead(message([1, first], [4, 'between'], [8, second], [10, 'behind']));
      }
    });

    it('reads long requests', () => {
      for (const length of [4000, 4094, 4095, 5000, 20_000]) {
        assertRead(message([10, 'x'.repeat(length)], [1, 'a']));
        assertRead(message([1, 'é'], [10, 'ü'.repeat(length)], [4, 'plain']));
      }
    });

    it('leaves U+FFFD', () => assertLeft(message([1, 'a\ufffdb'])));

    it('refuses what is not UTF-8', () => {
      for (const bytes of [[0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0x61, 0x80]]) {
        assertRefused(message([1, Buffer.from(bytes)]));
        assertRefused(message([1, Buffer.concat([Buffer.alloc(5000, 'x'), Buffer.from(bytes)])]));
        assertRefused(message([9, message([1, Buffer.from(bytes)], [2, 'x'])]));
      }
    });

    it('reads values nested dozens of levels deep, and leaves deeper ones', () => {
      const nested = (levels: number): Buffer => encoded(RenderRequestSchema, { variables: { a: lists(levels) } });
      assertRead(nested(48));
      assertLeft(nested(52));
      assertLeft(nested(140));
      assertRefused(nested(200));
    });

    it('reads many requests, and counts no nesting of one for the next', () => {
      const bytes = encoded(BatchRenderRequestSchema, { requests: Array.from({ length: 64 }, () => REQUEST) });
      assert.deepEqual(decodeBatchRenderRequest(bytes), generated(BatchRenderRequestSchema, bytes));
      assert.deepEqual(decodeBatchRenderRequest(Buffer.alloc(0)), create(BatchRenderRequestSchema));
    });

    it('leaves many requests for one that is not known', () => {
      const one = encoded(RenderRequestSchema, REQUEST);
      assert.equal(decodeBatchRenderRequest(message([1, one], [1, message([12, 'x'])], [1, one])), undefined);
      assert.equal(decodeBatchRenderRequest(message([1, one], [2, one])), undefined);
    });

    it('reads a request of a stream', () => {
      for (const id of [0, 1, 0xffff_ffff]) {
        const bytes: Buffer = encoded(RenderStreamRequestSchema, { id, request: REQUEST });
        assert.deepEqual(decodeRenderStreamRequest(bytes), generated(RenderStreamRequestSchema, bytes));
      }
      assert.deepEqual(decodeRenderStreamRequest(message([1, 7])), create(RenderStreamRequestSchema, { id: 7 }));
    });

    it('leaves a request of a stream that comes in pieces, and ids beyond 32 bits', () => {
      assert.equal(decodeRenderStreamRequest(message([2, message([1, 'a'])], [2, message([4, 'b'])])), undefined);
      assert.equal(decodeRenderStreamRequest(varint(1, 0x80, 0x80, 0x80, 0x80, 0x10)), undefined);
      assert.equal(decodeRenderStreamRequest(message([3, 'x'])), undefined);
    });
  });

  describe('responses', () => {
    const RESPONSE: ResponseInit = {
      text: 'Dear Zoë,\n\nall is well.',
      messages: [{ role: 1, content: 'Dear Zoë,' }, { role: 2, content: 'all is well.' }, {}],
      renderId: '01890a5d-ac96-774b-bcce-b302099a8057',
      renderedHash: 'a'.repeat(64),
      bundleHash: 'b'.repeat(64),
      personalityHash: 'c'.repeat(64),
      variablesHash: 'd'.repeat(64),
      tenant: 'acme',
      bundleId: 'reply',
      version: '1.4.0',
      channel: 'production',
      revision: 3,
      seq: 12_345n,
      source: 5,
      modelConfig: { model: 'm', temperature: 0.5, stop: ['\n', null], top: { p: true } },
      constraints: [
        { id: 'short', severity: 1, instruction: 'Be brief.', rule: { case: 'maxChars', value: 500 } },
        { id: 'kind', rule: { case: 'requiredPhrases', value: { phrases: ['please'] } } },
      ],
      warnings: [{ code: 2, subject: 'name', message: 'is not declared' }, {}],
    };

    function assertWritten(init: ResponseInit): void {
      assert.deepEqual(encodeRenderResponse(init), encoded(RenderResponseSchema, init));
    }

    function assertNotWritten(init: ResponseInit): void {
      assert.equal(encodeRenderResponse(init), undefined);
    }

    it('writes every field', () => assertWritten(RESPONSE));

    it('writes no field that is empty', () => {
      assertWritten({});
      assertWritten({ text: '', messages: [], revision: 0, seq: 0n, source: 0, constraints: [], warnings: [] });
    });

    it('writes an empty model config, and the same one again', () => {
      const modelConfig = {};
      assertWritten({ modelConfig });
      assertWritten({ modelConfig, warnings: [{}] });
    });

    it('writes text of any script', () => {
      for (const text of ['Ünïcödé', '日本語', '👨‍👩‍👧', '\ufeffmark', 'a\0b', '\u007f', '\u0080', '\u07ff', '\u0800']) {
        for (const times of [1, 5, 40, 3000]) assertWritten({ text: text.repeat(times), tenant: text });
      }
    });

    it('writes an unpaired surrogate as U+FFFD', () => {
      for (const text of ['a\ud800b', '\udc00', `${'x'.repeat(100)}\ud83d`]) assertWritten({ text, tenant: text });
    });

    it('writes lengths of any length', () => {
      for (const length of [15, 16, 17, 42, 43, 63, 64, 127, 128, 5461, 8192, 16_383, 16_384, 2 ** 21 - 1, 2 ** 21]) {
        for (const letter of ['a', 'é', '語']) {
          const content = letter.repeat(length);
          assertWritten({ text: content, tenant: 'behind' });
          assertWritten({ messages: [{ role: 1, content }], tenant: 'behind' });
          assertWritten({ warnings: [{ subject: content, message: 'behind' }], tenant: 'before' });
        }
      }
    });

    it('writes numbers of any size', () => {
      for (const revision of [1, 127, 128, 16_384, 0x7fff_ffff]) assertWritten({ revision, source: revision });
      for (const seq of [1n, 128n, 2n ** 31n, 2n ** 32n, 2n ** 35n, 2n ** 53n - 1n]) assertWritten({ seq });
    });

    it('leaves what the generated codec writes otherwise, or refuses', () => {
      for (const revision of [-1, 0.5, Number.NaN, 2 ** 31, Infinity]) {
        assertNotWritten({ revision });
        assertNotWritten({ source: revision });
        assertNotWritten({ messages: [{ role: revision }] });
        assertNotWritten({ warnings: [{ code: revision }] });
      }
      for (const id of [-1, 0.5, 2 ** 32]) assert.equal(encodeRenderStreamResponse({ id }), undefined);
      for (const seq of [-1n, 2n ** 53n, 2n ** 70n]) assertNotWritten({ seq });
      assertNotWritten({ constraints: [{ rule: { case: 'maxChars', value: 0.5 } }] });
    });

    it('is not confused by a response that it left', () => {
      assertNotWritten({ text: 'x'.repeat(100), messages: [{ content: 'y' }], revision: -1 });
      assertWritten(RESPONSE);
    });

    it('does not write to what it returned', () => {
      const sizes = [10, 5000, 100, 300_000, 40_000, 20];
      const inits = sizes.map((size, index): ResponseInit => ({ text: String(index).repeat(size) }));
      const all = inits.map((init) => encodeRenderResponse(init));
      assert.deepEqual(all, inits.map((init) => encoded(RenderResponseSchema, init)));
    });

    it('writes responses that are larger than most', () => {
      for (const size of [80_000, 87_000, 90_000, 262_000, 1_000_000]) {
        const text = 'x'.repeat(size);
        assertWritten({ messages: [{ content: text }, { content: text }], ...RESPONSE, text });
      }
    });

    it('writes responses as large as its memory', () => {
      for (let size = 256 * 1024 - 40; size <= 256 * 1024; size += 1) {
        const outcome = { outcome: { case: 'response' as const, value: { constraints: [{ id: 'x'.repeat(size) }] } } };
        const written = encodeRenderStreamResponse({ outcome });
        assert.ok(written?.equals(encoded(RenderStreamResponseSchema, { outcome })), `${size}`);
      }
    });

    const ERROR = {
      code: 3,
      message: 'tenant: U+0000 is not allowed',
      details: [anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: 'INVALID_INPUT', domain: 'platen' }))],
    };
    const OUTCOMES: NonNullable<MessageInitShape<typeof BatchRenderResponseSchema>['outcomes']> = [
      { outcome: { case: 'response', value: RESPONSE } },
      { outcome: { case: 'error', value: ERROR } },
      { outcome: { case: 'error', value: { message: 'x'.repeat(20_000) } } },
      { outcome: { case: undefined } },
      {},
      { outcome: { case: 'response', value: {} } },
      { outcome: { case: 'response', value: { text: 'ü'.repeat(10_000) } } },
      ...[0, 1, 15_000, 15_903, 15_904, 15_905, 15_906, 16_380].map((length) => ({
        outcome: { case: 'response' as const, value: { text: 'x'.repeat(length), renderedHash: 'a'.repeat(64) } },
      })),
    ];

    it('writes the outcomes of many requests', () => {
      const init = { outcomes: OUTCOMES };
      assert.deepEqual(encodeBatchRenderResponse(init), encoded(BatchRenderResponseSchema, init));
      assert.deepEqual(encodeBatchRenderResponse({}), Buffer.alloc(0));
    });

    it('leaves many for one that it does not write', () => {
      const outcomes = [...OUTCOMES, { outcome: { case: 'response' as const, value: { revision: -1 } } }];
      assert.equal(encodeBatchRenderResponse({ outcomes }), undefined);
      assert.equal(
        encodeBatchRenderResponse({ outcomes: [{ outcome: { case: 'error', value: { code: 0.5 } } }] }),
        undefined,
      );
    });

    it('writes the answers of a stream', () => {
      for (const outcome of OUTCOMES) {
        for (const id of [0, 7, 0xffff_ffff]) {
          const init = { id, outcome };
          assert.deepEqual(encodeRenderStreamResponse(init), encoded(RenderStreamResponseSchema, init));
        }
      }
      assert.deepEqual(encodeRenderStreamResponse({ id: 300 }), encoded(RenderStreamResponseSchema, { id: 300 }));
      assert.deepEqual(encodeRenderStreamResponse({}), Buffer.alloc(0));
    });
  });
});
