import assert from 'node:assert/strict';
import type { Redis } from 'ioredis';
import type { RedisStore } from '../../../src/cache/redis.ts';
import { seal } from '../../../src/cache/sealed.ts';
import { bareRedis, connectRedis, openRedis } from '../../support/redis-store.ts';
import { type TestRedis, keyPrefix, startRedis, testRedisUrl } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

describe('Redis may be one server, Sentinel or Cluster', () => {
  describe('one server', () => {
    const prefix = keyPrefix();
    let store: RedisStore;
    let bare: Redis;

    before(async () => {
      const url = await testRedisUrl();
      ({ store } = await connectRedis(url, { prefix }));
      bare = bareRedis(url);
    });

    after(() => {
      store.close();
      bare.disconnect();
    });

    it('gives back the bytes that were put there', async () => {
      const bytes = Buffer.from([0, 0xff, 0x0d, 0x0a, 0x80]);
      await store.set('bytes', bytes, 60);
      assert.deepEqual(await store.get('bytes'), bytes);
      await store.set('bytes', Buffer.alloc(0), 60);
      assert.deepEqual(await store.get('bytes'), Buffer.alloc(0));
      assert.equal(await store.get('nothing'), undefined);
    });

    it('has the prefix before every key', async () => {
      await store.set('a', Buffer.from('1'), 60);
      await store.setForward('b', 1, seal('b', '1\n'), 60);
      assert.deepEqual((await bare.keys(`${prefix}[ab]`)).toSorted(), [`${prefix}a`, `${prefix}b`]);
    });

    it('forgets what is not written again in time', async () => {
      await store.set('a', Buffer.from('1'), 60);
      await store.setForward('b', 1, seal('b', '1\n'), 120);
      const ttls = [await bare.ttl(`${prefix}a`), await bare.ttl(`${prefix}b`)] as const;
      assert(ttls[0] > 0 && ttls[0] <= 60);
      assert(ttls[1] > 60 && ttls[1] <= 120);
    });

    it('gives each key its own, however many are asked for in one turn, and some of them twice', async () => {
      const keys = Array.from({ length: 100 }, (_, i) => `many-${i}`);
      await Promise.all(keys.map((key, i) => i % 3 > 0 && store.set(key, Buffer.from(key), 60)));
      const held = await Promise.all([...keys, ...keys].map((key) => store.get(key)));
      assert.deepEqual(
        held.map((bytes) => bytes?.toString()),
        [...keys, ...keys].map((key, i) => ((i % 100) % 3 > 0 ? key : undefined)),
      );
    });

    it('may have a database of another number', async () => {
      const url = new URL(await testRedisUrl());
      url.pathname = '/7';
      const other = await connectRedis(url.href, { prefix });
      await other.store.set('in-7', Buffer.from('1'), 60);
      assert.equal(await store.get('in-7'), undefined);
      assert.deepEqual(await other.store.get('in-7'), Buffer.from('1'));
      other.store.close();
    });
  });

  describe('a database that Redis refuses', () => {
    it('is not database 0 instead', async () => {
      const server = await startRedis(['--port', '{port}', '--databases', '2']);
      const { store: zero } = await connectRedis(server.url);
      await zero.set('key', Buffer.from("another installation's"), 60);
      const { store, told } = openRedis(`${server.url}/2`);
      await until('it is told twice', () => told.filter((line) => line.includes('index is out of range')).length > 1);
      for (let round = 0; round < 20; round += 1) await assert.rejects(store.get('key'));
      zero.close();
      store.close();
      await server.stop();
    });
  });

  describe('what Redis says', () => {
    it('is told without the password that it repeats', async () => {
      const server = await startRedis(['--port', '{port}', '--rename-command', 'AUTH', '']);
      const { store, told } = openRedis(server.url.replace('//', '//:s3cret@'));
      await until('it is told', () => told.some((line) => line.startsWith('disconnected')));
      assert.deepEqual(told.filter((line) => line.includes('s3cret')), []);
      store.close();
      await server.stop();
    });
  });

  describe('with passwords', () => {
    let server: TestRedis;

    before(async () => {
      const user = ['--user', 'app', 'on', '>other', '~p:*', '+@all'];
      server = await startRedis(['--port', '{port}', '--requirepass', 's:cr@t', ...user]);
    });

    after(() => server.stop());

    const urlOf = (user: string) => server.url.replace('//', `//${user}@`);

    it('of the default user', async () => {
      const { store } = await connectRedis(urlOf(':s%3Acr%40t'));
      await store.set('key', Buffer.from('1'), 60);
      store.close();
    });

    it('of a user with few rights', async () => {
      const { store, told } = await connectRedis(urlOf('app:other'), { prefix: 'p:' });
      await store.set('key', Buffer.from('1'), 60);
      assert.deepEqual(await store.get('key'), Buffer.from('1'));
      store.close();
      const elsewhere = await connectRedis(urlOf('app:other'), { prefix: 'q:' });
      await assert.rejects(elsewhere.store.get('key'), { name: 'Unavailable', message: /^Redis: NOPERM/ });
      elsewhere.store.close();
      assert(!told.includes('open'));
    });

    it('and a wrong one is told without the password', async () => {
      const { store, told } = openRedis(urlOf('app:hunter2'));
      await until('the password is refused', () => told.some((line) => line.startsWith('disconnected: WRONGPASS')));
      await assert.rejects(store.get('key'), { name: 'Unavailable', reason: 'DATABASE_UNAVAILABLE' });
      store.close();
      assert(!told.join().includes('hunter2'));
    });
  });
});
