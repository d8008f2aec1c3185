import assert from 'node:assert/strict';
import { timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ListReceiptsRequestSchema } from '../../../gen/platen/v1/audit_service_pb.js';
import { RenderSource } from '../../../gen/platen/v1/render_service_pb.js';
import { CapturePolicy, PromptType, Role } from '../../../gen/platen/v1/resources_pb.js';
import { jsonObjectOf, valuesOf } from '../../../src/rpc/mapping/struct.ts';
import { Brand, freshId, placeholder, section } from '../../support/authoring.ts';
import { failure, Platen } from '../../support/platen.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { byBundle, byType, origin, type RenderInit, spoken } from '../../support/rendering.ts';

const HASH = /^[0-9a-f]{64}$/;
const history = { messages: [{ role: Role.USER, content: 'I lost my card' }] };

describe('receipts of renders', () => {
  let database: TestDatabase;
  let platen: Platen;

  before(async () => {
    database = await createDatabase();
    platen = await Platen.start(database);
  });
  after(async () => {
    await platen.stop();
    await database.drop();
  });

  function render(request: RenderInit) {
    return platen.clients.renders.render(request);
  }

  async function receiptOf(request: RenderInit) {
    const answer = await render(request);
    const { receipt, inputs } = await platen.clients.audit.getReceipt({ renderId: answer.renderId });
    return { answer, receipt: receipt!, inputs };
  }

  /** A bundle that reads two variables and has a place for history. */
  async function chat(brand: Brand, activate = false) {
    const templateId = await brand.template('{brand_name} greets {name}');
    const sections = [section(templateId), placeholder('history')];
    return brand.bundle({ type: PromptType.GREETING, draft: { sections }, activate });
  }

  function listed(request: MessageInitShape<typeof ListReceiptsRequestSchema>) {
    return platen.clients.audit.listReceipts(request);
  }

  async function ids(request: MessageInitShape<typeof ListReceiptsRequestSchema>) {
    return (await listed(request)).receipts.map(({ renderId }) => renderId);
  }

  describe('Every render leaves a receipt', () => {
    it('what was asked, what answered, all hashes, who, when and how long', async () => {
      const brand = await Brand.create(platen.clients, { variables: { brand_name: 'Solea' } });
      const child = await brand.child();
      const { bundleId } = await chat(brand);
      const from = Date.now();
      const traceId = '0af7651916cd43dd8448eb211c80319c';
      const labels = { conversation: 'c-1', turn: '3' };
      const answer = await platen.clients.renders.render(
        {
          tenant: child.tenant,
          target: byBundle(bundleId),
          variables: valuesOf({ name: 'Ada' }),
          placeholders: { history },
          requestId: 'turn-3',
          labels,
        },
        { headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` } },
      );
      const to = Date.now();
      const { receipt } = await platen.clients.audit.getReceipt({ renderId: answer.renderId });
      const { time, durationUs, batch, ...other } = receipt!;
      const { constraintsHash, placeholdersHash, messagesHash, receiptHash, ...rest } = other;
      const at = timestampDate(time!).getTime();
      assert.ok(from <= at && at <= to);
      assert.ok(durationUs > 0n && durationUs <= BigInt(to - from + 1) * 1_000n);
      for (const hash of [constraintsHash, placeholdersHash, messagesHash, receiptHash]) assert.match(hash, HASH);
      assert.ok(batch > 0n);
      assert.deepEqual(rest, {
        $typeName: 'platen.v1.Receipt',
        renderId: answer.renderId,
        requestedTenant: child.tenant,
        requestedBundleId: bundleId,
        requestedVersion: '',
        requestedType: PromptType.UNSPECIFIED,
        capturePolicy: CapturePolicy.VARIABLES,
        tenant: brand.tenant,
        bundleId,
        version: '1.0.0',
        channel: 'production',
        revision: 1,
        seq: answer.seq,
        source: RenderSource.INHERITED,
        renderedHash: answer.renderedHash,
        bundleHash: answer.bundleHash,
        personalityHash: '',
        variablesHash: answer.variablesHash,
        rendererVersion: 2,
        caller: 'anonymous@loopback',
        requestId: 'turn-3',
        labels,
        traceId,
      });
    });

    it('of an exact version', async () => {
      const brand = await Brand.create(platen.clients);
      const { bundleId } = await brand.bundle({ draft: 'hi' });
      const { receipt } = await receiptOf({ tenant: brand.tenant, target: byBundle(bundleId, { version: '1.0.0' }) });
      assert.equal(receipt.requestedVersion, '1.0.0');
      assert.equal(origin(receipt), `PINNED ${brand.tenant}/${bundleId}@1.0.0#.0`);
      assert.equal(receipt.traceId, '');
    });

    it('by type', async () => {
      const brand = await Brand.create(platen.clients);
      const { bundleId } = await brand.bundle({ draft: 'hi', type: PromptType.FAREWELL, activate: true });
      const { receipt } = await receiptOf({ tenant: brand.tenant, target: byType(PromptType.FAREWELL) });
      assert.equal(receipt.requestedBundleId, '');
      assert.equal(receipt.requestedType, PromptType.FAREWELL);
      assert.equal(origin(receipt), `ACTIVE ${brand.tenant}/${bundleId}@1.0.0#production.1`);
    });

    it('of a built-in default, with the channel that was asked for', async () => {
      const request = { tenant: 'nobody', target: byType(PromptType.FAREWELL), channel: 'beta' };
      const { answer, receipt } = await receiptOf(request);
      assert.equal(receipt.requestedTenant, 'nobody');
      assert.equal(origin(receipt), 'FALLBACK /@#beta.0');
      assert.equal(receipt.bundleHash, answer.bundleHash);
    });

    it('of a fallback text, without a bundle', async () => {
      const { answer, receipt } = await receiptOf({ target: byBundle('no-such'), fallbackText: 'sorry' });
      assert.equal(receipt.requestedBundleId, 'no-such');
      assert.equal(origin(receipt), 'FALLBACK /@#production.0');
      assert.deepEqual([receipt.bundleHash, receipt.personalityHash, receipt.constraintsHash], ['', '', '']);
      assert.equal(receipt.renderedHash, answer.renderedHash);
    });

    it('and a render that fails leaves none', async () => {
      const { tenant } = await Brand.create(platen.clients);
      await failure(render({ tenant, target: byBundle('no-such') }));
      assert.deepEqual(await ids({ tenant }), []);
    });
  });

  describe('The capture policy decides what is kept', () => {
    async function kept(capturePolicy: CapturePolicy) {
      const brand = await Brand.create(platen.clients, { capturePolicy, variables: { brand_name: 'Solea', other: 1 } });
      const { bundleId } = await chat(brand);
      const variables = valuesOf({ name: 'Ada', ignored: true });
      const placeholders = { history, ignored: history };
      return receiptOf({ tenant: brand.tenant, target: byBundle(bundleId), variables, placeholders });
    }

    it('FULL: the merged variables and the messages that the bundle has a place for', async () => {
      const { inputs } = await kept(CapturePolicy.FULL);
      assert.deepEqual(jsonObjectOf(inputs!.variables), { brand_name: 'Solea', name: 'Ada' });
      assert.deepEqual(Object.keys(inputs!.placeholders), ['history']);
      assert.deepEqual(spoken(inputs!.placeholders['history']!.messages), ['USER: I lost my card']);
      assert.equal(inputs!.fallbackText, '');
    });

    for (const policy of [CapturePolicy.VARIABLES, CapturePolicy.UNSPECIFIED]) {
      it(`${CapturePolicy[policy]}: the merged variables`, async () => {
        const { inputs } = await kept(policy);
        assert.deepEqual(jsonObjectOf(inputs!.variables), { brand_name: 'Solea', name: 'Ada' });
        assert.deepEqual(inputs!.placeholders, {});
      });
    }

    it('HASH_ONLY: nothing, also in the database', async () => {
      const { answer, inputs } = await kept(CapturePolicy.HASH_ONLY);
      assert.equal(inputs, undefined);
      const sql = 'select 1 from receipt_payload where render_id = ?';
      assert.deepEqual(await asOwner(database, sql, [answer.renderId]), []);
    });

    it('the fallback text, but for HASH_ONLY', async () => {
      for (const [capturePolicy, expected] of [
        [CapturePolicy.FULL, 'sorry'],
        [CapturePolicy.VARIABLES, 'sorry'],
        [CapturePolicy.HASH_ONLY, undefined],
      ] as const) {
        const { tenant } = await Brand.create(platen.clients, { capturePolicy });
        const { inputs } = await receiptOf({ tenant, target: byBundle('no-such'), fallbackText: 'sorry' });
        assert.equal(inputs?.fallbackText, expected);
      }
    });

    it('it is that of the tenant that asks, not of the one that answers', async () => {
      const brand = await Brand.create(platen.clients, { capturePolicy: CapturePolicy.FULL });
      const child = await brand.child({ capturePolicy: CapturePolicy.HASH_ONLY, variables: { brand_name: 'Child' } });
      const { bundleId } = await chat(brand);
      const request = { tenant: child.tenant, target: byBundle(bundleId), variables: valuesOf({ name: 'Ada' }) };
      assert.equal((await receiptOf(request)).inputs, undefined);
    });

    it('for an unknown tenant it is that of the root', async () => {
      const { inputs } = await receiptOf({ tenant: 'nobody', target: byBundle('no-such'), fallbackText: 'sorry' });
      assert.equal(inputs?.fallbackText, 'sorry');
    });
  });

  describe('Captured values can be erased', () => {
    it('without touching the receipt', async () => {
      const brand = await Brand.create(platen.clients, { variables: { brand_name: 'Solea' } });
      const { bundleId } = await chat(brand);
      const request = { tenant: brand.tenant, target: byBundle(bundleId), variables: valuesOf({ name: 'Ada' }) };
      const { receipt } = await receiptOf(request);
      const { renderId } = receipt;
      await asOwner(database, 'delete from receipt_payload where render_id = ?', [renderId]);
      const left = await platen.clients.audit.getReceipt({ renderId });
      assert.equal(left.inputs, undefined);
      assert.deepEqual(left.receipt, receipt);
    });
  });

  describe('Unknown names are not found', () => {
    for (const renderId of ['0197c0de-0000-7000-8000-000000000000', 'no-uuid', '']) {
      it(`receipt "${renderId}"`, async () => {
        for (const call of [platen.clients.audit.getReceipt({ renderId }), platen.clients.audit.replay({ renderId })]) {
          const failed = await failure(call);
          assert.deepEqual([failed.code, failed.resource], ['NotFound', `receipt ${renderId}`]);
        }
      });
    }
  });

  describe('Lists are paged by an opaque token', () => {
    it('receipts, the latest first, each once, though more come meanwhile', async () => {
      const { tenant } = await Brand.create(platen.clients);
      const made: string[] = [];
      const make = async () => made.push((await render({ tenant, target: byType(PromptType.GREETING) })).renderId);
      for (let count = 0; count < 5; count += 1) await make();
      const expected = made.toReversed();
      const seen: string[] = [];
      for (let pageToken = ''; ; ) {
        const page = await listed({ tenant, pageSize: 2, pageToken });
        seen.push(...page.receipts.map(({ renderId }) => renderId));
        await make();
        pageToken = page.nextPageToken;
        if (pageToken === '') break;
      }
      assert.deepEqual(seen, expected);
    });

    it('a token is of use for its own list only', async () => {
      const { tenant } = await Brand.create(platen.clients);
      for (let count = 0; count < 2; count += 1) await render({ tenant, target: byType(PromptType.GREETING) });
      const { nextPageToken: pageToken } = await listed({ tenant, pageSize: 1 });
      assert.notEqual(pageToken, '');
      const failed = await failure(listed({ tenant, caller: 'me', pageSize: -1, pageToken }));
      assert.deepEqual(failed.violations.map((each) => each.split(' ')[0]), ['page_size', 'page_token']);
    });
  });

  describe('Every render leaves a receipt', () => {
    it('which is found by tenant, bundle_hash, personality_hash, caller and request_id', async () => {
      const brand = await Brand.create(platen.clients);
      const { tenant } = brand;
      const templateId = await brand.template(freshId('the personality of nobody else'));
      const personality = { templateId, version: '*' };
      const first = await brand.bundle({ draft: { personality } });
      const second = await brand.bundle({ draft: { personality, modelConfig: { n: 1 } } });
      const requestId = freshId('request');
      const one = await render({ tenant, target: byBundle(first.bundleId), requestId });
      const two = await render({ tenant, target: byBundle(second.bundleId) });
      const both = [two.renderId, one.renderId];
      assert.deepEqual(await ids({ tenant }), both);
      assert.deepEqual(await ids({ bundleHash: first.bundleHash }), [one.renderId]);
      assert.deepEqual(await ids({ personalityHash: one.personalityHash }), both);
      assert.deepEqual(await ids({ requestId }), [one.renderId]);
      assert.deepEqual(await ids({ tenant, caller: 'anonymous@loopback' }), both);
      assert.deepEqual(await ids({ tenant, caller: 'somebody' }), []);
      assert.deepEqual(await ids({ tenant, bundleHash: second.bundleHash, requestId }), []);
    });

    it('and by time: from start_time on, and before end_time', async () => {
      const { tenant } = await Brand.create(platen.clients);
      const { receipt: one } = await receiptOf({ tenant, target: byType(PromptType.GREETING) });
      while (Date.now() <= timestampDate(one.time!).getTime()) await new Promise(setImmediate);
      const { receipt: two } = await receiptOf({ tenant, target: byType(PromptType.GREETING) });
      assert.deepEqual(await ids({ tenant, startTime: two.time! }), [two.renderId]);
      assert.deepEqual(await ids({ tenant, endTime: two.time! }), [one.renderId]);
      assert.deepEqual(await ids({ tenant, startTime: one.time!, endTime: two.time! }), [one.renderId]);
      const later = timestampFromDate(new Date(timestampDate(two.time!).getTime() + 1));
      assert.deepEqual(await ids({ tenant, startTime: one.time!, endTime: later }), [two.renderId, one.renderId]);
      assert.deepEqual(await ids({ tenant, startTime: later }), []);
    });

    it('from the first moment of time to the last', async () => {
      const { tenant } = await Brand.create(platen.clients);
      const { renderId } = await render({ tenant, target: byType(PromptType.GREETING) });
      const first = { seconds: -62_135_596_800n, nanos: 0 };
      const last = { seconds: 253_402_300_799n, nanos: 999_999_999 };
      assert.deepEqual(await ids({ tenant, startTime: first, endTime: last }), [renderId]);
      assert.deepEqual(await ids({ tenant, startTime: last }), []);
      assert.deepEqual(await ids({ tenant, endTime: first }), []);
    });
  });
});
