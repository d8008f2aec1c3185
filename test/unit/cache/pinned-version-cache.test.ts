import assert from 'node:assert/strict';
import { PinnedVersionCache } from '../../../src/cache/pinned-version-cache.ts';
import { Unavailable } from '../../../src/domain/errors.ts';
import { away, ContentCounts, FakeContent } from '../../support/cache/fake-content.ts';

let content: FakeContent;
let counts: ContentCounts;
let cache: PinnedVersionCache;

function useCache(): void {
  beforeEach(() => {
    content = new FakeContent();
    counts = new ContentCounts();
    cache = new PinnedVersionCache(content, counts, 10);
  });
}

describe('One flight loads a key', () => {
  useCache();

  it('of an exact version, however many wait for it', async () => {
    content.putVersion('default/hello@1.0.0', 'default-hash');
    const candidates = [
      { tenant: 'acme', versions: 1 },
      { tenant: 'default', versions: 1 },
    ];
    const all = await Promise.all(Array.from({ length: 200 }, () => cache.find(candidates, 'hello', '1.0.0')));
    for (const found of all) assert.deepEqual(found, { tenant: 'default', bundleHash: 'default-hash' });
    assert.deepEqual(content.asked, ['acme/hello@1.0.0', 'default/hello@1.0.0']);
  });

  it('and who knows of more versions does not wait for an answer as of fewer', async () => {
    const gate = Promise.withResolvers<void>();
    content.gate = gate.promise;
    const before = cache.find([{ tenant: 'acme', versions: 1 }], 'hello', '2.0.0');
    const after = cache.find([{ tenant: 'acme', versions: 2 }], 'hello', '2.0.0');
    assert.equal(content.asked.length, 2);
    gate.resolve();
    assert.equal(await before, undefined);
    assert.equal(await after, undefined);
  });

  it('and a failed flight is not held', async () => {
    content.failure = away();
    const find = () => cache.find([{ tenant: 'acme', versions: 1 }], 'hello', '1.0.0');
    await assert.rejects(find(), Unavailable);
    content.failure = undefined;
    content.putVersion('acme/hello@1.0.0', 'acme-hash');
    assert.deepEqual(await find(), { tenant: 'acme', bundleHash: 'acme-hash' });
  });
});

describe('An exact version is pinned', () => {
  useCache();

  it('to the nearest tenant that has it, and is asked for once', async () => {
    content.putVersion('acme/hello@1.0.0', 'acme-hash');
    content.putVersion('default/hello@1.0.0', 'default-hash');
    const candidates = [
      { tenant: 'acme', versions: 1 },
      { tenant: 'default', versions: 1 },
    ];
    for (let count = 0; count < 3; count += 1) {
      assert.deepEqual(await cache.find(candidates, 'hello', '1.0.0'), { tenant: 'acme', bundleHash: 'acme-hash' });
    }
    assert.deepEqual(content.asked, ['acme/hello@1.0.0']);
    assert.deepEqual(counts.told, ['miss l1 version', 'hit l1 version', 'hit l1 version']);
  });

  it('is looked for again only once the bundle has more versions', async () => {
    content.putVersion('default/hello@2.0.0', 'default-hash');
    const candidates = (count: number) => [
      { tenant: 'acme', versions: count },
      { tenant: 'default', versions: 5 },
    ];
    assert.equal((await cache.find(candidates(1), 'hello', '2.0.0'))?.tenant, 'default');
    assert.equal((await cache.find(candidates(1), 'hello', '2.0.0'))?.tenant, 'default');
    assert.equal(content.asked.length, 2);
    content.putVersion('acme/hello@2.0.0', 'acme-hash');
    assert.equal((await cache.find(candidates(2), 'hello', '2.0.0'))?.tenant, 'acme');
    assert.equal(content.asked.length, 3);
    assert.equal(counts.count('hit l1 version'), 2);
  });

  it('is nothing where no candidate has it', async () => {
    assert.equal(await cache.find([], 'hello', '1.0.0'), undefined);
    assert.equal(await cache.find([{ tenant: 'default', versions: 1 }], 'hello', '1.0.0'), undefined);
  });
});
