/**
 * LiquidJS, restricted to what depends on nothing but the template and its values, and with every piece of work counted
 * (docs/templates.md has the list). Counted, not timed: LiquidJS's own limit is a clock.
 */
import {
  type Context,
  type Emitter,
  Liquid,
  Parser,
  type Template,
  Tokenizer,
  type TopLevelToken,
  toValueSync,
  TypeGuards,
  Value,
} from 'liquidjs';
import { liquidFilters } from './liquid-filters.ts';
import { liquidOperators } from './liquid-operators.ts';
import { budgetOf, Run } from './liquid-run.ts';
import { BoundedFor, CountedCase, Remark, StrictAssign } from './liquid-tags.ts';
import { chargeText, textOf } from './liquid-values.ts';
import type { RenderBudget } from './render-budget.ts';

/** The tags that templates may use, and those that end or divide them. */
export const TAGS = ['#', 'assign', 'break', 'capture', 'case', 'comment', 'continue', 'for', 'if', 'raw', 'unless'];
export const INNER_TAGS: ReadonlySet<string> = new Set(
  'else elsif when endcapture endcase endcomment endfor endif endraw endunless'.split(' '),
);

/** Measured: what one step of about 1 µs does. */
const OPERANDS_PER_STEP = 3;

const liquid = new Liquid({
  // Whether a filter is on the list is told when content is read, of all filters at once.
  strictFilters: false,
  strictVariables: true,
  lenientIf: true,
  ownPropertyOnly: true,
  // No partial is ever loaded, as their tags are gone; this takes the file system away too.
  templates: {},
  locale: 'en-US',
  operators: liquidOperators,
  outputEscape: function outputText(this: { context: Context }, value: unknown) {
    const text = textOf(budgetOf(this.context), value);
    if (text.isWellFormed()) return text;
    throw new Error('the text came to half a character; slice and truncate count whole ones');
  },
});

for (const name of Object.keys(liquid.filters)) liquid.unregisterFilter(name);
for (const [name, filter] of liquidFilters) liquid.registerFilter(name, filter);
for (const name of Object.keys(liquid.tags)) if (!TAGS.includes(name)) delete liquid.tags[name];
liquid.registerTag('#', Remark);
liquid.registerTag('assign', StrictAssign);
liquid.registerTag('case', CountedCase);
liquid.registerTag('for', BoundedFor);

/** Collects text; where it goes decides what it costs. */
class BoundedEmitter implements Emitter {
  readonly #charge: (text: string) => void;
  buffer = '';

  constructor(charge: (text: string) => void) {
    this.#charge = charge;
  }

  write(text: string): void {
    this.#charge(text);
    this.buffer += text;
  }
}

/** Operands, operators and filters of an expression, the steps of a path counted. */
export function operandCount(argument: unknown): number {
  if (argument instanceof Value) {
    const args = argument.filters.flatMap((filter) => filter.args);
    const parts = [...argument.initial.postfix, ...args.map((arg) => (Array.isArray(arg) ? arg[1] : arg))];
    return parts.reduce<number>((sum, part) => sum + operandCount(part), argument.filters.length);
  }
  if (TypeGuards.isPropertyAccessToken(argument)) {
    return argument.props.reduce((sum, prop) => sum + operandCount(prop), 0);
  }
  if (TypeGuards.isRangeToken(argument)) return operandCount(argument.lhs) + operandCount(argument.rhs);
  return 1;
}

function weight(template: Template): number {
  const operands = [...(template.arguments?.() ?? [])].reduce((sum, argument) => sum + operandCount(argument), 0);
  return 1 + operands / OPERANDS_PER_STEP;
}

const weights = new WeakMap<readonly Template[], number>();

/** The steps of rendering a block once, without what it contains and what its values cost. */
function blockWeight(templates: readonly Template[]): number {
  if (templates.length === 0) return 1;
  const known = weights.get(templates);
  if (known !== undefined) return known;
  const sum = templates.reduce((total, template) => total + weight(template), 1);
  weights.set(templates, sum);
  return sum;
}

const { renderer } = liquid;
const renderTemplates = renderer.renderTemplates.bind(renderer);
renderer.renderTemplates = (templates, context, emitter) => {
  const budget = budgetOf(context);
  budget.takeSteps(blockWeight(templates));
  // Without an emitter it is a capture, whose text stays inside the template.
  return renderTemplates(templates, context, emitter ?? new BoundedEmitter((text) => chargeText(budget, text.length)));
};

/** The top-level pieces of content, with no tag looked into. @throws LiquidError */
export function liquidTokens(content: string): TopLevelToken[] {
  return new Tokenizer(content, liquid.options.operators).readTopLevelTokens(liquid.options);
}

/** Parses the pieces of content. Filters that are not known do nothing. @throws LiquidError */
export function parseLiquid(tokens: readonly TopLevelToken[]): Template[] {
  return new Parser(liquid).parseTokens([...tokens]);
}

/**
 * Renders a parsed template.
 * @param scope values by name, without a prototype
 * @throws LiquidError, around whatever was thrown, or RenderTooCostly
 */
export function renderLiquid(templates: readonly Template[], scope: object, budget: RenderBudget): string {
  const emitter = new BoundedEmitter((text) => budget.takeBytes(Buffer.byteLength(text)));
  toValueSync(renderer.renderTemplates(templates as Template[], new Run(liquid, scope, budget), emitter));
  return emitter.buffer;
}
