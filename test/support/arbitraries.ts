/** Random text, JSON, declarations and constraints; and the same things in another order. */
import fc from 'fast-check';
import type { ConstraintRule, UncheckedConstraint } from '../../src/domain/constraint.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import type { UncheckedDeclaration } from '../../src/domain/variable-declaration.ts';
import { declaration } from './drafts.ts';

/** What normalization is about. */
const noise = fc.constantFrom('\uFEFF', '\r', '\r\n', '\n', 'e\u0301', 'é', ' ', 'ﬁ', '\u1100\u1161', '😀');

function joined(unit: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.array(unit).map((parts) => parts.join(''));
}

/** Text that may hold anything. */
export const text = joined(fc.oneof(noise, fc.constantFrom('{', '}'), fc.string({ unit: 'grapheme' })));

/** Text that opens nothing in any syntax. */
export const prose = text.map((raw) => raw.replace(/[{}]/g, ''));

/** The name of a variable. */
export const name = fc.stringMatching(/^[a-z_][a-z0-9_]{0,5}$/);

const number = fc.double({ noNaN: true, noDefaultInfinity: true });
const scalar = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 5 }), number, fc.boolean());
/** Names of members, those included that JavaScript orders or inherits. */
const memberName = fc.oneof(
  fc.constantFrom('10', '9', '__proto__', 'é', '😀', '\uFFFD'),
  fc.string({ unit: 'grapheme', maxLength: 3 }),
);

/** Any JSON but null at its root. */
export const json: fc.Arbitrary<NonNullable<Json>> = fc.letrec<{ json: NonNullable<Json> }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(fc.option(tie('json')), { maxLength: 4 }),
    fc.dictionary(memberName, fc.option(tie('json')), { maxKeys: 4 }),
  ),
})).json;

export const jsonList = fc.array(json, { maxLength: 4 });
export const jsonObject: fc.Arbitrary<JsonObject> = fc.dictionary(memberName, json, { maxKeys: 5 });

/** A declaration under the name, of any type. */
export function declared(as: string): fc.Arbitrary<UncheckedDeclaration> {
  const known = { name: fc.constant(as), description: text };
  const enumValues = fc.uniqueArray(name, { minLength: 1, maxLength: 5 });
  const untrusted = fc.boolean();
  const members: readonly fc.Arbitrary<Partial<UncheckedDeclaration>>[] = [
    fc.record({ ...known, required: fc.boolean(), untrusted }),
    fc.record({ ...known, default: fc.string({ unit: 'grapheme' }), untrusted }),
    fc.record({ ...known, default: fc.constantFrom('aa', ''), maxLength: fc.constant(9), pattern: fc.constant('a*') }),
    fc.record({ ...known, type: fc.constant('INTEGER' as const), default: fc.constantFrom(0, -0, 7, -1) }),
    fc.record({ ...known, type: fc.constant('NUMBER' as const), default: number }),
    fc.record({ ...known, type: fc.constant('BOOLEAN' as const), required: fc.boolean() }),
    fc.record({ ...known, type: fc.constant('ENUM' as const), enumValues }),
    fc.record({ ...known, type: fc.constant('LIST' as const), default: jsonList, untrusted }),
    fc.record({ ...known, type: fc.constant('OBJECT' as const), default: jsonObject, untrusted }),
  ];
  return fc.oneof(...members).map((given) => declaration(given));
}

/** Declarations of different names. */
export const declarations: fc.Arbitrary<UncheckedDeclaration[]> = fc
  .uniqueArray(name, { minLength: 1, maxLength: 8 })
  .chain((names) => fc.tuple(...names.map(declared)));

const property = fc.record({ type: fc.constantFrom('string', 'number'), title: text });
const schema = fc.record(
  {
    type: fc.constant('object'),
    properties: fc.dictionary(name, property, { maxKeys: 4 }),
    required: fc.constant(['a']),
    additionalProperties: fc.boolean(),
  },
  { requiredKeys: ['type'] },
) as fc.Arbitrary<JsonObject>;

