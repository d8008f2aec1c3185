import assert from 'node:assert/strict';
import {
  type DescMessage,
  type JsonValue,
  type Message,
  type MessageInitShape,
  create,
  fromBinary,
  toBinary,
} from '@bufbuild/protobuf';
import type { ValueSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import {
  BatchRenderRequestSchema,
  BatchRenderResponseSchema,
  RenderRequestSchema,
  RenderResponseSchema,
  RenderStreamRequestSchema,
  RenderStreamResponseSchema,
} from '../../gen/platen/v1/render_service_pb.js';
import type { ConstraintSchema } from '../../gen/platen/v1/resources_pb.js';
import { DECODE_OPTIONS } from '../../src/rpc/limits.ts';
import {
  decodeBatchRenderRequest,
  decodeRenderRequest,
  decodeRenderStreamRequest,
} from '../../src/rpc/render-codec.ts';
import {
  encodeBatchRenderResponse,
  encodeRenderResponse,
  encodeRenderStreamResponse,
} from '../support/unframed.ts';

type RequestInit = MessageInitShape<typeof RenderRequestSchema>;
type ResponseInit = MessageInitShape<typeof RenderResponseSchema>;
type OutcomeInit = NonNullable<MessageInitShape<typeof RenderStreamResponseSchema>['outcome']>;
type ConstraintRule = NonNullable<MessageInitShape<typeof ConstraintSchema>['rule']>;
type ValueInit = MessageInitShape<typeof ValueSchema>;

const DECODERS: [DescMessage, (bytes: Uint8Array) => Message | undefined][] = [
  [RenderRequestSchema, decodeRenderRequest],
  [BatchRenderRequestSchema, decodeBatchRenderRequest],
  [RenderStreamRequestSchema, decodeRenderStreamRequest],
];

/** What is read is what the generated codec reads; what that refuses is not read. */
function assertAgrees(bytes: Uint8Array): void {
  for (const [desc, decode] of DECODERS) {
    const message = decode(bytes);
    if (message !== undefined) assert.deepEqual(message, fromBinary(desc, bytes, DECODE_OPTIONS));
  }
}

function encoded<D extends DescMessage>(desc: D, init: MessageInitShape<D>): Buffer {
  return Buffer.from(toBinary(desc, create(desc, init)));
}

/** Text of any script, mostly short. Without U+FFFD, which stands for bytes that are not UTF-8. */
const text = fc
  .oneof(
    fc.string({ maxLength: 40 }),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.string({ unit: 'grapheme', minLength: 100, maxLength: 200 }),
    fc.tuple(fc.constantFrom('a', 'ß', '語', '😀'), fc.nat(6000)).map(([letter, times]) => letter.repeat(times)),
  )
  .map((text) => text.replaceAll('\ufffd', '?'));
const int32 = fc.oneof(fc.nat(12), fc.nat(0x7fff_ffff));
const uint32 = fc.oneof(fc.nat(12), fc.nat(0xffff_ffff));

function mapOf<T>(value: fc.Arbitrary<T>): fc.Arbitrary<Record<string, T>> {
  const key = fc.oneof(text, fc.constantFrom('constructor', '0', '10', '')).filter((key) => key !== '__proto__');
  return fc.dictionary(key, value, { maxKeys: 5, noNullPrototype: true });
}

const { value } = fc.letrec<{ value: ValueInit }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constant<ValueInit>({}),
    int32.map((number): ValueInit => ({ kind: { case: 'nullValue', value: number } })),
    fc.double().map((number): ValueInit => ({ kind: { case: 'numberValue', value: number } })),
    text.map((string): ValueInit => ({ kind: { case: 'stringValue', value: string } })),
    fc.boolean().map((boolean): ValueInit => ({ kind: { case: 'boolValue', value: boolean } })),
    fc
      .array(tie('value'), { maxLength: 3 })
      .map((values): ValueInit => ({ kind: { case: 'listValue', value: { values } } })),
    mapOf(tie('value')).map((fields): ValueInit => ({ kind: { case: 'structValue', value: { fields } } })),
  ),
}));

