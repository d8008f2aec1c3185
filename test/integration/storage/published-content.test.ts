import assert from 'node:assert/strict';
import { documentOf } from '../../../src/domain/document.ts';
import { PostgresPublishedContent } from '../../../src/storage/published-content.ts';
import { publish } from '../../support/storage/publish.ts';
import { draftRecord, TIME } from '../../support/storage/records.ts';
import { openRegistry, type Registry } from '../../support/storage/registry.ts';

describe('An archived id stays reserved', () => {
  let registry: Registry;

  beforeEach(async () => {
    registry = await openRegistry();
  });

  afterEach(() => registry.close());

  it('and its versions are found for good: whether they answer is for the route map to say', async () => {
    const content = new PostgresPublishedContent(registry.database.access);
    const snapshot = documentOf({ sections: [] });
    await publish(registry, snapshot, { tenant: 'acme', bundleId: 'hello', version: '1.0.0' });
    await registry.write((tx) => tx.updateBundle(draftRecord('hello', { tenant: 'acme', archiveTime: TIME }), []));
    const name = { tenant: 'acme', bundleId: 'hello', version: '1.0.0' };
    assert.deepEqual(await content.versionHashes([name]), [snapshot.hash]);
    assert.deepEqual(await content.documents([snapshot.hash]), [snapshot.text]);
  });
});
