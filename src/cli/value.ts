import { fromJson, toJson, type JsonObject, type JsonValue } from '@bufbuild/protobuf';
import { ValueSchema, type Value } from '@bufbuild/protobuf/wkt';

/** JSON as google.protobuf.Value. */
export function toValue(json: JsonValue): Value {
  return fromJson(ValueSchema, json);
}

/** google.protobuf.Value as JSON. */
export function fromValue(value: Value): JsonValue {
  return toJson(ValueSchema, value);
}

/** Values by name, as requests carry them. */
export function toValues(json: JsonObject): Record<string, Value> {
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, toValue(value)]));
}

/** Values by name, as files and tables show them. */
export function fromValues(values: Readonly<Record<string, Value>>): JsonObject {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, fromValue(value)]));
}

/** Values from `name=value` words: JSON where it is JSON (`5`, `true`, `"5"`, `[1]`), else the text itself. */
export function parseAssignments(words: readonly string[]): JsonObject {
  return Object.fromEntries(
    words.map((word) => {
      const split = word.indexOf('=');
      return [word.slice(0, split), jsonOrText(word.slice(split + 1))];
    }),
  );
}

function jsonOrText(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}
