/** Variables: how they are declared, merged over the templates of a bundle, and given values (spec section 3). */
import { canonicalJson } from './document.ts';
import { checkName } from './enumeration.ts';
import type { Violation, Violations } from './errors.ts';
import { checkVariableName, NAME_RULE, isName } from './identifier.ts';
import { boundedJson, checkJson, checkSize } from './json-bounds.ts';
import type { Json, JsonObject } from './json.ts';
import {
  MAX_ENUM_VALUE_CHARACTERS,
  MAX_ENUM_VALUES,
  MAX_SENT_VARIABLES,
  MAX_VARIABLE_LENGTH,
  MAX_VARIABLES,
  MAX_VARIABLES_BYTES,
} from './limits.ts';
import { checkPattern, compilePattern } from './pattern.ts';
import { characters, checkDescription, checkLength, cut, excerpt } from './text.ts';

export const VARIABLE_TYPES = ['STRING', 'INTEGER', 'NUMBER', 'BOOLEAN', 'ENUM', 'LIST', 'OBJECT'] as const;
export type VariableType = (typeof VARIABLE_TYPES)[number];

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
}

/** A declaration as it comes in; an empty type is one that was left out or is not known. */
export interface UncheckedDeclaration extends Omit<VariableDeclaration, 'type'> {
  readonly type: VariableType | '';
}

/** A declaration, and whether it was made from a placeholder instead of written by somebody. */
export interface EffectiveDeclaration extends VariableDeclaration {
  readonly inferred: boolean;
}

/** What a snapshot holds of a declaration: all but name and description, absent members left out. */
export type VariableRules = {
  readonly type: VariableType;
  readonly required?: true;
  readonly default?: Json;
  readonly max_length?: number;
  readonly pattern?: string;
  readonly enum_values?: readonly string[];
};

/** The rules of a snapshot's variables by name. */
export type SnapshotVariables = Readonly<Record<string, VariableRules>>;

/** Where declarations come from: one template of a bundle. */
export interface DeclarationSource {
  /** Path of the reference, as `draft.sections[1].template.template`. */
  readonly field: string;
  readonly templateId: string;
  readonly declarations: readonly EffectiveDeclaration[];
}

/** What the values of a render came to. */
export interface ResolvedVariables {
  /** The merged values by name: what variables_hash covers. */
  readonly values: JsonObject;
  /** What is inserted, by name; a name without a text inserts nothing. */
  readonly texts: ReadonlyMap<string, string>;
  /** Required variables without a value, by name. */
  readonly missing: readonly string[];
  /** Variables whose value does not fit, by name. */
  readonly invalid: readonly InvalidVariable[];
  /** What is wrong with the values together; undefined: nothing. */
  readonly tooLarge: string | undefined;
  /** Names that the request gave values for and nothing declares, sorted. */
  readonly undeclared: readonly string[];
}

export interface InvalidVariable {
  readonly name: string;
  /** What is wrong, and what would be right; the value itself is not in it. */
  readonly message: string;
}

export interface CompiledVariables {
  /**
   * The value of each declared variable: the request's, else the tenant's, else the declared default. null counts as
   * no value.
   */
  resolve(tenantValues: JsonObject, requestValues: JsonObject): ResolvedVariables;
  /** Roughly what the compiled rules take of memory. */
  readonly bytes: number;
}

/** Orders by UTF-16 code unit. */
function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}

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

interface ValueCheck {
  /** What is wrong with a value, undefined if it fits. Numbers are finite by now. */
  readonly problem: (value: Json) => string | undefined;
  /** Roughly what this takes of memory. */
  readonly bytes: number;
}

