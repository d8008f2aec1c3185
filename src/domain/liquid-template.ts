/** LIQUID content compiled for many renders. */
import { LiquidError } from 'liquidjs';
import { canonicalJson } from './document.ts';
import { DomainError, InvalidInput, type Violation } from './errors.ts';
import { places } from './format-syntax.ts';
import type { Json } from './json.ts';
import { renderLiquid } from './liquid-engine.ts';
import { NO_MEMBER } from './liquid-run.ts';
import { type LiquidRead, plainMessage, readLiquid } from './liquid-syntax.ts';
import { StandIn, UntrustedValue } from './liquid-values.ts';
import { parseJson } from './parse-json.ts';
import type { TemplateValues } from './template-values.ts';
import { excerpt } from './text.ts';

/** @param write the canonical form of a list or an object */
function ordered(value: Json, write: (value: Json) => string): Json {
  return typeof value === 'object' ? (parseJson(write(value)) as Json) : value;
}

/**
 * What a variable is to the template: members in canonical order, so that the order in which they were sent never
 * shows. One without a usable value has a text in a preview only.
 */
function scopeValue(
  name: string,
  { values, texts }: TemplateValues,
  untrusted: ReadonlySet<string>,
): Json | UntrustedValue | StandIn {
  const text = texts.get(name);
  if (text === undefined) return null;
  if (!Object.hasOwn(values, name)) return new StandIn(name);
  const value = values[name] as Json;
  if (untrusted.has(name)) return new UntrustedValue(ordered(value, canonicalJson), text);
  return ordered(value, () => text);
}

function violation(error: LiquidError, content: string, template: string, reads: readonly LiquidRead[]): Violation {
  const { token } = error;
  const place = `${places(content)(token.begin).position} of ${template}`;
  if (error.originalError !== NO_MEMBER) {
    return { field: 'variables', reason: 'WRONG_TYPE', description: `${place}: ${plainMessage(error)}` };
  }
  const read = reads.find(({ offset }) => offset === token.begin);
  const description =
    `${place} reads ${excerpt(token.getText().trim())}, and there is no such member; ` +
    'send it, or let the template ask with if, or with the filter default';
  return { field: read === undefined ? 'variables' : `variables.${read.name}`, reason: 'MISSING', description };
}

/**
 * Compiles content that has no mistakes.
 * @param untrusted the names of the variables whose values are delimited
 * @param place where in its bundle the template is, for messages
 * @returns throws InvalidInput if the values do not have what the template reads, RenderedTooLarge, RenderTooCostly
 * @throws Error if there is a mistake: nothing must be rendered without what was not understood
 */
export function compileLiquid(
  content: string,
  untrusted: ReadonlySet<string>,
  place = 'a LIQUID template',
): (values: TemplateValues) => string {
  const { templates, reads, locals, mistakes } = readLiquid(content);
  if (mistakes[0] !== undefined) throw new Error(`LIQUID content cannot be compiled: ${mistakes[0].description}`);
  const names = [...new Set(reads.map(({ name }) => name))];
  return (values) => {
    const scope: Record<string, unknown> = Object.create(null);
    for (const name of locals) scope[name] = null;
    for (const name of names) scope[name] = values.once(name, () => scopeValue(name, values, untrusted));
    try {
      return renderLiquid(templates, scope, values.budget);
    } catch (error) {
      const cause = error instanceof LiquidError ? error.originalError : error;
      if (cause instanceof DomainError) throw cause;
      throw new InvalidInput([violation(error as LiquidError, content, place, reads)], 'VARIABLES_INVALID');
    }
  };
}
