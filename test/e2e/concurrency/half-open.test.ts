import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { RenderSource, type RenderResponse } from '../../../gen/platen/v1/render_service_pb.js';
import { openSession } from '../../../src/storage/session.ts';
import { Brand } from '../../support/authoring.ts';
import { DatabaseProxy } from '../../support/database-proxy.ts';
import { Platen } from '../../support/platen.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { byBundle, warned } from '../../support/rendering.ts';
import { until } from '../../support/until.ts';

const DEADLINE_MS = 1_000;

describe('a replica whose connections fall silent', () => {
  /** May use few connections to the database, as the test says; the replica listens as this login. */
  const login = `platen_listener_${randomBytes(6).toString('hex')}`;
  let database: TestDatabase;
  /** Stands before the connection that listens. */
  let listening: DatabaseProxy;
  /** Stands before all connections of the other replica. */
  let all: DatabaseProxy;
  let writer: Platen;
  let listener: Platen;
  let isolated: Platen;
  let brand: Brand;

  before(async () => {
    database = await createDatabase();
    await asOwner(database, `create role ${login} login password '${login}' in role platen_server`);
    // Lets a test put a pg_notify of its own before the real one.
    const [{ name } = { name: '' }] = await asOwner<{ name: string }>(database, 'select current_database() as name');
    await asOwner(database, `alter database ${name} set search_path = public, pg_catalog`);
    [listening, all] = await Promise.all([DatabaseProxy.start(database), DatabaseProxy.start(database)]);
    const url = new URL(listening.url);
    [url.username, url.password] = [login, login];
    [writer, listener, isolated] = await Promise.all([
      Platen.start(database),
      Platen.start(database, { PLATEN_DATABASE_DIRECT_URL: url.href }),
      Platen.start({ ...database, serverUrl: all.url }),
    ]);
    brand = await Brand.create(writer.clients);
  });

  after(async () => {
    await Promise.all([writer.stop(), listener.stop(), isolated.stop()]);
    await Promise.all([listening.stop(), all.stop()]);
    await asOwner(database, `drop role ${login}`);
    await database.drop();
  });

  function render(replica: Platen, bundleId: string): Promise<RenderResponse> {
    const request = { tenant: brand.tenant, target: byBundle(bundleId), fallbackText: 'nothing' };
    return replica.clients.renders.render(request, { timeoutMs: DEADLINE_MS });
  }

  function seen(replica: Platen, bundleId: string, text: string): Promise<void> {
    return until(`"${text}" is seen`, async () => (await render(replica, bundleId)).text === text);
  }

  /** A bundle that every replica renders. */
  async function released(): Promise<string> {
    const { bundleId } = await brand.bundle({ draft: 'one' });
    await Promise.all([listener, isolated].map((replica) => seen(replica, bundleId, 'one')));
    return bundleId;
  }

  async function release(id: string, draft: string): Promise<void> {
    await brand.bundle({ id, draft, version: '1.1.0' });
  }

  describe('A silent connection is caught up', () => {
    it('when notifications are lost', async () => {
      const bundleId = await released();
      const shadow = 'function public.pg_notify(text, text)';
      await asOwner(database, `create ${shadow} returns void language sql as ''`);
      await release(bundleId, 'two');
      await seen(listener, bundleId, 'two');
      await asOwner(database, `drop ${shadow}`);
    });

    it('when it is half open: nothing that is sent arrives, and nobody says so', async () => {
      const bundleId = await released();
      listening.strand();
      await release(bundleId, 'two');
      await seen(listener, bundleId, 'two');
      const lost = listener.logs.filter(({ msg }) => msg === 'the change log cannot be followed; connecting again');
      assert.match(JSON.stringify(lost), /the database was silent/);
    });

    it('when it is lost and the database has no connection to spare, as soon as it has', async () => {
      const bundleId = await released();
      await asOwner(database, `alter role ${login} connection limit 0`);
      await asOwner(database, 'select pg_terminate_backend(pid) from pg_stat_activity where usename = ?', [login]);
      const tooMany = 'too many connections for role';
      await until(tooMany, () => JSON.stringify(listener.logs).includes(tooMany));
      await release(bundleId, 'two');
      await asOwner(database, `alter role ${login} connection limit -1`);
      await seen(listener, bundleId, 'two');
      assert.equal(await listener.metric('platen_route_map_reloads_total'), 1);
    });

    it('when the log is locked for long: a session that waits gives way, so that they do not pile up', async () => {
      const bundleId = await released();
      const migration = await openSession(database.ownerUrl, 'platen test');
      await migration.em.execute('begin; lock table change in access exclusive mode');
      await until('the session gives way', () => JSON.stringify(listener.logs).includes('due to lock timeout'));
      await migration.em.execute('rollback');
      await migration.close();
      await release(bundleId, 'two');
      await seen(listener, bundleId, 'two');
    });
  });

  describe('An unverified head makes answers stale', () => {
    it('while the database is frozen: renders are answered in time, and are not stale once it goes on', async () => {
      const bundleId = await released();
      all.freeze();
      await until('answers are stale', async () => {
        const { text, source, warnings, seq } = await render(isolated, bundleId);
        assert.equal(text, 'one');
        if (source === RenderSource.ACTIVE) return false;
        assert.equal(source, RenderSource.STALE);
        assert(warned(warnings).includes(`POINTERS_UNVERIFIED ${seq}`));
        return true;
      });
      await release(bundleId, 'two');
      all.thaw();
      await seen(isolated, bundleId, 'two');
      assert.equal((await render(isolated, bundleId)).source, RenderSource.ACTIVE);
      assert.equal(await isolated.metric('platen_route_map_lag'), 0);
      assert.equal(await isolated.metric('platen_route_map_reloads_total'), 1);
    });
  });
});
