import assert from 'node:assert/strict';
import { Brand } from '../../support/authoring.ts';
import { DatabaseProxy } from '../../support/database-proxy.ts';
import { failure, Platen } from '../../support/platen.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { byBundle } from '../../support/rendering.ts';

describe('A write is answered when it can be seen', () => {
  const DEADLINE_MS = 1_500;
  let database: TestDatabase;
  let listening: DatabaseProxy;
  let platen: Platen;
  let brand: Brand;

  before(async () => {
    database = await createDatabase();
    listening = await DatabaseProxy.start(database);
    platen = await Platen.start(database, { PLATEN_DATABASE_DIRECT_URL: listening.url });
    brand = await Brand.create(platen.clients);
  });
  after(async () => {
    await platen.stop();
    await listening.stop();
    await database.drop();
  });

  it('one that is committed and cannot be seen yet is unavailable, and answered to its repeat', async () => {
    const { tenant } = brand;
    const { bundleId } = await brand.bundle({ draft: 'one' });
    const target = { case: 'withdraw', value: true } as const;
    const withdraw = () =>
      platen.clients.bundles.releaseBundle({ tenant, bundleId, target, requestId: 'r1' }, { timeoutMs: DEADLINE_MS });

    listening.cut();
    const { code, reason, retry, metadata, message } = await failure(withdraw());
    assert.deepEqual([code, reason, retry], ['Unavailable', 'SEQ_NOT_APPLIED', true]);
    const [head] = await asOwner<{ seq: string }>(database, 'select seq from change_head');
    assert.equal(metadata['min_seq'], head!.seq);
    assert.equal(Number(metadata['applied_seq']), Number(head!.seq) - 1);
    assert.match(message, /is committed as change \d+, .* repeat it with the same request_id/);
    assert.ok(platen.logs.some(({ msg, level }) => level === 'error' && String(msg).includes('is committed')));

    listening.mend();
    const { release } = await withdraw();
    assert.equal(String(release!.seq), head!.seq);
    const answer = await platen.clients.renders.render({ tenant, target: byBundle(bundleId), fallbackText: 'gone' });
    assert.equal(answer.text, 'gone');
  });
});
