import type { EntityManager, InferEntity } from '@mikro-orm/postgresql';
import type { PromptType } from '../domain/prompt-type.ts';
import type { BundleStore, BundleVersionRecord, DraftRecord, Pin, Positioned } from '../services/stores.ts';
import type { EntityAccess } from './database.ts';
import { toDocument } from './document-store.ts';
import { DraftTable } from './draft-table.ts';
import { BundleVersionPinEntity } from './entities/bundle-version-pin.ts';
import { BundleVersionEntity } from './entities/bundle-version.ts';
import { BundleEntity } from './entities/bundle.ts';

type VersionRow = InferEntity<typeof BundleVersionEntity>;

export class PostgresBundleStore implements BundleStore {
  readonly #access: EntityAccess;
  readonly #drafts: DraftTable;

  constructor(access: EntityAccess) {
    this.#access = access;
    this.#drafts = new DraftTable(access, BundleEntity);
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

  findVersion(tenant: string, id: string, version: string): Promise<BundleVersionRecord | undefined> {
    return this.#access(async (em) => {
      const row = await em.findOne(
        BundleVersionEntity,
        { tenant, id, version },
        { populate: ['draft', 'snapshot'] },
      );
      const [record] = await withPins(em, row === null ? [] : [row]);
      return record;
    });
  }

  listVersions(
    tenant: string,
    id: string,
    after: number,
    limit: number,
  ): Promise<Positioned<BundleVersionRecord>[]> {
    const where = { tenant, id, ...(after > 0 && { position: { $lt: after } }) };
    return this.#access(async (em) => {
      const rows = await em.find(BundleVersionEntity, where, {
        orderBy: { position: 'desc' },
        limit,
        populate: ['draft', 'snapshot'],
      });
      const records = await withPins(em, rows);
      return records.map((record, i) => ({ position: rows[i]!.position, record }));
    });
  }

  async holders(tenants: readonly string[], id: string): Promise<{ tenant: string; type: PromptType }[]> {
    if (tenants.length === 0) return [];
    return this.#access((em) =>
      em.execute<{ tenant: string; type: PromptType }[]>(
        'select tenant, type from bundle where tenant in (?) and id = ? and archive_time is null',
        [tenants, id],
      ),
    );
  }

  async draftsNaming(
    tenants: readonly string[],
    templateId: string,
  ): Promise<{ tenant: string; id: string; versions: string[] }[]> {
    if (tenants.length === 0) return [];
    return this.#access((em) =>
      em.execute<{ tenant: string; id: string; versions: string[] }[]>(
        `select b.tenant, b.id, array_agg(r.version order by r.version) as versions
        from bundle_reference r join bundle b on b.tenant = r.tenant and b.id = r.bundle_id
        where r.template_id = ? and r.tenant in (?) and b.archive_time is null
        group by b.tenant, b.id
        order by b.tenant, b.id`,
        [templateId, tenants],
      ),
    );
  }

  releasedPinning(
    tenant: string,
    templateId: string,
  ): Promise<{ tenant: string; bundleId: string; channel: string; version: string }[]> {
    return this.#access((em) =>
      em.execute<{ tenant: string; bundleId: string; channel: string; version: string }[]>(
        `select c.tenant, c.bundle_id as "bundleId", c.channel, v.version
        from (
          select distinct tenant, bundle_id, version from bundle_version_pin
          where template_tenant = ? and template_id = ?
        ) v
        join channel c on c.tenant = v.tenant and c.bundle_id = v.bundle_id
        join release r on r.tenant = c.tenant and r.bundle_id = c.bundle_id and r.channel = c.channel
          and r.revision = c.revision
        where exists (
          select 1 from jsonb_array_elements(r.targets::jsonb) target where target ->> 'version' = v.version
        )
        order by c.tenant, c.bundle_id, c.channel, v.version`,
        [tenant, templateId],
      ),
    );
  }

  async versionHashes(
    tenants: readonly string[],
    id: string,
    version: string,
  ): Promise<{ tenant: string; bundleHash: string }[]> {
    if (tenants.length === 0) return [];
    return this.#access((em) =>
      em.execute<{ tenant: string; bundleHash: string }[]>(
        `select v.tenant, v.snapshot_hash as "bundleHash"
        from bundle_version v join bundle b on b.tenant = v.tenant and b.id = v.id
        where v.tenant in (?) and v.id = ? and v.version = ? and b.archive_time is null`,
        [tenants, id, version],
      ),
    );
  }
}

/** The records of versions of one bundle. */
async function withPins(em: EntityManager, rows: readonly VersionRow[]): Promise<BundleVersionRecord[]> {
  const [first] = rows;
  if (first === undefined) return [];
  const pins = await em.find(
    BundleVersionPinEntity,
    { tenant: first.tenant, bundleId: first.id, version: { $in: rows.map((row) => row.version) } },
    { orderBy: { ordinal: 'asc' } },
  );
  return rows.map((row) => toRecord(row, pins.filter((pin) => pin.version === row.version).map(toPin)));
}

function toPin(row: InferEntity<typeof BundleVersionPinEntity>): Pin {
  return { tenant: row.templateTenant, templateId: row.templateId, version: row.templateVersion };
}

function toRecord(row: VersionRow, pins: Pin[]): BundleVersionRecord {
  return {
    tenant: row.tenant,
    id: row.id,
    version: row.version,
    type: row.type,
    draft: toDocument(row.draft),
    snapshot: toDocument(row.snapshot),
    personalityHash: row.personalityHash,
    constraintsHash: row.constraintsHash,
    pins,
    editVersion: row.editVersion,
    createTime: row.createTime,
    createActor: row.createActor,
  };
}