const messages = fc.array(fc.record({ role: int32, content: text }, { requiredKeys: [] }), { maxLength: 4 });

const request: fc.Arbitrary<RequestInit> = fc.record(
  {
    tenant: text,
    target: fc.oneof(
      fc
        .tuple(text, fc.constantFrom('version' as const, 'channel' as const), text)
        .map(([bundleId, name, value]): NonNullable<RequestInit['target']> => ({
          case: 'bundle',
          value: { bundleId, selector: { case: name, value } },
        })),
      int32.map((type): NonNullable<RequestInit['target']> => ({ case: 'type', value: type })),
    ),
    channel: text,
    variables: mapOf(value),
    placeholders: mapOf(messages.map((messages) => ({ messages }))),
    minSeq: fc.bigInt(0n, 2n ** 49n - 1n),
    requestId: text,
    labels: mapOf(text),
    fallbackText: text,
    view: int32,
  },
  { requiredKeys: [] },
);

const json = fc.jsonValue({ depthSize: 'small' }).map((json) => ({ json: json as JsonValue }));
/** An unpaired surrogate among them, now and then. */
const anyText = fc.oneof({ weight: 9, arbitrary: text }, { weight: 1, arbitrary: fc.constant('a\ud800b') });

const rule: fc.Arbitrary<ConstraintRule> = fc.oneof(
  int32.map((value): ConstraintRule => ({ case: 'maxChars', value })),
  fc.array(text, { maxLength: 3 }).map((phrases): ConstraintRule => ({ case: 'requiredPhrases', value: { phrases } })),
  json.map((value): ConstraintRule => ({ case: 'jsonSchema', value })),
);

const response: fc.Arbitrary<ResponseInit> = fc.record(
  {
    text: anyText,
    messages,
    renderId: text,
    renderedHash: text,
    bundleHash: text,
    personalityHash: text,
    variablesHash: text,
    tenant: text,
    bundleId: anyText,
    version: text,
    channel: text,
    revision: int32,
    seq: fc.bigInt(0n, 2n ** 53n - 1n),
    source: int32,
    modelConfig: json,
    constraints: fc.array(fc.record({ id: text, severity: int32, instruction: text, rule }), { maxLength: 2 }),
    warnings: fc.array(fc.record({ code: int32, subject: anyText, message: text }, { requiredKeys: [] }), {
      maxLength: 3,
    }),
  },
  { requiredKeys: [] },
);

const outcome: fc.Arbitrary<OutcomeInit> = fc.oneof(
  { weight: 3, arbitrary: response.map((value): OutcomeInit => ({ outcome: { case: 'response', value } })) },
  fc
    .record({ code: int32, message: text })
    .map((value): OutcomeInit => ({ outcome: { case: 'error', value } })),
  fc.constant<OutcomeInit>({}),
);

