/** Constraints: rules for a model's output, told to it in the prompt and enforced on its answer (spec section 3). */
import { canonicalJson } from './document.ts';
import { checkName } from './enumeration.ts';
import type { Violations } from './errors.ts';
import { checkId } from './identifier.ts';
import type { Json, JsonObject } from './json.ts';
import { boundedJson } from './json-bounds.ts';
import {
  MAX_CONSTRAINT_NUMBER,
  MAX_CONSTRAINTS,
  MAX_CONSTRAINTS_BYTES,
  MAX_CONSTRAINTS_WORK,
  MAX_JSON_SCHEMA_BYTES,
  MAX_PHRASE_CHARACTERS,
  MAX_PHRASES,
} from './limits.ts';
import { checkJsonSchema } from './output-schema.ts';
import { checkPattern, classWork, compilePattern } from './pattern.ts';
import { characters, checkDescription, checkLength, counted, excerpt, normalizeNote } from './text.ts';

export const SEVERITIES = ['ERROR', 'WARNING'] as const;
export type Severity = (typeof SEVERITIES)[number];

export const RULE_KINDS = [
  'max_chars',
  'min_chars',
  'max_words',
  'required_phrases',
  'forbidden_phrases',
  'required_pattern',
  'forbidden_pattern',
  'json_schema',
] as const;
export type RuleKind = (typeof RULE_KINDS)[number];

export type ConstraintRule =
  | { readonly kind: 'max_chars' | 'min_chars' | 'max_words'; readonly value: number }
  | { readonly kind: 'required_phrases' | 'forbidden_phrases'; readonly value: readonly string[] }
  | { readonly kind: 'required_pattern' | 'forbidden_pattern'; readonly value: string }
  | { readonly kind: 'json_schema'; readonly value: JsonObject };

/** A rule for a model's output. */
export interface Constraint {
  readonly id: string;
  readonly severity: Severity;
  /** The sentence in the prompt; empty: one is made from the rule. */
  readonly instruction: string;
  readonly rule: ConstraintRule;
}

/** A constraint as it comes in; an empty severity is one that was left out or is not known. */
export interface UncheckedConstraint extends Omit<Constraint, 'severity' | 'rule'> {
  readonly severity: Severity | '';
  readonly rule: ConstraintRule | undefined;
}

/** A rule that passed the cheap checks, and where it stands in the request. */
interface PlacedRule {
  readonly id: string;
  readonly index: number;
  readonly field: string;
  readonly rule: ConstraintRule;
}

function checkNumber(violations: Violations, field: string, value: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= MAX_CONSTRAINT_NUMBER) return;
  violations.add(field, 'OUT_OF_RANGE', `must be a whole number between 1 and ${MAX_CONSTRAINT_NUMBER}`);
}

function normalizePhrases(violations: Violations, field: string, raw: readonly string[]): string[] {
  if (raw.length === 0) violations.add(field, 'REQUIRED', 'at least one phrase is required');
  if (raw.length > MAX_PHRASES) {
    violations.add(field, 'TOO_MANY', `at most ${MAX_PHRASES} phrases are allowed, not ${raw.length}`);
  }
  const phrases = raw.slice(0, MAX_PHRASES).map(normalizeNote);
  phrases.forEach((phrase, index) => {
    const path = `${field}.phrases[${index}]`;
    if (phrase === '') violations.add(path, 'BLANK', 'a phrase must hold more than white space');
    checkLength(violations, path, phrase, MAX_PHRASE_CHARACTERS);
  });
  return [...new Set(phrases)].toSorted();
}

/** Whatever is cheap to check; compileRule does the rest. */
function normalizeRule(violations: Violations, field: string, rule: ConstraintRule): ConstraintRule {
  switch (rule.kind) {
    case 'max_chars':
    case 'min_chars':
    case 'max_words':
      checkNumber(violations, field, rule.value);
      return rule;
    case 'required_phrases':
    case 'forbidden_phrases':
      return { kind: rule.kind, value: normalizePhrases(violations, field, rule.value) };
    case 'required_pattern':
    case 'forbidden_pattern':
      if (rule.value === '') violations.add(field, 'REQUIRED', 'a pattern is required');
      return rule;
    case 'json_schema':
      return { kind: rule.kind, value: boundedJson(violations, field, rule.value, MAX_JSON_SCHEMA_BYTES) ?? {} };
  }
}

