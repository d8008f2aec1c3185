import assert from 'node:assert/strict';
import { readSeq } from '../../../../src/rpc/mapping/seq.ts';

describe('Changes are gapless in commit order', () => {
  it('a seq is an exact number', () => {
    assert.equal(readSeq(0n), 0);
    assert.equal(readSeq(-1n), -1);
    assert.equal(readSeq(123_456_789_012n), 123_456_789_012);
  });

  it('what is beyond all seqs stays beyond them', () => {
    assert.equal(readSeq(2n ** 63n - 1n), Number.MAX_SAFE_INTEGER);
    assert.equal(readSeq(-(2n ** 63n)), Number.MIN_SAFE_INTEGER);
  });
});
