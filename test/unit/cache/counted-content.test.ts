import assert from 'node:assert/strict';
import { CountedContent } from '../../../src/cache/counted-content.ts';
import { documentOf } from '../../../src/domain/document.ts';
import { Unavailable } from '../../../src/domain/errors.ts';
import { away, ContentCounts, FakeContent } from '../../support/cache/fake-content.ts';

describe('A document falls through the levels', () => {
  it('and hits and misses are counted by level', async () => {
    const document = documentOf('hello');
    const inner = new FakeContent();
    inner.put(document);
    inner.putVersion('acme/hello@1.0.0', document.hash);
    const counts = new ContentCounts();
    const content = new CountedContent(inner, 'read_replica', counts);
    assert.equal(await content.document(document.hash), document.text);
    assert.equal(await content.document('0'), undefined);
    assert.equal(await content.versionHash('acme', 'hello', '1.0.0'), document.hash);
    inner.failure = away();
    await assert.rejects(content.versionHash('acme', 'hello', '1.0.0'), Unavailable);
    assert.deepEqual(counts.told, [
      'hit read_replica document',
      'miss read_replica document',
      'hit read_replica version',
      'miss read_replica version',
    ]);
  });
});
