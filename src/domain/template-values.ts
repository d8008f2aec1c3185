import type { JsonObject } from './json.ts';
import { RenderBudget } from './render-budget.ts';

/** What the templates of one render are given, and what they may take. */
export class TemplateValues {
  /** The merged values by name. */
  readonly values: JsonObject;
  /** What is inserted, by name; a name without a text inserts nothing. */
  readonly texts: ReadonlyMap<string, string>;
  readonly budget = new RenderBudget();
  readonly #made = new Map<string, unknown>();

  constructor({ values, texts }: { readonly values: JsonObject; readonly texts: ReadonlyMap<string, string> }) {
    this.values = values;
    this.texts = texts;
  }

  /** The form in which a syntax uses the value, made once for all templates of the render. */
  once<T>(name: string, make: () => T): T {
    if (!this.#made.has(name)) this.#made.set(name, make());
    return this.#made.get(name) as T;
  }
}
