/**
 * LIQUID as its documentation tells it, walked step by step over the tree: what compiled templates are compared with.
 * Knows nothing of how they are compiled. What the documentation does not tell is UNTOLD.
 */
import type { Json, JsonObject } from '../../src/domain/json.ts';
import type { Arm, Condition, Expression, ForNode, Node, Operand, Path, Strip } from './liquid-tree.ts';
import { referenceFilters } from './reference-liquid-filters.ts';
import { isObject, jsonText, NotFinite, requireTold, textForm, Untold } from './reference-liquid-values.ts';

/** Where a name is from: the values, a loop, or the template itself. */
type Origin = 'value' | 'loop' | 'made';

/** What a render comes to: its text, or the name that the path of a missing member begins with, or what is wrong. */
export type ReferenceOutcome =
  | { readonly text: string }
  | { readonly missing: string; readonly origin: Origin }
  | 'NOT_FINITE'
  | 'UNTOLD';

class Missing extends Error {
  readonly root: string;
  readonly origin: Origin;

  constructor(root: string, origin: Origin) {
    super(`${root} lacks a member`);
    this.root = root;
    this.origin = origin;
  }
}

/** What is enough to tell a mistake, and does not take long. */
const MAX_NODES = 1_000;

/** Where a tag or output strips white space, seen from the text beside it. */
function stripOf(node: Node | undefined, side: 'first' | 'last'): Strip | undefined {
  if (node === undefined || node.kind === 'text') return undefined;
  if ('strip' in node) return node.strip;
  if (side === 'last') return node.close;
  if ('open' in node) return node.open;
  return 'arm' in node ? node.arm.strip : node.arms[0]!.strip;
}

class Render {
  readonly #values: ReadonlyMap<string, Json>;
  readonly #made = new Map<string, Json>();
  readonly #loops: ReadonlyMap<string, Json>[] = [];
  #nodes = 0;
  /** Set from a break or continue until its loop sees it. */
  #leaving: 'break' | 'continue' | undefined;

  constructor(values: ReadonlyMap<string, Json>) {
    this.#values = values;
  }

  /** A block: `open` is the tag that begins it, `close` the one that ends it. */
  block(nodes: readonly Node[], open: Strip | undefined, close: Strip | undefined): string {
    let text = '';
    for (const [index, node] of nodes.entries()) {
      this.#nodes += 1;
      requireTold(this.#nodes <= MAX_NODES);
      if (node.kind === 'text') {
        const before = index === 0 ? open : stripOf(nodes[index - 1], 'last');
        const behind = index === nodes.length - 1 ? close : stripOf(nodes[index + 1], 'first');
        const led = before?.behind ? node.text.trimStart() : node.text;
        text += behind?.before ? led.trimEnd() : led;
      } else {
        text += this.#node(node);
      }
      if (this.#leaving !== undefined) break;
    }
    return text;
  }

  #node(node: Exclude<Node, { kind: 'text' }>): string {
    switch (node.kind) {
      case 'output':
        return textForm(this.#expression(node.value));
      case 'assign':
        this.#made.set(node.name, this.#expression(node.value));
        return '';
      case 'break':
      case 'continue':
        this.#leaving = node.kind;
        return '';
      case 'raw':
        return node.text;
      case 'remark':
      case 'comment':
        return '';
      case 'if':
      case 'unless': {
        const opposite = node.kind === 'unless';
        return this.#arms(node, ({ condition }, index) => {
          return this.#holds(condition) !== (opposite && index === 0);
        });
      }
      case 'case': {
        const value = this.#operand(node.of, true);
        return this.#arms(node, ({ values }) => values.some((each) => equal(value, each)));
      }
      case 'for':
        return this.#for(node);
      case 'capture':
        this.#made.set(node.name, this.block(node.arm.body, node.arm.strip, node.close));
        return '';
    }
  }

