import assert from 'node:assert/strict';
import { Brand } from '../../support/authoring.ts';
import { DatabaseProxy } from '../../support/database-proxy.ts';
import { Platen } from '../../support/platen.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { byBundle } from '../../support/rendering.ts';
import { until } from '../../support/until.ts';

describe('A document falls through the levels', () => {
  let primary: TestDatabase;
  /** A standby that nothing has come to yet. */
  let standby: TestDatabase;
  let proxy: DatabaseProxy;
  let platen: Platen;
  let brand: Brand;
  let bundleId: string;
  let bundleHash: string;

  before(async () => {
    [primary, standby] = await Promise.all([createDatabase(), createDatabase()]);
    proxy = await DatabaseProxy.start(standby);
    platen = await Platen.start(primary, {
      PLATEN_DATABASE_READ_URL: proxy.url,
      // So little that nothing is held in memory.
      PLATEN_BUNDLE_CACHE_BYTES: '1',
    });
    brand = await Brand.create(platen.clients);
    ({ bundleId, bundleHash } = await brand.bundle({ draft: 'Good day' }));
  });
  after(async () => {
    await platen.stop();
    await proxy.stop();
    await Promise.all([primary.drop(), standby.drop()]);
  });

  /** What a render found and missed of documents, as `database hits`. */
  async function found(): Promise<Record<string, number>> {
    const counts = async () => {
      const names = ['read_replica hits', 'read_replica misses', 'database hits', 'database misses'];
      const values = names.map(async (name) => {
        const [level, what] = name.split(' ');
        const count = await platen.metric(`bundle_cache_${what}_total`, `level="${level}",kind="document"`);
        return [name, count ?? 0] as const;
      });
      return Promise.all(values);
    };
    const before = new Map(await counts());
    const { text } = await platen.clients.renders.render({ tenant: brand.tenant, target: byBundle(bundleId) });
    assert.equal(text, 'Good day');
    const changes = (await counts()).map(([name, count]) => [name, count - before.get(name)!] as const);
    return Object.fromEntries(changes.filter(([, change]) => change > 0));
  }

  it('what a read replica lacks is read from the primary', async () => {
    await until('the release that is loaded ahead is', async () => {
      return (await platen.metric('bundle_cache_hits_total', 'level="database",kind="document"')) === 1;
    });
    assert.deepEqual(await found(), { 'read_replica misses': 1, 'database hits': 1 });
  });

  it('and from the read replica once it has come there', async () => {
    const [row] = await asOwner<{ content: string }>(primary, 'select content from document where hash = ?', [bundleHash]);
    await asOwner(standby, 'insert into document values (?, ?)', [bundleHash, row!.content]);
    assert.deepEqual(await found(), { 'read_replica hits': 1 });
  });

  it('one that is away is left alone, and asked again once it is back', async () => {
    const breaker = () => platen.metric('platen_store_breaker_state', 'store="postgres_read_replica"');
    proxy.cut();
    await until('it is left alone', async () => {
      assert.deepEqual(await found(), { 'read_replica misses': 1, 'database hits': 1 });
      return (await breaker()) === 2;
    });
    proxy.mend();
    await until('it answers', async () => (await found())['read_replica hits'] === 1);
    assert.equal(await breaker(), 0);
  });
});
