import assert from 'node:assert/strict';
import { Redis } from 'ioredis';
import { RenderSource } from '../../../gen/platen/v1/render_service_pb.js';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import { defaultPrompt } from '../../../src/domain/default-prompts.ts';
import { Brand } from '../../support/authoring.ts';
import { DatabaseProxy } from '../../support/database-proxy.ts';
import { failure, Platen } from '../../support/platen.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';
import { byBundle, byType } from '../../support/rendering.ts';
import { until } from '../../support/until.ts';

/** What an answer may take, whatever the stores do. */
const DEADLINE = { timeoutMs: 3_000 };

describe('renders that Redis and PostgreSQL stand behind', () => {
  let database: TestDatabase;
  let proxy: DatabaseProxy;
  let redis: TestRedis;
  let inside: Redis;
  let platen: Platen;
  let brand: Brand;
  let bundleId: string;
  let bundleHash: string;

  before(async () => {
    database = await createDatabase();
    proxy = await DatabaseProxy.start(database);
    redis = await startRedis();
    inside = new Redis(redis.url);
    inside.on('error', () => {});
    platen = await Platen.start(
      { ...database, serverUrl: proxy.url },
      // So little that nothing is held in memory: every render goes to the stores.
      { PLATEN_REDIS_URL: redis.url, PLATEN_BUNDLE_CACHE_BYTES: '1' },
    );
    brand = await Brand.create(platen.clients);
    const published = await brand.bundle({ draft: 'Good day', type: PromptType.GREETING, activate: true });
    ({ bundleId, bundleHash } = published);
    await answeredFrom('l2');
  });
  after(async () => {
    inside.disconnect();
    await platen.stop();
    await redis.stop();
    await proxy.stop();
    await database.drop();
  });

  function render() {
    return platen.clients.renders.render({ tenant: brand.tenant, target: byBundle(bundleId) }, DEADLINE);
  }

  async function hits(level: 'l2' | 'database'): Promise<number> {
    return (await platen.metric('bundle_cache_hits_total', `level="${level}",kind="document"`)) ?? 0;
  }

  /** Renders until the level answers; every answer on the way there has to be right. */
  async function answeredFrom(level: 'l2' | 'database'): Promise<void> {
    await until(`documents come from ${level}`, async () => {
      const before = await hits(level);
      assert.equal((await render()).text, 'Good day');
      return (await hits(level)) > before;
    });
  }

  function breaker(store: string): Promise<number | undefined> {
    return platen.metric('platen_store_breaker_state', `store="${store}"`);
  }

  async function breakerIs(state: 'closed' | 'open', store = 'redis'): Promise<void> {
    await until(`the breaker of ${store} is ${state}`, async () => {
      await render();
      return (await breaker(store)) === (state === 'open' ? 2 : 0);
    });
  }

  describe('A document falls through the levels', () => {
    it('Redis holds the bytes that are hashed, and answers while PostgreSQL is away', async () => {
      const [stored] = await inside.mgetBuffer(`document:${bundleHash}`);
      const { canonicalJson } = await platen.clients.bundles
        .getBundleVersion({ tenant: brand.tenant, bundleId, version: '1.0.0' })
        .then(({ version }) => ({ canonicalJson: version!.canonicalJson }));
      assert.equal(stored!.toString('utf8'), canonicalJson);
      proxy.cut();
      const before = await hits('l2');
      assert.equal((await render()).text, 'Good day');
      assert.equal(await hits('l2'), before + 1);
      proxy.mend();
    });

    it('exact versions as well', async () => {
      const exact = byBundle(bundleId, { version: '1.0.0' });
      assert.equal((await platen.clients.renders.render({ tenant: brand.tenant, target: exact })).text, 'Good day');
      await until('the version is in Redis', async () => (await inside.exists(`version:${brand.tenant}:${bundleId}:1.0.0`)) === 1);
    });
  });

  describe('A store that does not answer is left alone', () => {
    it('Redis is killed, PostgreSQL answers; it is restarted, empty, and is filled again', async () => {
      await redis.kill();
      await answeredFrom('database');
      await breakerIs('open');
      assert.equal((await fetch(`${platen.httpUrl}/readyz`)).status, 200);
      await redis.restart();
      await breakerIs('closed');
      await answeredFrom('l2');
      assert.ok(platen.logs.some(({ store, msg }) => store === 'redis' && String(msg).includes('left alone')));
    });

    it('Redis is frozen', async () => {
      redis.pause();
      await answeredFrom('database');
      await breakerIs('open');
      assert.ok((await platen.metric('platen_store_rejections_total', 'store="redis",reason="timeout"'))! > 0);
      redis.resume();
      await breakerIs('closed');
      await answeredFrom('l2');
    });

    it('Redis is full: it is read all the same, what cannot be written is counted', async () => {
      const errors = async () => (await platen.metric('platen_redis_errors_total', 'operation="set"')) ?? 0;
      const before = await errors();
      await inside.del(`document:${bundleHash}`);
      await inside.config('SET', 'maxmemory', '1');
      await until('a write was refused', async () => {
        await answeredFrom('database');
        return (await errors()) > before;
      });
      assert.equal(await breaker('redis'), 0);
      await inside.config('SET', 'maxmemory', '0');
      await answeredFrom('l2');
    });

    it('Redis is flushed', async () => {
      await inside.flushall();
      await answeredFrom('database');
      await answeredFrom('l2');
    });
  });

  describe('Wrong bytes in Redis are found and replaced', () => {
    it('of every key', async () => {
      const right = await inside.getBuffer(`document:${bundleHash}`);
      for (const key of await inside.keys('*')) await inside.set(key, 'garbage');
      const before = (await platen.metric('bundle_cache_corrupt_total', 'kind="document"')) ?? 0;
      assert.equal((await render()).text, 'Good day');
      assert.equal(await platen.metric('bundle_cache_corrupt_total', 'kind="document"'), before + 1);
      await answeredFrom('l2');
      assert.deepEqual(await inside.getBuffer(`document:${bundleHash}`), right);
    });
  });

  describe('A render ends in time whatever the stores do', () => {
    it('both are away: by type the default answers, by bundle it is unavailable; and back again', async () => {
      proxy.cut();
      redis.pause();
      const byPromptType = { tenant: brand.tenant, target: byType(PromptType.GREETING) };
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => platen.clients.renders.render(byPromptType, DEADLINE)),
      );
      for (const answer of answers) {
        assert.deepEqual([answer.source, answer.bundleHash], [RenderSource.FALLBACK, defaultPrompt('GREETING').hash]);
      }
      assert.equal((await failure(render())).reason, 'DATABASE_UNAVAILABLE');
      assert.equal((await fetch(`${platen.httpUrl}/readyz`)).status, 200);
      proxy.mend();
      redis.resume();
      await until('everything is as it was', async () => {
        const answer = await platen.clients.renders.render(byPromptType, DEADLINE);
        return answer.text === 'Good day' && answer.source === RenderSource.ACTIVE && answer.warnings.length === 0;
      });
    });
  });
});