  /** The first arm that is chosen, else the one behind `else`. */
  #arms<T extends Arm>(
    { arms, otherwise, close }: { readonly arms: readonly T[]; readonly otherwise?: Arm; readonly close: Strip },
    chosen: (arm: T, index: number) => boolean,
  ): string {
    const all: readonly Arm[] = otherwise ? [...arms, otherwise] : arms;
    const found = arms.findIndex(chosen);
    const index = found === -1 ? arms.length : found;
    const arm = all[index];
    return arm ? this.block(arm.body, arm.strip, all[index + 1]?.strip ?? close) : '';
  }

  #for({ variable, items, offset = 0, limit = Infinity, reversed, arm, otherwise, close }: ForNode): string {
    const all = 'from' in items ? this.#range(items) : this.#items(items);
    if (all.length === 0) return otherwise ? this.block(otherwise.body, otherwise.strip, close) : '';
    const some = all.slice(offset, offset + limit);
    const list = reversed ? some.toReversed() : some;
    let text = '';
    for (const [index, item] of list.entries()) {
      const rest = list.length - index;
      const forloop = {
        index: index + 1,
        index0: index,
        rindex: rest,
        rindex0: rest - 1,
        first: index === 0,
        last: rest === 1,
        length: list.length,
      };
      this.#loops.push(new Map<string, Json>([[variable, item], ['forloop', forloop]]));
      text += this.block(arm.body, arm.strip, otherwise?.strip ?? close);
      this.#loops.pop();
      const leaving = this.#leaving;
      this.#leaving = undefined;
      if (leaving === 'break') break;
    }
    return text;
  }

  #range({ from, to }: { readonly from: Operand; readonly to: Operand }): number[] {
    const [first, last] = [this.#operand(from, false), this.#operand(to, false)];
    if (typeof first !== 'number' || typeof last !== 'number') throw new Untold();
    requireTold(Number.isInteger(first) && Number.isInteger(last) && last - first < MAX_NODES);
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
  }

  #items(operand: Operand): readonly Json[] {
    const value = this.#operand(operand, false);
    if (value === null) return [];
    if (isObject(value)) return Object.keys(value).toSorted().map((name) => [name, value[name]!]);
    if (!Array.isArray(value)) throw new Untold();
    return value as readonly Json[];
  }

  #holds({ not, left, than, more }: Condition): boolean {
    const value = this.#operand(left, true);
    const plain = than ? compare(value, than.comparison, this.#operand(than.right, true)) : isTruthy(value);
    const holds = plain !== not;
    if (!more) return holds;
    const rest = this.#holds(more.condition);
    return more.logic === 'and' ? holds && rest : holds || rest;
  }

  #expression({ operand, filters }: Expression): Json {
    const first = this.#operand(operand, filters[0]?.name === 'default');
    return filters.reduce<Json>((value, { name, args }) => {
      const given = args.map((arg) => this.#operand(arg, false));
      return referenceFilters[name]!(value, given);
    }, first);
  }

  /** @param asked whether what is missing is nil */
  #operand(operand: Operand, asked: boolean): Json {
    if ('literal' in operand) return operand.literal;
    const { root, members } = operand;
    const origin = this.#originOf(root);
    let value = origin.names.get(root) ?? null;
    for (const member of members) {
      const key = typeof member === 'object' ? this.#operand(member, asked) : member;
      const next = memberOf(value, key);
      if (next === undefined && asked) return null;
      if (next === undefined) throw new Missing(root, origin.kind);
      value = next;
    }
    return value;
  }

  #originOf(name: string): { readonly kind: Origin; readonly names: ReadonlyMap<string, Json> } {
    const loop = this.#loops.findLast((names) => names.has(name));
    if (loop) return { kind: 'loop', names: loop };
    return this.#made.has(name) ? { kind: 'made', names: this.#made } : { kind: 'value', names: this.#values };
  }
}

