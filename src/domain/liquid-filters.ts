/** The filters of LIQUID: those whose result depends on their arguments only, each with its cost counted. */
import { filters as builtIn, toValue } from 'liquidjs';
import { type FilterHandler, itemsOf, memberFilters } from './liquid-member-filters.ts';
import { chargeSearch } from './liquid-operators.ts';
import { budgetOf } from './liquid-run.ts';
import { chargeText, finite, isContainer, numberOf, sizeOf, textOf, wholeNumberOf } from './liquid-values.ts';
import type { RenderBudget } from './render-budget.ts';

/** Fewest and most arguments, without those that have a name. */
const ARGUMENTS: readonly (readonly [fewest: number, most: number, filters: readonly string[]])[] = [
  [0, 0, ['abs', 'capitalize', 'ceil', 'compact', 'downcase', 'escape', 'first', 'floor', 'json', 'last', 'pop']],
  [0, 0, ['reverse', 'shift', 'size', 'squish', 'strip_newlines', 'uniq', 'upcase']],
  [0, 1, ['join', 'lstrip', 'round', 'rstrip', 'sort', 'sort_natural', 'strip', 'sum']],
  [0, 2, ['truncate', 'truncatewords']],
  [1, 1, ['append', 'at_least', 'at_most', 'concat', 'default', 'group_by', 'map', 'minus', 'modulo', 'plus']],
  [1, 1, ['prepend', 'push', 'remove', 'remove_first', 'remove_last', 'split', 'times', 'unshift']],
  [1, 2, ['divided_by', 'find', 'find_index', 'has', 'reject', 'slice', 'where']],
  [2, 2, ['replace', 'replace_first', 'replace_last']],
];

/** How many arguments the filters take, by name. */
export const FILTERS: ReadonlyMap<string, { readonly fewest: number; readonly most: number }> = new Map(
  ARGUMENTS.flatMap(([fewest, most, names]) => names.map((name) => [name, { fewest, most }] as const)),
);

/** Whether the filter's first argument names a member of the list's items. */
export function takesMember(filter: string): boolean {
  return Object.hasOwn(memberFilters, filter);
}

/** Measured: items that one step of about 1 µs copies, tells from one another, and joins. */
const ITEMS_PER_STEP = 16;
const KEPT_PER_STEP = 8;
const JOINED_PER_STEP = 8;

/** Takes the steps of LiquidJS's own filter, which also charges what it allocates. @returns what it is given */
type Prepare = (budget: RenderBudget, given: readonly unknown[]) => readonly unknown[];

function texts(budget: RenderBudget, given: readonly unknown[]): string[] {
  const all = given.map((each) => textOf(budget, each));
  for (const text of all) chargeText(budget, text.length);
  return all;
}

const cut: Prepare = (budget, [value, length, ...ellipsis]) => {
  const lengths = length === undefined ? [] : [numberOf(budget, length)];
  return [...texts(budget, [value]), ...lengths, ...texts(budget, ellipsis)];
};

const searched: Prepare = (budget, given) => {
  const all = texts(budget, given);
  chargeSearch(budget, all[0]!.length, all[1]!.length);
  return all;
};

const lists: Prepare = (budget, given) => {
  for (const each of given) budget.takeSteps(itemsOf(each).length / ITEMS_PER_STEP);
  return given.map(toValue);
};

const slice: Prepare = (budget, [value, begin, length = 1]) => {
  const plain: unknown = toValue(value);
  const [sliced] = Array.isArray(plain) ? lists(budget, [plain]) : texts(budget, [value]);
  const most = (sliced as string | readonly unknown[]).length;
  return [sliced, wholeNumberOf(budget, begin), Math.min(wholeNumberOf(budget, length), most)];
};

/** LiquidJS's own filters, with their work counted. */
function counted(names: readonly string[], prepare: Prepare): [string, FilterHandler][] {
  return names.map((name) => {
    const handler = builtIn[name] as FilterHandler;
    const filter: FilterHandler = function filter(...given: unknown[]) {
      return Reflect.apply(handler, this, prepare(budgetOf(this.context), given)) as unknown;
    };
    return [name, filter];
  });
}

