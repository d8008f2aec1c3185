/** Random LIQUID templates. */
import fc from 'fast-check';
import { condition, expression, literally, outputExpression, path, type Place, scalar } from './liquid-expressions.ts';
import type { Arm, CaseNode, ForNode, IfNode, Literal, Node, Path, Strip } from './liquid-tree.ts';

type Arbitrary<T> = fc.Arbitrary<T>;

const strip: Arbitrary<Strip> = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ before: false, behind: false }) },
  { weight: 1, arbitrary: fc.record({ before: fc.boolean(), behind: fc.boolean() }) },
);

const spaces = [' ', '  ', '\n', '\n  ', '\t'];
const units = [...spaces, 'a', 'B', 'é', '😀', '{', '}', '}}', '%}', '-', '"', '<', '|', 'endif'];
/** Nothing in it opens a tag or an output. */
const text: Arbitrary<Node> = fc
  .array(fc.constantFrom(...units), { minLength: 1, maxLength: 5 })
  .map((parts) => ({ kind: 'text', text: parts.join('').replace(/\{(?=[{%]|$)/g, '(') }));

function inside(place: Place, items = place.items): Place {
  return { ...place, items, depth: place.depth - 1 };
}

function arm(place: Place): Arbitrary<Arm> {
  return fc.record({ strip, body: body(place) });
}

function optional<T>(one: Arbitrary<T>): Arbitrary<T | undefined> {
  return fc.option(one, { nil: undefined });
}

/** The node without members that are undefined. */
function node<T extends Node>(members: { readonly [Name in keyof T]: T[Name] | undefined }): Node {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as unknown as T;
}

function ifNode(place: Place): Arbitrary<Node> {
  const chosen = fc.record({ strip, condition: condition(place), body: body(inside(place)) });
  return fc
    .record({
      kind: fc.constantFrom('if' as const, 'unless' as const),
      arms: fc.array(chosen, { minLength: 1, maxLength: 3 }),
      otherwise: optional(arm(inside(place))),
      close: strip,
    })
    .map((members) => node<IfNode>(members));
}

const WHENS: readonly Literal[] = ['a', '', 'b', 'free', 1, 2.25, true, null];

/** No value stands in two arms: which of them is chosen is not told. */
function caseNode(place: Place): Arbitrary<Node> {
  const values = fc.shuffledSubarray([...WHENS], { minLength: 2, maxLength: 5 });
  const lists = values.map(([first, second, ...others]) => [[first!, second!], ...others.map((value) => [value])]);
  const arms = lists.chain((all) => {
    return fc.tuple(...all.map((list) => arm(inside(place)).map((given) => ({ ...given, values: list }))));
  });
  const otherwise = optional(arm(inside(place)));
  return fc
    .record({ kind: fc.constant('case' as const), open: strip, of: scalar(place), arms, otherwise, close: strip })
    .map((members) => node<CaseNode>(members));
}

/** What is looped over, and the names that the loops give the items; some are names of values too. */
const LOOPS: readonly (readonly [items: Path, variables: readonly string[]])[] = [
  [path('words'), ['word', 'a']],
  [path('user', 'tags'), ['word']],
  [path('list'), ['word']],
  [path('nums'), ['num', 'n']],
  [path('items'), ['item', 'item', 'user']],
  [path('prices'), ['pair']],
];

function shown(name: string): Node {
  const value = { operand: path(name), filters: [{ name: 'json', args: [] }] };
  return { kind: 'output', strip: { before: false, behind: false }, value };
}

function forNode(place: Place): Arbitrary<Node> {
  const last = fc.oneof(literally(3, 1), fc.constant(path('words', 'size')));
  const range = fc.record({ from: literally(0, 1, 2, -1), to: last });
  const loops = fc.oneof(
    ...LOOPS.map(([items, names]) => fc.record({ items: fc.constant(items), variable: fc.constantFrom(...names) })),
    fc.record({ items: range, variable: fc.constant('i') }),
  );
  const parameters = fc.record({
    offset: optional(fc.nat(2)),
    limit: optional(fc.integer({ min: 1, max: 3 })),
    reversed: fc.boolean(),
  });
  return fc.tuple(loops, parameters, optional(arm(inside(place))), strip).chain(([loop, given, otherwise, close]) => {
    const { variable } = loop;
    return fc.tuple(fc.boolean(), arm(inside(place, [...place.items, variable]))).map(([isShown, around]) => {
      const looped = { ...around, body: isShown ? joined([shown(variable), ...around.body]) : around.body };
      return node<ForNode>({ kind: 'for', ...loop, ...given, arm: looped, otherwise, close });
    });
  });
}

function captureNode(place: Place): Arbitrary<Node> {
  return fc.record({
    kind: fc.constant('capture' as const),
    name: fc.constantFrom('made', 'other', 'a', 'word'),
    arm: arm(inside(place)),
    close: strip,
  });
}

function assignNode(type: 'text' | 'number' | 'list', names: readonly string[], place: Place): Arbitrary<Node> {
  const value = expression(type, { ...place, sure: true });
  return fc.record({ kind: fc.constant('assign' as const), strip, name: fc.constantFrom(...names), value });
}

function silentNode(kind: 'raw' | 'comment' | 'remark', ...texts: readonly string[]): Arbitrary<Node> {
  return fc.record({ kind: fc.constant(kind), strip, text: fc.constantFrom(...texts) });
}

function outputNode(place: Place): Arbitrary<Node> {
  return fc.record({ kind: fc.constant('output' as const), strip, value: outputExpression(place) });
}

function anyNode(place: Place): Arbitrary<Node> {
  const leave = fc.record({ kind: fc.constantFrom('break' as const, 'continue' as const), strip });
  const silent = fc.oneof(
    silentNode('raw', '{{ a }}', ' {% if %} ', '}} {', 'a'),
    silentNode('comment', '{{ a }}', '{% if t %}', ' text '),
    silentNode('remark', 'note', 'if {{ a }}'),
  );
  const blocks = [ifNode, ifNode, caseNode, forNode, forNode, captureNode];
  return fc.oneof(
    { weight: 4, arbitrary: text },
    { weight: 5, arbitrary: outputNode(place) },
    { weight: 1, arbitrary: assignNode('text', ['made', 'other', 'a', 'word'], place) },
    { weight: 1, arbitrary: assignNode('number', ['count', 'n', 'num'], place) },
    { weight: 1, arbitrary: assignNode('list', ['list', 'words'], place) },
    { weight: 1, arbitrary: silent },
    ...(place.items.length > 0 ? [{ weight: 1, arbitrary: leave }] : []),
    ...(place.depth > 0 ? blocks.map((block) => ({ weight: 2, arbitrary: block(place) })) : []),
  );
}

/** Texts beside one another are one, as they are when they are read. */
function joined(nodes: readonly Node[]): Node[] {
  return nodes.reduce<Node[]>((list, each) => {
    const last = list.at(-1);
    if (each.kind !== 'text' || last?.kind !== 'text') return [...list, each];
    return [...list.slice(0, -1), { kind: 'text', text: last.text + each.text }];
  }, []);
}

function body(place: Place): Arbitrary<readonly Node[]> {
  return fc.array(anyNode(place), { maxLength: 4 }).map(joined);
}

/** Random outputs, as they stand outside of loops. */
export const liquidOutputs: Arbitrary<Node> = outputNode({ depth: 0, items: [] });

/** Random templates, none of which is refused. */
export const liquidTemplates: Arbitrary<readonly Node[]> = fc
  .array(anyNode({ depth: 2, items: [] }), { minLength: 1, maxLength: 5, size: 'medium' })
  .map(joined);
