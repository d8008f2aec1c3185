/**
 * The filters of LIQUID that read members of a list's items. LiquidJS's own do not agree on what a missing member is,
 * order what has no order as the engine pleases, and do not tell how much they compare.
 */
import { type FilterImplOptions, isTruthy, toValue } from 'liquidjs';
import { equal } from './liquid-operators.ts';
import { budgetOf } from './liquid-run.ts';
import { chargeText, finite, isContainer, numberOf, textOf } from './liquid-values.ts';
import type { RenderBudget } from './render-budget.ts';

export type FilterHandler = Extract<FilterImplOptions, (...args: never[]) => unknown>;
export type FilterCall = ThisParameterType<FilterHandler>;

/** Measured: what one step of about 1 µs does. */
const READ_PER_STEP = 4;
const ORDERED_PER_STEP = 16;

/** What a filter goes over: a list's items; anything else is one item, nil none. */
export function itemsOf(value: unknown): readonly unknown[] {
  const plain: unknown = toValue(value) ?? [];
  return Array.isArray(plain) ? plain : [plain];
}

/** The member of each item, nil where it has none. @param path as `address.city`; undefined: the items themselves */
function membersOf({ context }: FilterCall, items: readonly unknown[], path: unknown): unknown[] {
  const names = path === undefined ? [] : String(path).split('.');
  budgetOf(context).takeSteps(((items.length + 1) * (names.length + 1)) / READ_PER_STEP);
  const read = (value: unknown, name: string): unknown => context.readProperty(value as object, name) ?? null;
  return items.map((item) => names.reduce(read, item));
}

/** Of each item, whether its member equals what is expected; with nothing expected, whether it is true. */
function matches(call: FilterCall, items: readonly unknown[], [path, ...expected]: readonly unknown[]): boolean[] {
  const { context } = call;
  return membersOf(call, items, path).map((member) =>
    expected.length === 0 ? isTruthy(member, context) : equal(context, member, expected[0]),
  );
}

type Key = string | number | boolean | null;

function sortKey(key: unknown): Key {
  if (isContainer(key)) throw new Error('lists and objects have no order; sort takes the name of a member in quotes');
  return key as Key;
}

function foldedKey(budget: RenderBudget, key: unknown): Key {
  if (key === null) return null;
  const text = textOf(budget, key);
  chargeText(budget, text.length);
  return text.toLowerCase();
}

/** The items in the order of their keys, those without one last. */
function ordered(budget: RenderBudget, items: readonly unknown[], keys: readonly Key[]): unknown[] {
  const kinds = new Set(keys.filter((key) => key !== null).map((key) => typeof key));
  if (kinds.size > 1) throw new Error(`a list that has ${[...kinds].toSorted().join(' and ')} in it has no order`);
  const rounds = 1 + Math.log2(items.length + 1) / ORDERED_PER_STEP;
  budget.takeSteps(items.length * rounds);
  for (const key of keys) if (typeof key === 'string') chargeText(budget, key.length * rounds);
  const compare = (a: Key, b: Key): number => {
    if (a === b) return 0;
    return b === null || (a !== null && a < b) ? -1 : 1;
  };
  return items
    .map((item, index) => ({ item, key: keys[index] as Key }))
    .toSorted((a, b) => compare(a.key, b.key))
    .map(({ item }) => item);
}

/** By name. */
export const memberFilters: Readonly<Record<string, FilterHandler>> = {
  map(value, path) {
    return membersOf(this, itemsOf(value), path);
  },
  sum(value, path) {
    const budget = budgetOf(this.context);
    return finite(membersOf(this, itemsOf(value), path).reduce<number>((sum, each) => sum + numberOf(budget, each), 0));
  },
  where(value, ...args) {
    const items = itemsOf(value);
    const matched = matches(this, items, args);
    return items.filter((_, index) => matched[index]);
  },
  reject(value, ...args) {
    const items = itemsOf(value);
    const matched = matches(this, items, args);
    return items.filter((_, index) => !matched[index]);
  },
  find(value, ...args) {
    const items = itemsOf(value);
    return items[matches(this, items, args).indexOf(true)];
  },
  find_index(value, ...args) {
    const index = matches(this, itemsOf(value), args).indexOf(true);
    return index === -1 ? undefined : index;
  },
  has(value, ...args) {
    return matches(this, itemsOf(value), args).includes(true);
  },
  group_by(value, path) {
    const items = itemsOf(value);
    const groups = new Map<unknown, unknown[]>();
    membersOf(this, items, path).forEach((name, index) => {
      if (isContainer(name)) throw new Error('group_by takes a member that is text, a number, or true or false');
      const group = groups.get(name) ?? [];
      group.push(items[index]);
      groups.set(name, group);
    });
    return [...groups].map(([name, group]) => ({ items: group, name }));
  },
  sort(value, path) {
    const items = itemsOf(value);
    return ordered(budgetOf(this.context), items, membersOf(this, items, path).map(sortKey));
  },
  sort_natural(value, path) {
    const items = itemsOf(value);
    const budget = budgetOf(this.context);
    return ordered(budget, items, membersOf(this, items, path).map((key) => foldedKey(budget, key)));
  },
};
