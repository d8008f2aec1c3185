import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BatchedContent } from '../../../src/cache/batched-content.ts';
import { CompiledBundleCache } from '../../../src/cache/compiled-bundle-cache.ts';
import { CountedContent } from '../../../src/cache/counted-content.ts';
import { ReplicaContent } from '../../../src/cache/replica-content.ts';
import { documentOf, type Document } from '../../../src/domain/document.ts';
import { StoreGuard, type StoreGuardOptions } from '../../../src/guard/store-guard.ts';
import { away, ContentCounts, FakeContentStore } from '../../support/cache/fake-content.ts';

let database: FakeContentStore;

function useDatabase(): void {
  beforeEach(() => {
    database = new FakeContentStore();
  });
}

function open(options: Partial<StoreGuardOptions> = {}, store = database): BatchedContent {
  const observer = { state: () => {}, rejected: () => {} };
  const bounds = { store: 'postgres_reads', timeoutMs: 10_000, retryAfterMs: 60_000, observer };
  return new BatchedContent(store, new StoreGuard({ ...bounds, ...options }));
}

function snapshots(count: number): Document[] {
  return Array.from({ length: count }, (_, i) =>
    documentOf({ sections: [{ role: 'SYSTEM', syntax: 'LITERAL', content: `document ${i}` }] }),
  );
}

function hashesOf(documents: readonly Document[]): string[] {
  return documents.map(({ hash }) => hash);
}

describe('A batch looks up once', () => {
  useDatabase();

  it('the documents and versions that are asked for in one turn are one question each, answered one by one', async () => {
    const documents = snapshots(16);
    database.content.put(...documents);
    database.content.putVersion('acme/hello@1.0.0', documents[0]!.hash);
    const content = open();
    const texts = documents.map(({ hash }) => content.document(hash));
    const versions = ['1.0.0', '2.0.0'].map((version) => content.versionHash('acme', 'hello', version));
    assert.deepEqual(
      await Promise.all(texts),
      documents.map(({ text }) => text),
    );
    assert.deepEqual(await Promise.all(versions), [documents[0]!.hash, undefined]);
    assert.deepEqual(database.asked, [hashesOf(documents), ['acme/hello@1.0.0', 'acme/hello@2.0.0']]);
  });

  it('also if promises were waited for meanwhile, as renders do', async () => {
    const [one, two] = snapshots(2) as [Document, Document];
    const content = open();
    const late = async () => {
      for (let count = 0; count < 10; count += 1) await Promise.resolve();
      return content.document(two.hash);
    };
    await Promise.all([content.document(one.hash), late()]);
    assert.deepEqual(database.asked, [[one.hash, two.hash]]);
  });

  it('what is asked for in a later turn is another question, the same key too', async () => {
    const content = open();
    const gate = Promise.withResolvers<void>();
    database.content.gate = gate.promise;
    const asked = [content.document('1')];
    await nextTurn();
    asked.push(content.document('1'));
    await nextTurn();
    gate.resolve();
    await Promise.all(asked);
    assert.deepEqual(database.asked, [['1'], ['1']]);
  });

  it('no question is of more than 64 keys', async () => {
    const documents = snapshots(130);
    database.content.put(...documents);
    const content = open();
    const found = await Promise.all(documents.map(({ hash }) => content.document(hash)));
    assert.deepEqual(
      found,
      documents.map(({ text }) => text),
    );
    assert.deepEqual(
      database.asked.map((keys) => keys.length),
      [64, 64, 2],
    );
  });

  it('a question that fails fails all who asked, counts once to the guard, and is not remembered', async () => {
    database.content.failure = away();
    const content = open({ failuresToOpen: 2 });
    const asked = [content.document('1'), content.document('2'), content.document('3')];
    for (const each of asked) await assert.rejects(each, { message: 'away' });
    database.content.failure = undefined;
    assert.equal(await content.document('1'), undefined);
  });

  it('what a read replica lacks is one question to the primary, of just that', async () => {
    const documents = snapshots(16);
    const replica = new FakeContentStore();
    replica.content.put(...documents.slice(0, 10));
    database.content.put(...documents);
    const counts = new ContentCounts();
    const content = new ReplicaContent(
      new CountedContent(open({}, replica), 'read_replica', counts),
      new CountedContent(open(), 'database', counts),
      { replicaFailed: (error) => assert.fail(String(error)) },
    );
    const found = await Promise.all(documents.map(({ hash }) => content.document(hash)));
    assert.deepEqual(
      found,
      documents.map(({ text }) => text),
    );
    assert.deepEqual(replica.asked, [hashesOf(documents)]);
    assert.deepEqual(database.asked, [hashesOf(documents.slice(10))]);
    assert.equal(counts.count('hit read_replica document'), 10);
    assert.equal(counts.count('miss read_replica document'), 6);
    assert.equal(counts.count('hit database document'), 6);
  });
});

describe('Loads from the database are bounded', () => {
  useDatabase();

  it('500 documents that are rendered at once after a start are few questions, 4 at a time, and all arrive', async () => {
    const documents = snapshots(500);
    database.content.put(...documents);
    const gate = Promise.withResolvers<void>();
    database.content.gate = gate.promise;
    const content = open({ concurrency: 4, queueMax: 1_000 });
    const cache = new CompiledBundleCache(content, new ContentCounts(), 2 ** 30);
    const all = Promise.all(documents.map(async ({ hash }) => cache.get(hash)));
    await nextTurn();
    assert.equal(database.asked.length, 4);
    gate.resolve();
    await all;
    assert.equal(database.asked.length, 8);
  });

  it('and what finds too much waiting is refused at once', async () => {
    const gate = Promise.withResolvers<void>();
    database.content.gate = gate.promise;
    const content = open({ concurrency: 1, queueMax: 1 });
    const asked = [content.document('1'), content.versionHash('acme', 'hello', '1.0.0')];
    await nextTurn();
    await assert.rejects(content.document('3'), { reason: 'DATABASE_UNAVAILABLE' });
    gate.resolve();
    assert.deepEqual(await Promise.all(asked), [undefined, undefined]);
    assert.deepEqual(database.asked, [['1'], ['acme/hello@1.0.0']]);
  });
});

describe('A store that does not answer is left alone', () => {
  useDatabase();

  it('for documents and versions alike', async () => {
    database.content.failure = away();
    const content = open({ failuresToOpen: 2 });
    await assert.rejects(content.document('1'), { message: 'away' });
    await assert.rejects(content.versionHash('acme', 'hello', '1.0.0'), { message: 'away' });
    await assert.rejects(content.document('2'), { reason: 'DATABASE_UNAVAILABLE' });
    await assert.rejects(content.versionHash('acme', 'hello', '2.0.0'), { reason: 'DATABASE_UNAVAILABLE' });
    assert.equal(database.asked.length, 2);
  });
});
