import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { StructSchema, ValueSchema } from '@bufbuild/protobuf/wkt';
import * as fc from 'fast-check';
import type { Json, JsonObject } from '../../../../src/domain/json.ts';
import { jsonObjectOf, jsonOf, structOf, valueOf, valuesOf } from '../../../../src/rpc/mapping/struct.ts';
import { GetChangeResponseSchema } from '../../../../gen/platen/v1/audit_service_pb.js';
import { overTheWire } from '../../../support/wire.ts';

function roundTrip(json: Json): Json {
  return jsonOf(overTheWire(ValueSchema, valueOf(json)));
}

describe('Values are inserted verbatim', () => {
  it('JSON survives the way to google.protobuf.Value and back', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        assert.deepEqual(roundTrip(json as Json), json);
      }),
    );
  });

  it('an object survives the way to Values by name and back', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
        const { fields } = overTheWire(StructSchema, { fields: valuesOf(object as JsonObject) });
        assert.deepEqual(jsonObjectOf(fields), { ...object });
      }),
    );
  });

  it('NaN and the infinities are left for the domain to refuse', () => {
    for (const number of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0]) {
      assert.ok(Object.is(roundTrip(number), number));
    }
  });

  it('a member named __proto__ is a member like any other', () => {
    const object = JSON.parse('{"__proto__":{"polluted":true},"a":1}') as JsonObject;
    const back = roundTrip(object) as JsonObject;
    assert.equal(JSON.stringify(back), '{"__proto__":{"polluted":true},"a":1}');
    assert.equal(Object.getPrototypeOf(back), Object.prototype);
    assert.equal((back as { polluted?: boolean }).polluted, undefined);
  });

  it('a Struct is its JSON', () => {
    const detail = { revision: 3, targets: [{ version: '1.0.0', weight: 100 }], none: null };
    const received = overTheWire(GetChangeResponseSchema, { change: { detail: structOf(detail) } });
    assert.deepEqual(received.change?.detail, detail);
  });
});

describe('Null counts as missing', () => {
  it('a Value of no kind is null, wherever it stands', () => {
    const none = create(ValueSchema);
    assert.equal(jsonOf(none), null);
    assert.deepEqual(jsonObjectOf({ a: none }), { a: null });
    const list = create(ValueSchema, { kind: { case: 'listValue', value: { values: [none] } } });
    assert.deepEqual(jsonOf(list), [null]);
  });
});
