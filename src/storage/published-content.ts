import type { PublishedContent } from '../services/render-ports.ts';
import type { EntityAccess } from './database.ts';
import { BundleVersionEntity } from './entities/bundle-version.ts';
import { DocumentEntity } from './entities/document.ts';

/**
 * Published content in PostgreSQL, the primary or a read replica. It is trusted: a check of the table holds documents
 * to their hash.
 */
export class PostgresPublishedContent implements PublishedContent {
  readonly #access: EntityAccess;

  constructor(access: EntityAccess) {
    this.#access = access;
  }

  async document(hash: string): Promise<string | undefined> {
    const row = await this.#access((em) => em.findOne(DocumentEntity, { hash }));
    return row?.content;
  }

  async versionHash(tenant: string, bundleId: string, version: string): Promise<string | undefined> {
    const row = await this.#access((em) => em.findOne(BundleVersionEntity, { tenant, id: bundleId, version }));
    return row?.snapshot.hash;
  }
}
