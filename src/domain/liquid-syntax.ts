/**
 * The LIQUID syntax: what content reads, and what is wrong with it (spec section 3, "Template syntax"). LiquidJS
 * parses; what it allows and this does not is refused here, so that it shows when a template is written.
 */
import { type LiquidError, type Template, type TopLevelToken, TypeGuards } from 'liquidjs';
import { liquidTokens, parseLiquid } from './liquid-engine.ts';
import { writtenFilters } from './liquid-expression.ts';
import { FILTERS } from './liquid-filters.ts';
import { type LiquidMistake, readStructure } from './liquid-structure.ts';
import { type LiquidRead, unknownFilter, Walk } from './liquid-walk.ts';
import { MAX_LIQUID_NODES } from './limits.ts';
import { cut } from './text.ts';

export type { LiquidMistake, LiquidRead };

export interface LiquidReading {
  readonly templates: readonly Template[];
  /** Every read of a variable that the content does not certainly make itself, in order. */
  readonly reads: readonly LiquidRead[];
  /** The names that `assign` and `capture` make. */
  readonly locals: readonly string[];
  /** In order; with any, the other members are of no use. */
  readonly mistakes: readonly LiquidMistake[];
}

const OPENED = /\{[{%]/g;

/** How many tags and outputs content has at most, told without parsing it. */
export function liquidNodes(content: string): number {
  return content.match(OPENED)?.length ?? 0;
}

/** UTF-16 code units of the tags and outputs of content without mistakes. */
export function liquidUnits(content: string): number {
  return liquidTokens(content).reduce((sum, token) => (TypeGuards.isHTMLToken(token) ? sum : sum + token.size()), 0);
}

/** What a LiquidError says, without the place that LiquidJS adds. */
export function plainMessage(error: LiquidError): string {
  const { message } = error.originalError ?? error;
  return cut(message.replace(/, line:\d+, col:\d+$/, ''));
}

const NO_PIPE = 'expected "|" before filter';
/** What LiquidJS says where it finds no operator, filter or argument that it knows. */
const NOT_UNDERSTOOD = [NO_PIPE, 'expected ":" after filter name', 'expected filter name', 'unexpected character "'];
const NEGATED = 'invalid value expression: "!';
/** What operators of other languages are written with. */
const OPERATOR = /[=&|+*/%!<>^]/;
const OPERATORS_HINT =
  'the operator is not available; compare with ==, combine with and, or, not, ' +
  'calculate with filters, as {{ count | plus: 1 }}';
const FOR_HINT =
  'a for is written {% for item in list %}, with one name; ' +
  'of an object, item[0] is the name of a member and item[1] its value';

/** Where LiquidJS gives up, and what is to be done about it if that can be told. */
function asMistake(error: LiquidError): LiquidMistake {
  const { input, begin } = error.token;
  const said = plainMessage(error);
  // It has read on by one when it says so.
  const offset = said === NO_PIPE ? begin - 1 : begin;
  const isOperator = NOT_UNDERSTOOD.some((start) => said.startsWith(start)) && OPERATOR.test(input.charAt(offset));
  let description = said;
  if (isOperator || said.startsWith(NEGATED)) description = OPERATORS_HINT;
  else if (said === NO_PIPE) description = 'what stands here is not understood';
  else if (said.startsWith('illegal tag: ')) description = FOR_HINT;
  return { offset, reason: 'BAD_SYNTAX', description };
}

/**
 * Parses the pieces of content without the tags that are refused. Where that fails, filters that are not on the list
 * are told all the same, and for want of other mistakes why it failed.
 */
function parse(tokens: readonly TopLevelToken[], mistakes: LiquidMistake[]): Template[] {
  const structure = readStructure(tokens);
  mistakes.push(...structure.mistakes);
  const refused = new Set(mistakes.map(({ offset }) => offset));
  try {
    if (mistakes.every(({ reason }) => reason === 'NOT_ALLOWED')) {
      return parseLiquid(tokens.filter(({ begin }) => !refused.has(begin)));
    }
    mistakes.push(...unknownFilters(structure.read));
  } catch (error) {
    mistakes.push(...unknownFilters(structure.read));
    if (mistakes.length === 0) mistakes.push(asMistake(error as LiquidError));
  }
  return [];
}

function unknownFilters(tokens: readonly TopLevelToken[]): LiquidMistake[] {
  return tokens.flatMap((token) =>
    writtenFilters(token.getText())
      // Of || the second is no beginning of a filter.
      .filter(({ name, offset }) => !FILTERS.has(name) && token.getText()[offset - 1] !== '|')
      .map(({ name, offset }) => unknownFilter(name, token.begin + offset)),
  );
}

/** Reads content, all of it or until it is no longer clear what is meant. */
export function readLiquid(content: string): LiquidReading {
  const mistakes: LiquidMistake[] = [];
  const walk = new Walk(content);
  let templates: Template[] = [];
  const nodes = liquidNodes(content);
  if (nodes > MAX_LIQUID_NODES) {
    const description = `at most ${MAX_LIQUID_NODES} tags and outputs are allowed, not ${nodes}`;
    mistakes.push({ offset: 0, reason: 'TOO_COMPLEX', description });
    return { templates, reads: [], locals: [], mistakes };
  }
  try {
    templates = parse(liquidTokens(content), mistakes);
  } catch (error) {
    mistakes.push(asMistake(error as LiquidError));
  }
  walk.block(templates, false);
  mistakes.push(...walk.mistakes);
  mistakes.sort((a, b) => a.offset - b.offset);
  return { templates, reads: walk.reads(), locals: walk.locals(), mistakes };
}
