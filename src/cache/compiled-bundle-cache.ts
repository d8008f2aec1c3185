import { LRUCache } from 'lru-cache';
import { compileBundle, type CompiledBundle } from '../domain/assembly.ts';
import { Unavailable } from '../domain/errors.ts';
import type { CompiledBundles } from '../services/render-ports.ts';
import type { DocumentStore } from '../services/stores.ts';
import { SingleFlight } from './single-flight.ts';

/** Learns what the caches do; must not throw. */
export interface CacheObserver {
  hit(level: 'l1'): void;
  miss(level: 'l1'): void;
}

/**
 * Compiled snapshots in memory, over the documents. Content under a hash never changes, so an entry is never wrong; it
 * only goes when the bytes of all are over the bound. One flight loads a key, however many wait for it.
 */
export class CompiledBundleCache implements CompiledBundles {
  readonly #documents: DocumentStore;
  readonly #observer: CacheObserver;
  readonly #held: LRUCache<string, CompiledBundle>;
  readonly #flights = new SingleFlight<CompiledBundle>();

  /** @param maxBytes the bound on what the compiled snapshots take in memory, as they estimate it */
  constructor(documents: DocumentStore, observer: CacheObserver, maxBytes: number) {
    this.#documents = documents;
    this.#observer = observer;
    this.#held = new LRUCache({ maxSize: maxBytes, sizeCalculation: (bundle) => bundle.bytes });
  }

  get(bundleHash: string): CompiledBundle | Promise<CompiledBundle> {
    const held = this.#held.get(bundleHash);
    if (held) {
      this.#observer.hit('l1');
      return held;
    }
    this.#observer.miss('l1');
    return this.#flights.do(bundleHash, () => this.#load(bundleHash));
  }

  async #load(bundleHash: string): Promise<CompiledBundle> {
    const text = await this.#documents.find(bundleHash);
    if (text === undefined) {
      throw new Unavailable('DATABASE_UNAVAILABLE', `document ${bundleHash} is not in the database yet`, 1_000);
    }
    const bundle = compileBundle({ hash: bundleHash, text });
    this.#held.set(bundleHash, bundle);
    return bundle;
  }
}
