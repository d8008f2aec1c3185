import assert from 'node:assert/strict';
import { MAX_PATTERN_STEPS } from '../../../src/domain/limits.ts';
import { checkPattern, classWork, compilePattern, PatternBudget } from '../../../src/domain/pattern.ts';
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

describe("A pattern's work is bounded", () => {
  it('a pattern tells its instructions', () => {
    assert.equal(compilePattern('[0-9]{5}').instructions, 7);
    assert.equal(compilePattern('.{1,1000}').instructions, 2001);
  });

  it('what is matched is taken from what may be matched after it, by any pattern', () => {
    const [short, long] = [compilePattern('[0-9]{5}'), compilePattern('.{1,1000}')];
    const budget = new PatternBudget();
    assert.equal(budget.longest(short), Math.floor(MAX_PATTERN_STEPS / 7));
    budget.take(long, 'x'.repeat(250));
    assert.equal(budget.longest(short), Math.floor((MAX_PATTERN_STEPS - 250 * 2001) / 7));
    budget.take(short, 'x'.repeat(budget.longest(short)));
    assert.equal(budget.longest(short), 0);
  });

  it('the value decides how long matching takes, not what was matched before', () => {
    const pattern = compilePattern('(?:[ab]*a[ab]{0,100})');
    const value = 'abbaabab'.repeat(500);
    for (const text of [value, `${value}c`, value]) assert.equal(pattern.matchesWhole(text), !text.endsWith('c'));
  });

  const classes: [string, number][] = [
    ['[a-z]{1,100}', 0],
    ['\\p{L}[\\pN\\P{Greek}]', 120],
    ['(?i)yes|no', 0],
    ['(?i)[a-z]', 4],
    ['(?s-i:[a-z])', 0],
    ['(?i)[a-\\x{FFFF}]', 437],
    ['(?i)[a-\\x41-\\x{ffff}]', 874],
    ['(?i)[α-ω]\\pL', 47],
    ['(?i)[😀-😎]', 857],
  ];
  for (const [pattern, work] of classes) {
    it(`the classes of ${pattern} take ${work} instructions to compile`, () => assert.equal(classWork(pattern), work));
  }

  it('classes count for memory too', () => {
    assert.ok(compilePattern('[\\pL\\pN]').bytes > compilePattern('[a-z]').bytes + 20_000);
  });
});
