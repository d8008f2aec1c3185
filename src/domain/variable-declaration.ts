/** How variables are declared, and merged over the templates of a bundle (spec section 3). */
import { canonicalJson } from './document.ts';
import { checkName } from './enumeration.ts';
import type { Violations } from './errors.ts';
import { checkVariableName } from './identifier.ts';
import { boundedJson } from './json-bounds.ts';
import type { Json } from './json.ts';
import {
  MAX_ENUM_VALUE_CHARACTERS,
  MAX_ENUM_VALUES,
  MAX_VARIABLE_LENGTH,
  MAX_VARIABLE_PATTERN_INSTRUCTIONS,
  MAX_VARIABLES,
  MAX_VARIABLES_BYTES,
} from './limits.ts';
import { checkPattern, classWork, compilePattern, PatternBudget } from './pattern.ts';
import { checkDescription, checkLength, cut, excerpt } from './text.ts';
import {
  VARIABLE_TYPES,
  compileCheck,
  type VariableType,
  type VariableRules,
  type SnapshotVariables,
} from './variable-rules.ts';

/** The declaration of a variable that a template reads. */
export interface VariableDeclaration {
  readonly name: string;
  readonly type: VariableType;
  /** Whether a render without a value fails; a required variable has no default. */
  readonly required: boolean;
  /** The value where nothing else gives one. */
  readonly default?: Json;
  readonly description: string;
  /** STRING only: most characters; 0: no bound of its own. */
  readonly maxLength: number;
  /** STRING only: RE2 expression for the whole value; empty: none. */
  readonly pattern: string;
  /** ENUM only: the values, sorted by UTF-16 code unit. */
  readonly enumValues: readonly string[];
  /** STRING, LIST or OBJECT: whether values come from people who must not give instructions to the model. */
  readonly untrusted: boolean;
}

/** A declaration as it comes in; an empty type is one that was left out or is not known. */
export interface UncheckedDeclaration extends Omit<VariableDeclaration, 'type'> {
  readonly type: VariableType | '';
}

/** A declaration, and whether it was made from a placeholder instead of written by somebody. */
export interface EffectiveDeclaration extends VariableDeclaration {
  readonly inferred: boolean;
}

/** Where declarations come from: one template of a bundle. */
export interface DeclarationSource {
  /** Path of the reference, as `draft.sections[1].template.template`. */
  readonly field: string;
  readonly templateId: string;
  readonly declarations: readonly EffectiveDeclaration[];
}

/** Orders by UTF-16 code unit. */
function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}

/** The rules of a declaration as a snapshot holds them. */
export function variableRules(declaration: VariableDeclaration): VariableRules {
  return {
    type: declaration.type,
    ...(declaration.required && { required: true }),
    ...(declaration.default !== undefined && { default: declaration.default }),
    ...(declaration.maxLength > 0 && { max_length: declaration.maxLength }),
    ...(declaration.pattern !== '' && { pattern: declaration.pattern }),
    ...(declaration.enumValues.length > 0 && { enum_values: declaration.enumValues }),
    ...(declaration.untrusted && { untrusted: true }),
  };
}

function checkMaxLength(violations: Violations, field: string, type: string, maxLength: number): number {
  if (maxLength === 0) return 0;
  if (type !== 'STRING') {
    violations.add(field, 'NOT_APPLICABLE', 'only a STRING has a max_length; leave it out or change the type');
    return 0;
  }
  if (Number.isInteger(maxLength) && maxLength >= 1 && maxLength <= MAX_VARIABLE_LENGTH) return maxLength;
  violations.add(field, 'OUT_OF_RANGE', `must be between 1 and ${MAX_VARIABLE_LENGTH}, or 0 for no bound`);
  return 0;
}

