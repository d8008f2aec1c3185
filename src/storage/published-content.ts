import type { ContentStore, VersionName } from '../services/render-ports.ts';
import type { EntityAccess } from './database.ts';

/**
 * Published content in PostgreSQL, the primary or a read replica. It is trusted: a check of the table holds documents
 * to their hash. Renders wait for it, so that its rows are read as they are, without entities.
 */
export class PostgresPublishedContent implements ContentStore {
  readonly #access: EntityAccess;

  constructor(access: EntityAccess) {
    this.#access = access;
  }

  async documents(hashes: readonly string[]): Promise<(string | undefined)[]> {
    const rows = await this.#access((em) =>
      em.execute<{ hash: string; content: string }[]>('select hash, content from document where hash in (?)', [hashes]),
    );
    const held = new Map(rows.map(({ hash, content }) => [hash, content]));
    return hashes.map((hash) => held.get(hash));
  }

  async versionHashes(names: readonly VersionName[]): Promise<(string | undefined)[]> {
    const rows = await this.#access((em) =>
      em.execute<(VersionName & { snapshotHash: string })[]>(
        `select tenant, id as "bundleId", version, snapshot_hash as "snapshotHash"
         from bundle_version
         join (values ${names.map(() => '(?, ?, ?)').join(', ')}) as asked (tenant, id, version)
           using (tenant, id, version)`,
        names.flatMap(({ tenant, bundleId, version }) => [tenant, bundleId, version]),
      ),
    );
    const held = new Map(rows.map((row) => [keyOf(row), row.snapshotHash]));
    return names.map((name) => held.get(keyOf(name)));
  }
}

/** Ids hold no '/', so neighbours cannot smear into each other. */
function keyOf({ tenant, bundleId, version }: VersionName): string {
  return `${tenant}/${bundleId}/${version}`;
}
