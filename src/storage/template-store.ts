import type { InferEntity } from '@mikro-orm/postgresql';
import type { PromptType } from '../domain/prompt-type.ts';
import type { DraftRecord, Positioned, TemplateStore, TemplateVersionRecord } from '../services/stores.ts';
import type { EntityAccess } from './database.ts';
import { toDocument } from './document-store.ts';
import { DraftTable } from './draft-table.ts';
import { TemplateVersionEntity } from './entities/template-version.ts';
import { TemplateEntity } from './entities/template.ts';

export class PostgresTemplateStore implements TemplateStore {
  readonly #access: EntityAccess;
  readonly #drafts: DraftTable;

  constructor(access: EntityAccess) {
    this.#access = access;
    this.#drafts = new DraftTable(access, TemplateEntity);
  }

  find(tenant: string, id: string): Promise<DraftRecord | undefined> {
    return this.#drafts.find(tenant, id);
  }

  list(
    tenant: string,
    filter: { type: PromptType | undefined; archived: boolean },
    after: string,
    limit: number,
  ): Promise<DraftRecord[]> {
    return this.#drafts.list(tenant, filter, after, limit);
  }

  async findVersion(tenant: string, id: string, version: string): Promise<TemplateVersionRecord | undefined> {
    const row = await this.#access((em) =>
      em.findOne(TemplateVersionEntity, { tenant, id, version }, { populate: ['document'] }),
    );
    return row === null ? undefined : toRecord(row);
  }

  async listVersions(
    tenant: string,
    id: string,
    after: number,
    limit: number,
  ): Promise<Positioned<TemplateVersionRecord>[]> {
    const where = { tenant, id, ...(after > 0 && { position: { $lt: after } }) };
    const rows = await this.#access((em) =>
      em.find(TemplateVersionEntity, where, { orderBy: { position: 'desc' }, limit, populate: ['document'] }),
    );
    return rows.map((row) => ({ position: row.position, record: toRecord(row) }));
  }

  async published(
    tenants: readonly string[],
    ids: readonly string[],
  ): Promise<{ tenant: string; id: string; versions: string[] }[]> {
    if (tenants.length === 0 || ids.length === 0) return [];
    return this.#access((em) =>
      em.execute<{ tenant: string; id: string; versions: string[] }[]>(
        `select t.tenant, t.id, array_remove(array_agg(v.version order by v.position), null) as versions
        from template t left join template_version v on v.tenant = t.tenant and v.id = t.id
        where t.tenant in (?) and t.id in (?) and t.archive_time is null
        group by t.tenant, t.id`,
        [tenants, ids],
      ),
    );
  }
}

function toRecord(row: InferEntity<typeof TemplateVersionEntity>): TemplateVersionRecord {
  return {
    tenant: row.tenant,
    id: row.id,
    version: row.version,
    type: row.type,
    document: toDocument(row.document),
    editVersion: row.editVersion,
    createTime: row.createTime,
    createActor: row.createActor,
  };
}
