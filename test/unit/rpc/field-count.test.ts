import assert from 'node:assert/strict';
import {
  type DescMessage,
  type JsonObject,
  type MessageInitShape,
  ScalarType,
  create,
  fromBinary,
  fromJson,
  toBinary,
} from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import { AuditService } from '../../../gen/platen/v1/audit_service_pb.js';
import { BundleService, CreateBundleRequestSchema } from '../../../gen/platen/v1/bundle_service_pb.js';
import { PreviewRequestSchema, RenderRequestSchema, RenderService } from '../../../gen/platen/v1/render_service_pb.js';
import { CreateTemplateRequestSchema, TemplateService } from '../../../gen/platen/v1/template_service_pb.js';
import { TenantService } from '../../../gen/platen/v1/tenant_service_pb.js';
import { InvalidInput, MalformedRequest } from '../../../src/domain/errors.ts';
import { compileFieldCount, countJsonFields } from '../../../src/rpc/field-count.ts';
import { DECODE_OPTIONS, MAX_REQUEST_BYTES, MAX_REQUEST_FIELDS } from '../../../src/rpc/limits.ts';

const REFUSED = `the request has more than ${MAX_REQUEST_FIELDS} fields, those inside lists and objects counted`;

/** What the count says of bytes: `counted`, or how it refuses them. */
function count(desc: DescMessage, bytes: Uint8Array): string {
  return outcome(() => compileFieldCount(desc)(bytes));
}

function countJson(json: string): string {
  return outcome(() => countJsonFields(Buffer.from(json)));
}

function outcome(check: () => void): string {
  try {
    check();
    return 'counted';
  } catch (error) {
    assert.ok(error instanceof InvalidInput || error instanceof MalformedRequest);
    return error.message;
  }
}

function encode<D extends DescMessage>(desc: D, init: MessageInitShape<D>): Uint8Array {
  return toBinary(desc, create(desc, init));
}

/** A field with bytes inside. */
function field(number: number, content: Uint8Array = new Uint8Array()): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(content).finish();
}

function many(bytes: Uint8Array, times: number): Uint8Array {
  return Buffer.alloc(bytes.byteLength * times, bytes);
}

function asMany(bytes: Uint8Array): Uint8Array {
  return many(bytes, Math.floor((MAX_REQUEST_BYTES - 100) / bytes.byteLength));
}

/** A variable of a render with the bytes of a google.protobuf.Value. */
function variable(value: Uint8Array): Uint8Array {
  return field(5, Buffer.concat([field(1, Buffer.from('a')), field(2, value)]));
}

