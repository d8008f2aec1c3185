import assert from 'node:assert/strict';
import { type OpenedRedis, bareRedis, connectRedis, openRedis } from '../../support/redis-store.ts';
import { type TestSentinel, startSentinel } from '../../support/redis-topologies.ts';
import { until } from '../../support/until.ts';

const ONE = Buffer.from('1');

describe('Redis may be one server, Sentinel or Cluster', () => {
  describe('a master that Sentinel names', () => {
    let topology: TestSentinel;
    let opened: OpenedRedis;

    before(async () => {
      topology = await startSentinel('secret', 'other');
      const hosts = `127.0.0.1:1,${topology.host}`;
      opened = await connectRedis(`redis+sentinel://:secret@${hosts}/main/1?sentinelPassword=other`);
    });

    after(async () => {
      opened.store.close();
      await topology.stop();
    });

    it('is found, though not all Sentinels are there, each with its password', async () => {
      await opened.store.set('key', ONE, 60);
      const [master] = topology.servers;
      const bare = bareRedis(`redis://:secret@127.0.0.1:${master!.port}/1`);
      assert.equal(await bare.get('key'), '1');
      bare.disconnect();
    });

    it('is told to be away, where Sentinel knows no such master', async () => {
      const { store, told } = openRedis(`redis+sentinel://:secret@${topology.host}/nobody?sentinelPassword=other`);
      await until('it is told', () => told.some((line) => line.includes('All sentinels are unreachable')));
      await assert.rejects(store.get('key'), { name: 'Unavailable' });
      store.close();
    });

    it('is another one once it is gone', async () => {
      const [master, replica] = topology.servers;
      const bare = bareRedis(`redis://:secret@127.0.0.1:${replica!.port}/1`);
      await until('the replica has the key', async () => (await bare.get('key')) === '1');
      await master!.kill();
      await until('writes reach the new master', () => opened.store.set('key', ONE, 60).then(() => true, () => false));
      assert.match(await bare.info('replication'), /role:master/);
      assert.deepEqual(await opened.store.get('key'), ONE);
      bare.disconnect();
    });
  });
});
