import assert from 'node:assert/strict';
import { ReplicaContent } from '../../../src/cache/replica-content.ts';
import { documentOf } from '../../../src/domain/document.ts';
import { Unavailable } from '../../../src/domain/errors.ts';
import { away, FakeContent } from '../../support/cache/fake-content.ts';

const DOCUMENT = documentOf('hello');

describe('A document falls through the levels', () => {
  let replica: FakeContent;
  let primary: FakeContent;
  let failures: unknown[];
  let content: ReplicaContent;

  beforeEach(() => {
    replica = new FakeContent();
    primary = new FakeContent();
    failures = [];
    content = new ReplicaContent(replica, primary, { replicaFailed: (error) => failures.push(error) });
  });

  function publish(...stores: FakeContent[]): void {
    for (const store of stores) {
      store.put(DOCUMENT);
      store.putVersion('acme/hello@1.0.0', DOCUMENT.hash);
    }
  }

  async function assertFound(): Promise<void> {
    assert.equal(await content.document(DOCUMENT.hash), DOCUMENT.text);
    assert.equal(await content.versionHash('acme', 'hello', '1.0.0'), DOCUMENT.hash);
  }

  it('one that a read replica has does not trouble the primary', async () => {
    publish(replica, primary);
    await assertFound();
    assert.deepEqual(primary.asked, []);
  });

  it('one that a lagging read replica lacks is sought on the primary', async () => {
    publish(primary);
    await assertFound();
    assert.deepEqual(replica.asked, primary.asked);
  });

  it('one that both lack is missing', async () => {
    assert.equal(await content.document(DOCUMENT.hash), undefined);
    assert.equal(await content.versionHash('acme', 'hello', '1.0.0'), undefined);
  });

  it('a read replica that is away gives way to the primary', async () => {
    publish(replica, primary);
    replica.failure = away();
    await assertFound();
    assert.deepEqual(failures, []);
  });

  it('one that fails in another way does too, and it is told why', async () => {
    publish(replica, primary);
    replica.failure = new Error('relation "document" does not exist');
    await assertFound();
    assert.deepEqual(failures, [replica.failure, replica.failure]);
  });

  it('and where the primary is away as well, nothing is said to be missing', async () => {
    publish(primary);
    primary.failure = away();
    await assert.rejects(content.document(DOCUMENT.hash), Unavailable);
    await assert.rejects(content.versionHash('acme', 'hello', '1.0.0'), Unavailable);
  });
});
