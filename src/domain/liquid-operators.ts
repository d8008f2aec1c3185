/** The operators of LIQUID, their work counted. They compare by value; what has no order fails. */
import { type Context, defaultOperators, Drop, isTruthy, type Operators, toValue, toValueSync } from 'liquidjs';
import { budgetOf } from './liquid-run.ts';
import { chargeMembers, chargeText, isContainer, numberOf, textOf, UntrustedValue } from './liquid-values.ts';
import type { RenderBudget } from './render-budget.ts';

type Equals = (left: unknown, right: unknown, context: Context) => Generator<unknown, boolean>;
const equals = defaultOperators['=='] as Equals;

/** Measured: what one step of about 1 µs does. */
const COMPARED_PER_STEP = 8;
const SEARCHED_PER_STEP = 8192;

/** Takes the steps of looking for a text in another: the worst case is the product of their lengths. */
export function chargeSearch(budget: RenderBudget, text: number, sought: number): void {
  chargeText(budget, text + sought);
  budget.takeSteps((text * sought) / SEARCHED_PER_STEP);
}

/** Whether it is one of the words nil, empty and blank, which ask something of what they are compared with. */
function asks(value: unknown): boolean {
  return value instanceof Drop && !(value instanceof UntrustedValue);
}

function answer(context: Context, word: unknown, value: unknown): boolean {
  const budget = budgetOf(context);
  const plain: unknown = asks(value) ? value : toValue(value);
  if (typeof plain === 'string') chargeText(budget, plain.length);
  else chargeMembers(budget, plain);
  return toValueSync(equals(word, plain, context));
}

/** Whether two values are equal: lists and objects are if they have the same text. */
export function equal(context: Context, left: unknown, right: unknown): boolean {
  const budget = budgetOf(context);
  if (asks(left)) return answer(context, left, right);
  if (asks(right)) return answer(context, right, left);
  const a: unknown = toValue(left);
  const b: unknown = toValue(right);
  if (isContainer(a) && isContainer(b)) return textOf(budget, a) === textOf(budget, b);
  if (typeof a === 'string' && typeof b === 'string') chargeText(budget, Math.min(a.length, b.length));
  return (a ?? null) === (b ?? null);
}

type Ordered = (a: string | number, b: string | number) => boolean;

/** Texts by UTF-16 code unit, all else as numbers; nothing is before or after nil. */
function ordering(test: Ordered): Operators[string] {
  return (left: unknown, right: unknown, context: Context) => {
    const budget = budgetOf(context);
    const a: unknown = toValue(left) ?? null;
    const b: unknown = toValue(right) ?? null;
    if (a === null || b === null) return false;
    if (typeof a !== 'string' || typeof b !== 'string') return test(numberOf(budget, left), numberOf(budget, right));
    chargeText(budget, Math.min(a.length, b.length));
    return test(a, b);
  };
}

function contains(left: unknown, right: unknown, context: Context): boolean {
  const budget = budgetOf(context);
  const within: unknown = toValue(left);
  if (Array.isArray(within)) {
    budget.takeSteps(within.length / COMPARED_PER_STEP);
    return within.some((item) => equal(context, item, right));
  }
  const sought: unknown = toValue(right) ?? null;
  if (typeof within !== 'string' || sought === null) return false;
  const text = textOf(budget, sought);
  chargeSearch(budget, within.length, text.length);
  return within.includes(text);
}

export const liquidOperators: Operators = {
  '==': (left: unknown, right: unknown, context: Context) => equal(context, left, right),
  '!=': (left: unknown, right: unknown, context: Context) => !equal(context, left, right),
  '<': ordering((a, b) => a < b),
  '>': ordering((a, b) => a > b),
  '<=': ordering((a, b) => a <= b),
  '>=': ordering((a, b) => a >= b),
  contains,
  not: (value: unknown, context: Context) => !isTruthy(value, context),
  and: (left: unknown, right: unknown, context: Context) => isTruthy(left, context) && isTruthy(right, context),
  or: (left: unknown, right: unknown, context: Context) => isTruthy(left, context) || isTruthy(right, context),
};
