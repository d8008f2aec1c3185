/** Random LIQUID expressions over names that have types by convention, and values for the names. */
import fc from 'fast-check';
import type { JsonObject } from '../../src/domain/json.ts';
import type { Comparison, Condition, Expression, Filter, Literal, Operand, Path } from './liquid-tree.ts';

/** Where a part of a template stands. */
export interface Place {
  /** Blocks that may still be opened. */
  readonly depth: number;
  /** The names of the items of the loops around it. */
  readonly items: readonly string[];
  /** Whether what is read has to be there. */
  readonly sure?: true;
}

type Arbitrary<T> = fc.Arbitrary<T>;
type Type = 'text' | 'number' | 'list' | 'object' | 'flag';
type Compared = Pick<Condition, 'left' | 'than'>;

const units = ['a', 'a', 'b', 'C', 'é', ' ', ',', '😀', '<', '&', '"', '{{ a }}', '{% if t %}', '}}', '\n'];
const word = fc.array(fc.constantFrom(...units), { maxLength: 5 }).map((parts) => parts.join(''));
const number = fc.constantFrom(0, -0, 1, 2, 3, 10, 0.5, 2.25, -1, -7, 1e21, 123456);
const tags = fc.array(fc.constantFrom('a', 'b', 'C', 'x y'), { maxLength: 4 });
const memberName = fc.constantFrom('b', 'a', 'é', '😀', '\uFFFD', 'x y', '__proto__');

