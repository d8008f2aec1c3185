import { createHash } from 'node:crypto';

const CHECK_LENGTH = 40;

/**
 * Values in Redis that no hash of theirs can check: a checksum over their name and content, a line feed, the content.
 * So damage and values under another name are found. It is SHA-1 because Redis itself has to check it (see redis.ts)
 * and has no other digest; no forgery is kept out, which would take a key.
 */
export function seal(name: string, content: string): Buffer {
  return Buffer.from(`${check(name, content)}\n${content}`);
}

/** The content of a sealed value; undefined: it is not what was sealed under this name. */
export function unseal(name: string, value: Buffer): string | undefined {
  const content = value.toString('utf8', CHECK_LENGTH + 1);
  const sealed = seal(name, content);
  return sealed.equals(value) ? content : undefined;
}

function check(name: string, content: string): string {
  return createHash('sha1').update(`${name}\n${content}`, 'utf8').digest('hex');
}
