import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { Redis } from 'ioredis';
import { connectRedis, openRedis } from '../../support/redis-store.ts';
import { slotsOf } from '../../support/redis-topologies.ts';
import { type TestRedis, startRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

const CERTIFICATES = join(import.meta.dirname, '..', '..', 'support', 'tls');
const SETTINGS = {
  'port': '0',
  'tls-port': '{port}',
  'tls-cert-file': join(CERTIFICATES, 'server.pem'),
  'tls-key-file': join(CERTIFICATES, 'server.key'),
  'tls-ca-cert-file': join(CERTIFICATES, 'ca.pem'),
  'tls-auth-clients': 'no',
  'tls-replication': 'yes',
};
const WITH_TLS = Object.entries(SETTINGS).flatMap(([name, value]) => [`--${name}`, value]);

describe('Redis may be one server, Sentinel or Cluster', () => {
  describe('each with TLS', () => {
    const authorities = getCACertificates('default');
    let server: TestRedis;

    async function trust(): Promise<void> {
      setDefaultCACertificates([...authorities, await readFile(join(CERTIFICATES, 'ca.pem'), 'utf8')]);
    }

    before(async () => {
      server = await startRedis(WITH_TLS);
      await trust();
    });

    after(async () => {
      setDefaultCACertificates(authorities);
      await server.stop();
    });

    it('by an authority that Node trusts', async () => {
      const { store } = await connectRedis(`rediss://127.0.0.1:${server.port}`);
      await store.set('key', Buffer.from('1'), 60);
      assert.deepEqual(await store.get('key'), Buffer.from('1'));
      store.close();
    });

    it('a Cluster, too', async () => {
      const own = ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1', '--tls-cluster', 'yes'];
      const node = await startRedis([...WITH_TLS, ...own]);
      const bare = new Redis({ host: '127.0.0.1', port: node.port, tls: {}, protocol: 2 });
      await bare.cluster('ADDSLOTS', ...slotsOf(0, 1));
      await until('it has all slots', async () => String(await bare.cluster('INFO')).includes('cluster_state:ok'));
      bare.disconnect();
      const { store } = await connectRedis(`rediss+cluster://127.0.0.1:${node.port}`);
      await store.set('key', Buffer.from('1'), 60);
      assert.deepEqual(await store.get('key'), Buffer.from('1'));
      store.close();
      await node.stop();
    });

    it('Sentinel, too', async () => {
      const settings = Object.entries(SETTINGS).map((setting) => setting.join(' '));
      const monitored = `sentinel monitor main 127.0.0.1 ${server.port} 1`;
      const sentinel = await startRedis(['{dir}/sentinel.conf', '--sentinel'], {
        'sentinel.conf': ['bind 127.0.0.1', 'dir {dir}', ...settings, monitored].join('\n'),
      });
      const { store } = await connectRedis(`rediss+sentinel://127.0.0.1:${sentinel.port}/main`);
      await store.set('key', Buffer.from('1'), 60);
      store.close();
      await sentinel.stop();
    });

    it('but not by another', async () => {
      setDefaultCACertificates(authorities);
      const { store, told } = openRedis(`rediss://127.0.0.1:${server.port}`);
      await until('it is refused', () => told.some((line) => line.includes('self-signed certificate')));
      await assert.rejects(store.get('key'), { name: 'Unavailable' });
      store.close();
      await trust();
    });

    it('nor under a name that the certificate does not have', async () => {
      const { store, told } = openRedis(`rediss://localhost:${server.port}`);
      await until('it is refused', () => told.some((line) => line.includes("does not match certificate's altnames")));
      store.close();
    });

    it('nor without TLS', async () => {
      const { store, told } = openRedis(server.url);
      await until('it is refused', () => told.some((line) => line.startsWith('disconnected')));
      store.close();
    });
  });
});
