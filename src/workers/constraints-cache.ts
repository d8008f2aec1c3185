import { LRUCache } from 'lru-cache';
import { parseConstraints } from '../domain/constraint.ts';
import type { Document } from '../domain/document.ts';
import type { Json } from '../domain/json.ts';
import { type CompiledConstraints, compileConstraints } from '../domain/output-check.ts';
import { parseJson } from '../domain/parse-json.ts';

/** Of an entry besides what its constraints estimate: the cache refuses one of no size. */
const ENTRY_BYTES = 512;

/** Compiled constraints by their hash; one that is not held is compiled. */
export class ConstraintsCache {
  readonly #held: LRUCache<string, CompiledConstraints>;

  /** @param maxBytes the bound on what the compiled constraints take in memory, as they estimate it */
  constructor(maxBytes: number) {
    this.#held = new LRUCache({ maxSize: maxBytes, sizeCalculation: ({ bytes }) => ENTRY_BYTES + bytes });
  }

  /** @param constraints the canonical JSON of normalized constraints, and its hash */
  get({ hash, text }: Document): CompiledConstraints {
    const held = this.#held.get(hash);
    if (held !== undefined) return held;
    const compiled = compileConstraints(parseConstraints(parseJson(text) as Json));
    this.#held.set(hash, compiled);
    return compiled;
  }
}
