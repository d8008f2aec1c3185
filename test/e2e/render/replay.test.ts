import assert from 'node:assert/strict';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { ReplayOutcome, type RenderInputsSchema } from '../../../gen/platen/v1/audit_service_pb.js';
import { CapturePolicy, PromptType, Role, Severity, VariableType } from '../../../gen/platen/v1/resources_pb.js';
import { valuesOf } from '../../../src/rpc/mapping/struct.ts';
import { Brand, placeholder, section } from '../../support/authoring.ts';
import { failure, Platen } from '../../support/platen.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { byBundle, byType } from '../../support/rendering.ts';

const history = { messages: [{ role: Role.USER, content: 'I lost\r\nmy card' }] };

describe('Replay tells match from mismatch', () => {
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

  async function replay(renderId: string, inputs?: MessageInitShape<typeof RenderInputsSchema>) {
    const answer = await platen.clients.audit.replay({ renderId, ...(inputs && { inputs }) });
    return { ...answer, outcome: ReplayOutcome[answer.outcome] };
  }

  /** A render under a capture policy, with values of every origin. */
  async function rendered(capturePolicy: CapturePolicy) {
    const brand = await Brand.create(platen.clients, { capturePolicy, variables: { brand_name: 'Solea' } });
    const templateId = await brand.template({
      content: '{brand_name} greets {name} {items}{note}',
      variables: [
        { name: 'brand_name', type: VariableType.STRING, required: true },
        { name: 'name', type: VariableType.STRING, required: true },
        { name: 'items', type: VariableType.LIST, default: valuesOf({ v: [1, { b: 1, a: 2 }] })['v']! },
        { name: 'note', type: VariableType.STRING },
      ],
    });
    const { bundleId } = await brand.bundle({
      draft: {
        sections: [section(templateId), placeholder('history')],
        constraints: [{ id: 'short', severity: Severity.ERROR, rule: { case: 'maxChars', value: 80 } }],
      },
    });
    const answer = await platen.clients.renders.render({
      tenant: brand.tenant,
      target: byBundle(bundleId),
      variables: valuesOf({ name: 'Ada', undeclared: 1 }),
      placeholders: { history, unknown: history },
    });
    return { brand, bundleId, answer };
  }

  const merged = { brand_name: 'Solea', name: 'Ada', items: [1, { b: 1, a: 2 }] };

  describe('MATCH', () => {
    it('with all inputs captured, whatever was published since', async () => {
      const { brand, bundleId, answer } = await rendered(CapturePolicy.FULL);
      await brand.bundle({ id: bundleId, draft: 'another prompt', version: '2.0.0' });
      await platen.clients.tenants.updateTenant({
        tenant: brand.tenant,
        parent: 'default',
        variables: valuesOf({ brand_name: 'Renamed' }),
        editVersion: 1,
      });
      const again = await replay(answer.renderId);
      assert.equal(again.outcome, 'MATCH');
      assert.equal(again.text, answer.text);
      assert.equal(again.expectedHash, answer.renderedHash);
      assert.equal(again.actualHash, answer.renderedHash);
      assert.deepEqual(again.missingInputs, []);
    });

    it('with the messages supplied that were not captured', async () => {
      const { answer } = await rendered(CapturePolicy.VARIABLES);
      const again = await replay(answer.renderId, { placeholders: { history } });
      assert.equal(again.outcome, 'MATCH');
      assert.equal(again.text, answer.text);
    });

    it('with everything supplied', async () => {
      const { answer } = await rendered(CapturePolicy.HASH_ONLY);
      const again = await replay(answer.renderId, { variables: valuesOf(merged), placeholders: { history } });
      assert.equal(again.outcome, 'MATCH');
      assert.equal(again.text, answer.text);
    });

    it('with inputs captured, whatever else is supplied', async () => {
      const { answer } = await rendered(CapturePolicy.FULL);
      const inputs = { variables: valuesOf({ name: 'Eve' }), placeholders: { other: history }, fallbackText: 'x' };
      assert.equal((await replay(answer.renderId, inputs)).outcome, 'MATCH');
    });

    it('without inputs, where the render had none', async () => {
      const brand = await Brand.create(platen.clients, { capturePolicy: CapturePolicy.HASH_ONLY });
      const { bundleId } = await brand.bundle({ draft: 'hello' });
      const { renderId } = await platen.clients.renders.render({ tenant: brand.tenant, target: byBundle(bundleId) });
      assert.equal((await replay(renderId)).outcome, 'MATCH');
    });

    it('of a built-in default', async () => {
      const { tenant } = await Brand.create(platen.clients, { capturePolicy: CapturePolicy.HASH_ONLY });
      const target = byType(PromptType.REJECTION);
      const answer = await platen.clients.renders.render({ tenant, target, variables: valuesOf({ name: 'Ada' }) });
      const again = await replay(answer.renderId);
      assert.equal(again.outcome, 'MATCH');
      assert.equal(again.text, answer.text);
    });

    it('of a fallback text, captured or supplied', async () => {
      const fallbackText = 'We are {closed}\r\n';
      for (const capturePolicy of [CapturePolicy.VARIABLES, CapturePolicy.HASH_ONLY]) {
        const { tenant } = await Brand.create(platen.clients, { capturePolicy });
        const request = { tenant, target: byBundle('no-such'), fallbackText };
        const { renderId } = await platen.clients.renders.render(request);
        const supplied = capturePolicy === CapturePolicy.HASH_ONLY ? { fallbackText } : undefined;
        const again = await replay(renderId, supplied);
        assert.equal(again.outcome, 'MATCH');
        assert.equal(again.text, fallbackText);
      }
    });
  });

  describe('INPUT_MISSING', () => {
    async function missing(renderId: string, inputs?: MessageInitShape<typeof RenderInputsSchema>) {
      const again = await replay(renderId, inputs);
      assert.equal(again.outcome, 'INPUT_MISSING');
      assert.deepEqual([again.actualHash, again.text], ['', '']);
      assert.notEqual(again.expectedHash, '');
      return again.missingInputs;
    }

    it('names what was neither captured nor supplied', async () => {
      const variables = await rendered(CapturePolicy.VARIABLES);
      assert.deepEqual(await missing(variables.answer.renderId), ['placeholders']);
      const hashes = await rendered(CapturePolicy.HASH_ONLY);
      assert.deepEqual(await missing(hashes.answer.renderId), ['variables', 'placeholders']);
      const onlyHistory = { placeholders: { history } };
      assert.deepEqual(await missing(hashes.answer.renderId, onlyHistory), ['variables']);
    });

    it('and what was supplied, but is not what was rendered', async () => {
      const { answer } = await rendered(CapturePolicy.HASH_ONLY);
      const inputs = {
        variables: valuesOf({ ...merged, name: 'Eve' }),
        placeholders: { history: { messages: [{ role: Role.ASSISTANT, content: history.messages[0]!.content }] } },
      };
      assert.deepEqual(await missing(answer.renderId, inputs), ['variables', 'placeholders']);
    });

    it('after the values were erased', async () => {
      const { answer } = await rendered(CapturePolicy.FULL);
      await platen.clients.audit.getReceipt({ renderId: answer.renderId });
      await asOwner(database, 'delete from receipt_payload where render_id = ?', [answer.renderId]);
      assert.deepEqual(await missing(answer.renderId), ['variables', 'placeholders']);
      const inputs = { variables: valuesOf(merged), placeholders: { history } };
      assert.equal((await replay(answer.renderId, inputs)).outcome, 'MATCH');
    });

    it('of a fallback text', async () => {
      const { tenant } = await Brand.create(platen.clients, { capturePolicy: CapturePolicy.HASH_ONLY });
      const request = { tenant, target: byBundle('no-such'), fallbackText: 'sorry' };
      const { renderId } = await platen.clients.renders.render(request);
      assert.deepEqual(await missing(renderId), ['fallback_text']);
      assert.deepEqual(await missing(renderId, { fallbackText: 'not sorry' }), ['fallback_text']);
    });
  });

  describe('MISMATCH', () => {
    /** What only somebody who may switch the triggers off can do. */
    async function tamper(renderId: string, change: string) {
      await platen.clients.audit.getReceipt({ renderId });
      const where = `render_id = '${renderId}'`;
      await asOwner(database, `set session_replication_role = replica; update receipt set ${change} where ${where}`);
    }

    it('if the receipt names another text', async () => {
      const { answer } = await rendered(CapturePolicy.FULL);
      await tamper(answer.renderId, `rendered_hash = decode(repeat('0', 64), 'hex')`);
      const again = await replay(answer.renderId);
      assert.equal(again.outcome, 'MISMATCH');
      assert.equal(again.expectedHash, '0'.repeat(64));
      assert.equal(again.actualHash, answer.renderedHash);
      assert.equal(again.text, answer.text);
    });

    it('if it names other roles', async () => {
      const { answer } = await rendered(CapturePolicy.FULL);
      await tamper(answer.renderId, `messages_hash = decode(repeat('0', 64), 'hex')`);
      assert.equal((await replay(answer.renderId)).outcome, 'MISMATCH');
    });

    it('if it names another snapshot', async () => {
      const { brand, answer } = await rendered(CapturePolicy.FULL);
      const other = await brand.bundle({ draft: '{name} greets {brand_name} with {items}' });
      await tamper(answer.renderId, `bundle_hash = decode('${other.bundleHash}', 'hex')`);
      assert.equal((await replay(answer.renderId)).outcome, 'MISMATCH');
    });
  });

  describe('Every violation is reported at once', () => {
    it('of supplied inputs', async () => {
      const { answer } = await rendered(CapturePolicy.FULL);
      const placeholders = { a: { messages: [{ role: Role.UNSPECIFIED }] }, b: { messages: [{ role: 9 as Role }] } };
      const failed = await failure(replay(answer.renderId, { placeholders }));
      assert.deepEqual(failed.violations, [
        'inputs.placeholders.a.messages[0].role UNSPECIFIED',
        'inputs.placeholders.b.messages[0].role OUT_OF_RANGE',
      ]);
    });
  });
});