function checkValuePattern(
  violations: Violations,
  field: string,
  { type, pattern }: UncheckedDeclaration,
  maxLength: number,
): string {
  if (pattern === '') return '';
  if (type !== 'STRING') {
    violations.add(field, 'NOT_APPLICABLE', 'only a STRING has a pattern; leave it out or change the type');
    return '';
  }
  if (!checkPattern(violations, field, pattern)) return '';
  if (maxLength === 0) return pattern;
  const compiled = compilePattern(pattern);
  const longest = new PatternBudget().longest(compiled);
  if (maxLength > longest) {
    const description =
      `compiles to ${compiled.instructions} instructions: too many to match ${maxLength} characters; make max_length ` +
      `${longest} or less, or repeat less`;
    violations.add(field, 'TOO_COMPLEX', description);
  }
  return pattern;
}

const TEXT_TYPES: readonly string[] = ['STRING', 'LIST', 'OBJECT'] satisfies VariableType[];

function checkUntrusted(violations: Violations, field: string, type: string, untrusted: boolean): boolean {
  if (!untrusted || TEXT_TYPES.includes(type)) return untrusted;
  const description = 'only a STRING, LIST or OBJECT can be untrusted: no other value can carry text of its own';
  violations.add(field, 'NOT_APPLICABLE', description);
  return false;
}

function checkEnumValues(violations: Violations, field: string, type: string, raw: readonly string[]): string[] {
  if (type !== 'ENUM') {
    if (raw.length > 0) {
      violations.add(field, 'NOT_APPLICABLE', 'only an ENUM has enum_values; leave them out or change the type');
    }
    return [];
  }
  if (raw.length === 0) violations.add(field, 'REQUIRED', 'an ENUM needs at least one value');
  if (raw.length > MAX_ENUM_VALUES) {
    violations.add(field, 'TOO_MANY', `at most ${MAX_ENUM_VALUES} values are allowed, not ${raw.length}`);
  }
  const values = new Set<string>();
  raw.slice(0, MAX_ENUM_VALUES).forEach((rawValue, index) => {
    const value = rawValue.normalize('NFC');
    checkLength(violations, `${field}[${index}]`, value, MAX_ENUM_VALUE_CHARACTERS);
    if (values.has(value)) violations.add(`${field}[${index}]`, 'DUPLICATE', `${excerpt(value)} is listed before`);
    values.add(value);
  });
  return [...values].toSorted();
}

/** Normalizes one declaration; undefined if its type cannot be told. */
function normalizeDeclaration(
  violations: Violations,
  field: string,
  raw: UncheckedDeclaration,
  budget: PatternBudget,
): VariableDeclaration | undefined {
  const description = checkDescription(violations, `${field}.description`, raw.description);
  if (!checkName(violations, `${field}.type`, VARIABLE_TYPES, raw.type)) return undefined;
  const maxLength = checkMaxLength(violations, `${field}.max_length`, raw.type, raw.maxLength);
  const declaration: VariableDeclaration = {
    name: raw.name,
    type: raw.type,
    required: raw.required,
    description,
    maxLength,
    pattern: checkValuePattern(violations, `${field}.pattern`, raw, maxLength),
    enumValues: checkEnumValues(violations, `${field}.enum_values`, raw.type, raw.enumValues),
    untrusted: checkUntrusted(violations, `${field}.untrusted`, raw.type, raw.untrusted),
  };
  if (raw.default === undefined || raw.default === null) return declaration;
  if (raw.required) {
    violations.add(
      `${field}.default`,
      'CONTRADICTION',
      'a required variable has no default; leave out the default, or required',
    );
  }
  const value = boundedJson(violations, `${field}.default`, raw.default, MAX_VARIABLES_BYTES);
  if (value === undefined) return declaration;
  const problem = compileCheck(variableRules(declaration)).problem(value, budget);
  if (problem !== undefined) violations.add(`${field}.default`, 'WRONG_TYPE', `the default ${problem}`);
  return { ...declaration, default: value };
}

/**
 * Checks and normalizes the declarations of a template.
 * @param field path of the list, as `draft.variables`
 * @returns the declarations that could be read, by name; a default of null is none
 */
