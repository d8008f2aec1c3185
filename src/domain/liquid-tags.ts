/** The tags of LIQUID that do not do as LiquidJS has them. */
import {
  AssignTag,
  CaseTag,
  type Context,
  type Emitter,
  evalToken,
  ForTag,
  Tag,
  type Token,
  toValue,
  toValueSync,
  TypeGuards,
  type Value,
} from 'liquidjs';
import { equal } from './liquid-operators.ts';
import { budgetOf } from './liquid-run.ts';
import { chargeMembers, isContainer, StandIn, wholeNumberOf } from './liquid-values.ts';

/** Measured: what one step of about 1 µs makes. */
const ITEMS_PER_STEP = 16;

type Rendering = Generator<unknown, void, unknown>;

function evaluate(token: Token | undefined, context: Context): unknown {
  return toValueSync(evalToken(token, context));
}

/** What a for goes over: a list's items, an object's members as pairs, text as one item. */
function itemsOf(token: Token, context: Context): readonly unknown[] {
  const budget = budgetOf(context);
  if (TypeGuards.isRangeToken(token)) {
    const first = wholeNumberOf(budget, evaluate(token.lhs, context));
    const length = Math.max(0, wholeNumberOf(budget, evaluate(token.rhs, context)) - first + 1);
    budget.takeSteps(length / ITEMS_PER_STEP);
    return Array.from({ length }, (_, index) => first + index);
  }
  const found = evaluate(token, context);
  if (found instanceof StandIn) return [found.member(0)];
  const value: unknown = toValue(found);
  if (Array.isArray(value)) {
    budget.takeSteps(value.length / ITEMS_PER_STEP);
    return value;
  }
  chargeMembers(budget, value);
  if (isContainer(value)) return Object.entries(value);
  return typeof value === 'string' && value !== '' ? [value] : [];
}

export class BoundedFor extends ForTag {
  override *render(context: Context, emitter: Emitter): Rendering {
    const { renderer } = this.liquid;
    const all = itemsOf(this.collection, context);
    if (all.length === 0) {
      yield renderer.renderTemplates(this.elseTemplates, context, emitter);
      return;
    }
    const items = this.#chosen(all, context);
    const scope = Object.create(null) as Record<string, unknown>;
    context.push(scope);
    for (const [index, item] of items.entries()) {
      scope['forloop'] = forloop(index, items.length);
      scope[this.variable] = item;
      context.breakCalled = false;
      context.continueCalled = false;
      yield renderer.renderTemplates(this.templates, context, emitter);
      if (context.breakCalled) break;
    }
    context.breakCalled = false;
    context.continueCalled = false;
    context.pop();
  }

  /** The items between offset and limit, in order; where they end is kept for `offset: continue`. */
  #chosen(all: readonly unknown[], context: Context): readonly unknown[] {
    const { offset, limit } = this.hash.hash;
    const place = `${this.variable} in ${this.collection.getText()}`;
    const count = (token: Token): number => {
      if (token === offset && token.getText() === 'continue') return context.getRegister(place, 0);
      return wholeNumberOf(budgetOf(context), evaluate(token, context), 0);
    };
    const first = offset === undefined ? 0 : count(offset);
    const items = all.slice(first, limit === undefined ? all.length : first + count(limit));
    context.setRegister(place, first + items.length);
    return 'reversed' in this.hash.hash ? items.toReversed() : items;
  }
}

function forloop(index: number, length: number): object {
  return {
    first: index === 0,
    index: index + 1,
    index0: index,
    last: index === length - 1,
    length,
    rindex: length - index,
    rindex0: length - index - 1,
  };
}

/** Compares as the operator == does. */
export class CountedCase extends CaseTag {
  override *render(context: Context, emitter: Emitter): Rendering {
    const { renderer } = this.liquid;
    const target: unknown = toValueSync(this.value.value(context, true));
    const isTarget = (token: Token): boolean => equal(context, target, toValueSync(evalToken(token, context, true)));
    let hit = false;
    for (const { values, templates } of this.branches) {
      if (!values.some(isTarget)) continue;
      hit = true;
      yield renderer.renderTemplates(templates, context, emitter);
    }
    if (!hit) yield renderer.renderTemplates(this.elseTemplates, context, emitter);
  }
}

/** A member that does not exist fails the render here too. */
export class StrictAssign extends AssignTag {
  override *render(context: Context): Rendering {
    const [name] = this.localScope();
    const [value] = this.arguments();
    const made = yield (value as Value).value(context);
    context.bottom()[name!.content] = made instanceof StandIn ? made : toValue(made);
  }
}

/** A remark to those who edit the template. LiquidJS's own takes long to read one that has many lines. */
export class Remark extends Tag {
  override render(): void {}
}
