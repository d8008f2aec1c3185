import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Json, JsonObject } from './json.ts';

/** Content under its hash: canonical JSON as it is hashed, stored and handed out. Never serialized a second time. */
export interface Document {
  /** Lower-case hex SHA-256 of `text` in UTF-8. */
  readonly hash: string;
  /** RFC 8785 canonical JSON. */
  readonly text: string;
}

/**
 * RFC 8785 canonical JSON of a value. ECMAScript's own JSON is canonical but for the order of members and for what is
 * not JSON at all, and several times as fast.
 */
export function canonicalJson(value: Json): string {
  return (isInOrder(value) ? JSON.stringify(value) : canonicalize(value)) as string;
}

/** Whether members stand in the order of their names' UTF-16 code units, and everything in it can be written as JSON. */
function isInOrder(value: Json): boolean {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed();
    case 'number':
      return Number.isFinite(value);
    case 'object':
      if (value === null) return true;
      return Array.isArray(value) ? value.every(isInOrder) : areMembersInOrder(value as JsonObject);
    default:
      return typeof value === 'boolean';
  }
}

function areMembersInOrder(object: JsonObject): boolean {
  let before = '';
  for (const name of Object.keys(object)) {
    if (name < before || !name.isWellFormed() || !isInOrder(object[name]!)) return false;
    before = name;
  }
  return true;
}

/** Lower-case hex SHA-256 of a string's UTF-8. */
export function sha256(text: string): string {
  return hash('sha256', text, 'hex');
}

/** The document of a value. */
export function documentOf(value: Json): Document {
  return documentOfText(canonicalJson(value));
}

/** The document of canonical JSON. */
export function documentOfText(text: string): Document {
  return { hash: sha256(text), text };
}
