import assert from 'node:assert/strict';
import { checkJsonSchema } from '../../../src/domain/json-schema.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
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
});
