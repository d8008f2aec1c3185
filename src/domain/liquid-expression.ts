/** What LIQUID's expressions are written like. LiquidJS leaves out what it does not understand; these find it. */
import { type Filter, type ForTag, type Token, TypeGuards } from 'liquidjs';

const MEMBER = /^[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*$/;
const QUOTED = /^(["'])(?:\\[^]|(?!\1)[^\\])*\1$/;
/** Text in quotes. A quote that is not closed takes all that follows, so that nothing is looked at twice. */
const TEXT = /"(?:\\[^]?|[^"\\])*"?|'(?:\\[^]?|[^'\\])*'?/g;
const FILTER = /\|\s*([\w-]+)/g;
const BRACKETS = /[[\]()]/g;
const SEPARATOR = /^\s*(?:,|or)\s*$/;
const CLOSING = /\s*-?[%}]\}/y;
const BRACKET = /\s*\]/y;
/** What follows the collection of a for, with N for each value. */
const FOR_REST = /^(?:\s*(?:,\s*)?(?:limit\s*:\s*N|offset\s*:\s*N|reversed))*\s*$/;

function followsAt(pattern: RegExp, content: string, offset: number): boolean {
  pattern.lastIndex = offset;
  return pattern.test(content);
}

/** Whether the tag or output ends at the offset. */
export function isEnd(content: string, offset: number): boolean {
  return followsAt(CLOSING, content, offset);
}

/** Whether the value in brackets that ends at the offset is all that they hold. */
export function isBracketed(content: string, offset: number): boolean {
  return followsAt(BRACKET, content, offset);
}

/** Whether it is what stands between two values of a when. */
export function isSeparator(source: string): boolean {
  return SEPARATOR.test(source);
}

/** Whether the value is the name of a member in quotes, or the path to one. */
export function isMemberName(value: unknown): boolean {
  return TypeGuards.isQuotedToken(value) && MEMBER.test(value.content);
}

/** Whether the quotes of a text are closed. */
export function isQuoted(source: string): boolean {
  return QUOTED.test(source);
}

/** The filters that are written in a tag or output, told without parsing it, and where each begins. */
export function writtenFilters(source: string): { readonly name: string; readonly offset: number }[] {
  const bare = source.replace(TEXT, (text) => ' '.repeat(text.length));
  return [...bare.matchAll(FILTER)].map(({ 1: name, index }) => ({ name: name!, offset: index }));
}

/** How deep brackets and parentheses stand inside one another. */
export function depthOf(source: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [mark] of source.replace(TEXT, '').matchAll(BRACKETS)) {
    depth += mark === '[' || mark === '(' ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

/** Where a filter is, which LiquidJS keeps to itself. */
export function placeOf(filter: Filter): Token {
  return (filter as unknown as { readonly token: Token }).token;
}

/** Whether values and operators take turns, told from the order in which LiquidJS evaluates them. */
export function takeTurns(postfix: readonly Token[]): boolean {
  const begins: number[] = [];
  for (const token of postfix) {
    if (!TypeGuards.isOperatorToken(token)) {
      begins.push(token.begin);
      continue;
    }
    const right = begins.pop() ?? -1;
    const left = token.operator === 'not' ? token.begin : (begins.pop() ?? Infinity);
    if (left > token.begin || token.begin > right) return false;
    begins.push(left);
  }
  return begins.length === 1;
}

/** Whether a for may have the parameter, with or without a value as it is. */
export function isParameter(name: string, value: Token | undefined): boolean {
  return name === 'reversed' ? value === undefined : ['limit', 'offset'].includes(name) && value !== undefined;
}

/** Whether a for takes nothing but limit, offset and reversed, each as it should. */
export function takesParametersOnly({ collection, hash, token }: ForTag): boolean {
  let rest = '';
  let at = collection.end;
  for (const value of Object.values(hash.hash)) {
    if (value === undefined) continue;
    rest += `${token.input.slice(at, value.begin)}N`;
    at = value.end;
  }
  return FOR_REST.test(rest + token.input.slice(at, token.contentRange[1]));
}