export function normalizeDeclarations(
  violations: Violations,
  field: string,
  list: readonly UncheckedDeclaration[],
): VariableDeclaration[] {
  if (list.length > MAX_VARIABLES) {
    violations.add(field, 'TOO_MANY', `at most ${MAX_VARIABLES} variables are allowed, not ${list.length}`);
  }
  const names = new Set<string>();
  const declarations: VariableDeclaration[] = [];
  const budget = new PatternBudget();
  list.slice(0, MAX_VARIABLES).forEach((raw, index) => {
    const path = `${field}[${index}]`;
    checkVariableName(violations, `${path}.name`, raw.name);
    if (names.has(raw.name)) {
      violations.add(`${path}.name`, 'DUPLICATE', `${excerpt(raw.name)} is declared before; declare it once`);
    }
    if (raw.name !== '') names.add(raw.name);
    const declaration = normalizeDeclaration(violations, path, raw, budget);
    if (declaration !== undefined) declarations.push(declaration);
  });
  const byNames = declarations.map((declaration) => [declaration.name, declaration] as const);
  checkDefaults(violations, field, byNames);
  checkPatterns(violations, field, byNames);
  return declarations.toSorted(byName);
}

/**
 * Checks that the defaults, by name, are at most 256 KiB of canonical JSON together.
 * @param field path of what declares them
 */
export function checkDefaults(
  violations: Violations,
  field: string,
  declarations: readonly (readonly [name: string, rules: { readonly default?: Json }])[],
): void {
  const defaults = declarations.map(([name, rules]) => [name, rules.default ?? null] as const);
  const given = defaults.filter(([, value]) => value !== null);
  const bytes = Buffer.byteLength(canonicalJson(Object.fromEntries(given)));
  if (bytes <= MAX_VARIABLES_BYTES) return;
  const description = `the defaults have ${bytes} bytes as JSON together; at most ${MAX_VARIABLES_BYTES} are allowed`;
  violations.add(field, 'TOO_LARGE', description);
}

/**
 * Checks that the patterns, by name, are together not too much to compile, which is done where renders run. Compiles no
 * more than is allowed.
 * @param field path of what declares them
 */
export function checkPatterns(
  violations: Violations,
  field: string,
  declarations: readonly (readonly [name: string, rules: { readonly pattern?: string }])[],
): void {
  let instructions = 0;
  for (const [, { pattern = '' }] of declarations) {
    if (pattern === '') continue;
    instructions += classWork(pattern);
    if (instructions > MAX_VARIABLE_PATTERN_INSTRUCTIONS) break;
    instructions += compilePattern(pattern).instructions;
  }
  if (instructions <= MAX_VARIABLE_PATTERN_INSTRUCTIONS) return;
  const description =
    `the patterns of the variables take more than ${MAX_VARIABLE_PATTERN_INSTRUCTIONS} instructions together, ` +
    'which Unicode classes and ranges that ignore case add to; repeat less, or declare fewer patterns';
  violations.add(field, 'TOO_COMPLEX', description);
}

/**
 * Merges the declarations of a bundle's templates. An explicit declaration wins over an inferred one; two explicit ones
 * must agree in all but their description.
 */
export function mergeDeclarations(violations: Violations, sources: readonly DeclarationSource[]): SnapshotVariables {
  const merged = new Map<string, { source: DeclarationSource; inferred: boolean; rules: VariableRules }>();
  for (const source of sources) {
    for (const declaration of source.declarations) {
      const { name, inferred } = declaration;
      const rules = variableRules(declaration);
      const held = merged.get(name);
      if (held === undefined || (held.inferred && !inferred)) {
        merged.set(name, { source, inferred, rules });
      } else if (!inferred && canonicalJson(held.rules) !== canonicalJson(rules)) {
        violations.add(
          source.field,
          'CONFLICT',
          `variable ${name} is declared as ${cut(canonicalJson(rules))} by template ${source.templateId} and ` +
            `as ${cut(canonicalJson(held.rules))} by template ${held.source.templateId} (${held.source.field}); ` +
            'make both the same, or rename one',
        );
      }
    }
  }
  return Object.fromEntries([...merged].map(([name, { rules }]) => [name, rules] as const));
}
