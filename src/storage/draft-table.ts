import type { InferEntity } from '@mikro-orm/postgresql';
import type { PromptType } from '../domain/prompt-type.ts';
import type { DraftRecord } from '../services/stores.ts';
import type { EntityAccess } from './database.ts';
import type { BundleEntity } from './entities/bundle.ts';
import { toDocument } from './document-store.ts';
import type { TemplateEntity } from './entities/template.ts';

/** Templates and bundles have drafts of the same shape. */
export type DraftEntity = typeof TemplateEntity | typeof BundleEntity;

/** Reads drafts. */
export class DraftTable {
  readonly #access: EntityAccess;
  readonly #entity: DraftEntity;

  constructor(access: EntityAccess, entity: DraftEntity) {
    this.#access = access;
    this.#entity = entity;
  }

  async find(tenant: string, id: string): Promise<DraftRecord | undefined> {
    const row = await this.#access((em) => em.findOne(this.#entity, { tenant, id }, { populate: ['draft'] }));
    return row === null ? undefined : toRecord(row);
  }

  /** A tenant's own by id, ascending; `archived`: archived ones too. */
  async list(
    tenant: string,
    filter: { type: PromptType | undefined; archived: boolean },
    after: string,
    limit: number,
  ): Promise<DraftRecord[]> {
    const where = {
      tenant,
      id: { $gt: after },
      ...(filter.type && { type: filter.type }),
      ...(!filter.archived && { archiveTime: null }),
    };
    const rows = await this.#access((em) =>
      em.find(this.#entity, where, { orderBy: { id: 'asc' }, limit, populate: ['draft'] }),
    );
    return rows.map(toRecord);
  }
}

/** The columns of a draft. */
export function draftColumns(record: DraftRecord) {
  return {
    tenant: record.tenant,
    id: record.id,
    type: record.type,
    editVersion: record.editVersion,
    draft: record.draft.hash,
    latestVersion: record.latestVersion,
    createTime: record.createTime,
    updateTime: record.updateTime,
    updateActor: record.updateActor,
    archiveTime: record.archiveTime ?? null,
  };
}

function toRecord(row: InferEntity<DraftEntity>): DraftRecord {
  return {
    tenant: row.tenant,
    id: row.id,
    type: row.type,
    editVersion: row.editVersion,
    draft: toDocument(row.draft),
    latestVersion: row.latestVersion,
    createTime: row.createTime,
    updateTime: row.updateTime,
    updateActor: row.updateActor,
    archiveTime: row.archiveTime ?? undefined,
  };
}
