import type { InferEntity } from '@mikro-orm/postgresql';
import type { ChangeFilter, ChangeRecord, ChangeStore } from '../services/trail.ts';
import type { EntityAccess } from './database.ts';
import { ChangeEntity } from './entities/change.ts';

export class PostgresChangeStore implements ChangeStore {
  readonly #access: EntityAccess;

  constructor(access: EntityAccess) {
    this.#access = access;
  }

  async find(seq: number): Promise<ChangeRecord | undefined> {
    const row = await this.#access((em) => em.findOne(ChangeEntity, { seq }));
    return row === null ? undefined : toRecord(row);
  }

  async list(filter: ChangeFilter, before: number, limit: number): Promise<ChangeRecord[]> {
    const where = {
      ...(filter.tenant && { tenant: filter.tenant }),
      ...(filter.entityKind && { entityKind: filter.entityKind }),
      ...(filter.entityId && { entityId: filter.entityId }),
      ...(filter.action && { action: filter.action }),
      ...(filter.actor && { actor: filter.actor }),
      ...(filter.hash && { $or: [{ beforeHash: filter.hash }, { afterHash: filter.hash }] }),
      time: { ...(filter.startTime && { $gte: filter.startTime }), ...(filter.endTime && { $lt: filter.endTime }) },
      ...(before > 0 && { seq: { $lt: before } }),
    };
    const rows = await this.#access((em) => em.find(ChangeEntity, where, { orderBy: { seq: 'desc' }, limit }));
    return rows.map(toRecord);
  }
}

function toRecord(row: InferEntity<typeof ChangeEntity>): ChangeRecord {
  return {
    seq: row.seq,
    time: row.time,
    actor: row.actor,
    action: row.action,
    tenant: row.tenant,
    entityKind: row.entityKind,
    entityId: row.entityId,
    beforeHash: row.beforeHash,
    afterHash: row.afterHash,
    detail: row.detail,
    requestId: row.requestId,
    traceId: row.traceId,
    chainHash: row.chainHash,
  };
}
