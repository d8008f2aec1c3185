import assert from 'node:assert/strict';
import { boundedJson, checkJson } from '../../../src/domain/json-bounds.ts';
import type { Json } from '../../../src/domain/json.ts';
import { refusalsOf } from '../../support/violations.ts';

function nested(levels: number): Json {
  let value: Json = 1;
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

describe('Variables are bounded in total', () => {
  it('numbers are finite, wherever they are', () => {
    const value = { notes: [1, Number.NaN, { x: Number.POSITIVE_INFINITY }], ok: 'NaN', none: null };
    assert.deepEqual(refusalsOf((violations) => checkJson(violations, 'profile', value)), [
      'profile.notes[1] NOT_FINITE',
      'profile.notes[2].x NOT_FINITE',
    ]);
  });

  it('at most 64 levels of lists and objects', () => {
    assert.deepEqual(refusalsOf((violations) => checkJson(violations, 'v', nested(64))), []);
    assert.deepEqual(refusalsOf((violations) => checkJson(violations, 'v', nested(65))), ['v TOO_LARGE']);
  });

  it('values nested without measure are refused, not followed', () => {
    assert.deepEqual(refusalsOf((violations) => checkJson(violations, 'v', nested(200_000))), ['v TOO_LARGE']);
  });

  it('bytes are those of the canonical JSON in UTF-8', () => {
    assert.deepEqual(refusalsOf((violations) => boundedJson(violations, 'v', { a: 'é' }, 10)), []);
    assert.deepEqual(refusalsOf((violations) => boundedJson(violations, 'v', { a: 'é' }, 9)), ['v TOO_LARGE']);
    assert.deepEqual(refusalsOf((violations) => boundedJson(violations, 'v', [Number.NaN], 1)), ['v[0] NOT_FINITE']);
  });

  it('what passes is given back as it will be read from a document', () => {
    refusalsOf((violations) => {
      const raw = { b: -0, a: [] };
      const value = boundedJson(violations, 'v', raw, 100);
      assert.deepEqual(value, { a: [], b: 0 });
      assert.notEqual(value, raw);
    });
  });
});
