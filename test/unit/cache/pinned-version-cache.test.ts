import assert from 'node:assert/strict';
import { PinnedVersionCache } from '../../../src/cache/pinned-version-cache.ts';
import type { BundleStore } from '../../../src/services/stores.ts';

/** Bundle versions that count how often they are asked for. */
class Versions implements Pick<BundleStore, 'versionHashes'> {
  asked = 0;
  readonly held: Record<string, string> = {};

  versionHashes(tenants: readonly string[], id: string, version: string) {
    this.asked += 1;
    const found = tenants.map((tenant) => ({ tenant, bundleHash: this.held[`${tenant}/${id}@${version}`] ?? '' }));
    return Promise.resolve(found.filter(({ bundleHash }) => bundleHash !== ''));
  }
}

describe('One flight loads a key', () => {
  it('of an exact version, however many wait for it', async () => {
    const versions = new Versions();
    versions.held['default/hello@1.0.0'] = 'default-hash';
    const cache = new PinnedVersionCache(versions, 10);
    const candidates = [
      { tenant: 'acme', versions: 1 },
      { tenant: 'default', versions: 1 },
    ];
    const all = await Promise.all(Array.from({ length: 200 }, () => cache.find(candidates, 'hello', '1.0.0')));
    for (const found of all) assert.deepEqual(found, { tenant: 'default', bundleHash: 'default-hash' });
    assert.equal(versions.asked, 2);
  });

  it('and who knows of more versions does not wait for an answer as of fewer', async () => {
    const versions = new Versions();
    const cache = new PinnedVersionCache(versions, 10);
    const before = cache.find([{ tenant: 'acme', versions: 1 }], 'hello', '2.0.0');
    versions.held['acme/hello@2.0.0'] = 'acme-hash';
    const after = cache.find([{ tenant: 'acme', versions: 2 }], 'hello', '2.0.0');
    assert.equal(await before, undefined);
    assert.deepEqual(await after, { tenant: 'acme', bundleHash: 'acme-hash' });
    assert.equal(versions.asked, 2);
  });
});

describe('An exact version is pinned', () => {
  it('to the nearest tenant that has it, and is asked for once', async () => {
    const versions = new Versions();
    versions.held['acme/hello@1.0.0'] = 'acme-hash';
    versions.held['default/hello@1.0.0'] = 'default-hash';
    const cache = new PinnedVersionCache(versions, 10);
    const candidates = [
      { tenant: 'acme', versions: 1 },
      { tenant: 'default', versions: 1 },
    ];
    for (let count = 0; count < 3; count += 1) {
      assert.deepEqual(await cache.find(candidates, 'hello', '1.0.0'), { tenant: 'acme', bundleHash: 'acme-hash' });
    }
    assert.equal(versions.asked, 1);
  });

  it('is looked for again only once the bundle has more versions', async () => {
    const versions = new Versions();
    versions.held['default/hello@2.0.0'] = 'default-hash';
    const cache = new PinnedVersionCache(versions, 10);
    const candidates = (count: number) => [
      { tenant: 'acme', versions: count },
      { tenant: 'default', versions: 5 },
    ];
    assert.equal((await cache.find(candidates(1), 'hello', '2.0.0'))?.tenant, 'default');
    assert.equal((await cache.find(candidates(1), 'hello', '2.0.0'))?.tenant, 'default');
    assert.equal(versions.asked, 2);
    versions.held['acme/hello@2.0.0'] = 'acme-hash';
    assert.equal((await cache.find(candidates(2), 'hello', '2.0.0'))?.tenant, 'acme');
    assert.equal(versions.asked, 3);
  });

  it('is nothing where no candidate has it', async () => {
    const cache = new PinnedVersionCache(new Versions(), 10);
    assert.equal(await cache.find([], 'hello', '1.0.0'), undefined);
    assert.equal(await cache.find([{ tenant: 'default', versions: 1 }], 'hello', '1.0.0'), undefined);
  });
});
