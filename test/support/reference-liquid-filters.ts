/** The filters of LIQUID as their documentation tells them, one line for each where that is enough. */
import type { Json } from '../../src/domain/json.ts';
import { isObject, jsonText, NotFinite, requireTold, textForm, Untold } from './reference-liquid-values.ts';

type ReferenceFilter = (value: Json, args: readonly Json[]) => Json;

/** Longer texts come of templates that double them; they tell nothing more. */
const MAX_TEXT = 2_000;
const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};

function bounded(filter: ReferenceFilter): ReferenceFilter {
  return (value, args) => {
    const result = filter(value, args);
    requireTold(typeof result !== 'string' || result.length <= MAX_TEXT);
    return result;
  };
}

function finite(number: number): number {
  if (!Number.isFinite(number)) throw new NotFinite();
  return number;
}

function onText(filter: (text: string, ...args: string[]) => Json): ReferenceFilter {
  return bounded((value, args) => filter(textForm(value), ...args.map(textForm)));
}

function onNumbers(filter: (...numbers: number[]) => number): ReferenceFilter {
  return (value, args) => {
    const numbers = [value, ...args].map((each) => {
      if (typeof each !== 'number') throw new Untold();
      return each;
    });
    return finite(filter(...numbers));
  };
}

function onList(filter: (list: readonly Json[], ...args: Json[]) => Json): ReferenceFilter {
  return bounded((value, args) => {
    if (!Array.isArray(value)) throw new Untold();
    return filter(value as readonly Json[], ...args);
  });
}

/** The member of each item, null where it has none. */
function members(list: readonly Json[], name: Json): Json[] {
  return list.map((item) => {
    if (!isObject(item)) throw new Untold();
    return Object.hasOwn(item, name as string) ? item[name as string]! : null;
  });
}

function matches(list: readonly Json[], [name, ...wanted]: readonly Json[]): boolean[] {
  return members(list, name!).map((value) => {
    return wanted.length === 0 ? value !== null && value !== false : jsonText(value) === jsonText(wanted[0]!);
  });
}

/** Sorts by keys that are all numbers or all texts. Stable. */
function sorted(list: readonly Json[], keys: readonly Json[]): Json[] {
  const pairs = list.map((item, index) => [item, keys[index]!] as const);
  const types = new Set(keys.map((key) => typeof key));
  requireTold(types.size === 0 || (types.size === 1 && (types.has('number') || types.has('string'))));
  const compared = (a: Json, b: Json): number => (a! < b! ? -1 : Number(a! > b!));
  return pairs.toSorted(([, a], [, b]) => compared(a, b)).map(([item]) => item);
}

function sum(numbers: readonly Json[]): number {
  requireTold(numbers.every((each) => typeof each === 'number'));
  return finite((numbers as readonly number[]).reduce((total, each) => total + each, 0));
}

/** Whether characters are the units of a JavaScript string in it. */
function isPlain(text: string): boolean {
  return !/[\uD800-\uDFFF]/.test(text);
}

function rounded(number: number): number {
  requireTold(Math.abs(number % 1) !== 0.5);
  return Math.round(number);
}

function truncated(text: string, length: string, ellipsis = '...'): string {
  requireTold(isPlain(text) && Number(length) >= ellipsis.length);
  return text.length <= Number(length) ? text : text.slice(0, Number(length) - ellipsis.length) + ellipsis;
}

function truncatedWords(text: string, count: string, ellipsis = '...'): string {
  const words = text.split(' ');
  requireTold(words.every((word) => word !== '' && !/\s/.test(word)));
  return words.length <= Number(count) ? text : words.slice(0, Number(count)).join(' ') + ellipsis;
}

/** Where the search text stands; everywhere, if there is none, which is not told. */
function found(text: string, sought: string, from: 'first' | 'last'): number {
  requireTold(sought !== '');
  return from === 'first' ? text.indexOf(sought) : text.lastIndexOf(sought);
}

function replacedOne(text: string, sought: string, by: string, which: 'first' | 'last'): string {
  const at = found(text, sought, which);
  return at === -1 ? text : text.slice(0, at) + by + text.slice(at + sought.length);
}

function replacedAll(text: string, sought: string, by: string): string {
  requireTold(sought !== '');
  return text.split(sought).join(by);
}

function splitText(text: string, separator: string): string[] {
  const parts = separator === '' ? [...text] : text.split(separator);
  requireTold(parts.length > 0 && parts.at(-1) !== '');
  return parts;
}

function sliced(value: Json, args: readonly Json[]): Json {
  const [from, length = 1] = args as readonly number[];
  const whole = Array.isArray(value) ? (value as readonly Json[]) : [...textForm(value)];
  const start = from! < 0 ? whole.length + from! : from!;
  requireTold(start >= 0 && start < whole.length && (Array.isArray(value) || isPlain(textForm(value))));
  const part = whole.slice(start, start + length);
  return Array.isArray(value) ? part : part.join('');
}