/** @returns what compiling the rule takes, as so many instructions of a pattern */
function compileRule(violations: Violations, field: string, rule: ConstraintRule): number {
  if (rule.kind === 'json_schema') return checkJsonSchema(violations, field, rule.value);
  if (rule.kind !== 'required_pattern' && rule.kind !== 'forbidden_pattern') return 0;
  const compiles = checkPattern(violations, field, rule.value);
  return classWork(rule.value) + (compiles ? compilePattern(rule.value).instructions : 0);
}

/** Compiles the rules, and no more of them than is allowed. */
function compileRules(violations: Violations, field: string, rules: readonly PlacedRule[]): void {
  let work = 0;
  for (const { field: path, rule } of rules) {
    work += compileRule(violations, path, rule);
    if (work <= MAX_CONSTRAINTS_WORK) continue;
    const description =
      `the patterns take more than ${MAX_CONSTRAINTS_WORK} instructions together, those of JSON Schemas counted, ` +
      'which Unicode classes and ranges that ignore case add to; repeat less, or declare fewer patterns';
    violations.add(field, 'TOO_COMPLEX', description);
    return;
  }
}

/** The first phrase that is required and cannot be, and why; undefined if the two rules can both be kept. */
function phraseConflict(required: readonly string[], forbidden: readonly string[]): string | undefined {
  for (const phrase of required) {
    const inside = forbidden.find((candidate) => phrase.includes(candidate));
    if (inside === phrase) return `${excerpt(phrase)} is both required and forbidden`;
    if (inside !== undefined) return `the required ${excerpt(phrase)} contains the forbidden ${excerpt(inside)}`;
  }
  return undefined;
}

/** Why no output can keep both rules; undefined if one can. Looks at the pair in this order only. */
function contradiction(a: ConstraintRule, b: ConstraintRule): string | undefined {
  if (a.kind === 'min_chars' && b.kind === 'max_chars' && a.value > b.value) {
    return `at least ${a.value} and at most ${b.value} characters are demanded`;
  }
  if (a.kind === 'required_phrases' && b.kind === 'forbidden_phrases') return phraseConflict(a.value, b.value);
  if (a.kind === 'required_phrases' && b.kind === 'max_chars') {
    const long = a.value.find((phrase) => characters(phrase) > b.value);
    return long && `the required ${excerpt(long)} is longer than ${b.value} characters`;
  }
  if (a.kind === 'required_pattern' && b.kind === 'forbidden_pattern' && a.value === b.value) {
    return `the pattern ${excerpt(a.value)} is both required and forbidden`;
  }
  return undefined;
}

/** Adds at most one violation for each pair of constraints, at the later one. */
function checkContradictions(violations: Violations, rules: readonly PlacedRule[]): void {
  for (const a of rules) {
    for (const b of rules) {
      const problem = contradiction(a.rule, b.rule);
      if (problem === undefined) continue;
      const [first, second] = a.index < b.index ? [a, b] : [b, a];
      violations.add(
        second.field,
        'CONTRADICTION',
        `constraints ${first.id} and ${second.id} contradict each other: ${problem}; change or remove one of them`,
      );
    }
  }
}

/** Checks what takes time for each rule and for each pair of rules, unless there is far too much of it. */
function checkTogether(violations: Violations, field: string, rules: readonly PlacedRule[]): void {
  const bytes = rules.reduce((sum, { rule }) => sum + Buffer.byteLength(canonicalJson(rule.value)), 0);
  if (bytes > MAX_CONSTRAINTS_BYTES) {
    const description = `the rules have ${bytes} bytes as JSON together; at most ${MAX_CONSTRAINTS_BYTES} are allowed`;
    violations.add(field, 'TOO_LARGE', description);
    return;
  }
  compileRules(violations, field, rules);
  checkContradictions(violations, rules);
}

/**
 * Checks constraints and gives them the form in which they are stored: sorted by id, phrases trimmed, in NFC,
 * deduplicated and sorted by UTF-16 code unit. Idempotent.
 * @param field path of the list, as `draft.constraints`
 * @returns the constraints that could be read
 */
