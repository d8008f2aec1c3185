import assert from 'node:assert/strict';
import { CompiledBundleCache } from '../../../src/cache/compiled-bundle-cache.ts';
import { ReleasedVersionWarmUp } from '../../../src/cache/warm-up.ts';
import { documentOf, type Document } from '../../../src/domain/document.ts';
import { away, ContentCounts, FakeContent } from '../../support/cache/fake-content.ts';
import { given } from '../../support/given.ts';
import { until } from '../../support/until.ts';

function snapshot(content: string): Document {
  return documentOf({ sections: [{ role: 'SYSTEM', syntax: 'LITERAL', content }] });
}

function change(action: string, ...hashes: string[]) {
  const targets = hashes.map((hash, i) => ({ version: `${i}.0.0`, bundle_hash: hash, weight: 100 }));
  return { action, detail: { channel: 'production', revision: 1, targets } };
}

describe('A released version is loaded ahead', () => {
  let content: FakeContent;
  let cache: CompiledBundleCache;
  let warmUp: ReleasedVersionWarmUp;

  beforeEach(() => {
    content = new FakeContent();
    cache = new CompiledBundleCache(content, new ContentCounts(), 2 ** 30);
    warmUp = new ReleasedVersionWarmUp(cache);
  });

  function held({ hash }: Document): boolean {
    return !(cache.get(hash) instanceof Promise);
  }

  for (const action of ['RELEASE', 'ROLLBACK']) {
    it(`by a ${action}, so that its first render touches no store`, async () => {
      const released = snapshot(action);
      content.put(released);
      warmUp.applied(change(action, released.hash));
      await until('it is held', () => held(released));
    });
  }

  it('and nothing else is', () => {
    warmUp.loaded();
    warmUp.applied(change('WITHDRAW'));
    warmUp.applied({ action: 'PUBLISH', detail: { version: '1.0.0', bundle_hash: '1' } });
    assert.deepEqual(content.asked, []);
  });

  it('what cannot be loaded is left to the render that needs it, and the next is loaded', async () => {
    const released = snapshot('released');
    content.failure = away();
    warmUp.applied(change('RELEASE', released.hash));
    await until('it was tried', () => content.asked.length === 1);
    content.failure = undefined;
    const next = snapshot('next');
    content.put(released, next);
    warmUp.applied(change('RELEASE', next.hash));
    await until('the next is held', () => held(next));
    assert.equal((await cache.get(released.hash)).assemble(given(), new Map()).text, 'released');
  });

  it('a thousand changes at once leave room for renders, and what is released twice is loaded once', async () => {
    const documents = Array.from({ length: 600 }, (_, i) => snapshot(`document ${i}`));
    content.put(...documents);
    const gate = Promise.withResolvers<void>();
    content.gate = gate.promise;
    for (const { hash } of [...documents, ...documents]) warmUp.applied(change('RELEASE', hash));
    gate.resolve();
    const last = documents.at(-1)!;
    await until('all are held', () => content.asked.includes(last.hash) && held(last));
    assert.equal(content.mostRunning, 2);
    assert.equal(new Set(content.asked).size, 600);
    assert.equal(content.asked.length, 600);
  });

  it('no more wait than a bound; the rest is loaded when it is rendered', async () => {
    const documents = Array.from({ length: 1_100 }, (_, i) => snapshot(`document ${i}`));
    content.put(...documents);
    const gate = Promise.withResolvers<void>();
    content.gate = gate.promise;
    for (const { hash } of documents) warmUp.applied(change('RELEASE', hash));
    gate.resolve();
    await until('they are held', () => held(documents[1_001]!));
    assert.equal(content.asked.length, 1_002);
    assert.equal(content.asked.includes(documents[1_002]!.hash), false);
  });
});
