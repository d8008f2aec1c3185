import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Redis } from 'ioredis';
import type { RedisStore } from '../../../src/cache/redis.ts';
import { seal } from '../../../src/cache/sealed.ts';
import { bareRedis, connectRedis, openRedis } from '../../support/redis-store.ts';
import { type TestRedis, startRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

const ONE = Buffer.from('1');
const UNAVAILABLE = { name: 'Unavailable', reason: 'DATABASE_UNAVAILABLE' };

/** Reads until something else than a failure comes. */
async function untilAnswered(store: RedisStore): Promise<void> {
  await until('Redis answers', () => store.get('key').then(() => true, () => false));
}

/** Reads until the breaker opens; each read must fail by itself. */
async function untilOpen(store: RedisStore, told: readonly string[]): Promise<void> {
  const before = told.filter((line) => line === 'open').length;
  while (told.filter((line) => line === 'open').length === before) await assert.rejects(store.get('key'), UNAVAILABLE);
}

describe('A store that does not answer is left alone', () => {
  describe('Redis', () => {
    let server: TestRedis;
    let bare: Redis;

    before(async () => {
      server = await startRedis();
      bare = bareRedis(server.url);
      bare.on('error', () => {});
    });

    after(async () => {
      bare.disconnect();
      await server.stop();
    });

    it('that was never there', async () => {
      const gone = await startRedis();
      await gone.stop();
      const { store, told } = openRedis(gone.url.replace('127.0.0.1', 'localhost'));
      await untilOpen(store, told);
      await assert.rejects(store.get('key'), { message: 'Redis: redis is left alone, because it did not answer' });
      await until('the reason is told', () => told.some((line) => /^disconnected: .*ECONNREFUSED/.test(line)));
      store.close();
    });

    it('that ends, and starts again empty', async () => {
      const { store, told } = await connectRedis(server.url);
      await store.set('key', ONE, 60);
      await server.kill();
      await untilOpen(store, told);
      await server.restart();
      await untilAnswered(store);
      assert.equal(await store.get('key'), undefined);
      assert.equal(told.findLast((line) => line === 'open' || line === 'closed'), 'closed');
      store.close();
    });

    it('that is frozen; the connection is given up for another', async () => {
      const { store, told } = await connectRedis(server.url, { timeoutMs: 100 });
      server.pause();
      await untilOpen(store, told);
      await assert.rejects(store.set('key', ONE, 60), UNAVAILABLE);
      await assert.rejects(store.setForward('forward', 1, ONE, 60), UNAVAILABLE);
      await until('the silence is told', () => told.some((line) => line.startsWith('disconnected: Socket timeout')));
      server.resume();
      await untilAnswered(store);
      assert.equal(told.findLast((line) => line === 'open' || line === 'closed'), 'closed');
      assert(told.filter((line) => line === 'connected').length >= 2);
      store.close();
    });

    it('that is frozen while it is left', async () => {
      server.pause();
      const source = join(import.meta.dirname, '..', '..', 'support', 'redis-store.ts');
      const script = `
        const { openRedis } = await import(${JSON.stringify(source)});
        const { store } = openRedis(${JSON.stringify(server.url)}, { timeoutMs: 100 });
        await store.get('key').catch(() => {});
        store.close();
        await store.get('key').catch((error) => console.log(error.message));`;
      const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
      server.resume();
      assert.match(stdout, /^Redis: /);
    });

    it('but not one that is full, which still reads', async () => {
      const { store, told } = await connectRedis(server.url);
      await store.set('key', ONE, 60);
      await bare.config('SET', 'maxmemory-policy', 'noeviction');
      await bare.config('SET', 'maxmemory', '1');
      const forward = seal('forward', '1\n');
      for (let time = 0; time < 6; time += 1) {
        await assert.rejects(store.set('other', ONE, 60), { ...UNAVAILABLE, message: /^Redis: OOM / });
        await assert.rejects(store.setForward('forward', 1, forward, 60), { ...UNAVAILABLE, message: /OOM / });
      }
      assert.deepEqual(await store.get('key'), ONE);
      await bare.config('SET', 'maxmemory', '0');
      await store.set('other', ONE, 60);
      assert(!told.includes('open'));
      assert(told.some((line) => line.startsWith('failed set: OOM')));
      store.close();
    });

    it('nor one that holds something else under a key, which counts as nothing', async () => {
      const { store, told } = await connectRedis(server.url);
      await bare.rpush('list', 'one', 'two');
      assert.equal(await store.get('list'), undefined);
      await store.set('list', ONE, 60);
      assert.deepEqual(await store.get('list'), ONE);
      assert.deepEqual(told.filter((line) => line === 'open' || line.startsWith('failed')), []);
      store.close();
    });

    it('nor one that became a replica, which still reads; its address is looked up anew', async () => {
      const { store, told } = await connectRedis(server.url);
      await store.set('key', ONE, 60);
      await bare.replicaof('127.0.0.1', '1');
      const failed = await Promise.allSettled(Array.from({ length: 20 }, () => store.set('key', ONE, 60)));
      assert(failed.every((each) => each.status === 'rejected'));
      await until('it is connected again', () => told.filter((line) => line === 'connected').length >= 2);
      await untilAnswered(store);
      await bare.replicaof('NO', 'ONE');
      await until('it takes writes again', () => store.set('key', ONE, 60).then(() => true, () => false));
      assert(told.some((line) => line.startsWith('failed set: READONLY')));
      store.close();
    });
  });
});