/** Rules of which none contradicts another. */
const rule: fc.Arbitrary<ConstraintRule> = fc.oneof(
  fc.integer({ min: 1, max: 9 }).map((value) => ({ kind: 'min_chars' as const, value })),
  fc.integer({ min: 100, max: 999 }).map((value) => ({ kind: 'max_chars' as const, value })),
  fc.integer({ min: 1, max: 9 }).map((value) => ({ kind: 'max_words' as const, value })),
  ...(['required_phrases', 'forbidden_phrases'] as const).map((kind) => {
    const phrase = joined(fc.oneof(noise, fc.constantFrom('a', 'b'))).map((raw) => `${raw} ${kind.at(0)}${raw}`);
    return fc.array(phrase, { minLength: 1, maxLength: 5 }).map((value) => ({ kind, value }));
  }),
  fc.constantFrom('a+', '\\d', 'x|y').map((value) => ({ kind: 'forbidden_pattern' as const, value })),
  fc.constantFrom('b+', '^\\w').map((value) => ({ kind: 'required_pattern' as const, value })),
  schema.map((value) => ({ kind: 'json_schema' as const, value })),
);

/** Constraints of different ids. */
export const constraints: fc.Arbitrary<UncheckedConstraint[]> = fc.uniqueArray(
  fc.record({
    id: fc.stringMatching(/^[a-z]{1,3}$/),
    severity: fc.constantFrom('ERROR' as const, 'WARNING' as const),
    instruction: fc.oneof(fc.constant(''), text),
    rule,
  }),
  { selector: ({ id }) => id, maxLength: 6 },
);

/** The same list in any order. */
export function shuffled<T>(list: readonly T[]): fc.Arbitrary<T[]> {
  return fc.shuffledSubarray([...list], { minLength: list.length, maxLength: list.length });
}

/** A list, and the same in another order. */
export function shuffledPair<T>(lists: fc.Arbitrary<T[]>): fc.Arbitrary<[T[], T[]]> {
  return lists.chain((list) => fc.tuple(fc.constant(list), shuffled(list)));
}

/** The same value, the members of its objects in any order. */
export function reordered<T extends Json>(value: T): fc.Arbitrary<T> {
  if (typeof value !== 'object' || value === null) return fc.constant(value);
  if (Array.isArray(value)) return fc.tuple(...value.map(reordered)) as unknown as fc.Arbitrary<T>;
  const members = Object.entries(value as JsonObject).map(([key, member]) => {
    return fc.tuple(fc.constant(key), reordered(member));
  });
  return fc.tuple(...members).chain(shuffled).map(Object.fromEntries) as fc.Arbitrary<T>;
}

/** What stands for something in the syntaxes. */
const SYNTAX = ['{', '}', '{{', '}}', '{%', '%}', '{a}', '{b}', '{{ b }}', '{{b}}', '{% if a %}', '{% assign b = 1 %}'];
const FILTERS = ['{{ b | upcase }}', '{% raw %}', '{% endraw %}', '{% break %}', '{{-', '-%}'];
/** What stands for something in a prompt. */
const MARKUP = ['<untrusted name="u">', '<untrusted name="x">', '</untrusted>', '<', '>', '&', '&lt;', '&gt;', '&amp;'];
const ROLES = ['\n\n', '\r\n\r\n', '\nSystem: ', '<|im_start|>system', '<|im_end|>', '[INST]', '[/INST]', '### '];
const RULES = ['Your answer must follow these rules:', '\n- Must be at most 5 words long.', '- Must ', 'refund'];
/** What people do not see, or see as one. */
const HIDDEN = ['\u0001', '\u001B[2J', '\u007F', '\u0085', '\u202E', '\u2066', '\u200E', '\u200B', '\u2060', '\uFEFF'];
const TAGS = ['\u{E0041}', '\u{E007F}', '\u00AD', '\uFE0F', '\u200D', '\u0301', '\u2028', '\uFF1C'];
const JOINED = ['\u{1F469}\u200D\u{1F467}', '\u{1F1E9}\u{1F1EA}', '\u{1F44D}\u{1F3FD}', 'e\u0301', '\uFDFA'];

/** Text by somebody who knows the syntaxes, the delimiters and the constraint block. */
export const hostile = joined(
  fc.oneof(
    fc.constantFrom(...SYNTAX, ...FILTERS),
    fc.constantFrom(...MARKUP, ...ROLES, ...RULES),
    fc.constantFrom(...HIDDEN, ...TAGS, ...JOINED),
    fc.string({ unit: 'grapheme', maxLength: 3 }),
  ),
);
