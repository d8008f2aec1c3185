import assert from 'node:assert/strict';
import { deepFreeze } from '../../../src/domain/deep-freeze.ts';

describe('A snapshot is complete and frozen', () => {
  it('whatever is in it is frozen, and it is the same object', () => {
    const value = { list: [{ a: 1 }], none: null, missing: undefined, text: 'x' };
    assert.equal(deepFreeze(value), value);
    assert.throws(() => ((value.list[0] as { a: number }).a = 2), TypeError);
    assert.throws(() => value.list.push({ a: 2 }), TypeError);
    assert.throws(() => (value.text = 'y'), TypeError);
  });
});