/** LiquidJS's own filters of numbers. */
function arithmetic(names: readonly string[]): [string, FilterHandler][] {
  return names.map((name) => {
    const handler = builtIn[name] as FilterHandler;
    const filter: FilterHandler = function filter(...given: unknown[]) {
      const budget = budgetOf(this.context);
      return finite(Reflect.apply(handler, this, given.map((each) => numberOf(budget, each))) as number);
    };
    return [name, filter];
  });
}

/** A list's items, a text's characters; else nothing. */
function itemsOrCharacters(budget: RenderBudget, value: unknown): readonly unknown[] {
  const plain: unknown = toValue(value);
  if (typeof plain !== 'string') return Array.isArray(plain) ? plain : [];
  chargeText(budget, plain.length);
  return Array.from(plain);
}

/** Those that LiquidJS has not, or otherwise. By name. */
const own: Readonly<Record<string, FilterHandler>> = {
  ...memberFilters,
  first(value) {
    return itemsOrCharacters(budgetOf(this.context), value)[0];
  },
  last(value) {
    return itemsOrCharacters(budgetOf(this.context), value).at(-1);
  },
  size(value) {
    return sizeOf(budgetOf(this.context), toValue(value)) ?? 0;
  },
  split(value, separator) {
    const [text, between] = searched(budgetOf(this.context), [value, separator]) as [string, string];
    if (between === '') return Array.from(text);
    return Reflect.apply(builtIn.split as FilterHandler, this, [text, between]) as unknown;
  },
  truncatewords(value, most = 15, ellipsis = '...') {
    const budget = budgetOf(this.context);
    const [text, end] = texts(budget, [value, ellipsis]) as [string, string];
    const words = text.split(/\s+/).filter((word) => word !== '');
    const kept = Math.max(1, wholeNumberOf(budget, most));
    return words.length > kept ? words.slice(0, kept).join(' ') + end : words.join(' ');
  },
  uniq(value) {
    const budget = budgetOf(this.context);
    const kept = new Map<unknown, unknown>();
    for (const item of itemsOf(value)) {
      const key = isContainer(item) ? `\0${textOf(budget, item)}` : item;
      budget.takeSteps(1 / KEPT_PER_STEP);
      if (typeof key === 'string') chargeText(budget, key.length);
      if (!kept.has(key)) kept.set(key, item);
    }
    return [...kept.values()];
  },
  join(value, separator = ' ') {
    const budget = budgetOf(this.context);
    const between = textOf(budget, separator);
    const items = itemsOf(value);
    budget.takeSteps(items.length / JOINED_PER_STEP);
    chargeText(budget, between.length * items.length);
    return texts(budget, items).join(between);
  },
  json(value) {
    const plain: unknown = toValue(value) ?? null;
    if (isContainer(plain)) return textOf(budgetOf(this.context), plain);
    chargeText(budgetOf(this.context), String(plain).length);
    return JSON.stringify(plain);
  },
};

/** The filters by name. */
export const liquidFilters: ReadonlyMap<string, FilterHandler> = new Map([
  ...arithmetic(['abs', 'at_least', 'at_most', 'ceil', 'divided_by', 'floor']),
  ...arithmetic(['minus', 'modulo', 'plus', 'round', 'times']),
  ...counted(['append', 'capitalize', 'downcase', 'escape', 'lstrip', 'prepend', 'rstrip'], texts),
  ...counted(['squish', 'strip', 'strip_newlines', 'upcase'], texts),
  ...counted(['truncate'], cut),
  ...counted(['remove', 'remove_first', 'remove_last', 'replace', 'replace_first', 'replace_last'], searched),
  ...counted(['compact', 'concat', 'pop', 'push', 'reverse', 'shift', 'unshift'], lists),
  ...counted(['slice'], slice),
  ...counted(['default'], (_, given) => given),
  ...Object.entries(own),
]);
