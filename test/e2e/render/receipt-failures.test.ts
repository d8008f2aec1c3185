import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Brand } from '../../support/authoring.ts';
import { DatabaseProxy } from '../../support/database-proxy.ts';
import { failure, Platen } from '../../support/platen.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { byBundle, warned } from '../../support/rendering.ts';

describe('renders whose receipts cannot be kept', () => {
  let directory: string;
  let database: TestDatabase;
  let proxy: DatabaseProxy;
  let platen: Platen;
  let brand: Brand;
  let bundleId: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'platen-journal-'));
    database = await createDatabase();
    proxy = await DatabaseProxy.start(database);
  });
  afterEach(async () => {
    await platen.stop();
    await proxy.stop();
    await database.drop();
    await rm(directory, { recursive: true });
  });

  /** A server with a prompt that is held in memory. */
  async function start(settings: Readonly<Record<string, string>>): Promise<void> {
    platen = await Platen.start({ ...database, serverUrl: proxy.url }, settings);
    brand = await Brand.create(platen.clients);
    ({ bundleId } = await brand.bundle({ draft: 'held' }));
    await render().catch(() => {});
  }

  /** A server whose journal is in a directory that is a file until `mend`. */
  async function startBroken(onFailure: 'serve' | 'refuse'): Promise<void> {
    const journal = join(directory, 'journal');
    await writeFile(journal, '');
    await start({ PLATEN_AUDIT_JOURNAL_DIR: journal, PLATEN_AUDIT_ON_FAILURE: onFailure });
  }

  function render(timeoutMs = 10_000) {
    return platen.clients.renders.render({ tenant: brand.tenant, target: byBundle(bundleId) }, { timeoutMs });
  }

  describe('A lost receipt is counted and told', () => {
    it('serve: to the caller, in the log with all that it held, and in metrics', async () => {
      await startBroken('serve');
      const answer = await render();
      assert.equal(answer.text, 'held');
      assert.deepEqual(warned(answer.warnings), [`RECEIPT_NOT_RECORDED ${answer.renderId}`]);
      // That of the first one, which only loaded the prompt, included.
      assert.equal(await platen.metric('audit_receipts_lost_total'), 2);
      assert.ok((await platen.metric('audit_journal_failures_total', 'reason="io"'))! > 0);
      const line = platen.logs.find(
        (each) => (each['receipt'] as { renderId?: string } | undefined)?.renderId === answer.renderId,
      );
      assert.equal(line?.['level'], 'error');
    });

    it('refuse: the render is refused, and says what it was', async () => {
      await startBroken('refuse');
      const failed = await failure(render());
      assert.deepEqual([failed.code, failed.reason, failed.retry], ['Unavailable', 'RECEIPT_NOT_RECORDED', true]);
      assert.match(failed.metadata['render_id']!, /^[0-9a-f-]{36}$/);
      assert.ok((await platen.metric('audit_journal_failures_total', 'reason="io"'))! > 0);
    });
  });

  describe('Journals are bounded and outlive faults', () => {
    it('one that cannot be used at the start is used once it can', async () => {
      await startBroken('refuse');
      await failure(render());
      await rm(join(directory, 'journal'));
      let answer = await render().catch(() => undefined);
      while (answer === undefined) answer = await render().catch(() => undefined);
      const { receipt } = await platen.clients.audit.getReceipt({ renderId: answer.renderId });
      assert.equal(receipt!.renderedHash, answer.renderedHash);
    });
  });

  describe('A level of acknowledgement names what a receipt survives', () => {
    const inChain = { PLATEN_AUDIT_ACK: 'database' };

    it('database: the receipt is in the chain before the answer', async () => {
      await start(inChain);
      const { renderId } = await render();
      const rows = await asOwner(database, 'select 1 from receipt where render_id = ?', [renderId]);
      assert.equal(rows.length, 1);
    });

    it('fsync: the render is answered, and its receipt arrives', async () => {
      await start({ PLATEN_AUDIT_ACK: 'fsync' });
      const { renderId, warnings } = await render();
      assert.deepEqual(warned(warnings), []);
      assert.equal((await platen.clients.audit.getReceipt({ renderId })).receipt!.renderId, renderId);
    });

    it('database, while it is away, serve: the answer comes in time, with a warning; the receipt arrives', async () => {
      await start(inChain);
      proxy.cut();
      const answer = await render(1_000);
      assert.ok(warned(answer.warnings).includes(`RECEIPT_NOT_RECORDED ${answer.renderId}`));
      assert.deepEqual(
        [await platen.metric('audit_receipts_lost_total'), await platen.metric('audit_receipts_late_total')],
        [0, 1],
      );
      proxy.mend();
      const { renderId } = answer;
      let found = await platen.clients.audit.getReceipt({ renderId }).catch(() => undefined);
      while (found === undefined) found = await platen.clients.audit.getReceipt({ renderId }).catch(() => undefined);
      assert.equal(found.receipt!.renderedHash, answer.renderedHash);
    });

    it('database, while it is away, refuse: the render is refused', async () => {
      await start({ ...inChain, PLATEN_AUDIT_ON_FAILURE: 'refuse' });
      proxy.cut();
      const failed = await failure(render());
      assert.deepEqual([failed.code, failed.reason], ['Unavailable', 'RECEIPT_NOT_RECORDED']);
    });
  });
});