export function normalizeConstraints(
  violations: Violations,
  field: string,
  list: readonly UncheckedConstraint[],
): Constraint[] {
  if (list.length > MAX_CONSTRAINTS) {
    violations.add(field, 'TOO_MANY', `at most ${MAX_CONSTRAINTS} constraints are allowed, not ${list.length}`);
  }
  const ids = new Set<string>();
  const constraints: Constraint[] = [];
  const sound: PlacedRule[] = [];
  list.slice(0, MAX_CONSTRAINTS).forEach((raw, index) => {
    const path = `${field}[${index}]`;
    const { id, severity } = raw;
    checkId(violations, `${path}.id`, id);
    if (ids.has(id)) violations.add(`${path}.id`, 'DUPLICATE', `the id ${excerpt(id)} is used before`);
    if (id !== '') ids.add(id);
    const instruction = checkDescription(violations, `${path}.instruction`, raw.instruction);
    const isSevere = checkName(violations, `${path}.severity`, SEVERITIES, severity);
    if (raw.rule === undefined) {
      violations.add(`${path}.rule`, 'REQUIRED', `must hold one rule of ${RULE_KINDS.join(', ')}`);
      return;
    }
    const before = violations.size;
    const rule = normalizeRule(violations, `${path}.${raw.rule.kind}`, raw.rule);
    if (violations.size === before) sound.push({ id, index, field: `${path}.${rule.kind}`, rule });
    if (isSevere) constraints.push({ id, severity, instruction, rule });
  });
  checkTogether(violations, field, sound);
  return constraints.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** Normalized constraints as snapshots and drafts hold them. */
export function constraintsJson(list: readonly Constraint[]): JsonObject[] {
  return list.map(({ id, severity, instruction, rule }) => ({
    id,
    severity,
    ...(instruction !== '' && { instruction }),
    [rule.kind]: rule.value,
  }));
}

/** The constraints that constraintsJson was given. */
export function parseConstraints(json: Json): Constraint[] {
  return (json as readonly JsonObject[]).map((stored) => {
    const kind = RULE_KINDS.find((candidate) => Object.hasOwn(stored, candidate)) as RuleKind;
    return {
      id: stored['id'] as string,
      severity: stored['severity'] as Severity,
      instruction: (stored['instruction'] ?? '') as string,
      rule: { kind, value: stored[kind] } as ConstraintRule,
    };
  });
}

function quoted(phrases: readonly string[]): string {
  return phrases.map((phrase) => JSON.stringify(phrase)).join(', ');
}

function predicate(rule: ConstraintRule): string {
  switch (rule.kind) {
    case 'max_chars':
      return `be at most ${counted(rule.value, 'character')} long`;
    case 'min_chars':
      return `be at least ${counted(rule.value, 'character')} long`;
    case 'max_words':
      return `be at most ${counted(rule.value, 'word')} long`;
    case 'required_phrases':
      return `contain each of these phrases: ${quoted(rule.value)}`;
    case 'forbidden_phrases':
      return `not contain any of these phrases: ${quoted(rule.value)}`;
    case 'required_pattern':
      return `match the regular expression ${JSON.stringify(rule.value)}`;
    case 'forbidden_pattern':
      return `not match the regular expression ${JSON.stringify(rule.value)}`;
    case 'json_schema':
      return `be JSON that is valid under this JSON Schema: ${canonicalJson(rule.value)}`;
  }
}

function sentence({ severity, instruction, rule }: Constraint): string {
  if (instruction !== '') return instruction;
  // A schema ends in a brace; a full stop behind it would read as part of it.
  const stop = rule.kind === 'json_schema' ? '' : '.';
  return `${severity === 'ERROR' ? 'Must' : 'Should'} ${predicate(rule)}${stop}`;
}

/** The block that tells the model the rules, one line each (renderer version 1); empty without constraints. */
export function constraintInstructions(list: readonly Constraint[]): string {
  if (list.length === 0) return '';
  return ['Your answer must follow these rules:', ...list.map((constraint) => `- ${sentence(constraint)}`)].join('\n');
}
