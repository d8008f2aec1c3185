import { type DescField, type DescMessage, type Message, ScalarType } from '@bufbuild/protobuf';
import type { Value } from '@bufbuild/protobuf/wkt';
import type { Violation, ViolationReason } from '../domain/errors.ts';
import type { Json } from '../domain/json.ts';
import { MAX_JSON_LEVELS, MAX_VIOLATIONS } from '../domain/limits.ts';
import { MAX_COMBINING_MARKS } from './limits.ts';

const MAX_KEY_LENGTH = 64;
const PLAIN_KEY = /^[\w.-]{1,64}$/;

const DESCRIPTIONS = {
  NUL: 'U+0000 is not allowed',
  NOT_UNICODE: 'an unpaired surrogate is not allowed; send well-formed Unicode',
  TOO_COMPLEX: `more than ${MAX_COMBINING_MARKS} combining marks in a row are not allowed`,
  TOO_LARGE: `lists and objects must not nest deeper than ${MAX_JSON_LEVELS}`,
} as const satisfies Partial<Record<ViolationReason, string>>;

interface Breach {
  path: string;
  readonly reason: keyof typeof DESCRIPTIONS;
}

/**
 * Looks at one value and adds the breaches with their paths from that value downward. Whoever descends into the value
 * puts its own segment before the paths of what was found, so that a request without breaches costs no path at all.
 */
type Check = (value: unknown, found: Breach[]) => void;

/** The same for a value of JSON's model; `depth` counts the lists and objects around it. */
type ValueCheck<T> = (value: T, depth: number, found: Breach[]) => void;

/**
 * Compiles the check of every string in messages of a type: fields, map keys and values, google.protobuf.Value and
 * Struct, however nested. A string must hold neither U+0000 nor an unpaired surrogate, nor more than 128 combining
 * marks in a row; values nest at most 64 deep.
 * Paths have proto field names: `draft.content`, `variables.user_name`, `placeholders.history.messages[0].content`.
 */
export function compileTextCheck(desc: DescMessage): (message: Message) => Violation[] {
  const check = messageCheck(desc, new Map());
  return (message) => {
    const found: Breach[] = [];
    check(message, found);
    return found.map(({ path, reason }) => ({ field: path.slice(1), reason, description: DESCRIPTIONS[reason] }));
  };
}

function messageCheck(desc: DescMessage, compiled: Map<DescMessage, Check>): Check {
  if (desc.typeName === 'google.protobuf.Value') return (value, found) => checkValue(value as Value, 0, found);
  const known = compiled.get(desc);
  if (known !== undefined) return known;
  const members: Check[] = [];
  const check: Check = (message, found) => {
    for (const member of members) member(message, found);
  };
  // Known before its fields are looked at, so that a type that contains itself ends here.
  compiled.set(desc, check);
  for (const field of desc.fields) {
    const content = contentCheck(field, compiled);
    if (content !== undefined) members.push(memberCheck(field, content));
  }
  return check;
}

/** The check of a field's value; undefined: it holds no text. */
function contentCheck(field: DescField, compiled: Map<DescMessage, Check>): Check | undefined {
  switch (field.fieldKind) {
    case 'list': {
      const item = elementCheck(field, compiled);
      return item && listCheck(item);
    }
    case 'map':
      return mapCheck(elementCheck(field, compiled));
    default:
      return elementCheck(field, compiled);
  }
}

function elementCheck(field: DescField, compiled: Map<DescMessage, Check>): Check | undefined {
  if (field.message !== undefined) {
    // protobuf-es holds a Struct in a field as plain JSON.
    if (field.message.typeName === 'google.protobuf.Struct') return (json, found) => checkJson(json as Json, 0, found);
    return messageCheck(field.message, compiled);
  }
  return field.scalar === ScalarType.STRING ? checkString : undefined;
}

function memberCheck({ localName, name, oneof }: DescField, content: Check): Check {
  const segment = `.${name}`;
  function checkMember(value: unknown, found: Breach[]): void {
    const before = found.length;
    content(value, found);
    if (found.length > before) prefix(found, before, segment);
  }
  if (oneof !== undefined) {
    const group = oneof.localName;
    return (message, found) => {
      const { case: set, value } = (message as Record<string, { case?: string; value?: unknown }>)[group]!;
      if (set === localName) checkMember(value, found);
    };
  }
  return (message, found) => {
    const value = (message as Record<string, unknown>)[localName];
    if (value !== undefined) checkMember(value, found);
  };
}

