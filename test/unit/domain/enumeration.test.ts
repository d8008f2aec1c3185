import assert from 'node:assert/strict';
import { checkName } from '../../../src/domain/enumeration.ts';
import { violationsOf } from '../../support/violations.ts';

describe('Prompt types are a closed enumeration', () => {
  it('a name of the enumeration', () => {
    assert.deepEqual(violationsOf((violations) => checkName(violations, 'role', ['USER', 'TOOL'], 'TOOL')), []);
  });

  it('none, with the names that there are', () => {
    assert.deepEqual(violationsOf((violations) => checkName(violations, 'role', ['USER', 'TOOL'], '')), [
      { field: 'role', reason: 'UNSPECIFIED', description: 'must be one of USER, TOOL' },
    ]);
  });
});
