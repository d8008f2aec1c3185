import assert from 'node:assert/strict';
import { CompiledBundleCache } from '../../../src/cache/compiled-bundle-cache.ts';
import { documentOf, type Document } from '../../../src/domain/document.ts';
import { Unavailable } from '../../../src/domain/errors.ts';
import { away, ContentCounts, FakeContent } from '../../support/cache/fake-content.ts';
import { given } from '../../support/given.ts';

function snapshot(content: string): Document {
  return documentOf({ sections: [{ role: 'SYSTEM', syntax: 'LITERAL', content }] });
}

const MIB = 1024 * 1024;

let content: FakeContent;
let counts: ContentCounts;

function openCache(maxBytes = MIB): CompiledBundleCache {
  return new CompiledBundleCache(content, counts, maxBytes);
}

function useContent(): void {
  beforeEach(() => {
    content = new FakeContent();
    counts = new ContentCounts();
  });
}

describe('A hit touches no store', () => {
  useContent();

  it('answers at once what it holds', async () => {
    const hello = snapshot('hello');
    content.put(hello);
    const cache = openCache();
    const first = await cache.get(hello.hash);
    content.failure = away();
    const second = cache.get(hello.hash);
    assert.equal(second, first);
    assert.equal(first.assemble(given(), new Map()).text, 'hello');
    assert.deepEqual(content.asked, [hello.hash]);
    assert.deepEqual(counts.told, ['miss l1 document', 'hit l1 document']);
  });
});

describe('One flight loads a key', () => {
  useContent();

  it('however many wait for it', async () => {
    const hello = snapshot('hello');
    content.put(hello);
    const cache = openCache();
    const all = await Promise.all(Array.from({ length: 100 }, () => cache.get(hello.hash)));
    assert.equal(new Set(all).size, 1);
    assert.deepEqual(content.asked, [hello.hash]);
  });

  it('and a failed flight is not held', async () => {
    const hello = snapshot('hello');
    content.put(hello);
    content.failure = away();
    const cache = openCache();
    await assert.rejects(async () => cache.get(hello.hash), Unavailable);
    content.failure = undefined;
    assert.equal((await cache.get(hello.hash)).assemble(given(), new Map()).text, 'hello');
  });

  it('and a document that is missing may come', async () => {
    const hello = snapshot('hello');
    const cache = openCache();
    await assert.rejects(async () => cache.get(hello.hash), {
      reason: 'DATABASE_UNAVAILABLE',
      message: `document ${hello.hash} is not in the database yet`,
    });
    content.put(hello);
    assert.equal((await cache.get(hello.hash)).assemble(given(), new Map()).text, 'hello');
  });
});

describe('The first level is bounded by bytes', () => {
  useContent();

  it('lets go of what was used least recently', async () => {
    const [one, two] = [snapshot('1'.repeat(1_000)), snapshot('2'.repeat(1_000))];
    content.put(one, two);
    const { bytes } = await openCache().get(one.hash);
    const cache = openCache(bytes + 1);
    content.asked.length = 0;
    await cache.get(one.hash);
    await cache.get(two.hash);
    await cache.get(one.hash);
    assert.deepEqual(content.asked, [one.hash, two.hash, one.hash]);
  });

  it('and never holds more, though documents of more than twice the bound are asked for', async () => {
    const documents = Array.from({ length: 20 }, (_, i) => snapshot(`${i}`.padEnd(10_000, '.')));
    content.put(...documents);
    const { bytes } = await openCache().get(documents[0]!.hash);
    const bound = bytes * 8;
    const cache = openCache(bound);
    assert.equal(cache.bytes, 0);
    for (const { hash } of documents) {
      await cache.get(hash);
      assert.ok(cache.bytes > 0 && cache.bytes <= bound);
    }
    assert.ok(cache.bytes > bound - 2 * bytes);
  });

  it('nor what is larger than the bound by itself, which is answered all the same', async () => {
    const large = snapshot('x'.repeat(10_000));
    content.put(large);
    const cache = openCache(1_000);
    for (let count = 0; count < 2; count += 1) {
      assert.equal((await cache.get(large.hash)).assemble(given(), new Map()).text.length, 10_000);
    }
    assert.equal(cache.bytes, 0);
    assert.equal(content.asked.length, 2);
  });
});
