import assert from 'node:assert/strict';
import { checkId, checkVariableName, isName } from '../../../src/domain/identifier.ts';
import { refusalsOf, violationsOf } from '../../support/violations.ts';

describe('Identifiers follow one grammar', () => {
  for (const id of ['a', '7', 'greeting.v2-short', 'a_b', 'a--b', 'a'.repeat(63)]) {
    it(`accepts ${id}`, () => {
      assert.deepEqual(refusalsOf((violations) => checkId(violations, 'template_id', id)), []);
    });
  }

  for (const id of ['Greeting', '-greeting', 'greeting.', 'a b', 'ä', 'a\n', 'a'.repeat(64)]) {
    it(`refuses ${JSON.stringify(id)}`, () => {
      assert.deepEqual(violationsOf((violations) => checkId(violations, 'template_id', id)), [
        {
          field: 'template_id',
          reason: 'BAD_FORMAT',
          description:
            "must be 1 to 63 characters of a-z, 0-9, '.', '_' and '-' that begin and end with a letter or digit",
        },
      ]);
    });
  }

  it('an empty id is required', () => {
    assert.deepEqual(refusalsOf((violations) => checkId(violations, 'tenant', '')), ['tenant REQUIRED']);
  });
});

describe('FORMAT replaces names in braces', () => {
  it('a name has 1 to 63 characters of a-z, 0-9 and _, the first no digit', () => {
    for (const name of ['a', '_', '_0', 'user_name2', '__proto__', 'a'.repeat(63)]) assert.ok(isName(name), name);
    for (const name of ['', 'A', '0a', 'a-b', 'a.b', ' a', 'a\n', 'a'.repeat(64)]) assert.ok(!isName(name), name);
  });

  it('a bad name is told with the rule', () => {
    assert.deepEqual(refusalsOf((violations) => checkVariableName(violations, 'n', 'ok')), []);
    assert.deepEqual(refusalsOf((violations) => checkVariableName(violations, 'n', '')), ['n REQUIRED']);
    assert.deepEqual(violationsOf((violations) => checkVariableName(violations, 'n', 'Not ok')), [
      {
        field: 'n',
        reason: 'BAD_FORMAT',
        description: 'must be 1 to 63 characters of a-z, 0-9 and _ that do not begin with a digit',
      },
    ]);
  });
});
