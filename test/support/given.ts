import { valueText } from '../../src/domain/variables.ts';
import type { JsonObject } from '../../src/domain/json.ts';

/** Values as a render gives them to its templates. */
export function given(values: JsonObject = {}): { values: JsonObject; texts: Map<string, string> } {
  const texts = Object.entries(values).map(([name, value]) => [name, valueText(value)] as const);
  return { values, texts: new Map(texts) };
}
