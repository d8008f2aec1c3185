import assert from 'node:assert/strict';
import type { Redis } from 'ioredis';
import { seal } from '../../../src/cache/sealed.ts';
import { type OpenedRedis, bareRedis, connectRedis } from '../../support/redis-store.ts';
import { type TestCluster, startCluster } from '../../support/redis-topologies.ts';
import { until } from '../../support/until.ts';

const KEYS = Array.from({ length: 30 }, (_, index) => `key-${index}`);

describe('Redis may be one server, Sentinel or Cluster', () => {
  describe('a Cluster', () => {
    let cluster: TestCluster;
    let nodes: Redis[];
    let opened: OpenedRedis;

    before(async () => {
      cluster = await startCluster();
      nodes = cluster.nodes.map(({ url }) => bareRedis(url));
      for (const node of nodes) node.on('error', () => {});
    });

    beforeEach(async () => {
      opened = await connectRedis(cluster.url);
    });

    afterEach(() => opened.store.close());

    after(async () => {
      for (const node of nodes) node.disconnect();
      await cluster.stop();
    });

    const writeAll = () => Promise.all(KEYS.map((key) => opened.store.set(key, Buffer.from(key), 60)));
    const readAll = async () => (await Promise.all(KEYS.map((key) => opened.store.get(key)))).map(String);

    it('holds each key on the master of its slot', async () => {
      await writeAll();
      assert.deepEqual(await readAll(), KEYS);
      for (const node of nodes) assert(await node.dbsize() > 0);
    });

    it('takes values that only go forward', async () => {
      const write = (seq: number) => {
        return Promise.all(KEYS.map((key) => opened.store.setForward(key, seq, seal(key, `${seq}\n`), 60)));
      };
      await write(2);
      await write(1);
      assert.deepEqual(await readAll(), KEYS.map((key) => String(seal(key, '2\n'))));
    });

    it('may move a slot to another master', async () => {
      await opened.store.set('moved', Buffer.from('1'), 60);
      const slot = Number(await nodes[0]!.cluster('KEYSLOT', 'moved'));
      const from = nodes[Math.floor((slot * 3) / 16_384)]!;
      const to = nodes.find((node) => node !== from)!;
      await from.del('moved');
      const id = String(await to.cluster('MYID'));
      for (const node of [to, from, ...nodes]) await node.cluster('SETSLOT', slot, 'NODE', id);
      await opened.store.set('moved', Buffer.from('2'), 60);
      assert.equal(await to.get('moved'), '2');
      assert.equal(String(await opened.store.get('moved')), '2');
    });

    it('may lose a master, which fails what it held and nothing else, then all, and get them back', async () => {
      await writeAll();
      await cluster.nodes[2]!.kill();
      const results = await Promise.allSettled(KEYS.map((key) => opened.store.get(key)));
      const failed = results.filter((each) => each.status === 'rejected');
      assert(failed.length > 0 && failed.length < KEYS.length);
      await Promise.all(cluster.nodes.map((node) => node.kill()));
      const all = await Promise.allSettled(KEYS.map((key) => opened.store.get(key)));
      assert(all.every((each) => each.status === 'rejected'));
      await Promise.all(cluster.nodes.map((node) => node.restart()));
      await until('all keys are read again', () => readAll().then(() => true, () => false));
    });

    it('may have a master that is frozen: nobody waits for it', async () => {
      const { store, told } = await connectRedis(cluster.url, { timeoutMs: 100 });
      const read = () => Promise.all(KEYS.map((key) => store.get(key))).then(() => true, () => false);
      await until('all keys are read', read);
      cluster.nodes[0]!.pause();
      const results = await Promise.allSettled(KEYS.map((key) => store.get(key)));
      cluster.nodes[0]!.resume();
      assert(results.some((each) => each.status === 'rejected'));
      await until('all keys are read', read);
      assert.notEqual(told.findLast((line) => line === 'open' || line === 'closed'), 'open');
      store.close();
    });
  });
});