describe('Requests are bounded before they cost', () => {
  describe('in protobuf', () => {
    it('takes 50,000 fields, entries of maps with their keys and values', () => {
      const labels = Object.fromEntries(Array.from({ length: 16_666 }, (_, i) => [`label-${i}`, 'x']));
      const bytes = encode(RenderRequestSchema, { tenant: 'acme', channel: 'stable', labels });
      assert.equal(count(RenderRequestSchema, bytes), 'counted');
      const more = encode(RenderRequestSchema, { tenant: 'acme', channel: 'stable', requestId: 'r', labels });
      assert.equal(count(RenderRequestSchema, more), REFUSED);
    });

    it('takes a list of 24,000 numbers and an object of 12,000', () => {
      const list = fromJson(ValueSchema, Array.from({ length: 24_000 }, (_, i) => i));
      assert.equal(count(RenderRequestSchema, encode(RenderRequestSchema, { variables: { list } })), 'counted');
      const members = Object.fromEntries(Array.from({ length: 12_000 }, (_, i) => [`member_${i}`, i]));
      const object = fromJson(ValueSchema, members);
      assert.equal(count(RenderRequestSchema, encode(RenderRequestSchema, { variables: { object } })), 'counted');
    });

    it('takes text of 4 MiB', () => {
      const bytes = encode(RenderRequestSchema, { fallbackText: 'x'.repeat(MAX_REQUEST_BYTES - 100) });
      assert.equal(count(RenderRequestSchema, bytes), 'counted');
    });

    const HOSTILE: [what: string, desc: DescMessage, bytes: Uint8Array][] = [
      ['items of a list', RenderRequestSchema, variable(field(6, asMany(field(1))))],
      ['members of an object', RenderRequestSchema, variable(field(5, asMany(field(1))))],
      ['variables', RenderRequestSchema, asMany(field(5))],
      ['messages', RenderRequestSchema, field(6, field(2, asMany(field(1))))],
      ['strings', RenderRequestSchema, asMany(field(10))],
      ['phrases', CreateBundleRequestSchema, field(4, field(3, field(7, asMany(field(1)))))],
      ['numbers', RenderRequestSchema, asMany(new BinaryWriter().tag(7, WireType.Varint).int64(1n).finish())],
      ['unknown fields', RenderRequestSchema, asMany(field(99))],
      ['unknown numbers', RenderRequestSchema, asMany(new BinaryWriter().tag(99, WireType.Bit32).float(1).finish())],
      ['messages that are merged', RenderRequestSchema, asMany(field(2))],
    ];
    for (const [what, desc, bytes] of HOSTILE) {
      it(`refuses 4 MiB of ${what}`, () => {
        assert.equal(count(desc, bytes), REFUSED);
      });
    }

    it('counts what the decoder reads, whatever wire types the fields name', () => {
      const list = variable(field(6, many(field(1), MAX_REQUEST_FIELDS)));
      const disguised = Uint8Array.from(list);
      disguised[0] = (5 << 3) | WireType.Varint;
      assert.equal(fromBinary(RenderRequestSchema, disguised).variables['a']?.kind.case, 'listValue');
      assert.equal(count(RenderRequestSchema, disguised), REFUSED);
    });

    it('names no field, and gives the reason TOO_MANY', () => {
      assert.throws(
        () => compileFieldCount(RenderRequestSchema)(asMany(field(5))),
        (error: InvalidInput) => {
          assert.deepEqual(error.violations, [{ field: '', reason: 'TOO_MANY', description: REFUSED }]);
          return true;
        },
      );
    });

    it('leaves what is malformed to the decoder', () => {
      const malformed = [
        Buffer.concat([field(1, Buffer.from('acme')), new Uint8Array([0x0a, 0xff])]),
        new Uint8Array([0xff, 0xff, 0xff]),
        new Uint8Array([0x0f]),
      ];
      for (const bytes of malformed) {
        assert.equal(count(CreateBundleRequestSchema, bytes), 'counted');
        assert.throws(() => fromBinary(CreateBundleRequestSchema, bytes));
      }
    });

    it('leaves what nests too deep to the decoder', () => {
      let value = field(3, Buffer.alloc(2 * MAX_REQUEST_FIELDS, 'x'));
      for (let level = 0; level < 1_000; level += 1) value = field(6, field(1, value));
      const bytes = variable(value);
      assert.equal(count(RenderRequestSchema, bytes), 'counted');
      assert.throws(() => fromBinary(RenderRequestSchema, bytes, DECODE_OPTIONS), /maximum recursion depth/);
    });

    it('refuses groups, which the decoder skips one by one', () => {
      const group = new BinaryWriter().tag(99, WireType.StartGroup).tag(99, WireType.EndGroup).finish();
      assert.match(count(RenderRequestSchema, asMany(group)), /it holds a group, and the contract has none/);
    });

    it('knows every kind of field that requests have', () => {
      const scalars = new Set<ScalarType>();
      for (const desc of requestTypes()) {
        for (const member of desc.fields) {
          if (member.scalar !== undefined) scalars.add(member.scalar);
          if (member.fieldKind === 'message') assert.equal(member.delimitedEncoding, false, `${member}`);
          if (member.fieldKind === 'list' && member.message === undefined) {
            assert.equal(member.scalar, ScalarType.STRING, `${member} may be packed`);
          }
        }
      }
      const varints = [ScalarType.INT64, ScalarType.INT32, ScalarType.BOOL, ScalarType.UINT32];
      const known = [ScalarType.DOUBLE, ...varints, ScalarType.STRING].toSorted((a, b) => a - b);
      assert.deepEqual([...scalars].toSorted((a, b) => a - b), known);
    });
  });

  describe('in protobuf, with a google.protobuf.Struct', () => {
    const config = (settings: JsonObject) => encode(CreateBundleRequestSchema, { draft: { modelConfig: settings } });

    it('takes one in one piece, and as many as there are constraints', () => {
      const rule = { case: 'jsonSchema' as const, value: { type: 'object', required: ['a'] } };
      const constraints = [{ id: 'one', rule }, { id: 'other', rule }];
      const draft = { modelConfig: { temperature: 1, stop: ['a', { b: {} }] }, constraints };
      const bytes = encode(CreateBundleRequestSchema, { draft });
      assert.equal(count(CreateBundleRequestSchema, bytes), 'counted');
    });

    it('refuses one in pieces: a request of 16 KB could have 1,000 settings copied 2,000 times', () => {
      const draft = Buffer.concat([field(4, field(1)), many(field(4), 2_000)]);
      assert.match(count(CreateBundleRequestSchema, field(4, draft)), /model_config comes in pieces; send it as one/);
    });

    it('refuses the message around it in pieces', () => {
      const bytes = Buffer.concat([config({ a: 1 }), config({ b: 2 })]);
      assert.match(count(CreateBundleRequestSchema, bytes), /draft comes in pieces/);
      const unsaved = field(4, field(2, field(4)));
      assert.match(count(PreviewRequestSchema, Buffer.concat([unsaved, unsaved])), /bundle_content comes in pieces/);
    });

    it('refuses the schema of a constraint in pieces', () => {
      const bytes = field(4, field(3, Buffer.concat([field(11), field(11)])));
      assert.match(count(CreateBundleRequestSchema, bytes), /json_schema comes in pieces/);
    });

    it('takes other messages in pieces, as protobuf has it', () => {
      const bytes = Buffer.concat([field(4, field(2, Buffer.from('Hi'))), field(4, field(4, Buffer.from('Greets')))]);
      assert.equal(count(CreateTemplateRequestSchema, bytes), 'counted');
      const { draft } = fromBinary(CreateTemplateRequestSchema, bytes);
      assert.deepEqual([draft?.content, draft?.description], ['Hi', 'Greets']);
    });
  });

  describe('in JSON', () => {
    const list = (items: number) => `{"variables":{"a":[${Array(items).fill('0').join(',')}]}}`;
    const object = (members: number) =>
      `{"variables":{"a":{${Array.from({ length: members }, (_, i) => `"k${i}":0`).join(',')}}}}`;

    it('takes a list of 49,994 items, and refuses one more', () => {
      assert.equal(countJson(list(49_994)), 'counted');
      assert.equal(countJson(list(49_995)), REFUSED);
    });

    it('takes an object of 16,664 members, and refuses one more', () => {
      assert.equal(countJson(object(16_664)), 'counted');
      assert.equal(countJson(object(16_665)), REFUSED);
    });

    it('counts empty lists and objects, and lists that never end', () => {
      assert.equal(countJson(`[${'[],'.repeat(25_000)}0]`), REFUSED);
      assert.equal(countJson(`[${'{},'.repeat(25_000)}0]`), REFUSED);
      assert.equal(countJson('['.repeat(100_000)), REFUSED);
    });

    it('does not count what stands in strings', () => {
      const text = '{"role": "user", "list": [1, 2]} \\ '.repeat(10_000);
      assert.equal(countJson(JSON.stringify({ fallbackText: text })), 'counted');
      assert.equal(countJson(`{"fallbackText":"\\\\","x":[${','.repeat(50_000)}]}`), REFUSED);
    });
  });
});

/** Every message that a request may hold. */
function requestTypes(): Set<DescMessage> {
  const found = new Set<DescMessage>();
  const add = (desc: DescMessage): void => {
    if (found.has(desc)) return;
    found.add(desc);
    for (const { message } of desc.fields) if (message !== undefined) add(message);
  };
  for (const service of [AuditService, BundleService, RenderService, TemplateService, TenantService]) {
    for (const method of service.methods) add(method.input);
  }
  return found;
}
