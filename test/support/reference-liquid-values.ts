/** Values and their text, as the documentation tells it: what the reference works with. */
import type { Json, JsonObject } from '../../src/domain/json.ts';

/** The documentation does not say what comes of it. */
export class Untold extends Error {}

/** A number that is not finite. */
export class NotFinite extends Error {}

export function requireTold(told: boolean): void {
  if (!told) throw new Untold();
}

export function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The JSON of a value, members in canonical order. */
export function jsonText(value: Json): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (isObject(value)) {
    const names = Object.keys(value).toSorted();
    return `{${names.map((name) => `${JSON.stringify(name)}:${jsonText(value[name]!)}`).join(',')}}`;
  }
  return `[${value.map(jsonText).join(',')}]`;
}

/** The one text form of a value. */
export function textForm(value: Json): string {
  if (value === null) return '';
  return typeof value === 'string' ? value : jsonText(value);
}