const item = { name: word, price: number, tags, sold: fc.boolean() };
const items = fc.oneof(
  { weight: 4, arbitrary: fc.array(fc.record(item), { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.array(fc.record(item, { requiredKeys: [] }), { maxLength: 3 }) },
);
const user = fc.record(
  {
    name: word,
    age: number,
    tags,
    plan: fc.constantFrom('free', 'pro'),
    address: fc.record({ city: word }, { requiredKeys: [] }),
  },
  { requiredKeys: ['name', 'age', 'tags', 'plan'] },
);
const always = {
  a: word,
  made: word,
  other: word,
  field: fc.constantFrom('name', 'plan', 'toString'),
  t: fc.boolean(),
  n: number,
  m: number,
  count: number,
  words: tags,
  list: tags,
  nums: fc.array(number, { maxLength: 4 }),
  items,
  user,
  prices: fc.dictionary(memberName, number, { maxKeys: 4 }),
};

/** Values by name; templates make some of the names themselves, too. */
export const liquidValues = fc.record(
  { ...always, b: word },
  { requiredKeys: Object.keys(always) as (keyof typeof always)[] },
) as Arbitrary<JsonObject>;

export function path(root: string, ...members: Path['members']): Path {
  return { root, members };
}

/** Paths by what they lead to. */
const PATHS: Readonly<Record<Type, readonly Path[]>> = {
  text: [path('a'), path('word'), path('made'), path('other'), path('user', 'name'), path('user', 'plan')],
  number: [
    path('n'),
    path('m'),
    path('num'),
    path('i'),
    path('count'),
    path('pair', 1),
    path('user', 'age'),
    path('words', 'size'),
    path('nums', 'size'),
    path('a', 'size'),
  ],
  list: [path('words'), path('nums'), path('list'), path('user', 'tags')],
  object: [path('user'), path('prices'), path('item')],
  flag: [path('t')],
};

/** Paths that may lead nowhere. */
const UNSURE: Readonly<Record<Type, readonly Path[]>> = {
  text: [
    path('b'),
    path('user', 'address', 'city'),
    path('user', path('field')),
    path('pair', 0),
    path('item', 'name'),
    path('words', 0),
    path('words', 'first'),
    path('words', 'last'),
    path('made', 'size'),
  ],
  number: [path('item', 'price'), path('nums', 1), path('nums', 'last'), path('user', 'name', 'size')],
  list: [path('item', 'tags')],
  object: [path('user', 'address'), path('items', 0)],
  flag: [path('b'), path('item', 'sold'), path('user', 'constructor'), path('user', 'plan')],
};

const FORLOOP = ['index', 'index0', 'rindex', 'rindex0', 'length'].map((name) => path('forloop', name));

/** Names that are nothing outside of a loop. */
const OF_LOOPS = new Set(['word', 'num', 'item', 'pair', 'i']);

const LITERALS: Readonly<Partial<Record<Type, readonly Literal[]>>> = {
  text: ['', 'a', 'b', 'a b a b', ', ', 'C é', "it's", 'say "x"', '{{ a }}', '}}', '|', ' '],
  number: [0, 1, 2, 3, 10, 0.5, -1, -2.5],
  flag: [true, false, null],
};

export function literally(...values: readonly Literal[]): Arbitrary<Operand> {
  return fc.constantFrom(...values).map((literal) => ({ literal }));
}

function pathTo(type: Type, place: Place): Arbitrary<Operand> {
  const known = [...PATHS[type], ...(place.sure ? [] : UNSURE[type])].filter(({ root }) => {
    return !OF_LOOPS.has(root) || place.items.includes(root);
  });
  return fc.constantFrom(...known, ...(type === 'number' && place.items.length > 0 ? FORLOOP : []));
}

function operand(type: Type, place: Place): Arbitrary<Operand> {
  const literals = LITERALS[type];
  if (!literals) return pathTo(type, place);
  return fc.oneof(
    { weight: 3, arbitrary: pathTo(type, place) },
    { weight: 1, arbitrary: literally(...literals) },
  );
}

/** What can be compared. */
export function scalar(place: Place): Arbitrary<Operand> {
  return fc.oneof(operand('text', place), operand('number', place), operand('flag', place));
}

function anything(place: Place): Arbitrary<Operand> {
  return fc.oneof(scalar(place), operand('list', place), operand('object', place));
}

/** A call of one of the filters. */
function filter(names: readonly string[], ...args: readonly Arbitrary<Operand>[]): Arbitrary<Filter> {
  return fc.record({ name: fc.constantFrom(...names), args: fc.tuple(...args) });
}

function textFilter(place: Place): Arbitrary<Filter> {
  const any = operand('text', place);
  const sought = literally('a', 'a', 'b', ' ', 'é', '$&', '😀', '}}', ', ');
  return fc.oneof(
    filter(['append', 'prepend'], fc.oneof(any, operand('number', place), operand('list', place))),
    filter(['upcase', 'downcase', 'capitalize', 'strip', 'lstrip', 'rstrip', 'squish', 'strip_newlines', 'escape']),
    filter(['replace', 'replace_first', 'replace_last'], sought, any),
    filter(['remove', 'remove_first', 'remove_last'], sought),
    filter(['truncate', 'truncatewords'], literally(3, 5, 8)),
    filter(['truncate', 'truncatewords'], literally(1, 2, 8), literally('', '-')),
    filter(['slice'], literally(0, -1), literally(1, 2)),
    filter(['default'], any),
  );
}

function numberFilter(place: Place): Arbitrary<Filter> {
  const any = operand('number', place);
  return fc.oneof(
    filter(['plus', 'minus', 'times', 'divided_by', 'modulo', 'at_least', 'at_most', 'default'], any),
    filter(['abs', 'ceil', 'floor', 'round']),
  );
}

function listFilter(place: Place): Arbitrary<Filter> {
  return fc.oneof(
    filter(['reverse', 'uniq', 'compact', 'sort', 'sort_natural', 'pop', 'shift']),
    filter(['push', 'unshift'], operand('text', place)),
    filter(['concat', 'default'], operand('list', place)),
    filter(['slice'], literally(0, -1), literally(1, 2)),
  );
}

/** Of a list of objects. */
function memberFilter(place: Place): Arbitrary<Filter> {
  return fc.oneof(
    filter(['sort', 'map', 'group_by', 'where', 'reject'], literally('name', 'price', 'sold')),
    filter(['where', 'reject'], literally('name'), operand('text', place)),
    filter(['where', 'reject'], literally('price'), operand('number', place)),
    filter(['reverse', 'compact', 'pop', 'shift']),
  );
}

/** What makes a list a text, a number or one of its items. */
function listEnd(place: Place): Arbitrary<Filter> {
  return fc.oneof(
    filter(['size', 'first', 'last', 'join', 'json']),
    filter(['join'], operand('text', place)),
  );
}

function memberEnd(place: Place): Arbitrary<Filter> {
  return fc.oneof(
    filter(['sum'], literally('price')),
    filter(['find', 'find_index', 'has'], literally('name'), operand('text', place)),
    filter(['find', 'find_index', 'has'], literally('price'), operand('number', place)),
    listEnd(place),
  );
}

function chain(
  start: Arbitrary<Operand>,
  filters: Arbitrary<Filter>,
  end: Arbitrary<Filter | undefined> = fc.constant(undefined),
): Arbitrary<Expression> {
  return fc
    .tuple(start, fc.array(filters, { maxLength: 2 }), end)
    .map(([first, list, last]) => ({ operand: first, filters: last ? [...list, last] : list }));
}

/** So that no empty item is the last, of which nothing is told. */
const ENDED: Filter = { name: 'append', args: [{ literal: 'z' }] };

function splitText(place: Place): Arbitrary<Expression> {
  return fc
    .tuple(operand('text', place), filter(['split'], literally('a', 'b', ',', ' ', '')))
    .map(([first, split]) => ({ operand: first, filters: [ENDED, split] }));
}

/** What gives a value of the type. */
export function expression(type: 'text' | 'number' | 'list', place: Place): Arbitrary<Expression> {
  switch (type) {
    case 'text':
      return fc.oneof(
        chain(operand('text', place), textFilter(place), fc.option(filter(['size', 'json']), { nil: undefined })),
        chain(anything(place), textFilter(place)),
      );
    case 'number':
      return chain(operand('number', place), numberFilter(place));
    case 'list':
      return fc.oneof(chain(operand('list', place), listFilter(place)), splitText(place));
  }
}

/** What an output may hold. */
export function outputExpression(place: Place): Arbitrary<Expression> {
  const numbers = filter(['sort', 'reverse', 'uniq', 'pop', 'shift']);
  return fc.oneof(
    fc.record({ operand: anything(place), filters: fc.constant([]) }),
    expression('text', place),
    expression('number', place),
    chain(operand('list', place), listFilter(place), listEnd(place)),
    chain(fc.constant(path('items')), memberFilter(place), memberEnd(place)),
    chain(fc.constant(path('nums')), numbers, filter(['sum'])),
    fc.record({ operand: operand('object', place), filters: fc.tuple(filter(['json'])) }),
  );
}

function compared(place: Place): Arbitrary<Compared> {
  const between = (type: Type, names: readonly Comparison[], where = place): Arbitrary<Compared> => {
    const than = fc.record({ comparison: fc.constantFrom(...names), right: operand(type, where) });
    return fc.record({ left: operand(type, where), than });
  };
  const order = ['<', '>', '<=', '>='] as const;
  const sure = { ...place, sure: true } as const;
  const inList = fc.record({ comparison: fc.constant('contains' as const), right: operand('text', place) });
  return fc.oneof(
    fc.record({ left: anything(place) }),
    between('text', ['==', '!=', 'contains']),
    between('number', ['==', '!=']),
    between('flag', ['==', '!=']),
    between('text', order, sure),
    between('number', order, sure),
    fc.record({ left: operand('list', place), than: inList }),
  );
}

/** @param more how many may follow behind `and` and `or` */
export function condition(place: Place, more = 2): Arbitrary<Condition> {
  const one = fc.tuple(compared(place), fc.boolean()).map(([comparison, not]) => ({ ...comparison, not }));
  if (more === 0) return one;
  const logic = fc.constantFrom('and' as const, 'or' as const);
  const rest = fc.record({ logic, condition: condition(place, more - 1) });
  return fc.oneof(
    { weight: 2, arbitrary: one },
    { weight: 1, arbitrary: fc.tuple(one, rest).map(([first, then]) => ({ ...first, more: then })) },
  );
}
