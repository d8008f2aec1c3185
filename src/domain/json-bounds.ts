/** Checks of JSON that a request carries. */
import { canonicalJson } from './document.ts';
import type { Violations } from './errors.ts';
import type { Json, JsonObject } from './json.ts';
import { MAX_JSON_LEVELS } from './limits.ts';
import { parseJson } from './parse-json.ts';

/**
 * Checks that every number is finite and that lists and objects are at most 64 levels deep. Only JSON that passes has a
 * canonical form that is safe to take. Values below the 64th level are not looked at.
 * @param field path of the value; violations name the element, as `variables.profile.notes[1]`
 * @returns whether there was nothing to say
 */
export function checkJson(violations: Violations, field: string, value: Json): boolean {
  const before = violations.size;
  let tooDeep = false;
  const visit = (path: string, current: Json, level: number): void => {
    if (typeof current === 'number') {
      if (!Number.isFinite(current)) {
        violations.add(path, 'NOT_FINITE', 'must be a finite number: JSON has no NaN and no infinities');
      }
    } else if (typeof current === 'object' && current !== null) {
      if (level === MAX_JSON_LEVELS) {
        tooDeep = true;
      } else if (Array.isArray(current)) {
        (current as readonly Json[]).forEach((item, index) => visit(`${path}[${index}]`, item, level + 1));
      } else {
        for (const [name, member] of Object.entries(current)) visit(`${path}.${name}`, member, level + 1);
      }
    }
  };
  visit(field, value, 0);
  if (tooDeep) {
    violations.add(field, 'TOO_LARGE', `lists and objects may be nested at most ${MAX_JSON_LEVELS} levels deep`);
  }
  return violations.size === before;
}

/**
 * Checks JSON as checkJson does, and its size.
 * @param maxBytes most bytes of the canonical form in UTF-8
 * @returns a copy as it will be read back from a document; undefined if the value was refused
 */
export function boundedJson<T extends Json>(
  violations: Violations,
  field: string,
  value: T,
  maxBytes: number,
): T | undefined {
  if (!checkJson(violations, field, value)) return undefined;
  const text = checkSize(violations, field, value, maxBytes);
  return text === undefined ? undefined : (parseJson(text) as T);
}

/** What a UTF-16 code unit takes in JSON at most, as `\u0000` does; a number, `false`; what stands around a member. */
const UNIT_BYTES = 6;
const SCALAR_BYTES = 25;
const MEMBER_BYTES = 6;

/** Bytes that the canonical form of JSON does not exceed, at a fraction of what the form itself takes. */
export function mostBytes(value: Json): number {
  if (typeof value === 'string') return value.length * UNIT_BYTES + MEMBER_BYTES;
  if (typeof value !== 'object' || value === null) return SCALAR_BYTES;
  let bytes = MEMBER_BYTES;
  if (Array.isArray(value)) {
    for (const item of value as readonly Json[]) bytes += mostBytes(item) + MEMBER_BYTES;
  } else {
    for (const name of Object.keys(value)) {
      bytes += name.length * UNIT_BYTES + mostBytes((value as JsonObject)[name] as Json) + MEMBER_BYTES;
    }
  }
  return bytes;
}

/**
 * Checks the size of JSON that checkJson has passed, by parts or as a whole.
 * @param maxBytes most bytes of the canonical form in UTF-8
 * @returns the canonical form; undefined if the value was refused
 */
export function checkSize(violations: Violations, field: string, value: Json, maxBytes: number): string | undefined {
  const text = canonicalJson(value);
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxBytes) return text;
  violations.add(field, 'TOO_LARGE', `has ${bytes} bytes as JSON; at most ${maxBytes} are allowed`);
  return undefined;
}
