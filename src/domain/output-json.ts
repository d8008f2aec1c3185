/** JSON in a model's output: read strictly, with the places of its values. */
import { findNodeAtLocation, type Node, parseTree, printParseErrorCode, visit } from 'jsonc-parser';
import type { Json } from './json.ts';
import { MAX_OUTPUT_JSON_LEVELS } from './limits.ts';
import type { Span } from './output-place.ts';
import { parseJson } from './parse-json.ts';
import { cut, excerpt } from './text.ts';

/** Why a text cannot be checked as JSON. */
export interface JsonFault {
  readonly fault: string;
  readonly span: Span;
}

const STRICT = { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false } as const;

/** Ends the reading at the first fault: jsonc-parser goes on after mistakes, however deep they lead it. */
class FaultFound extends Error {
  readonly found: JsonFault;

  constructor(fault: string, start: number, length: number) {
    super(fault);
    this.found = { fault, span: { start, end: start + length } };
  }
}

/** Whether a double holds what is written: all but whole numbers beyond 2^53, whatever is rounded behind the point. */
function isExact(value: unknown): boolean {
  if (typeof value !== 'number') return true;
  return Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value);
}

/** `InvalidSymbol` as `invalid symbol`. */
function inWords(name: string): string {
  return name.replaceAll(/\B[A-Z]/g, ' $&').toLowerCase();
}

/** @throws FaultFound at the first thing that is no JSON, or that JavaScript would take for something else */
function requireJson(text: string): void {
  const names: Set<string>[] = [];
  let levels = 0;
  const begin = (offset: number): void => {
    levels += 1;
    if (levels <= MAX_OUTPUT_JSON_LEVELS) return;
    const fault = `lists and objects stand more than ${MAX_OUTPUT_JSON_LEVELS} deep inside one another`;
    throw new FaultFound(fault, offset, 1);
  };
  visit(
    text,
    {
      onArrayBegin: begin,
      onArrayEnd: () => void (levels -= 1),
      onObjectBegin: (offset) => {
        begin(offset);
        names.push(new Set());
      },
      onObjectEnd: () => {
        levels -= 1;
        names.pop();
      },
      onObjectProperty: (name, offset, length) => {
        const known = names.at(-1) as Set<string>;
        const fault = `the member ${excerpt(name)} stands twice in one object`;
        if (known.has(name)) throw new FaultFound(fault, offset, length);
        known.add(name);
      },
      onLiteralValue: (value, offset, length) => {
        if (isExact(value)) return;
        const number = cut(text.slice(offset, offset + length));
        throw new FaultFound(`${number} is beyond 2^53, which JSON readers round`, offset, length);
      },
      onError: (code, offset, length, line, character) => {
        const fault = `${inWords(printParseErrorCode(code))} at line ${line + 1}, column ${character + 1}`;
        throw new FaultFound(fault, offset, length);
      },
    },
    STRICT,
  );
}

/** Reads a text as JSON. */
export function readJson(text: string): { readonly value: Json } | JsonFault {
  try {
    requireJson(text);
  } catch (error) {
    return (error as FaultFound).found;
  }
  return { value: parseJson(text) as Json };
}

/** The node of a value, or of the nearest that holds it. */
function nodeOf(root: Node, pointer: string): Node {
  let node = root;
  for (const escaped of pointer.split('/').slice(1)) {
    const name = escaped.replaceAll('~1', '/').replaceAll('~0', '~');
    const child = findNodeAtLocation(node, [node.type === 'array' ? Number(name) : name]);
    if (child === undefined) break;
    node = child;
  }
  return node;
}

/** Where values stand in a text that readJson has read. @param pointers RFC 6901 */
export function placesOfValues(text: string, pointers: readonly string[]): Span[] {
  const root = parseTree(text, [], STRICT) as Node;
  return pointers.map((pointer) => {
    const { offset, length } = nodeOf(root, pointer);
    return { start: offset, end: offset + length };
  });
}
