import { createHash } from 'node:crypto';

/** RFC 8785, in the few lines that somebody else would write to check a hash. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
}

export function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

export function canonicalHash(value: unknown): string {
  return sha256(canonical(value));
}

/** messages_hash of renderer_version 2. */
export function messagesHash(messages: readonly { readonly role: string; readonly content: string }[]): string {
  return canonicalHash(messages.map(({ role, content }) => ({ content_hash: sha256(content), role })));
}
