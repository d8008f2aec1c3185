/** How declared variables are given values (spec section 3). */
import { canonicalJson } from './document.ts';
import type { Violation, Violations } from './errors.ts';
import { NAME_RULE, isName } from './identifier.ts';
import { checkJson, checkSize, mostBytes } from './json-bounds.ts';
import type { Json, JsonObject } from './json.ts';
import { MAX_SENT_VARIABLES, MAX_VARIABLES, MAX_VARIABLES_BYTES } from './limits.ts';
import { PatternBudget } from './pattern.ts';
import { cleanUntrusted, untrustedText } from './untrusted.ts';
import { compileCheck, type VariableRules, type SnapshotVariables, type ValueCheck } from './variable-rules.ts';

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

interface CompiledVariable {
  readonly name: string;
  readonly required: boolean;
  readonly default: Json | undefined;
  readonly untrusted: boolean;
  readonly check: ValueCheck;
}

/** The member's own value; undefined if there is none or it is null. Names may be those of inherited members. */
function ownValue(values: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(values, name) ? (values[name] ?? undefined) : undefined;
}

/** What a UTF-16 code unit takes in JSON at most, and what stands around a name and its value. */
const BYTES_PER_UNIT = 6;
const BYTES_PER_VALUE = 6;

/**
 * What is wrong with the size of merged values; only many are measured exactly.
 * @param atMost bytes that they do not exceed
 */
function sizeProblem(json: string, atMost: number): string | undefined {
  if (atMost < MAX_VARIABLES_BYTES) return undefined;
  const bytes = Buffer.byteLength(json);
  if (bytes <= MAX_VARIABLES_BYTES) return undefined;
  return (
    `the values of the request, the tenant and the defaults have ${bytes} bytes as JSON together; ` +
    `at most ${MAX_VARIABLES_BYTES} are allowed`
  );
}

const NONE: readonly string[] = [];

/** Sorted. */
function undeclaredNames(rules: SnapshotVariables, values: JsonObject): readonly string[] {
  const names = Object.keys(values);
  if (names.every((name) => Object.hasOwn(rules, name))) return NONE;
  return names.filter((name) => !Object.hasOwn(rules, name) && values[name] !== null).toSorted();
}

/**
 * What the values of a render came to. A class for the sake of its accessor: V8 makes a new hidden class for each object
 * whose literal has one, which makes whatever reads it slow, and keeps what the accessor refers to in memory until the
 * next full collection of garbage.
 */
export class ResolvedVariables {
  /** RFC 8785 canonical JSON of the merged values. */
  readonly json: string;
  /** What is inserted, by name, untrusted text inside of its delimiter; a name without a text inserts nothing. */
  readonly texts: ReadonlyMap<string, string>;
  /** Required variables without a value, by name. */
  readonly missing: readonly string[];
  /** Variables whose value does not fit, by name. */
  readonly invalid: readonly InvalidVariable[];
  /** What is wrong with the values together; undefined: nothing. */
  readonly tooLarge: string | undefined;
  /** Names that the request gave values for and nothing declares, sorted. */
  readonly undeclared: readonly string[];
  readonly #variables: readonly CompiledVariable[];
  readonly #values: readonly (Json | undefined)[];

  /** @param values in the order of the variables */
  constructor(
    variables: readonly CompiledVariable[],
    values: readonly (Json | undefined)[],
    parts: Omit<ResolvedVariables, 'values'>,
  ) {
    this.#variables = variables;
    this.#values = values;
    this.json = parts.json;
    this.texts = parts.texts;
    this.missing = parts.missing;
    this.invalid = parts.invalid;
    this.tooLarge = parts.tooLarge;
    this.undeclared = parts.undeclared;
  }

  /** The merged values by name: what variables_hash covers. Made for whoever asks: most templates insert texts. */
  get values(): JsonObject {
    const given = this.#variables.flatMap(({ name }, n): [string, Json][] => {
      const value = this.#values[n];
      return value === undefined ? [] : [[name, value]];
    });
    return Object.fromEntries(given);
  }
}

