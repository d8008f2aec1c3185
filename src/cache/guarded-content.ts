import type { StoreGuard } from '../guard/store-guard.ts';
import type { PublishedContent } from '../services/render-ports.ts';

/** Published content of a store behind its guard: asked within bounds, and left alone while it does not answer. */
export class GuardedContent implements PublishedContent {
  readonly #inner: PublishedContent;
  readonly #guard: StoreGuard;

  constructor(inner: PublishedContent, guard: StoreGuard) {
    this.#inner = inner;
    this.#guard = guard;
  }

  document(hash: string): Promise<string | undefined> {
    return this.#guard.run(() => this.#inner.document(hash));
  }

  versionHash(tenant: string, bundleId: string, version: string): Promise<string | undefined> {
    return this.#guard.run(() => this.#inner.versionHash(tenant, bundleId, version));
  }
}