/** A varint, some of them longer than they need be. */
const varint = fc
  .tuple(fc.oneof(fc.bigInt(0n, 300n), fc.bigInt(0n, 2n ** 70n)), fc.constantFrom(0, 0, 0, 1, 5))
  .map(([number, more]) => {
    const bytes: number[] = [];
    for (let rest = number; bytes.length === 0 || rest > 0n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    for (let i = 0; i < more; i += 1) bytes.push(0x80);
    bytes.push(bytes.pop()! & 0x7f);
    return Buffer.from(bytes);
  });

function withLength(content: Uint8Array): Buffer {
  const { length } = content;
  const prefix = length < 0x80 ? [length] : [(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14];
  return Buffer.concat([Buffer.from(prefix), content]);
}

/**
 * The fields of some message: with numbers of the contract and beyond, of any wire type, in any order, as often as they
 * like, and nested at random, so that all that the contract has comes up, in pieces, with too much and with too little.
 */
const { fields } = fc.letrec<{ fields: Buffer; content: Buffer; field: Buffer }>((tie) => ({
  fields: fc.array(tie('field'), { maxLength: 4 }).map((fields) => Buffer.concat(fields)),
  // Of a field with a length.
  content: fc.oneof(
    { maxDepth: 6, depthSize: 'medium' },
    fc.constantFrom('', 'a', 'b', 'plain', 'Zürich', '__proto__', '\ufffd').map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
    tie('fields'),
    tie('fields'),
    // An entry of a map.
    fc
      .tuple(fc.constantFrom('a', 'b', '', '__proto__'), tie('content'))
      .map(([key, value]) => Buffer.concat([Buffer.of(10, key.length), Buffer.from(`${key}\x12`), withLength(value)])),
  ),
  field: fc
    .tuple(
      fc.integer({ min: 1, max: 12 }),
      fc.oneof(
        { weight: 6, arbitrary: tie('content').map((content) => [2, withLength(content)] as const) },
        { weight: 3, arbitrary: varint.map((varint) => [0, varint] as const) },
        { weight: 1, arbitrary: fc.constant([1, Buffer.alloc(8, 7)] as const) },
        { weight: 1, arbitrary: fc.constantFrom(3, 4, 5, 6, 7).map((type) => [type, Buffer.alloc(4)] as const) },
      ),
    )
    .map(([number, [type, bytes]]) => Buffer.concat([Buffer.of((number << 3) | type), bytes])),
}));

describe("The hot path's codec agrees with the generated one", () => {
  it('reads whatever the generated codec writes', () => {
    fc.assert(
      fc.property(fc.array(request, { maxLength: 3 }), uint32, (requests, id) => {
        const first = encoded(RenderRequestSchema, requests[0] ?? {});
        assert.deepEqual(decodeRenderRequest(first), fromBinary(RenderRequestSchema, first));
        const batch = encoded(BatchRenderRequestSchema, { requests });
        assert.deepEqual(decodeBatchRenderRequest(batch), fromBinary(BatchRenderRequestSchema, batch));
        const stream = encoded(RenderStreamRequestSchema, { id, ...(requests[0] && { request: requests[0] }) });
        assert.deepEqual(decodeRenderStreamRequest(stream), fromBinary(RenderStreamRequestSchema, stream));
      }),
      { numRuns: 300 },
    );
  });

  it('writes the bytes that the generated codec writes', () => {
    fc.assert(
      fc.property(fc.array(outcome, { maxLength: 3 }), uint32, (outcomes, id) => {
        const batch = { outcomes };
        assert.deepEqual(encodeBatchRenderResponse(batch), encoded(BatchRenderResponseSchema, batch));
        const stream = { id, ...(outcomes[0] && { outcome: outcomes[0] }) };
        assert.deepEqual(encodeRenderStreamResponse(stream), encoded(RenderStreamResponseSchema, stream));
      }),
      { numRuns: 200 },
    );
    fc.assert(
      fc.property(response, (init) => {
        assert.deepEqual(encodeRenderResponse(init), encoded(RenderResponseSchema, init));
      }),
      { numRuns: 300 },
    );
  });

  it('reads fields of any number, type, order and count as the generated codec does, or leaves them', () => {
    fc.assert(fc.property(fields, (bytes) => assertAgrees(bytes)), { numRuns: 20_000 });
  });

  it('reads two requests in one, and one cut or bent anywhere, as the generated codec does, or leaves them', () => {
    const bent = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 });
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 2 }), fc.nat(), bent, (requests, cut, changes) => {
        const bytes = Buffer.concat(requests.map((init) => encoded(RenderRequestSchema, init)));
        assertAgrees(bytes);
        for (const [at, value] of changes) bytes[at % (bytes.length + 1)] = value;
        assertAgrees(bytes);
        assertAgrees(bytes.subarray(0, cut % (bytes.length + 1)));
      }),
      { numRuns: 500 },
    );
  });

  it('reads random bytes as the generated codec does, or leaves them', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => assertAgrees(bytes)), { numRuns: 5_000 });
  });
});