function listCheck(item: Check): Check {
  return (list, found) => {
    const items = list as unknown[];
    for (let i = 0; i < items.length; i++) {
      const before = found.length;
      item(items[i], found);
      if (found.length > before) prefix(found, before, `[${i}]`);
    }
  };
}

function mapCheck(value: Check | undefined): Check {
  return (map, found) => {
    const record = map as Record<string, unknown>;
    for (const key of Object.keys(record)) {
      const before = found.length;
      checkString(key, found);
      value?.(record[key], found);
      if (found.length > before) prefix(found, before, keySegment(key));
    }
  };
}

function checkString(value: unknown, found: Breach[]): void {
  const text = value as string;
  if (text.includes('\0')) add(found, 'NUL');
  if (!text.isWellFormed()) add(found, 'NOT_UNICODE');
  if (text.length > MAX_COMBINING_MARKS && holdsLongRun(text)) add(found, 'TOO_COMPLEX');
}

/** Below it there are no combining marks. */
const FIRST_MARK = 0x300;
/** In UTF-16 code units. A run that is too long reaches from one look at the text over the whole way to the next. */
const STRIDE = MAX_COMBINING_MARKS / 2;
/** A look may fall between the halves of a mark. */
const MARKS_AHEAD = new RegExp(`^[\\uDC00-\\uDFFF]?\\p{M}{${STRIDE / 2}}`, 'u');
const MARK = /^\p{M}/u;
/** The same for UTF-16 code units: a look at a table is several times as fast. */
const MARK_UNITS = Uint8Array.from({ length: 0x10000 }, (_, unit) => Number(MARK.test(String.fromCharCode(unit))));

/** Looks at a few places only: every render passes here with all of its history. */
function holdsLongRun(text: string): boolean {
  for (let at = 0; at < text.length; at += STRIDE) {
    if (text.charCodeAt(at) < FIRST_MARK) continue;
    if (MARKS_AHEAD.test(text.slice(at, at + STRIDE + 1))) return hasLongRun(text);
  }
  return false;
}

function hasLongRun(text: string): boolean {
  let marks = 0;
  for (let at = 0; at < text.length; at += 1) {
    const isPair = (text.codePointAt(at) as number) > 0xffff;
    const isMark = isPair ? MARK.test(text.slice(at, at + 2)) : MARK_UNITS[text.charCodeAt(at)] === 1;
    if (isPair) at += 1;
    marks = isMark ? marks + 1 : 0;
    if (marks > MAX_COMBINING_MARKS) return true;
  }
  return false;
}

function checkValue({ kind }: Value, depth: number, found: Breach[]): void {
  switch (kind.case) {
    case 'stringValue':
      return checkString(kind.value, found);
    case 'listValue':
      return checkContainer(kind.value.values, depth, found, checkValue);
    case 'structValue':
      return checkContainer(kind.value.fields, depth, found, checkValue);
  }
}

function checkJson(json: Json, depth: number, found: Breach[]): void {
  if (typeof json === 'string') checkString(json, found);
  else if (typeof json === 'object' && json !== null) checkContainer<Json>(json, depth, found, checkJson);
}

function checkContainer<T>(
  container: readonly T[] | Readonly<Record<string, T>>,
  depth: number,
  found: Breach[],
  check: ValueCheck<T>,
): void {
  if (depth === MAX_JSON_LEVELS) return add(found, 'TOO_LARGE');
  const deeper: Check = (value) => check(value as T, depth + 1, found);
  (Array.isArray(container) ? listCheck(deeper) : mapCheck(deeper))(container, found);
}

function add(found: Breach[], reason: Breach['reason']): void {
  if (found.length < MAX_VIOLATIONS) found.push({ path: '', reason });
}

function prefix(found: readonly Breach[], from: number, segment: string): void {
  for (const breach of found.slice(from)) breach.path = segment + breach.path;
}

/** A segment for a map key; keys that would blur the path, or are not fit to be shown, are quoted. */
function keySegment(key: string): string {
  return PLAIN_KEY.test(key) ? `.${key}` : `[${JSON.stringify(key.slice(0, MAX_KEY_LENGTH))}]`;
}
