import assert from 'node:assert/strict';
import { checkJsonSchema, compileJsonSchema } from '../../../src/domain/output-schema.ts';
import { Violations } from '../../../src/domain/errors.ts';
import type { Json, JsonObject } from '../../../src/domain/json.ts';
import { violationsOf } from '../../support/violations.ts';

function refusals(schema: JsonObject): string[] {
  const violations = violationsOf((list) => checkJsonSchema(list, 'json_schema', schema));
  return violations.map(({ reason, description }) => `${reason} ${description}`);
}

describe('Constraints that cannot compile are refused', () => {
  const DRAFT = 'https://json-schema.org/draft/2020-12/schema';
  const accepted: [string, JsonObject][] = [
    ['a schema with definitions', { $schema: DRAFT, $ref: '#/$defs/a', $defs: { a: { type: 'string' } } }],
    ['a schema that is a meta-schema', { $ref: DRAFT }],
    ['prefixItems, new in 2020-12', { prefixItems: [{ type: 'integer' }], items: false }],
    ['unknown keywords, which are annotations', { type: 'object', note: 1 }],
    ['unknown formats, which are annotations', { type: 'string', format: 'shoe-size' }],
    ['a pattern in RE2 syntax', { pattern: '^[^\\/]+\\u00e9$' }],
    ['the empty schema', {}],
  ];
  for (const [title, schema] of accepted) {
    it(`accepts ${title}`, () => assert.deepEqual(refusals(schema), []));
  }

  it('what the meta-schema refuses', () => {
    assert.match(refusals({ type: 5 }).join(), /^DOES_NOT_COMPILE .*json_schema\/type must be equal to one of/);
  });

  it('another draft', () => {
    const $schema = 'http://json-schema.org/draft-07/schema#';
    assert.match(refusals({ $schema }).join(), /^DOES_NOT_COMPILE .*draft-07/);
  });

  it('references that lead nowhere, or out of the schema', () => {
    for (const $ref of ['#/$defs/gone', 'https://example.com/a']) {
      const [refusal = ''] = refusals({ $ref });
      assert.ok(refusal.startsWith('DOES_NOT_COMPILE '));
      assert.ok(refusal.includes(`can't resolve reference ${$ref}`));
    }
  });

  it('patterns that are not RE2 syntax', () => {
    assert.match(refusals({ pattern: '(?=a)' }).join(), /^DOES_NOT_COMPILE /);
    assert.match(refusals({ patternProperties: { '(a)\\1': {} } }).join(), /^DOES_NOT_COMPILE /);
  });

  it('patterns that compile to very much', () => {
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, { pattern: `^[a-z]{1,1000}${i}$` }]));
    assert.deepEqual(refusals({ properties: many(12) }), []);
    assert.match(refusals({ properties: many(13) }).join(), /^DOES_NOT_COMPILE .*more than 25000 instructions/);
  });

  it('one schema never shows in the check of another', () => {
    const schema = { $id: 'https://example.com/a', $defs: { b: { $id: 'https://example.com/b', type: 'string' } } };
    assert.deepEqual(refusals(schema), []);
    assert.deepEqual(refusals(schema), []);
    assert.match(refusals({ $ref: 'https://example.com/b' }).join(), /can't resolve reference/);
  });

  it('a definition that is referred to a thousand times compiles once', () => {
    const properties = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`p${i}`, { $ref: '#/$defs/a' }]));
    const definition = { enum: Array.from({ length: 2000 }, (_, i) => `value ${i}`) };
    assert.deepEqual(refusals({ properties, $defs: { a: definition } }), []);
  });

  it('more parts than there may be: ajv makes code of each', () => {
    const parts = (count: number) => ({ allOf: Array.from({ length: count - 2 }, () => ({})) });
    assert.deepEqual(refusals(parts(2000)), []);
    assert.match(refusals(parts(2001)).join(), /^DOES_NOT_COMPILE .*it has 2001 parts; at most 2000/);
  });

  it('dynamic references that lead nowhere', () => {
    for (const keyword of ['$dynamicRef', '$recursiveRef']) {
      assert.match(refusals({ items: { [keyword]: '#x' } }).join(), /^DOES_NOT_COMPILE .*can't resolve reference #x/);
    }
    assert.deepEqual(refusals({ items: { $dynamicRef: '#x' }, $defs: { a: { $dynamicAnchor: 'x' } } }), []);
    for (const $dynamicRef of ['#/$defs/a', '#y']) {
      assert.match(refusals({ items: { $dynamicRef }, $defs: { a: { $anchor: 'y' } } }).join(), /no \$dynamicAnchor/);
    }
    assert.deepEqual(refusals({ const: { $dynamicRef: null } }), []);
  });

  it('a schema that is nothing but itself; one that its parts refer to is none of these', () => {
    for (const keyword of ['$ref', '$dynamicRef', '$recursiveRef']) {
      assert.match(refusals({ [keyword]: '#' }).join(), /^DOES_NOT_COMPILE .*it refers to itself without end/);
      assert.deepEqual(refusals({ items: { [keyword]: '#' } }), []);
    }
    const $defs = { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } };
    assert.match(refusals({ $ref: '#/$defs/a', $defs }).join(), /: it refers to itself without end$/);
  });

  it('a schema that is evaluated asynchronously would pass everything', () => {
    assert.match(refusals({ $async: true, type: 'string' }).join(), /\$async is no keyword of it/);
  });

  it('tells what its patterns compile to', () => {
    const violations = new Violations();
    assert.equal(checkJsonSchema(violations, 'json_schema', { pattern: 'a', items: { pattern: 'b' } }), 6);
    assert.equal(violations.size, 0);
  });
});

