import { DomainError, InvalidInput } from '../../src/domain/errors.ts';
import { places } from '../../src/domain/format-syntax.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { readLiquid } from '../../src/domain/liquid-syntax.ts';
import { compileLiquid } from '../../src/domain/liquid-template.ts';
import { TemplateValues } from '../../src/domain/template-values.ts';
import { untrustedText } from '../../src/domain/untrusted.ts';
import { valueText } from '../../src/domain/variables.ts';

/** Values as a render gives them to its templates, some of them delimited. */
export function liquidValues(values: JsonObject, untrusted: readonly string[] = []): TemplateValues {
  const texts = Object.entries(values).map(([name, value]): [string, string] => {
    return [name, untrusted.includes(name) ? untrustedText(name, valueText(value)) : valueText(value)];
  });
  return new TemplateValues({ values, texts: new Map(texts) });
}

/** Renders LIQUID content. */
export function liquid(content: string, values: JsonObject = {}, untrusted: readonly string[] = []): string {
  return compileLiquid(content, new Set(untrusted))(liquidValues(values, untrusted));
}

/** What a render fails with: the violation as `field REASON description`, or the error's name. */
export function failure(content: string, values: JsonObject = {}): string {
  try {
    return `no failure: ${liquid(content, values)}`;
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    if (!(error instanceof InvalidInput)) return error.name;
    return error.violations.map(({ field, reason, description }) => `${field} ${reason} ${description}`).join('; ');
  }
}

/** What is wrong with content, as `line:column REASON description`. */
export function mistakes(content: string): string[] {
  return readLiquid(content).mistakes.map(({ offset, reason, description }) => {
    const [, line, column] = /line (\d+), column (\d+)/.exec(places(content)(offset).position)!;
    return `${line}:${column} ${reason} ${description}`;
  });
}
