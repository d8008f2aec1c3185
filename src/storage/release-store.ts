import { raw, type FilterQuery, type InferEntity } from '@mikro-orm/postgresql';
import type { ReleaseRecord, ReleaseStore } from '../services/stores.ts';
import type { EntityAccess } from './database.ts';
import { ReleaseEntity } from './entities/release.ts';

type ReleaseRow = InferEntity<typeof ReleaseEntity>;

export class PostgresReleaseStore implements ReleaseStore {
  readonly #access: EntityAccess;

  constructor(access: EntityAccess) {
    this.#access = access;
  }

  async head(tenant: string, bundleId: string, channel: string): Promise<ReleaseRecord | undefined> {
    const [head] = await this.#latest({ tenant, bundleId, channel }, 1);
    return head;
  }

  async heads(tenant: string, bundleId: string): Promise<ReleaseRecord[]> {
    const isHead = raw<string>(
      (alias) => `exists (select 1 from channel c where c.tenant = ${alias}.tenant and c.bundle_id = ${alias}.bundle_id
        and c.channel = ${alias}.channel and c.revision = ${alias}.revision)`,
    );
    const where: FilterQuery<ReleaseRow> = { tenant, bundleId, [isHead]: true };
    const rows = await this.#access((em) => em.find(ReleaseEntity, where, { orderBy: { channel: 'asc' } }));
    return rows.map(toRecord);
  }

  async list(
    tenant: string,
    bundleId: string,
    channel: string,
    after: number,
    limit: number,
  ): Promise<ReleaseRecord[]> {
    const where = {
      tenant,
      bundleId,
      ...(channel !== '' && { channel }),
      ...(after > 0 && { seq: { $lt: after } }),
    };
    const rows = await this.#access((em) => em.find(ReleaseEntity, where, { orderBy: { seq: 'desc' }, limit }));
    return rows.map(toRecord);
  }

  async findBefore(
    tenant: string,
    bundleId: string,
    channel: string,
    revision: number,
    version: { is: string } | { isNot: string },
  ): Promise<ReleaseRecord | undefined> {
    // A withdrawal has no targets, hence no version, and satisfies neither comparison.
    const served = raw<string>((alias) => `(${alias}.targets::jsonb -> 0 ->> 'version')`);
    const condition = 'is' in version ? version.is : { $ne: version.isNot };
    const where = { tenant, bundleId, channel, revision: { $lt: revision }, [served]: condition };
    const [release] = await this.#latest(where, 1);
    return release;
  }

  /** The latest releases of one channel. */
  async #latest(where: FilterQuery<ReleaseRow>, limit: number): Promise<ReleaseRecord[]> {
    const rows = await this.#access((em) => em.find(ReleaseEntity, where, { orderBy: { revision: 'desc' }, limit }));
    return rows.map(toRecord);
  }
}

function toRecord(row: ReleaseRow): ReleaseRecord {
  return {
    tenant: row.tenant,
    bundleId: row.bundleId,
    channel: row.channel,
    revision: row.revision,
    kind: row.kind,
    targets: row.targets,
    originRevision: row.originRevision,
    seq: row.seq,
    createTime: row.createTime,
    createActor: row.createActor,
  };
}
