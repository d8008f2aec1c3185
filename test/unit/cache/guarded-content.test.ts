import assert from 'node:assert/strict';
import { CompiledBundleCache } from '../../../src/cache/compiled-bundle-cache.ts';
import { GuardedContent } from '../../../src/cache/guarded-content.ts';
import { documentOf, type Document } from '../../../src/domain/document.ts';
import { StoreGuard, type StoreGuardOptions } from '../../../src/guard/store-guard.ts';
import { away, ContentCounts, FakeContent } from '../../support/cache/fake-content.ts';

function guard(options: Partial<StoreGuardOptions> = {}): StoreGuard {
  const observer = { state: () => {}, rejected: () => {} };
  return new StoreGuard({ store: 'postgres_reads', timeoutMs: 10_000, retryAfterMs: 60_000, observer, ...options });
}

function snapshot(content: string): Document {
  return documentOf({ sections: [{ role: 'SYSTEM', syntax: 'LITERAL', content }] });
}

describe('Loads from the database are bounded', () => {
  it('500 documents that are rendered at once after a start are read 8 at a time, and all arrive', async () => {
    const documents = Array.from({ length: 500 }, (_, i) => snapshot(`document ${i}`));
    const database = new FakeContent();
    database.put(...documents);
    const gate = Promise.withResolvers<void>();
    database.gate = gate.promise;
    const content = new GuardedContent(database, guard({ concurrency: 8, queueMax: 1_000 }));
    const cache = new CompiledBundleCache(content, new ContentCounts(), 2 ** 30);
    const all = Promise.all(documents.map(async ({ hash }) => cache.get(hash)));
    gate.resolve();
    await all;
    assert.equal(database.mostRunning, 8);
    assert.equal(database.asked.length, 500);
  });

  it('and what finds too much waiting is refused at once', async () => {
    const database = new FakeContent();
    const gate = Promise.withResolvers<void>();
    database.gate = gate.promise;
    const content = new GuardedContent(database, guard({ concurrency: 1, queueMax: 1 }));
    const asked = [content.document('1'), content.versionHash('acme', 'hello', '1.0.0')];
    await assert.rejects(content.document('3'), { reason: 'DATABASE_UNAVAILABLE' });
    gate.resolve();
    assert.deepEqual(await Promise.all(asked), [undefined, undefined]);
    assert.deepEqual(database.asked, ['1', 'acme/hello@1.0.0']);
  });
});

describe('A store that does not answer is left alone', () => {
  it('for documents and versions alike', async () => {
    const database = new FakeContent();
    database.failure = away();
    const content = new GuardedContent(database, guard({ failuresToOpen: 2 }));
    await assert.rejects(content.document('1'), { message: 'away' });
    await assert.rejects(content.versionHash('acme', 'hello', '1.0.0'), { message: 'away' });
    await assert.rejects(content.document('2'), { reason: 'DATABASE_UNAVAILABLE' });
    await assert.rejects(content.versionHash('acme', 'hello', '2.0.0'), { reason: 'DATABASE_UNAVAILABLE' });
    assert.equal(database.asked.length, 2);
  });
});
