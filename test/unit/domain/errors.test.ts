import assert from 'node:assert/strict';
import { type InvalidInput, Violations } from '../../../src/domain/errors.ts';
import { MAX_VIOLATIONS } from '../../../src/domain/limits.ts';

/** So many violations of `v[0]`, `v[1]`, … */
function many(count: number): Violations {
  const violations = new Violations();
  for (let index = 0; index < count; index += 1) violations.add(`v[${index}]`, 'BLANK', 'is blank');
  return violations;
}

function refused(violations: Violations): InvalidInput {
  try {
    violations.throwIfAny();
  } catch (error) {
    return error as InvalidInput;
  }
  throw new Error('nothing was refused');
}

describe('Every violation is reported at once', () => {
  it('all of a realistic request are kept', () => {
    const { violations, total } = refused(many(MAX_VIOLATIONS));
    assert.equal(violations.length, MAX_VIOLATIONS);
    assert.equal(total, MAX_VIOLATIONS);
  });

  it('of a hostile one so many, and the others are counted', () => {
    const violations = many(1_000_000);
    assert.equal(violations.size, 1_000_000);
    const error = refused(violations);
    assert.equal(error.violations.length, MAX_VIOLATIONS);
    assert.equal(error.violations.at(-1)?.field, 'v[499]');
    assert.equal(error.total, 1_000_000);
  });

  it('the message tells ten, and how many more there are', () => {
    const ten = Array.from({ length: 10 }, (_, index) => `v[${index}]: is blank`).join('; ');
    assert.equal(refused(many(10)).message, ten);
    assert.equal(refused(many(11)).message, `${ten}; … and 1 more`);
    assert.equal(refused(many(2_000)).message, `${ten}; … and 1990 more`);
  });

  it('those of others are added, and counted as they were', () => {
    const violations = many(2);
    violations.addAll(refused(many(1_000)));
    assert.equal(violations.size, 1_002);
    assert.equal(refused(violations).violations[2]?.field, 'v[0]');
    assert.equal(refused(violations).total, 1_002);
  });
});
