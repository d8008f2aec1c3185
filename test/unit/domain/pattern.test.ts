import assert from 'node:assert/strict';
import { checkPattern, compilePattern } from '../../../src/domain/pattern.ts';
import { refusalsOf, violationsOf } from '../../support/violations.ts';

describe('A declaration must be consistent', () => {
  it('a pattern is RE2 syntax of at most 1,000 characters', () => {
    assert.deepEqual(refusalsOf((violations) => checkPattern(violations, 'p', `\\p{L}${'a'.repeat(995)}`)), []);
    assert.deepEqual(refusalsOf((violations) => checkPattern(violations, 'p', 'a'.repeat(1001))), ['p TOO_LONG']);
    for (const pattern of ['(a', '(a)\\1', '(?=a)', 'a{1001}', '[z-a]']) {
      assert.deepEqual(refusalsOf((violations) => checkPattern(violations, 'p', pattern)), ['p DOES_NOT_COMPILE']);
    }
  });

  it('it compiles to a bounded program', () => {
    assert.deepEqual(refusalsOf((violations) => checkPattern(violations, 'p', '.{1,1000}')), []);
    assert.deepEqual(violationsOf((violations) => checkPattern(violations, 'p', '.{1000}.{1000}.{600}')), [
      {
        field: 'p',
        reason: 'TOO_LARGE',
        description: 'compiles to 2602 instructions; at most 2500 are allowed: repeat less',
      },
    ]);
  });

  it('the violation shows what is wrong with it', () => {
    const [violation] = violationsOf((violations) => checkPattern(violations, 'p', '(a'));
    assert.match(violation?.description ?? '', /missing closing \).*RE2 syntax/);
  });
});

describe('Every missing or ill-typed variable is named', () => {
  it('a pattern matches the whole value', () => {
    const zip = compilePattern('[0-9]{5}|x');
    assert.ok(zip.matchesWhole('12345'));
    assert.ok(zip.matchesWhole('x'));
    assert.ok(!zip.matchesWhole('123456'));
    assert.ok(!zip.matchesWhole('12345\n'));
    assert.ok(compilePattern('.').matchesWhole('😀'));
  });

  it('a larger program counts for more', () => {
    assert.ok(compilePattern('[^\\s]{1,200}').bytes > compilePattern('[a-z]').bytes);
  });
});
