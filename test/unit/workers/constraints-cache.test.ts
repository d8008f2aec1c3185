import assert from 'node:assert/strict';
import { documentOf } from '../../../src/domain/document.ts';
import { ConstraintsCache } from '../../../src/workers/constraints-cache.ts';

const short = documentOf([{ id: 'short', severity: 'ERROR', max_chars: 5 }]);
const long = documentOf([{ id: 'long', severity: 'ERROR', min_chars: 5 }]);

describe('Constraints are compiled once', () => {
  it('as long as there is room for them', () => {
    const cache = new ConstraintsCache(1024 * 1024);
    const compiled = cache.get(short);
    assert.notEqual(cache.get(long), compiled);
    assert.equal(cache.get(short), compiled);
    assert.equal(compiled.judge('123456').passed, false);
  });

  it('and again where there is none', () => {
    const cache = new ConstraintsCache(1);
    const compiled = cache.get(short);
    assert.notEqual(cache.get(short), compiled);
    assert.equal(compiled.judge('12345').passed, true);
  });

  it('even if there are none', () => {
    assert.equal(new ConstraintsCache(1024).get(documentOf([])).judge('anything').passed, true);
  });
});