/** Compiles a snapshot's variables once, for many renders. */
export function compileVariables(rules: SnapshotVariables): CompiledVariables {
  const variables: readonly CompiledVariable[] = Object.keys(rules)
    .toSorted()
    .map((name) => {
      const rule = rules[name] as VariableRules;
      return {
        name,
        required: rule.required === true,
        default: rule.default,
        untrusted: rule.untrusted === true,
        check: compileCheck(rule),
      };
    });

  const resolve = (tenantValues: JsonObject, requestValues: JsonObject): ResolvedVariables => {
    const values: (Json | undefined)[] = [];
    const texts = new Map<string, string>();
    const missing: string[] = [];
    const invalid: InvalidVariable[] = [];
    const budget = new PatternBudget();
    let atMost = 0;
    let json = '';
    for (const variable of variables) {
      const { name } = variable;
      const requested = ownValue(requestValues, name);
      const given = requested ?? ownValue(tenantValues, name);
      const value = given ?? variable.default;
      if (value === undefined) {
        if (variable.required) missing.push(name);
        values.push(undefined);
        continue;
      }
      // A default was checked when it was declared.
      const problem = given === undefined ? undefined : variable.check.problem(given, budget);
      if (problem !== undefined) {
        const giver = requested === undefined ? 'tenant' : 'request';
        invalid.push({ name, message: `the ${giver}'s value ${problem}` });
        values.push(undefined);
        continue;
      }
      values.push(value);
      const text = valueText(value);
      json += `${json && ','}"${name}":${typeof value === 'string' ? canonicalJson(value) : text}`;
      texts.set(name, variable.untrusted ? untrustedText(name, text) : text);
      atMost += (name.length + text.length) * BYTES_PER_UNIT + BYTES_PER_VALUE;
    }
    const undeclared = undeclaredNames(rules, requestValues);
    json = `{${json}}`;
    const tooLarge = sizeProblem(json, atMost);
    return new ResolvedVariables(variables, values, { json, texts, missing, invalid, tooLarge, undeclared });
  };
  return Object.freeze({ resolve, bytes: variables.reduce((sum, { check }) => sum + check.bytes, 0) });
}

/** How a variable that is declared untrusted is rendered. */
export interface UntrustedVariable {
  readonly name: string;
  /** Its value, cleaned and escaped, inside of the delimiter; empty: nothing is inserted. */
  readonly rendered: string;
  /** How many control and invisible characters were removed from the value. */
  readonly removedCharacters: number;
}

/** The variables that are declared untrusted, by name, those without a value too: for people, not for renders. */
export function untrustedVariables(rules: SnapshotVariables, resolved: ResolvedVariables): UntrustedVariable[] {
  const { values, texts } = resolved;
  const names = Object.keys(rules).filter((name) => rules[name]?.untrusted === true);
  return names.toSorted().map((name) => ({
    name,
    rendered: texts.get(name) ?? '',
    removedCharacters: cleanUntrusted(valueText(ownValue(values, name) ?? '')).removed,
  }));
}

function violationOfAll(description: string): Violation {
  return { field: 'variables', reason: 'TOO_LARGE', description };
}

/** Why a render with these variables fails: one violation for all together, and for each missing or ill-typed one. */
export function variableViolations(resolved: ResolvedVariables): Violation[] {
  const { tooLarge } = resolved;
  if (resolved.missing.length + resolved.invalid.length === 0 && tooLarge === undefined) return [];
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
  for (const name of names) {
    const value = values[name] as Json;
    if (typeof value !== 'string') checkJson(violations, `${field}.${name}`, value);
  }
  if (violations.size > before || mostBytes(values) <= MAX_VARIABLES_BYTES) return;
  checkSize(violations, field, values, MAX_VARIABLES_BYTES);
}
