import type { InferEntity } from '@mikro-orm/postgresql';
import type { PromptType } from '../domain/prompt-type.ts';
import type { ActivationRecord, ActivationStore } from '../services/stores.ts';
import type { EntityAccess } from './database.ts';
import { ActivationEntity } from './entities/activation.ts';

export class PostgresActivationStore implements ActivationStore {
  readonly #access: EntityAccess;

  constructor(access: EntityAccess) {
    this.#access = access;
  }

  async find(tenant: string, type: PromptType): Promise<ActivationRecord | undefined> {
    const row = await this.#access((em) => em.findOne(ActivationEntity, { tenant, type }));
    return row === null ? undefined : toRecord(row);
  }

  async list(tenant: string, after: string, limit: number): Promise<ActivationRecord[]> {
    const where = { tenant, type: { $gt: after as PromptType } };
    const rows = await this.#access((em) => em.find(ActivationEntity, where, { orderBy: { type: 'asc' }, limit }));
    return rows.map(toRecord);
  }

  async naming(tenants: readonly string[], bundleId: string): Promise<{ tenant: string; type: PromptType }[]> {
    const rows = await this.#access((em) =>
      em.find(
        ActivationEntity,
        { tenant: { $in: [...tenants] }, bundleId },
        { orderBy: { tenant: 'asc', type: 'asc' } },
      ),
    );
    return rows.map(({ tenant, type }) => ({ tenant, type }));
  }
}

function toRecord(row: InferEntity<typeof ActivationEntity>): ActivationRecord {
  return {
    tenant: row.tenant,
    type: row.type,
    bundleId: row.bundleId,
    revision: row.revision,
    seq: row.seq,
    updateTime: row.updateTime,
    updateActor: row.updateActor,
  };
}
