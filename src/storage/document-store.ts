import type { InferEntity } from '@mikro-orm/postgresql';
import type { Document } from '../domain/document.ts';
import type { DocumentStore } from '../services/stores.ts';
import type { EntityAccess } from './database.ts';
import { DocumentEntity } from './entities/document.ts';

export class PostgresDocumentStore implements DocumentStore {
  readonly #access: EntityAccess;

  constructor(access: EntityAccess) {
    this.#access = access;
  }

  async find(hash: string): Promise<string | undefined> {
    const row = await this.#access((em) => em.findOne(DocumentEntity, { hash }));
    return row?.content;
  }
}

/** The document that a row holds. */
export function toDocument({ hash, content }: InferEntity<typeof DocumentEntity>): Document {
  return { hash, text: content };
}
