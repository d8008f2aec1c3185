import assert from 'node:assert/strict';
import { Redis } from 'ioredis';
import { RenderSource } from '../../../gen/platen/v1/render_service_pb.js';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import { defaultPrompt } from '../../../src/domain/default-prompts.ts';
import { openSession } from '../../../src/storage/session.ts';
import { Brand } from '../../support/authoring.ts';
import { connect } from '../../../src/cli/client.ts';
import { DatabaseProxy } from '../../support/database-proxy.ts';
import { PlatenProcess } from '../../support/platen-process.ts';
import { failure, Platen } from '../../support/platen.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { keyPrefix, testRedisUrl } from '../../support/redis.ts';
import { byBundle, byType, origin, warned } from '../../support/rendering.ts';
import { until } from '../../support/until.ts';

const GREETING = byType(PromptType.GREETING);

describe('A replica starts without PostgreSQL', () => {
  let database: TestDatabase;
  let redis: Redis;
  let settings: Record<string, string>;
  let seen: Platen;
  let brand: Brand;
  let bundleId: string;

  before(async () => {
    database = await createDatabase();
    redis = new Redis(await testRedisUrl());
    settings = { PLATEN_REDIS_URL: await testRedisUrl(), PLATEN_REDIS_PREFIX: keyPrefix() };
    seen = await Platen.start(database, settings);
    brand = await Brand.create(seen.clients, { variables: { brand: 'Acme' } });
    const draft = 'Welcome to {brand}, {name}';
    const published = await brand.bundle({ draft, type: PromptType.GREETING, activate: true });
    ({ bundleId } = published);
    await until('the pointers are in Redis', () => held(published.seq));
  });
  after(async () => {
    redis.disconnect();
    await seen.stop();
    await database.drop();
  });

  /** Whether the tenant's pointer in Redis is of the change, or of a later one. */
  async function held(seq: bigint): Promise<boolean> {
    const pointer = await redis.get(`${settings['PLATEN_REDIS_PREFIX']}prompt:${brand.tenant}:GREETING`);
    return pointer !== null && BigInt(pointer.split('\n')[1]!) >= seq;
  }

  const request = () => ({
    tenant: brand.tenant,
    target: GREETING,
    variables: { name: { kind: { case: 'stringValue' as const, value: 'Ada' } } },
  });

  it('with pointers that another one left in Redis, STALE, until it has its own', async () => {
    const before = await seen.clients.renders.render(request());
    assert.deepEqual([before.text, before.source], ['Welcome to Acme, Ada', RenderSource.ACTIVE]);
    const proxy = await DatabaseProxy.start(database);
    proxy.cut();
    const starting = await Platen.start({ ...database, serverUrl: proxy.url, ownerUrl: proxy.url }, settings);
    try {
      assert.equal((await fetch(`${starting.httpUrl}/readyz`)).status, 200);
      assert.ok(starting.logs.some(({ level, msg }) => level === 'warn' && String(msg).startsWith('serving, with pointers')));
      const answer = await starting.clients.renders.render(request());
      assert.equal(origin(answer), `STALE ${brand.tenant}/${bundleId}@1.0.0#production.1`);
      assert.deepEqual([answer.renderedHash, answer.bundleHash], [before.renderedHash, before.bundleHash]);
      assert.ok(warned(answer.warnings).includes(`POINTERS_UNVERIFIED ${answer.seq}`));
      assert.equal(await starting.metric('platen_route_map_unverified_seconds'), Infinity);

      const byId = starting.clients.renders.render({ tenant: brand.tenant, target: byBundle(bundleId) });
      assert.equal((await failure(byId)).reason, 'DATABASE_UNAVAILABLE');
      const unheld = await starting.clients.renders.render({ ...request(), tenant: 'nobody' });
      assert.equal(unheld.bundleHash, defaultPrompt('GREETING').hash);

      proxy.mend();
      await until('it has its own pointers', async () => {
        const { source } = await starting.clients.renders.render(request());
        return source === RenderSource.ACTIVE;
      });
      assert.equal((await starting.clients.renders.render({ ...byTarget(), minSeq: before.seq })).source, RenderSource.ACTIVE);
    } finally {
      await starting.stop();
      await proxy.stop();
    }
  });

  const byTarget = () => ({ ...request(), target: byBundle(bundleId) });

  it('or while another one migrates, and drains at once while its start goes on', async () => {
    const other = await openSession(database.ownerUrl, 'platen test');
    await other.em.execute('select pg_advisory_lock(7521386)');
    const starting = await Platen.start(database, settings);
    assert.equal(origin(await starting.clients.renders.render(request())).split(' ')[0], 'STALE');
    await other.em.execute('begin; lock table document in access exclusive mode');
    await other.em.execute('select pg_advisory_unlock(7521386)');
    await until('its start waits', blocked);
    const stopped = starting.stop();
    await until('it drains', () => fetch(`${starting.httpUrl}/readyz`).then(() => false, () => true));
    assert.equal(await blocked(), true);
    await other.em.execute('rollback');
    await other.close();
    await stopped;
  });

  async function blocked(): Promise<boolean> {
    const waiting = `select 1 from pg_stat_activity
      where application_name = 'platen' and wait_event_type = 'Lock' and datname = current_database()`;
    return (await asOwner(database, waiting)).length > 0;
  }

  it('but not ready where Redis holds nothing either: built-in defaults answer by type', async () => {
    const proxy = await DatabaseProxy.start(database);
    proxy.cut();
    const process = new PlatenProcess(['serve'], {
      ...settings,
      PLATEN_DATABASE_URL: proxy.url,
      PLATEN_REDIS_PREFIX: keyPrefix(),
      PLATEN_DRAIN_TIMEOUT_MS: '0',
    });
    try {
      const { grpc, http } = await process.logged('listening');
      await process.logged('waiting for the database');
      const { clients, close } = connect(`http://${grpc}`);
      const answer = await clients.renders.render(request());
      close();
      assert.equal(answer.bundleHash, defaultPrompt('GREETING').hash);
      assert.equal((await fetch(`http://${http}/readyz`)).status, 503);
    } finally {
      await process.end();
      await proxy.stop();
    }
  });
});
