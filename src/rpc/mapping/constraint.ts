import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Constraint, ConstraintRule, UncheckedConstraint } from '../../domain/constraint.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Constraint as WireConstraint, ConstraintSchema } from '../../../gen/platen/v1/resources_pb.js';
import { severities } from './enums.ts';
import { structOf } from './struct.ts';

type WireRule = WireConstraint['rule'];
type WireRuleInit = NonNullable<MessageInitShape<typeof ConstraintSchema>['rule']>;

/** A constraint as it was sent: a severity that the contract does not have is empty, for the domain to refuse. */
export function readConstraint(constraint: WireConstraint): UncheckedConstraint {
  return {
    id: constraint.id,
    severity: severities.name(constraint.severity) ?? '',
    instruction: constraint.instruction,
    rule: readRule(constraint.rule),
  };
}

function readRule(rule: WireRule): ConstraintRule | undefined {
  switch (rule.case) {
    case 'maxChars':
      return { kind: 'max_chars', value: rule.value };
    case 'minChars':
      return { kind: 'min_chars', value: rule.value };
    case 'maxWords':
      return { kind: 'max_words', value: rule.value };
    case 'requiredPhrases':
      return { kind: 'required_phrases', value: rule.value.phrases };
    case 'forbiddenPhrases':
      return { kind: 'forbidden_phrases', value: rule.value.phrases };
    case 'requiredPattern':
      return { kind: 'required_pattern', value: rule.value };
    case 'forbiddenPattern':
      return { kind: 'forbidden_pattern', value: rule.value };
    case 'jsonSchema':
      return { kind: 'json_schema', value: rule.value as JsonObject };
    default:
      return undefined;
  }
}

export function writeConstraint(constraint: Constraint): MessageInitShape<typeof ConstraintSchema> {
  return {
    id: constraint.id,
    severity: severities.number(constraint.severity),
    instruction: constraint.instruction,
    rule: writeRule(constraint.rule),
  };
}

function writeRule(rule: ConstraintRule): WireRuleInit {
  switch (rule.kind) {
    case 'max_chars':
      return { case: 'maxChars', value: rule.value };
    case 'min_chars':
      return { case: 'minChars', value: rule.value };
    case 'max_words':
      return { case: 'maxWords', value: rule.value };
    case 'required_phrases':
      return { case: 'requiredPhrases', value: { phrases: [...rule.value] } };
    case 'forbidden_phrases':
      return { case: 'forbiddenPhrases', value: { phrases: [...rule.value] } };
    case 'required_pattern':
      return { case: 'requiredPattern', value: rule.value };
    case 'forbidden_pattern':
      return { case: 'forbiddenPattern', value: rule.value };
    case 'json_schema':
      return { case: 'jsonSchema', value: structOf(rule.value) };
  }
}
