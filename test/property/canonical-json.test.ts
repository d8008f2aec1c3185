import assert from 'node:assert/strict';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { canonicalJson } from '../../src/domain/document.ts';
import { mostBytes } from '../../src/domain/json-bounds.ts';
import type { Json } from '../../src/domain/json.ts';

const NAMES = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 4 }), fc.constantFrom('__proto__', '10', '9', '', 'é'));

/** JSON with its members in any order, in canonical order, and of names that ECMAScript orders by itself. */
const json = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, 0, -0, 1e21, 1e-7, 0.1, Number.MAX_SAFE_INTEGER),
    fc.string({ unit: 'grapheme', maxLength: 6 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(NAMES, tie('value')), { maxLength: 4 }).map((members) => Object.fromEntries(members)),
    fc
      .array(fc.tuple(NAMES, tie('value')), { maxLength: 4 })
      .map((members) => Object.fromEntries(members.toSorted(([a], [b]) => (a < b ? -1 : 1)))),
  ),
})).value;

describe('Hashes are lower-case hex SHA-256', () => {
  it('written by ECMAScript where that is canonical, which the canonicalizer would write alike', () => {
    fc.assert(
      fc.property(json, (value) => {
        assert.equal(canonicalJson(value), canonicalize(value));
      }),
      { numRuns: 2_000 },
    );
  });

  it('and are refused where there are none, as the canonicalizer does', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, { a: Number.NaN }, '\ud800', { '\ud800': 1 }, ['\udc00']]) {
      assert.throws(() => canonicalJson(value));
      assert.throws(() => canonicalize(value));
    }
  });

  it('have no more bytes than they are estimated to have', () => {
    fc.assert(
      fc.property(json, (value) => {
        assert.ok(Buffer.byteLength(canonicalJson(value)) <= mostBytes(value));
      }),
      { numRuns: 2_000 },
    );
  });
});
