import assert from 'node:assert/strict';
import pg from 'pg';
import { documentOf } from '../../../src/domain/document.ts';
import { PROMPT_TYPES } from '../../../src/domain/prompt-type.ts';
import type { RouteMap } from '../../../src/domain/route-map.ts';
import { tenantDocument } from '../../../src/domain/tenant.ts';
import { postgresChangeLog } from '../../../src/routing/postgres-change-log.ts';
import type { ChangeLog } from '../../../src/routing/route-feed.ts';
import type { WriteTransaction } from '../../../src/services/stores.ts';
import { asOwner } from '../../support/postgres.ts';
import { bundleVersion, changeEntry, draftRecord, tenantRecord } from '../../support/storage/records.ts';
import { openRegistry, type Registry } from '../../support/storage/registry.ts';
import { until } from '../../support/until.ts';

const ROLE = 'platen_server';
/** No table has a multiple of it, and most have more. */
const PAGE_ROWS = 4;
const BUNDLES = 10;
const CHANNELS = ['production', 'beta', 'alpha'];
const DAY = 86_400_000;

/** Writes `bundle-0` and so on with a version each, released on every channel, twice on the first. */
async function writeBundles(tx: WriteTransaction): Promise<void> {
  for (let n = 0; n < BUNDLES; n += 1) {
    const id = `bundle-${n}`;
    const draft = draftRecord(id);
    const version = bundleVersion(id, '1.0.0');
    for (const document of [draft.draft, version.draft, version.snapshot]) await tx.putDocument(document);
    await tx.insertBundle(draft, []);
    const bundle = { entityKind: 'BUNDLE', entityId: id } as const;
    await tx.appendChange(changeEntry({ ...bundle, detail: { type: draft.type, edit_version: 1 } }));
    await tx.insertBundleVersion(version);
    await tx.appendChange(changeEntry({ ...bundle, action: 'PUBLISH', detail: { version: '1.0.0' } }));
    await release(tx, id, CHANNELS[0]!, 1, version.snapshot.hash);
    for (const [index, channel] of CHANNELS.entries()) {
      await release(tx, id, channel, index === 0 ? 2 : 1, n === 0 ? undefined : version.snapshot.hash);
    }
  }
}

/** @param bundleHash undefined: the channel is withdrawn */
async function release(
  tx: WriteTransaction,
  bundleId: string,
  channel: string,
  revision: number,
  bundleHash: string | undefined,
): Promise<void> {
  const kind = bundleHash === undefined ? 'WITHDRAW' : 'RELEASE';
  const targets = bundleHash === undefined ? [] : [{ version: '1.0.0', bundleHash, weight: 100 }];
  const detail = {
    channel,
    revision,
    kind,
    origin_revision: revision,
    targets: targets.map(({ bundleHash: hash, ...target }) => ({ ...target, bundle_hash: hash })),
  };
  const seq = await tx.appendChange(changeEntry({ action: kind, entityKind: 'BUNDLE', entityId: bundleId, detail }));
  const place = { tenant: 'default', bundleId, channel, revision, kind, targets, originRevision: revision } as const;
  await tx.insertRelease({ ...place, seq, createTime: tx.time, createActor: tx.actor });
}

async function writeTenants(tx: WriteTransaction): Promise<void> {
  for (let n = 0; n < PAGE_ROWS + 1; n += 1) {
    const content = { parent: 'default', displayName: '', variables: { n }, capturePolicy: 'FULL' as const };
    const document = tenantDocument(content);
    const tenant = `tenant-${n}`;
    await tx.putDocument(document);
    await tx.insertTenant(tenantRecord(tenant, { ...content, documentHash: document.hash }));
    await tx.appendChange(
      changeEntry({ tenant, entityKind: 'TENANT', entityId: tenant, afterHash: document.hash }),
    );
  }
}

async function writeActivations(tx: WriteTransaction): Promise<void> {
  for (const type of PROMPT_TYPES) {
    const bundleId = type === 'GREETING' ? 'bundle-1' : '';
    const detail = { type, bundle_id: bundleId, revision: 1 };
    const seq = await tx.appendChange(
      changeEntry({ action: 'ACTIVATE', entityKind: 'ACTIVATION', entityId: type, detail }),
    );
    const place = { tenant: 'default', type, bundleId, revision: 1 };
    await tx.putActivation({ ...place, seq, updateTime: tx.time, updateActor: tx.actor });
  }
}

