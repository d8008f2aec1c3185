import type { JsonObject } from './json.ts';
import { RenderBudget } from './render-budget.ts';

/** What the templates of one render are given, and what they may take. */
export class TemplateValues {
  /** What is inserted, by name; a name without a text inserts nothing. */
  readonly texts: ReadonlyMap<string, string>;
  readonly budget = new RenderBudget();
  readonly #resolved: { readonly values: JsonObject };
  #values: JsonObject | undefined;
  #made: Map<string, unknown> | undefined;

  constructor(resolved: { readonly values: JsonObject; readonly texts: ReadonlyMap<string, string> }) {
    this.texts = resolved.texts;
    this.#resolved = resolved;
  }

  /** The merged values by name. */
  get values(): JsonObject {
    this.#values ??= this.#resolved.values;
    return this.#values;
  }

  /** The form in which a syntax uses the value, made once for all templates of the render. */
  once<T>(name: string, make: () => T): T {
    this.#made ??= new Map();
    if (!this.#made.has(name)) this.#made.set(name, make());
    return this.#made.get(name) as T;
  }
}