describe('CheckOutput enforces the constraints', () => {
  const breaches = (schema: JsonObject, value: Json) =>
    compileJsonSchema(schema)
      .breaches(value, 100)
      .list.map(({ pointer, message }) => `${pointer} ${message}`);

  it('every breach is told, and where', () => {
    const schema = {
      type: 'object',
      required: ['a'],
      additionalProperties: false,
      properties: { b: { type: 'integer' }, 'c/d~e': { enum: [1, 2] }, f: { const: { g: 1 } } },
    };
    assert.deepEqual(breaches(schema, { b: 1.5, 'c/d~e': 3, f: 0, h: 0 }), [
      " must have required property 'a'",
      ' must NOT have additional properties: "h"',
      '/b must be integer',
      '/c~1d~0e must be equal to one of the allowed values: [1,2]',
      '/f must be equal to constant: {"g":1}',
    ]);
  });

  it('of many the first are listed, all counted', () => {
    const { list, total } = compileJsonSchema({ items: { type: 'string' } }).breaches(Array(150).fill(1), 100);
    assert.deepEqual([list.length, total], [100, 150]);
  });

  it('one value leaves nothing behind for the next', () => {
    const compiled = compileJsonSchema({ type: 'string' });
    assert.equal(compiled.breaches(1, 100).total, 1);
    assert.equal(compiled.breaches('a', 100).total, 0);
  });

  it('patterns are RE2, found anywhere; members of prototypes are none', () => {
    assert.deepEqual(breaches({ pattern: 'b+' }, 'abc'), []);
    assert.deepEqual(breaches({ pattern: '^b' }, 'abc'), [' must match pattern "^b"']);
    assert.deepEqual(breaches({ required: ['constructor'] }, {}), [" must have required property 'constructor'"]);
  });

  it('0.3 is a multiple of 0.1', () => {
    assert.deepEqual(breaches({ multipleOf: 0.1 }, 0.3), []);
    assert.deepEqual(breaches({ multipleOf: 0.1 }, 0.35), [' must be multiple of 0.1']);
  });

  it('a schema that refers to itself without end fails instead of hanging', () => {
    assert.throws(() => compileJsonSchema({ $ref: '#' }).breaches(1, 100), RangeError);
  });
});
