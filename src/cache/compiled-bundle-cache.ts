import { LRUCache } from 'lru-cache';
import { compileBundle, type CompiledBundle } from '../domain/assembly.ts';
import { Unavailable } from '../domain/errors.ts';
import type { CompiledBundles, PublishedContent } from '../services/render-ports.ts';
import type { ContentObserver } from './content-observer.ts';
import { SingleFlight } from './single-flight.ts';

/**
 * Compiled snapshots in memory, the first level over published content. Content under a hash never changes, so an entry
 * is never wrong; it only goes when the bytes of all are over the bound. That a document is missing is never held. One
 * flight loads a key, however many wait for it.
 */
export class CompiledBundleCache implements CompiledBundles {
  readonly #content: Pick<PublishedContent, 'document'>;
  readonly #observer: Pick<ContentObserver, 'hit' | 'miss'>;
  readonly #held: LRUCache<string, CompiledBundle>;
  readonly #flights = new SingleFlight<CompiledBundle>();

  /** @param maxBytes the bound on what the compiled snapshots take in memory, as they estimate it */
  constructor(
    content: Pick<PublishedContent, 'document'>,
    observer: Pick<ContentObserver, 'hit' | 'miss'>,
    maxBytes: number,
  ) {
    this.#content = content;
    this.#observer = observer;
    this.#held = new LRUCache({ maxSize: maxBytes, sizeCalculation: (bundle) => bundle.bytes });
  }

  /** What is held takes in memory, in bytes, as it estimates it; never more than the bound. */
  get bytes(): number {
    return this.#held.calculatedSize;
  }

  get(bundleHash: string): CompiledBundle | Promise<CompiledBundle> {
    const held = this.#held.get(bundleHash);
    if (held) {
      this.#observer.hit('l1', 'document');
      return held;
    }
    this.#observer.miss('l1', 'document');
    return this.#flights.do(bundleHash, () => this.#load(bundleHash));
  }

  async #load(bundleHash: string): Promise<CompiledBundle> {
    const text = await this.#content.document(bundleHash);
    if (text === undefined) {
      throw new Unavailable('DATABASE_UNAVAILABLE', `document ${bundleHash} is not in the database yet`, 1_000);
    }
    const bundle = compileBundle({ hash: bundleHash, text });
    this.#held.set(bundleHash, bundle);
    return bundle;
  }
}
