import type { JsonObject as WireObject, MessageInitShape } from '@bufbuild/protobuf';
import type { Value, ValueSchema } from '@bufbuild/protobuf/wkt';
import type { Json, JsonObject } from '../../domain/json.ts';

type ValueInit = MessageInitShape<typeof ValueSchema>;

/**
 * The JSON of a google.protobuf.Value. A Value of no kind is null. NaN and the infinities stay as they are: they are
 * for the domain to refuse.
 */
export function jsonOf({ kind }: Value): Json {
  switch (kind.case) {
    case 'stringValue':
    case 'numberValue':
    case 'boolValue':
      return kind.value;
    case 'structValue':
      return jsonObjectOf(kind.value.fields);
    case 'listValue':
      return kind.value.values.map(jsonOf);
    default:
      return null;
  }
}

/** The JSON of Values by name. */
export function jsonObjectOf(fields: Readonly<Record<string, Value>>): JsonObject {
  const object: Record<string, Json> = {};
  for (const name of Object.keys(fields)) setOwn(object, name, jsonOf(fields[name]!));
  return object;
}

/** The google.protobuf.Value of JSON. */
export function valueOf(json: Json): ValueInit {
  switch (typeof json) {
    case 'string':
      return { kind: { case: 'stringValue', value: json } };
    case 'number':
      return { kind: { case: 'numberValue', value: json } };
    case 'boolean':
      return { kind: { case: 'boolValue', value: json } };
    default:
      if (json === null) return { kind: { case: 'nullValue', value: 0 } };
      if (isList(json)) return { kind: { case: 'listValue', value: { values: json.map(valueOf) } } };
      return { kind: { case: 'structValue', value: { fields: valuesOf(json) } } };
  }
}

/** The Values of a JSON object by name. */
export function valuesOf(object: JsonObject): Record<string, ValueInit> {
  const fields: Record<string, ValueInit> = {};
  for (const name of Object.keys(object)) setOwn(fields, name, valueOf(object[name]!));
  return fields;
}

/** A google.protobuf.Struct, which the codec keeps as JSON. The codec does not write to it. */
export function structOf(object: JsonObject): WireObject {
  return object as WireObject;
}

function isList(json: readonly Json[] | JsonObject): json is readonly Json[] {
  return Array.isArray(json);
}

/** Assigning to `__proto__` would set the prototype, and a caller chooses the names. */
function setOwn<T>(object: Record<string, T>, name: string, value: T): void {
  if (name === '__proto__') {
    Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
  } else {
    object[name] = value;
  }
}
