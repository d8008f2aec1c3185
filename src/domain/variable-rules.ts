/** What a value of a variable has to be (spec section 3). */
import type { Json } from './json.ts';
import { type PatternBudget, compilePattern } from './pattern.ts';
import { characters, excerpt, isLongerThan } from './text.ts';

export const VARIABLE_TYPES = ['STRING', 'INTEGER', 'NUMBER', 'BOOLEAN', 'ENUM', 'LIST', 'OBJECT'] as const;
export type VariableType = (typeof VARIABLE_TYPES)[number];

/** What a snapshot holds of a declaration: all but name and description, absent members left out. */
export type VariableRules = {
  readonly type: VariableType;
  readonly required?: true;
  readonly default?: Json;
  readonly max_length?: number;
  readonly pattern?: string;
  readonly enum_values?: readonly string[];
  readonly untrusted?: true;
};

/** The rules of a snapshot's variables by name. */
export type SnapshotVariables = Readonly<Record<string, VariableRules>>;

function kindOf(value: Json): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

const TYPE_WORDS: Readonly<Record<VariableType, string>> = {
  STRING: 'a string',
  INTEGER: 'a whole number between -(2^53 - 1) and 2^53 - 1',
  NUMBER: 'a number',
  BOOLEAN: 'true or false',
  ENUM: 'a string',
  LIST: 'a list',
  OBJECT: 'an object',
};

const TYPE_TESTS: Readonly<Record<VariableType, (value: Json) => boolean>> = {
  STRING: (value) => typeof value === 'string',
  INTEGER: (value) => Number.isSafeInteger(value),
  NUMBER: (value) => typeof value === 'number',
  BOOLEAN: (value) => typeof value === 'boolean',
  ENUM: (value) => typeof value === 'string',
  LIST: (value) => Array.isArray(value),
  OBJECT: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
};

const LISTED_VALUES = 10;

function listed(values: readonly string[]): string {
  const shown = values.slice(0, LISTED_VALUES).map(excerpt).join(', ');
  return values.length > LISTED_VALUES ? `${shown} and ${values.length - LISTED_VALUES} more` : shown;
}

/** Compiled rules of one variable. */
export interface ValueCheck {
  /**
   * What is wrong with a value, undefined if it fits. Numbers are finite by now.
   * @param budget what matching may take, which a value that is matched lessens
   */
  readonly problem: (value: Json, budget: PatternBudget) => string | undefined;
  /** Roughly what this takes of memory. */
  readonly bytes: number;
}

/** Compiles what a value has to be. */
export function compileCheck(rules: VariableRules): ValueCheck {
  const { max_length, pattern, enum_values } = rules;
  const isPlain = max_length === undefined && pattern === undefined && enum_values === undefined;
  return isPlain ? TYPE_CHECKS[rules.type] : compileRules(rules);
}

/** Most variables have no rule but their type: one check for all of them, in however many bundles they are. */
const TYPE_CHECKS = Object.fromEntries(
  VARIABLE_TYPES.map((type) => [type, compileRules({ type })]),
) as Readonly<Record<VariableType, ValueCheck>>;

function compileRules(rules: VariableRules): ValueCheck {
  const isType = TYPE_TESTS[rules.type];
  const { max_length: maxLength, enum_values: enumValues } = rules;
  const pattern = rules.pattern === undefined ? undefined : compilePattern(rules.pattern);
  const members = enumValues === undefined ? undefined : new Set(enumValues);
  const problem = (value: Json, budget: PatternBudget): string | undefined => {
    if (!isType(value)) return `must be ${TYPE_WORDS[rules.type]} (${rules.type}); it is ${kindOf(value)}`;
    if (typeof value !== 'string') return undefined;
    if (maxLength !== undefined && isLongerThan(value, maxLength)) {
      return `must have at most ${maxLength} characters, not ${characters(value)}`;
    }
    if (pattern !== undefined) {
      const longest = budget.longest(pattern);
      if (value.length > longest) {
        return (
          `is too long to be matched: it has ${value.length} UTF-16 code units, and at most ${longest} are left to ` +
          `its pattern of ${pattern.instructions} instructions; shorten it, or simplify the pattern`
        );
      }
      budget.take(pattern, value);
      if (!pattern.matchesWhole(value)) return `must match the pattern ${excerpt(rules.pattern as string)} as a whole`;
    }
    if (members !== undefined && !members.has(value.normalize('NFC'))) {
      return `must be one of ${listed(enumValues as readonly string[])}`;
    }
    return undefined;
  };
  return { problem, bytes: pattern?.bytes ?? 0 };
}