function grouped(list: readonly Json[], name: Json): Json {
  const names = members(list, name);
  return [...new Set(names)].map((each) => ({ name: each, items: list.filter((_, index) => names[index] === each) }));
}

/** The items of a list, the characters of a text. */
function itemsOf(value: Json): readonly Json[] {
  if (typeof value === 'string') return [...value];
  return listed(value);
}

function orDefault(value: Json, fallback: Json): Json {
  const isEmpty = value === '' || (Array.isArray(value) && value.length === 0);
  return value === null || value === false || isEmpty ? fallback : value;
}

function listed(value: Json): readonly Json[] {
  if (!Array.isArray(value)) throw new Untold();
  return value as readonly Json[];
}

const SPACES = /\s+/g;

/** The filters by name. */
export const referenceFilters: Readonly<Record<string, ReferenceFilter>> = {
  append: onText((text, more) => text + more),
  prepend: onText((text, more) => more + text),
  upcase: onText((text) => text.toUpperCase()),
  downcase: onText((text) => text.toLowerCase()),
  capitalize: onText((text) => {
    // LiquidJS lowers the rest; its documentation says that it is not affected.
    const rest = text.slice(1);
    requireTold(isPlain(text) && rest === rest.toLowerCase());
    return text.slice(0, 1).toUpperCase() + rest;
  }),
  strip: onText((text) => text.trim()),
  lstrip: onText((text) => text.trimStart()),
  rstrip: onText((text) => text.trimEnd()),
  squish: onText((text) => text.trim().replace(SPACES, ' ')),
  strip_newlines: onText((text) => text.replaceAll('\n', '')),
  escape: onText((text) => text.replace(/[&<>"']/g, (character) => ESCAPES[character]!)),
  truncate: onText(truncated),
  truncatewords: onText(truncatedWords),
  replace: onText(replacedAll),
  replace_first: onText((text, sought, by) => replacedOne(text, sought!, by!, 'first')),
  replace_last: onText((text, sought, by) => replacedOne(text, sought!, by!, 'last')),
  remove: onText((text, sought) => replacedAll(text, sought!, '')),
  remove_first: onText((text, sought) => replacedOne(text, sought!, '', 'first')),
  remove_last: onText((text, sought) => replacedOne(text, sought!, '', 'last')),
  split: onText((text, separator) => splitText(text, separator!)),
  plus: onNumbers((a, b) => a! + b!),
  minus: onNumbers((a, b) => a! - b!),
  times: onNumbers((a, b) => a! * b!),
  divided_by: onNumbers((a, b) => a! / b!),
  modulo: onNumbers((a, b) => {
    // That LiquidJS rounds on the way is not told; whole numbers are safe from it.
    requireTold(Number.isInteger(a) && Number.isInteger(b) && a! >= 0 && b! > 0 && b! < 1e6);
    return a! % b!;
  }),
  abs: onNumbers((a) => Math.abs(a!)),
  ceil: onNumbers((a) => Math.ceil(a!)),
  floor: onNumbers((a) => Math.floor(a!)),
  round: onNumbers((a) => rounded(a!)),
  at_least: onNumbers((a, b) => Math.max(a!, b!)),
  at_most: onNumbers((a, b) => Math.min(a!, b!)),
  size: (value) => itemsOf(value).length,
  slice: bounded(sliced),
  first: (value) => itemsOf(value)[0] ?? null,
  last: (value) => itemsOf(value).at(-1) ?? null,
  join: onList((list, between = ' ') => list.map(textForm).join(textForm(between))),
  reverse: onList((list) => list.toReversed()),
  compact: onList((list) => list.filter((item) => item !== null)),
  concat: onList((list, more) => [...list, ...listed(more!)]),
  push: onList((list, item) => [...list, item!]),
  unshift: onList((list, item) => [item!, ...list]),
  pop: onList((list) => list.slice(0, -1)),
  shift: onList((list) => list.slice(1)),
  uniq: onList((list) => {
    requireTold(list.every((item) => !isObject(item) && !Array.isArray(item)));
    return [...new Set(list)];
  }),
  sort: onList((list, name) => sorted(list, name === undefined ? list : members(list, name))),
  sort_natural: onList((list) => {
    requireTold(list.every((item) => typeof item === 'string'));
    return sorted(list, list.map((item) => (item as string).toLowerCase()));
  }),
  map: onList((list, name) => members(list, name!)),
  where: onList((list, ...args) => list.filter((_, index) => matches(list, args)[index])),
  reject: onList((list, ...args) => list.filter((_, index) => !matches(list, args)[index])),
  find: onList((list, ...args) => list[matches(list, args).indexOf(true)] ?? null),
  find_index: onList((list, ...args) => {
    const index = matches(list, args).indexOf(true);
    return index === -1 ? null : index;
  }),
  has: onList((list, ...args) => matches(list, args).includes(true)),
  group_by: onList((list, name) => grouped(list, name!)),
  sum: onList((list, name) => sum(name === undefined ? list : members(list, name))),
  default: (value, [fallback]) => orDefault(value, fallback!),
  json: bounded((value) => jsonText(value)),
};
