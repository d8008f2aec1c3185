import { parseTree, type Node } from 'jsonc-parser';
import type { Json } from './json.ts';

/** One string after another; the group is there if it is the name of a member. */
const STRINGS = /"(?:[^"\\]|\\.)*"(\s*:)?/gs;

/**
 * Reads a JSON text. In Node 24, V8's JSON.parse at times takes a name with an escape in it for another one that it has
 * seen before (nodejs/node#63785: after `{"h":[],"\\":0}`, the name `"\n"` in `{"h":1,"\n":2}` becomes a backslash). Texts
 * with such names are read by jsonc-parser.
 *
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  const parsed: unknown = JSON.parse(text);
  return hasEscapedName(text) ? valueOf(parseTree(text)!) : parsed;
}

function hasEscapedName(text: string): boolean {
  if (!text.includes('\\')) return false;
  for (const [string, colon] of text.matchAll(STRINGS)) if (colon !== undefined && string.includes('\\')) return true;
  return false;
}

function valueOf({ type, value, children = [] }: Node): Json {
  if (type === 'array') return children.map(valueOf);
  if (type !== 'object') return value as Json;
  // Not by assignment, which means something else for `__proto__`.
  return Object.fromEntries(children.map(({ children: [name, member] = [] }) => [name!.value as string, valueOf(member!)]));
}
