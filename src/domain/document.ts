import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Json } from './json.ts';

/** Content under its hash: canonical JSON as it is hashed, stored and handed out. Never serialized a second time. */
export interface Document {
  /** Lower-case hex SHA-256 of `text` in UTF-8. */
  readonly hash: string;
  /** RFC 8785 canonical JSON. */
  readonly text: string;
}

/** RFC 8785 canonical JSON of a value. */
export function canonicalJson(value: Json): string {
  return canonicalize(value) as string;
}

/** Lower-case hex SHA-256 of a string's UTF-8. */
export function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

/** The document of a value. */
export function documentOf(value: Json): Document {
  const text = canonicalJson(value);
  return { hash: sha256(text), text };
}
