import type { InferEntity } from '@mikro-orm/postgresql';
import type { TenantRecord, TenantStore } from '../services/stores.ts';
import type { EntityAccess } from './database.ts';
import { TenantEntity } from './entities/tenant.ts';

export class PostgresTenantStore implements TenantStore {
  readonly #access: EntityAccess;

  constructor(access: EntityAccess) {
    this.#access = access;
  }

  async find(tenant: string): Promise<TenantRecord | undefined> {
    const row = await this.#access((em) => em.findOne(TenantEntity, { tenant }));
    return row === null ? undefined : toRecord(row);
  }

  async list(after: string, limit: number): Promise<TenantRecord[]> {
    const where = { tenant: { $gt: after } };
    const rows = await this.#access((em) => em.find(TenantEntity, where, { orderBy: { tenant: 'asc' }, limit }));
    return rows.map(toRecord);
  }

  lineage(tenant: string): Promise<string[]> {
    return this.#tenants(
      `with recursive lineage as (
        select tenant, parent, 0 as distance from tenant where tenant = ?
        union all
        select t.tenant, t.parent, l.distance + 1 from lineage l join tenant t on t.tenant = l.parent
      )
      select tenant from lineage order by distance`,
      tenant,
    );
  }

  subtree(tenant: string): Promise<string[]> {
    return this.#tenants(
      `with recursive subtree as (
        select tenant from tenant where tenant = ?
        union all
        select t.tenant from subtree s join tenant t on t.parent = s.tenant
      )
      select tenant from subtree`,
      tenant,
    );
  }

  async height(tenant: string): Promise<number> {
    const [deepest] = await this.#access((em) =>
      em.execute<{ height: number }[]>(
        `with recursive subtree as (
          select tenant, 1 as level from tenant where tenant = ?
          union all
          select t.tenant, s.level + 1 from subtree s join tenant t on t.parent = s.tenant
        )
        select coalesce(max(level), 0) as height from subtree`,
        [tenant],
      ),
    );
    return deepest!.height;
  }

  async #tenants(sql: string, root: string): Promise<string[]> {
    const rows = await this.#access((em) => em.execute<{ tenant: string }[]>(sql, [root]));
    return rows.map((row) => row.tenant);
  }
}

function toRecord(row: InferEntity<typeof TenantEntity>): TenantRecord {
  return {
    tenant: row.tenant,
    parent: row.parent ?? '',
    displayName: row.displayName,
    variables: row.variables,
    capturePolicy: row.capturePolicy,
    receiptRetentionDays: row.receiptRetentionDays,
    editVersion: row.editVersion,
    documentHash: row.documentHash,
    createTime: row.createTime,
    updateTime: row.updateTime,
    updateActor: row.updateActor,
  };
}
