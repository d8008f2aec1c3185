import assert from 'node:assert/strict';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { RULE_KINDS, type Constraint } from '../../../../src/domain/constraint.ts';
import { readConstraint, writeConstraint } from '../../../../src/rpc/mapping/constraint.ts';
import { ConstraintSchema, Severity } from '../../../../gen/platen/v1/resources_pb.js';
import { overTheWire, unsetFields } from '../../../support/wire.ts';

type WireRule = NonNullable<MessageInitShape<typeof ConstraintSchema>['rule']>;

const RULES: readonly (readonly [Constraint['rule'], WireRule])[] = [
  [{ kind: 'max_chars', value: 100 }, { case: 'maxChars', value: 100 }],
  [{ kind: 'min_chars', value: 10 }, { case: 'minChars', value: 10 }],
  [{ kind: 'max_words', value: 20 }, { case: 'maxWords', value: 20 }],
  [{ kind: 'required_phrases', value: ['a', 'b'] }, { case: 'requiredPhrases', value: { phrases: ['a', 'b'] } }],
  [{ kind: 'forbidden_phrases', value: ['c'] }, { case: 'forbiddenPhrases', value: { phrases: ['c'] } }],
  [{ kind: 'required_pattern', value: '^a' }, { case: 'requiredPattern', value: '^a' }],
  [{ kind: 'forbidden_pattern', value: 'b$' }, { case: 'forbiddenPattern', value: 'b$' }],
  [
    { kind: 'json_schema', value: { type: 'object', required: ['a'] } },
    { case: 'jsonSchema', value: { type: 'object', required: ['a'] } },
  ],
];

describe('A constraint holds one rule', () => {
  it('every kind of rule is in the contract', () => {
    assert.deepEqual(
      RULES.map(([rule]) => rule.kind),
      [...RULE_KINDS],
    );
  });

  for (const [rule, wireRule] of RULES) {
    it(`a ${rule.kind} rule goes both ways`, () => {
      const constraint: Constraint = { id: 'rule', severity: 'WARNING', instruction: 'Mind it.', rule };
      const sent = overTheWire(ConstraintSchema, writeConstraint(constraint));
      assert.deepEqual(unsetFields(ConstraintSchema, sent), []);
      assert.deepEqual(
        sent,
        create(ConstraintSchema, { id: 'rule', severity: Severity.WARNING, instruction: 'Mind it.', rule: wireRule }),
      );
      assert.deepEqual(readConstraint(sent), constraint);
    });
  }

  it('what is left out or not known is for the domain to refuse', () => {
    const nothing = { id: '', severity: '', instruction: '', rule: undefined };
    assert.deepEqual(readConstraint(overTheWire(ConstraintSchema, {})), nothing);
    assert.deepEqual(readConstraint(overTheWire(ConstraintSchema, { severity: 9 as Severity })), nothing);
  });
});
