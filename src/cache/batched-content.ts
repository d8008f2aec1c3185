import DataLoader from 'dataloader';
import type { StoreGuard } from '../guard/store-guard.ts';
import type { ContentStore, PublishedContent, VersionName } from '../services/render-ports.ts';
import { BATCH } from './batch.ts';

/**
 * Published content of a store behind its guard: asked within bounds, and left alone while it does not answer. What is
 * asked for in one turn of the event loop is one question to the store, of documents and of versions each, and one
 * piece of work to the guard; if it fails, all who asked learn why.
 */
export class BatchedContent implements PublishedContent {
  readonly #documents: DataLoader<string, string | undefined>;
  readonly #versions: DataLoader<VersionName, string | undefined>;

  constructor(store: ContentStore, guard: Pick<StoreGuard, 'run'>) {
    this.#documents = new DataLoader((hashes) => guard.run(() => store.documents(hashes)), BATCH);
    this.#versions = new DataLoader((names) => guard.run(() => store.versionHashes(names)), BATCH);
  }

  document(hash: string): Promise<string | undefined> {
    return this.#documents.load(hash);
  }

  versionHash(tenant: string, bundleId: string, version: string): Promise<string | undefined> {
    return this.#versions.load({ tenant, bundleId, version });
  }
}