function compileCheck(rules: VariableRules): ValueCheck {
  const isType = TYPE_TESTS[rules.type];
  const { max_length: maxLength, enum_values: enumValues } = rules;
  const pattern = rules.pattern === undefined ? undefined : compilePattern(rules.pattern);
  const members = enumValues === undefined ? undefined : new Set(enumValues);
  const problem = (value: Json): string | undefined => {
    if (!isType(value)) return `must be ${TYPE_WORDS[rules.type]} (${rules.type}); it is ${kindOf(value)}`;
    if (typeof value !== 'string') return undefined;
    if (maxLength !== undefined && characters(value) > maxLength) {
      return `must have at most ${maxLength} characters, not ${characters(value)}`;
    }
    if (pattern !== undefined && !pattern.matchesWhole(value)) {
      return `must match the pattern ${excerpt(rules.pattern as string)} as a whole`;
    }
    if (members !== undefined && !members.has(value.normalize('NFC'))) {
      return `must be one of ${listed(enumValues as readonly string[])}`;
    }
    return undefined;
  };
  return { problem, bytes: pattern?.bytes ?? 0 };
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

function checkValuePattern(violations: Violations, field: string, type: string, pattern: string): string {
  if (pattern === '') return '';
  if (type !== 'STRING') {
    violations.add(field, 'NOT_APPLICABLE', 'only a STRING has a pattern; leave it out or change the type');
    return '';
  }
  return checkPattern(violations, field, pattern) ? pattern : '';
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
): VariableDeclaration | undefined {
  const description = checkDescription(violations, `${field}.description`, raw.description);
  if (!checkName(violations, `${field}.type`, VARIABLE_TYPES, raw.type)) return undefined;
  const declaration: VariableDeclaration = {
    name: raw.name,
    type: raw.type,
    required: raw.required,
    description,
    maxLength: checkMaxLength(violations, `${field}.max_length`, raw.type, raw.maxLength),
    pattern: checkValuePattern(violations, `${field}.pattern`, raw.type, raw.pattern),
    enumValues: checkEnumValues(violations, `${field}.enum_values`, raw.type, raw.enumValues),
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
  const problem = compileCheck(variableRules(declaration)).problem(value);
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
  list.slice(0, MAX_VARIABLES).forEach((raw, index) => {
    const path = `${field}[${index}]`;
    checkVariableName(violations, `${path}.name`, raw.name);
    if (names.has(raw.name)) {
      violations.add(`${path}.name`, 'DUPLICATE', `${excerpt(raw.name)} is declared before; declare it once`);
    }
    if (raw.name !== '') names.add(raw.name);
    const declaration = normalizeDeclaration(violations, path, raw);
    if (declaration !== undefined) declarations.push(declaration);
  });
  checkDefaults(violations, field, declarations.map((declaration) => [declaration.name, declaration] as const));
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

interface CompiledVariable {
  readonly name: string;
  readonly required: boolean;
  readonly default: Json | undefined;
  readonly check: ValueCheck;
}

/** The member's own value; undefined if there is none or it is null. Names may be those of inherited members. */
function ownValue(values: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(values, name) ? (values[name] ?? undefined) : undefined;
}

/** What a UTF-16 code unit takes in JSON at most, and what stands around a name and its value. */
const BYTES_PER_UNIT = 6;
const BYTES_PER_VALUE = 6;

/** What is wrong with the size of merged values; only many are measured exactly. */
function sizeProblem(values: JsonObject, texts: ReadonlyMap<string, string>): string | undefined {
  let atMost = 0;
  for (const [name, text] of texts) atMost += (name.length + text.length) * BYTES_PER_UNIT + BYTES_PER_VALUE;
  if (atMost < MAX_VARIABLES_BYTES) return undefined;
  const bytes = Buffer.byteLength(canonicalJson(values));
  if (bytes <= MAX_VARIABLES_BYTES) return undefined;
  return (
    `the values of the request, the tenant and the defaults have ${bytes} bytes as JSON together; ` +
    `at most ${MAX_VARIABLES_BYTES} are allowed`
  );
}

/** Compiles a snapshot's variables once, for many renders. */
export function compileVariables(rules: SnapshotVariables): CompiledVariables {
  const variables: readonly CompiledVariable[] = Object.keys(rules)
    .toSorted()
    .map((name) => {
      const rule = rules[name] as VariableRules;
      return { name, required: rule.required === true, default: rule.default, check: compileCheck(rule) };
    });
  const declared = new Set(Object.keys(rules));

  const resolve = (tenantValues: JsonObject, requestValues: JsonObject): ResolvedVariables => {
    const values: [string, Json][] = [];
    const texts = new Map<string, string>();
    const missing: string[] = [];
    const invalid: InvalidVariable[] = [];
    for (const variable of variables) {
      const { name } = variable;
      const requested = ownValue(requestValues, name);
      const value = requested ?? ownValue(tenantValues, name) ?? variable.default;
      if (value === undefined) {
        if (variable.required) missing.push(name);
        continue;
      }
      const problem = variable.check.problem(value);
      if (problem !== undefined) {
        const giver = requested === undefined ? 'tenant' : 'request';
        invalid.push({ name, message: `the ${giver}'s value ${problem}` });
        continue;
      }
      values.push([name, value]);
      texts.set(name, valueText(value));
    }
    const merged = Object.fromEntries(values);
    const undeclared = Object.keys(requestValues).filter((name) => !declared.has(name) && requestValues[name] !== null);
    const tooLarge = sizeProblem(merged, texts);
    return { values: merged, texts, missing, invalid, tooLarge, undeclared: undeclared.toSorted() };
  };
  return Object.freeze({ resolve, bytes: variables.reduce((sum, { check }) => sum + check.bytes, 0) });
}

function violationOfAll(description: string): Violation {
  return { field: 'variables', reason: 'TOO_LARGE', description };
}

/** Why a render with these variables fails: one violation for all together, and for each missing or ill-typed one. */
export function variableViolations(resolved: ResolvedVariables): Violation[] {
  const missing = resolved.missing.map((name) => ({
    field: `variables.${name}`,
    reason: 'MISSING' as const,
    description: `variable ${name} is required, and neither the request nor the tenant gives it a value`,
  }));
  const invalid = resolved.invalid.map(({ name, message }) => ({
    field: `variables.${name}`,
    reason: 'WRONG_TYPE' as const,
    description: message,
  }));
  const { tooLarge } = resolved;
  const all = tooLarge === undefined ? [] : [violationOfAll(tooLarge)];
  return [...all, ...missing, ...invalid].toSorted((a, b) => (a.field < b.field ? -1 : 1));
}

/**
 * The one text form of a value: strings as they are, numbers by ECMAScript Number::toString, `true` or `false`, lists
 * and objects as RFC 8785 JSON.
 */
export function valueText(value: Json): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' ? String(value) : canonicalJson(value);
}

/**
 * Checks the values that a tenant gives: at most 128, names of the grammar, and what checkSentValues checks. Of too
 * many values nothing else is looked at.
 * @param field path of the map, as `variables`
 */
export function checkValues(violations: Violations, field: string, values: JsonObject): void {
  const names = Object.keys(values);
  if (names.length > MAX_VARIABLES) {
    violations.add(field, 'TOO_MANY', `at most ${MAX_VARIABLES} variables are allowed, not ${names.length}`);
    return;
  }
  for (const name of names) {
    if (!isName(name)) violations.add(`${field}.${name}`, 'BAD_FORMAT', `a variable's name must be ${NAME_RULE}`);
  }
  checkSentValues(violations, field, values);
}

/**
 * Checks the values that come with a request: at most 10,000, finite numbers, at most 64 levels each and 256 KiB of
 * canonical JSON in all. Names that nothing declares are no mistake. Whether the values fit a declaration shows in a
 * render.
 * @param field path of the map, as `variables`
 */
export function checkSentValues(violations: Violations, field: string, values: JsonObject): void {
  const names = Object.keys(values);
  if (names.length > MAX_SENT_VARIABLES) {
    violations.add(field, 'TOO_MANY', `at most ${MAX_SENT_VARIABLES} values are allowed, not ${names.length}`);
    return;
  }
  const before = violations.size;
  for (const name of names) checkJson(violations, `${field}.${name}`, values[name] as Json);
  if (violations.size === before) checkSize(violations, field, values, MAX_VARIABLES_BYTES);
}