/** Everything that a map says of what was written. */
function said(map: RouteMap): unknown {
  return {
    head: [map.seq, map.chainHash],
    scopes: [...map.tenants()].toSorted().map((tenant) => [tenant, map.lineage(tenant), map.scope(tenant)]),
    types: PROMPT_TYPES.map((type) => map.resolveType('tenant-2', type, 'production')),
    bundles: Array.from({ length: BUNDLES }, (_, n) => [
      map.pinCandidates('tenant-2', `bundle-${n}`),
      ...CHANNELS.map((channel) => map.resolveBundle('tenant-2', `bundle-${n}`, channel)),
    ]),
  };
}

describe('The map loads in one snapshot', () => {
  let registry: Registry;
  let log: ChangeLog;
  let lost: Error[];

  function open(paging: { rows: number; timeoutMs: number } | undefined): Promise<ChangeLog> {
    const opened = postgresChangeLog(registry.test.serverUrl, ROLE, paging);
    return opened(() => {}, (error) => lost.push(error), new AbortController().signal);
  }

  /** The sessions that follow the log and are in a transaction. */
  function transactions(): Promise<{ waits_for: string | null }[]> {
    return asOwner(
      registry.test,
      `select wait_event_type as waits_for from pg_stat_activity
       where application_name = 'platen-routes' and datname = current_database() and xact_start is not null`,
    );
  }

  /** Runs the work while nobody can read the table. */
  async function whileLocked<T>(table: string, work: () => Promise<T>): Promise<T> {
    const session = new pg.Client({ connectionString: registry.test.ownerUrl });
    await session.connect();
    try {
      await session.query(`begin; lock table ${table} in access exclusive mode`);
      return await work();
    } finally {
      await session.end();
    }
  }

  beforeEach(async () => {
    lost = [];
    registry = await openRegistry();
  });

  afterEach(async () => {
    await log.close();
    await registry.close();
  });

  it('page by page, as the log would have made it', async () => {
    log = await open({ rows: PAGE_ROWS, timeoutMs: DAY });
    const folded = await log.load();
    await registry.write(writeTenants);
    await registry.write(writeBundles);
    await registry.write(writeActivations);
    await registry.write(async (tx) => {
      await tx.updateBundle(draftRecord('bundle-9', { archiveTime: tx.time }), []);
      await tx.appendChange(changeEntry({ action: 'ARCHIVE', entityKind: 'BUNDLE', entityId: 'bundle-9' }));
    });
    for (const change of (await log.from(folded.seq, 1_000)).slice(1)) folded.apply(change);

    const loaded = await log.load();
    assert.deepEqual(said(loaded), said(folded));
    assert.equal([...loaded.tenants()].length, PAGE_ROWS + 2);
    assert.deepEqual(loaded.resolveType('tenant-2', 'GREETING', 'production'), {
      tenant: 'default',
      bundleId: 'bundle-1',
      version: '1.0.0',
      bundleHash: bundleVersion('bundle-1', '1.0.0').snapshot.hash,
      channel: 'production',
      revision: 2,
    });
    assert.equal(loaded.resolveBundle('default', 'bundle-0', 'production'), undefined);
    assert.equal(loaded.resolveBundle('default', 'bundle-9', 'production'), undefined);
    assert.deepEqual(await transactions(), []);
  });

  it('whatever is written while it loads', async () => {
    await registry.write(writeBundles);
    log = await open({ rows: PAGE_ROWS, timeoutMs: DAY });
    const before = said(await log.load());
    const { loading } = await whileLocked('tenant', async () => {
      const loading = log.load();
      await until('the load waits', async () => (await transactions()).some(({ waits_for }) => waits_for === 'Lock'));
      await registry.write(async (tx) => {
        for (let n = 1; n < BUNDLES; n += 1) await release(tx, `bundle-${n}`, 'production', 3, documentOf(n).hash);
      });
      return { loading };
    });
    const loaded = await loading;
    assert.deepEqual(said(loaded), before);
    const missed = (await log.from(loaded.seq, 1_000)).slice(1);
    assert.equal(missed.length, BUNDLES - 1);
    for (const change of missed) loaded.apply(change);
    assert.deepEqual(said(loaded), said(await log.load()));
  });

  it('or fails, with no transaction left open', async () => {
    log = await open(undefined);
    await asOwner(registry.test, `revoke select on activation from ${ROLE}`);
    await assert.rejects(log.load(), /permission denied for table activation/);
    await until('no transaction is open', async () => (await transactions()).length === 0);
    await assert.rejects(log.load());
    assert.deepEqual(lost, []);
  });

  it('or fails when a page does not come in time, with no transaction left open', async () => {
    await whileLocked('channel', async () => {
      log = await open({ rows: PAGE_ROWS, timeoutMs: 100 });
      await assert.rejects(log.load(), /timeout/);
      await until('no transaction is open', async () => (await transactions()).length === 0);
    });
  });
});
