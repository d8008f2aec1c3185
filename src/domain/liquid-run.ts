/** One run of a LIQUID template: what it reads, and what its work is counted on. */
import { Context, type Drop, type Liquid, toValue } from 'liquidjs';
import { WorkTooLong } from './errors.ts';
import { chargeText, isContainer, sizeOf, StandIn } from './liquid-values.ts';
import type { RenderBudget } from './render-budget.ts';

/** No render comes near it: the counted steps end one of any size in a fraction of it. */
const LAST_GUARD_MS = 2_000;

/** LiquidJS allocates so many items or UTF-16 code units in a step of about 1 µs. */
const ALLOCATED_PER_STEP = 64;

/** Measured: what a condition that asks in vain takes. */
const STEPS_PER_MISS = 1;

/** LiquidJS knows it by its name. Made once: its stack takes time, and conditions often ask in vain. */
export const NO_MEMBER = Object.assign(new Error('no such member'), { name: 'InternalUndefinedVariableError' });

/** LiquidJS tells it the time now and then. @throws WorkTooLong */
export function lastGuard(limitMs = LAST_GUARD_MS): (now: number) => void {
  let end: number | undefined;
  return (now) => {
    end ??= now + limitMs;
    if (now > end) throw new WorkTooLong('liquid_render', limitMs);
  };
}

type PropertyKey = string | number;

function itemOf(list: readonly unknown[], name: unknown): unknown {
  if (name === 'size') return list.length;
  if (name === 'first') return list[0];
  if (name === 'last') return list.at(-1);
  return typeof name === 'number' && Number.isInteger(name) ? list.at(name) : undefined;
}

export class Run extends Context {
  readonly budget: RenderBudget;

  /** @param scope values by name, without a prototype */
  constructor(liquid: Liquid, scope: object, budget: RenderBudget) {
    super(scope, liquid.options, { sync: true }, { liquid });
    this.budget = budget;
    this.memoryLimit.use = (count) => {
      if (count > 0) budget.takeSteps(count / ALLOCATED_PER_STEP);
    };
    this.renderLimit.check = lastGuard();
  }

  /**
   * The member of a value: one of an object's own, an item of a list, how many there are of them or of a text's
   * characters. undefined if there is none; nothing's members are nothing.
   * @throws Error if the name is a list or an object
   */
  override readProperty(object: unknown, key: PropertyKey | Drop): unknown {
    const value: unknown = toValue(object);
    const name: unknown = toValue(key);
    if (object instanceof StandIn) return object.member(name);
    if (isContainer(name)) throw new Error('a member is named by text or a number, not by a list or an object');
    if (typeof name === 'string') chargeText(this.budget, name.length);
    if (value === null || value === undefined) return value;
    if (Array.isArray(value)) return itemOf(value, name);
    if (isContainer(value) && Object.hasOwn(value, String(name))) return Reflect.get(value, String(name)) as unknown;
    return name === 'size' ? sizeOf(this.budget, value) : undefined;
  }

  /**
   * The member at the end of a path. @throws Error if there is none, of a kind that LiquidJS expects of conditions
   * @param path never text: that comes from filters of LiquidJS that are not used
   */
  override *_getFromScope(scope: unknown, path: string | readonly (PropertyKey | Drop)[]): Generator<unknown, unknown> {
    let value = scope;
    for (const name of path) {
      value = yield this.readProperty(value, name);
      if (value !== undefined) continue;
      this.budget.takeSteps(STEPS_PER_MISS);
      throw NO_MEMBER;
    }
    return value;
  }
}

/** What a run may take. @param context of a run */
export function budgetOf(context: Context): RenderBudget {
  return (context as Run).budget;
}