/** undefined: there is none. */
function memberOf(value: Json, key: Json): Json | undefined {
  if (typeof key !== 'string' && typeof key !== 'number') throw new Untold();
  if (value === null) return null;
  if (Array.isArray(value)) {
    const list = value as readonly Json[];
    if (key === 'size') return list.length;
    if (key === 'first') return list[0];
    if (key === 'last') return list.at(-1);
    if (typeof key === 'number') return list[key];
  } else if (isObject(value)) {
    requireTold(key !== 'size');
    return Object.hasOwn(value, key) ? value[key] : undefined;
  } else if (typeof value === 'string' && key === 'size') {
    return [...value].length;
  }
  return undefined;
}

function isTruthy(value: Json): boolean {
  return value !== null && value !== false;
}

function equal(left: Json, right: Json): boolean {
  return jsonText(left) === jsonText(right);
}

function compare(left: Json, comparison: NonNullable<Condition['than']>['comparison'], right: Json): boolean {
  if (comparison === '==') return equal(left, right);
  if (comparison === '!=') return !equal(left, right);
  if (comparison === 'contains') {
    if (left === null || right === null) return false;
    if (Array.isArray(left)) return (left as readonly Json[]).some((member) => equal(member, right));
    if (typeof left !== 'string' || typeof right !== 'string') throw new Untold();
    return left.includes(right);
  }
  if (left === null || right === null) return false;
  const numbers = typeof left === 'number' && typeof right === 'number';
  if (!numbers && !(typeof left === 'string' && typeof right === 'string')) throw new Untold();
  if (comparison === '<') return left < right;
  if (comparison === '>') return left > right;
  return comparison === '<=' ? left <= right : left >= right;
}

function pathsOf(operand: Operand): Path[] {
  if ('literal' in operand) return [];
  return [operand, ...operand.members.flatMap((member) => (typeof member === 'object' ? pathsOf(member) : []))];
}

function conditionOperands({ left, than, more }: Condition): Operand[] {
  return [left, ...(than ? [than.right] : []), ...(more ? conditionOperands(more.condition) : [])];
}

/** The names that a template reads before any of its parts makes them. */
export function referenceReads(nodes: readonly Node[]): string[] {
  const reads = new Set<string>();
  const made = new Set<string>();
  const read = (operands: readonly Operand[], inside: readonly string[]): void => {
    for (const { root } of operands.flatMap(pathsOf)) if (!made.has(root) && !inside.includes(root)) reads.add(root);
  };
  const expression = ({ operand, filters }: Expression): Operand[] => [operand, ...filters.flatMap(({ args }) => args)];
  const walk = (list: readonly Node[], inside: readonly string[]): void => {
    for (const node of list) {
      if (node.kind === 'output') read(expression(node.value), inside);
      if (node.kind === 'if' || node.kind === 'unless') {
        read(node.arms.flatMap(({ condition }) => conditionOperands(condition)), inside);
        for (const { body } of node.arms) walk(body, inside);
      }
      if (node.kind === 'case') {
        read([node.of], inside);
        for (const { body } of node.arms) walk(body, inside);
      }
      if (node.kind === 'for') {
        read('from' in node.items ? [node.items.from, node.items.to] : [node.items], inside);
        walk(node.arm.body, [...inside, node.variable, 'forloop']);
      }
      if (node.kind === 'capture') walk(node.arm.body, inside);
      if ('otherwise' in node && node.otherwise) walk(node.otherwise.body, inside);
      if (node.kind === 'assign') read(expression(node.value), inside);
      if (node.kind === 'assign' || node.kind === 'capture') made.add(node.name);
    }
  };
  walk(nodes, []);
  return [...reads];
}

/** Renders a tree. */
export function referenceRender(nodes: readonly Node[], values: JsonObject): ReferenceOutcome {
  try {
    return { text: new Render(new Map(Object.entries(values))).block(nodes, undefined, undefined) };
  } catch (error) {
    if (error instanceof Missing) return { missing: error.root, origin: error.origin };
    if (error instanceof NotFinite) return 'NOT_FINITE';
    if (error instanceof Untold) return 'UNTOLD';
    throw error;
  }
}
