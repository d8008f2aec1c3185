import assert from 'node:assert/strict';
import pg from 'pg';
import { RenderSource } from '../../../gen/platen/v1/render_service_pb.js';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import { Brand } from '../../support/authoring.ts';
import { failure, Platen } from '../../support/platen.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { byBundle, byType, warned, type RenderInit } from '../../support/rendering.ts';
import { until } from '../../support/until.ts';

const DEADLINE = { timeoutMs: 3_000 };

describe('renders while PostgreSQL is there and of no use', () => {
  let database: TestDatabase;
  let platen: Platen;
  let brand: Brand;
  let held: string;
  let greeting: string;
  let farewell: string;

  before(async () => {
    database = await createDatabase();
    const author = await Platen.start(database);
    brand = await Brand.create(author.clients);
    held = (await brand.bundle({ draft: 'held' })).bundleId;
    const { GREETING, FAREWELL } = PromptType;
    greeting = (await brand.bundle({ draft: 'good day', type: GREETING, activate: true })).bundleId;
    farewell = (await brand.bundle({ draft: 'so long', type: FAREWELL, activate: true })).bundleId;
    await author.stop();
    // Released before it started, and not rendered since: nothing but what is rendered now is in its memory.
    platen = await Platen.start(database, { PLATEN_DATABASE_POOL_MAX: '2' });
    await render({ target: byBundle(held) });
  });
  after(async () => {
    await platen.stop();
    await database.drop();
  });

  function render(request: RenderInit) {
    return platen.clients.renders.render({ tenant: brand.tenant, ...request }, DEADLINE);
  }

  function breaker(store: string) {
    return platen.metric('platen_store_breaker_state', `store="${store}"`);
  }

  describe('A render ends in time whatever the stores do', () => {
    it('reads hang: what is held renders and is recorded, the rest falls back, and the breaker opens', async () => {
      const owner = new pg.Client({ connectionString: database.ownerUrl });
      await owner.connect();
      const target = byType(PromptType.GREETING);
      try {
        await owner.query('begin');
        await owner.query('lock table document in access exclusive mode');
        const answers = await Promise.all(Array.from({ length: 20 }, () => render({ target })));
        for (const { source } of answers) assert.equal(source, RenderSource.FALLBACK);
        await until('the breaker of reads is open', async () => {
          assert.equal((await failure(render({ target: byBundle(greeting) }))).reason, 'DATABASE_UNAVAILABLE');
          return (await breaker('postgres_reads')) === 2;
        });
        const { text, warnings } = await render({ target: byBundle(held) });
        assert.equal(text, 'held');
        assert.deepEqual(warned(warnings).filter((warning) => !warning.startsWith('POINTERS_UNVERIFIED')), []);
        const { tenants } = await platen.clients.tenants.listTenants({}, DEADLINE);
        assert.ok(tenants.some(({ tenant }) => tenant === brand.tenant));
      } finally {
        await owner.end();
      }
      await until('it is read again', async () => (await render({ target })).text === 'good day');
      assert.equal(await breaker('postgres_reads'), 0);
    });

    it('no connection can be made: what is held renders, STALE after 3 s, the rest falls back', async () => {
      const name = new URL(database.ownerUrl).pathname.slice(1);
      await asOwner(database, `alter database ${name} connection limit 0`);
      await asOwner(
        database,
        `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like 'platen%' and pid <> pg_backend_pid()`,
      );
      assert.equal((await render({ target: byType(PromptType.FAREWELL) })).source, RenderSource.FALLBACK);
      assert.equal((await failure(render({ target: byBundle(farewell) }))).reason, 'DATABASE_UNAVAILABLE');
      await until('answers are stale', async () => {
        const { text, source } = await render({ target: byBundle(held) });
        assert.equal(text, 'held');
        return source === RenderSource.STALE;
      });
      assert.ok((await platen.metric('platen_route_map_unverified_seconds'))! > 3);
      assert.equal((await fetch(`${platen.httpUrl}/readyz`)).status, 200);

      await asOwner(database, `alter database ${name} connection limit -1`);
      await until('all is well', async () => {
        const { text, source, warnings } = await render({ target: byType(PromptType.FAREWELL) });
        return text === 'so long' && source === RenderSource.ACTIVE && warnings.length === 0;
      });
      await until('the pointers are proved', async () => (await platen.metric('platen_route_map_unverified_seconds'))! < 1);
    });
  });
});
