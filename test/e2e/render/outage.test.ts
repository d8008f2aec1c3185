import assert from 'node:assert/strict';
import type { RenderResponse } from '../../../gen/platen/v1/render_service_pb.js';
import { RenderSource } from '../../../gen/platen/v1/render_service_pb.js';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import { defaultPrompt } from '../../../src/domain/default-prompts.ts';
import { Brand } from '../../support/authoring.ts';
import { DatabaseProxy } from '../../support/database-proxy.ts';
import { failure, Platen } from '../../support/platen.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { until } from '../../support/until.ts';
import { byBundle, byType, origin, type RenderInit, retryDelay, warned } from '../../support/rendering.ts';

describe('renders while the database is away', () => {
  let database: TestDatabase;
  let proxy: DatabaseProxy;
  let platen: Platen;
  let brand: Brand;
  let other: Brand;
  let held: string;
  let released: string;
  /** Released before this replica started, and not rendered since. */
  let unheld: string;
  /** The receipt of a render while the database was away. */
  let waiting: string;

  before(async () => {
    database = await createDatabase();
    const author = await Platen.start(database);
    other = await Brand.create(author.clients);
    unheld = (await other.bundle({ draft: 'not held', type: PromptType.GREETING, activate: true })).bundleId;
    await author.stop();
    proxy = await DatabaseProxy.start(database);
    platen = await Platen.start({ ...database, serverUrl: proxy.url });
    brand = await Brand.create(platen.clients);
    held = (await brand.bundle({ draft: 'held' })).bundleId;
    await render({ tenant: brand.tenant, target: byBundle(held, { version: '1.0.0' }) });
    const loads = async () => (await platen.metric('bundle_cache_hits_total', 'level="database",kind="document"')) ?? 0;
    const before = await loads();
    released = (await brand.bundle({ draft: 'released a moment ago' })).bundleId;
    await until('the release is loaded ahead', async () => (await loads()) > before);
    proxy.cut();
  });
  after(async () => {
    await platen.stop();
    await proxy.stop();
    await database.drop();
  });

  function render(request: RenderInit) {
    return platen.clients.renders.render(request);
  }

  /** Renders until an answer is as expected; mocha's timeout bounds it. */
  async function renderUntil(request: RenderInit, expected: (answer: RenderResponse) => boolean) {
    for (;;) {
      const answer = await render(request);
      if (expected(answer)) return answer;
    }
  }

  describe('Losing a store never flips health', () => {
    it('what is held is rendered', async () => {
      const targets = [byBundle(held), byBundle(held, { version: '1.0.0' })];
      const answers = await Promise.all(targets.map((target) => render({ tenant: brand.tenant, target })));
      assert.deepEqual(answers.map(({ text }) => text), ['held', 'held']);
      assert.equal((await fetch(`${platen.httpUrl}/readyz`)).status, 200);
    });

    it('what is not held is unavailable by bundle', async () => {
      for (const at of [{}, { version: '1.0.0' }]) {
        const ask = () => render({ tenant: other.tenant, target: byBundle(unheld, at) });
        const { code, reason, retry } = await failure(ask());
        assert.deepEqual([code, reason, retry], ['Unavailable', 'DATABASE_UNAVAILABLE', true]);
        assert.equal(await retryDelay(ask()), 1_000);
      }
    });

    it('unless there is a fallback text', async () => {
      const fallbackText = 'one moment';
      const answer = await render({ tenant: other.tenant, target: byBundle(unheld), fallbackText });
      assert.equal(answer.text, fallbackText);
      assert.equal(answer.source, RenderSource.FALLBACK);
    });
  });

  describe('A released version is loaded ahead', () => {
    it('so that it is held when the database goes away before its first render', async () => {
      const answer = await render({ tenant: brand.tenant, target: byBundle(released) });
      assert.equal(answer.text, 'released a moment ago');
    });
  });

  describe('A render by type never fails for want of a prompt', () => {
    it('the built-in default stands in, with a log and a metric', async () => {
      const reason = 'stores_unavailable';
      const before = (await platen.metric('prompt_fallback_total', `reason="${reason}"`)) ?? 0;
      const answer = await render({ tenant: other.tenant, target: byType(PromptType.GREETING) });
      assert.equal(answer.bundleHash, defaultPrompt('GREETING').hash);
      assert.equal(answer.source, RenderSource.FALLBACK);
      assert.ok(warned(answer.warnings).includes('FALLBACK_USED GREETING'));
      assert.equal(await platen.metric('prompt_fallback_total', `reason="${reason}"`), before + 1);
      const line = platen.logs.find((each) => each['reason'] === reason && each['target'] === 'GREETING');
      assert.equal(line?.['level'], 'warn');
    });
  });

  describe('Receipts pass through a local journal', () => {
    it('nothing is lost, and nothing is said of it: the receipt waits', async () => {
      const answer = await render({ tenant: brand.tenant, target: byBundle(held) });
      assert.ok(!warned(answer.warnings).some((warning) => warning.startsWith('RECEIPT_NOT_RECORDED')));
      assert.equal(await platen.metric('audit_receipts_lost_total'), 0);
      assert.ok((await platen.metric('audit_journal_depth'))! > 0);
      waiting = answer.renderId;
    });
  });

  describe('An unverified head makes answers stale', () => {
    it('with a warning that names the seq', async () => {
      const request = { tenant: brand.tenant, target: byBundle(held) };
      const answer = await renderUntil(request, ({ source }) => source === RenderSource.STALE);
      assert.equal(origin(answer), `STALE ${brand.tenant}/${held}@1.0.0#production.1`);
      assert.ok(warned(answer.warnings).includes(`POINTERS_UNVERIFIED ${answer.seq}`));
    });
  });

  describe('A silent connection is caught up', () => {
    it('once the database is back: nothing is stale or lost any more, and what was not held is', async () => {
      proxy.mend();
      const request = { tenant: brand.tenant, target: byBundle(held) };
      const answer = await renderUntil(request, ({ warnings }) => warnings.length === 0);
      assert.equal(answer.source, RenderSource.ACTIVE);
      const { receipt } = await platen.clients.audit.getReceipt({ renderId: answer.renderId });
      assert.equal(receipt!.renderedHash, answer.renderedHash);
      assert.equal((await platen.clients.audit.getReceipt({ renderId: waiting })).receipt!.renderId, waiting);
      const found = await render({ tenant: other.tenant, target: byType(PromptType.GREETING) });
      assert.equal(found.text, 'not held');
      await brand.bundle({ id: held, draft: 'moved on', version: '1.1.0' });
      assert.equal((await render(request)).text, 'moved on');
    });
  });
});
