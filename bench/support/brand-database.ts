import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { documentOf } from '../../src/domain/document.ts';
import { ROOT_TENANT, tenantDocument } from '../../src/domain/tenant.ts';
import { postgresChangeLog } from '../../src/routing/postgres-change-log.ts';
import type { ChangeLog } from '../../src/routing/route-feed.ts';
import { SERVER_ROLE } from '../../src/storage/connection.ts';
import { startEmbeddedPostgres } from '../../src/storage/embedded-postgres.ts';
import { migrate } from '../../src/storage/migrate.ts';
import { openSession } from '../../src/storage/session.ts';
import { brandId, type Brands, CHANNEL } from './brands.ts';

/** Runs the work with a PostgreSQL of its own that holds the brands, in a temporary directory. */
export async function withBrandDatabase<T>(
  brands: Brands,
  work: (open: () => Promise<ChangeLog>) => Promise<T>,
): Promise<T> {
  const dataDir = await mkdtemp(join(tmpdir(), 'platen-bench-'));
  const postgres = await startEmbeddedPostgres({ dataDir, log: () => {}, fsync: false });
  try {
    await migrate(postgres.ownerUrl, postgres.serverUrl);
    await fill(postgres.ownerUrl, brands);
    const open = postgresChangeLog(postgres.serverUrl, SERVER_ROLE);
    return await work(() => open(() => {}, () => {}, new AbortController().signal));
  } finally {
    await postgres.stop();
    await rm(dataDir, { recursive: true });
  }
}

/** Writes rows past all checks, since only reading counts here: of each bundle three versions and three releases. */
async function fill(ownerUrl: string, { brands, bundles }: Brands): Promise<void> {
  const tenant = tenantDocument({ parent: ROOT_TENANT, displayName: '', variables: {}, capturePolicy: 'VARIABLES' });
  const snapshot = documentOf({ sections: [] });
  const targets = JSON.stringify([{ version: '1.2.0', bundleHash: snapshot.hash, weight: 100 }]);
  const session = await openSession(ownerUrl, 'platen bench');
  try {
    await session.em.transactional(async (em) => {
      await em.execute('set local session_replication_role = replica');
      for (const { hash, text } of [tenant, snapshot]) {
        await em.execute('insert into document (hash, content) values (?, ?)', [hash, text]);
      }
      await em.execute(
        `insert into tenant
         select '${brandId(0).slice(0, -1)}' || n, 'default', '', '{}', 'VARIABLES', 1, ?, now(), now(), ''
         from generate_series(0, ${brands - 1}) n`,
        [tenant.hash],
      );
      await em.execute(
        `insert into bundle
         select tenant, 'bundle-' || n, 'GREETING', 4, ?, '1.2.0', now(), now(), '', null
         from tenant, generate_series(0, ${bundles - 1}) n`,
        [snapshot.hash],
      );
      await em.execute(
        `insert into bundle_version (tenant, id, version, type, draft_hash, snapshot_hash, personality_hash,
           constraints_hash, edit_version, create_time, create_actor)
         select tenant, id, '1.' || n || '.0', type, draft_hash, draft_hash, '', draft_hash, 1, now(), ''
         from bundle, generate_series(0, 2) n`,
      );
      await em.execute(
        `insert into release
         select tenant, id, '${CHANNEL}', n, 'RELEASE', ?, n, 1, now(), '' from bundle, generate_series(1, 3) n`,
        [targets],
      );
      await em.execute(`insert into channel select tenant, id, '${CHANNEL}', 3 from bundle`);
      await em.execute(
        `insert into activation select tenant, 'GREETING', 'bundle-0', 1, 1, now(), '' from tenant`,
      );
    });
    await session.em.execute('vacuum analyze');
  } finally {
    await session.close();
  }
}
