import assert from 'node:assert/strict';
import { CompiledBundleCache } from '../../../src/cache/compiled-bundle-cache.ts';
import { documentOf, type Document } from '../../../src/domain/document.ts';
import { Unavailable } from '../../../src/domain/errors.ts';
import { given } from '../../support/given.ts';

function snapshot(content: string): Document {
  return documentOf({ sections: [{ role: 'SYSTEM', syntax: 'LITERAL', content }] });
}

/** Documents that count how often they are asked for. */
class Documents {
  readonly asked: string[] = [];
  readonly #texts: Map<string, string>;

  constructor(...documents: Document[]) {
    this.#texts = new Map(documents.map(({ hash, text }) => [hash, text]));
  }

  find(hash: string): Promise<string | undefined> {
    this.asked.push(hash);
    return Promise.resolve(this.#texts.get(hash));
  }
}

function counting() {
  const counts = { hits: 0, misses: 0 };
  return {
    counts,
    hit: () => void (counts.hits += 1),
    miss: () => void (counts.misses += 1),
  };
}

const MIB = 1024 * 1024;

describe('A hit touches no store', () => {
  it('answers at once what it holds', async () => {
    const hello = snapshot('hello');
    const documents = new Documents(hello);
    const observer = counting();
    const cache = new CompiledBundleCache(documents, observer, MIB);
    const first = await cache.get(hello.hash);
    const second = cache.get(hello.hash);
    assert.equal(second, first);
    assert.equal(first.assemble(given(), new Map()).text, 'hello');
    assert.deepEqual(documents.asked, [hello.hash]);
    assert.deepEqual(observer.counts, { hits: 1, misses: 1 });
  });
});

describe('One flight loads a key', () => {
  it('however many wait for it', async () => {
    const hello = snapshot('hello');
    const documents = new Documents(hello);
    const cache = new CompiledBundleCache(documents, counting(), MIB);
    const all = await Promise.all(Array.from({ length: 50 }, () => cache.get(hello.hash)));
    assert.equal(new Set(all).size, 1);
    assert.deepEqual(documents.asked, [hello.hash]);
  });

  it('and a failed flight is not held', async () => {
    const hello = snapshot('hello');
    const documents = new Documents();
    const cache = new CompiledBundleCache(documents, counting(), MIB);
    await assert.rejects(async () => cache.get(hello.hash), Unavailable);
    await assert.rejects(async () => cache.get(hello.hash), Unavailable);
    assert.equal(documents.asked.length, 2);
  });
});

describe('The first level is bounded by bytes', () => {
  it('lets go of what was used least recently', async () => {
    const [one, two] = [snapshot('1'.repeat(1_000)), snapshot('2'.repeat(1_000))];
    const documents = new Documents(one, two);
    const { bytes } = await new CompiledBundleCache(documents, counting(), MIB).get(one.hash);
    const cache = new CompiledBundleCache(documents, counting(), bytes + 1);
    documents.asked.length = 0;
    await cache.get(one.hash);
    await cache.get(two.hash);
    await cache.get(one.hash);
    assert.deepEqual(documents.asked, [one.hash, two.hash, one.hash]);
  });
});
