import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import canonicalize from 'canonicalize';
import { ChangeAction, EntityKind, type Change } from '../../../gen/platen/v1/audit_service_pb.js';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import { Brand, headOf, refused, section } from '../../support/brand.ts';
import { failure, Platen } from '../../support/platen.ts';

const { TENANT, TEMPLATE, BUNDLE, ACTIVATION } = EntityKind;
const ACTOR = 'anonymous@loopback';

describe('the change log of the registry', () => {
  let platen: Platen;
  let brand: Brand;

  before(async () => {
    platen = await Platen.start();
  });
  after(() => platen.stop());

  beforeEach(async () => {
    brand = await Brand.create(platen);
  });

  /** A change in a line: what was done to what. */
  function brief({ action, entityKind, entityId }: Change): string {
    return `${ChangeAction[action]} ${EntityKind[entityKind]} ${entityId}`;
  }

  async function latest(): Promise<Change> {
    return (await brand.changes()).at(-1)!;
  }

  function documentsOf({ seq }: Change) {
    return platen.clients.audit.getChange({ seq });
  }

  describe('Every effect is one change', () => {
    it('each write of the registry says what it did to what', async () => {
      const { tenants, templates, bundles } = platen.clients;
      const { tenant } = brand;
      await tenants.updateTenant({ tenant, editVersion: 1 });
      await brand.template('hello', 'Hello', '1.0.0');
      await templates.updateTemplate({ tenant, templateId: 'hello', draft: { content: 'Hi' }, editVersion: 1 });
      await brand.bundle('chat', { sections: [section('hello')] }, '1.0.0', '1.1.0');
      await brand.release('chat', '1.0.0');
      await brand.release('chat', '1.1.0');
      await brand.rollback('chat');
      await brand.activate('chat');
      await brand.updateBundle('chat', { sections: [section('hello', '*')] }, 1);
      await brand.deactivate();
      await brand.withdraw('chat');
      await bundles.deleteBundle({ tenant, bundleId: 'chat', editVersion: 2 });
      await brand.deleteTemplate('hello', 2);
      assert.deepEqual((await brand.changes()).map(brief), [
        `CREATE TENANT ${tenant}`,
        `UPDATE TENANT ${tenant}`,
        'CREATE TEMPLATE hello',
        'PUBLISH TEMPLATE hello',
        'UPDATE TEMPLATE hello',
        'CREATE BUNDLE chat',
        'PUBLISH BUNDLE chat',
        'PUBLISH BUNDLE chat',
        'RELEASE BUNDLE chat',
        'RELEASE BUNDLE chat',
        'ROLLBACK BUNDLE chat',
        'ACTIVATE ACTIVATION GREETING',
        'UPDATE BUNDLE chat',
        'DEACTIVATE ACTIVATION GREETING',
        'WITHDRAW BUNDLE chat',
        'ARCHIVE BUNDLE chat',
        'ARCHIVE TEMPLATE hello',
      ]);
    });

    it('a publish that releases and activates has three effects', async () => {
      await brand.template('hello', 'Hello', '1.0.0');
      await brand.bundle('chat', { sections: [section('hello')] });
      const { seq } = await brand.publishBundle('chat', '1.0.0', { channel: 'production', activate: true });
      const last = (await brand.changes()).slice(-3);
      assert.deepEqual(last.map(brief), ['PUBLISH BUNDLE chat', 'RELEASE BUNDLE chat', 'ACTIVATE ACTIVATION GREETING']);
      assert.deepEqual(last.map((change) => change.seq), [seq - 2n, seq - 1n, seq]);
    });

    it('a refused write and a read have none', async () => {
      await refused(platen, () => brand.deleteTemplate('nothing'));
      const head = await headOf(platen);
      await platen.clients.tenants.getTenant({ tenant: brand.tenant });
      assert.equal(await headOf(platen), head);
    });
  });

  describe('Changes are gapless in commit order', () => {
    it('from 1 to the head, the first of which created the root', async () => {
      await refused(platen, () => brand.deleteTemplate('nothing'));
      await brand.template('hello');
      const { changes } = await platen.clients.audit.listChanges({ pageSize: 1_000 });
      assert.deepEqual(changes.map(({ seq }) => seq), changes.map((_, index) => BigInt(changes.length - index)));
      assert.equal(brief(changes.at(-1)!), 'CREATE TENANT default');
    });

    it('an answer tells the seq of its change', async () => {
      const { seq } = await platen.clients.templates.createTemplate({
        tenant: brand.tenant,
        templateId: 'hello',
        type: PromptType.GREETING,
        draft: { content: 'Hello' },
      });
      assert.deepEqual([seq, brief(await latest())], [(await latest()).seq, 'CREATE TEMPLATE hello']);
      assert.equal(await headOf(platen), seq);
    });
  });

  describe('The change chain can be recomputed', () => {
    it('from what the contract shows of each change', async () => {
      await brand.template('hello', 'Hello', '1.0.0');
      await brand.bundle('chat', { sections: [section('hello')] });
      await brand.publishBundle('chat', '1.0.0', { channel: 'production', activate: true });
      const { changes } = await platen.clients.audit.listChanges({ pageSize: 1_000 });
      let prev = '0'.repeat(64);
      for (const change of changes.toReversed()) {
        const entry = {
          seq: Number(change.seq),
          time: timestampDate(change.time!).toISOString(),
          actor: change.actor,
          action: ChangeAction[change.action],
          tenant: change.tenant,
          entity: { kind: EntityKind[change.entityKind], id: change.entityId },
          before: change.beforeHash,
          after: change.afterHash,
          detail: change.detail,
          request_id: change.requestId,
          trace_id: change.traceId,
          prev,
        };
        const valued = Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== ''));
        prev = createHash('sha256').update(canonicalize(valued)!).digest('hex');
        assert.equal(change.chainHash, prev, `seq ${change.seq}`);
      }
    });
  });

  describe('A change tells who, what and when', () => {
    it('the actor, the request_id, the trace id and the time', async () => {
      const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
      const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01` };
      const request = {
        tenant: brand.tenant,
        templateId: 'traced',
        type: PromptType.GREETING,
        draft: { content: 'Hello' },
        requestId: `${brand.tenant}-save-17`,
      };
      const began = Date.now();
      const { template } = await platen.clients.templates.createTemplate(request, { headers });
      const change = await latest();
      assert.deepEqual([change.actor, change.requestId, change.traceId], [ACTOR, request.requestId, traceId]);
      const created = timestampDate(template!.createTime!).getTime();
      const time = timestampDate(change.time!).getTime();
      assert.ok(began <= created && created <= time && time <= Date.now());
    });

    it('over the other port as well', async () => {
      const traceId = '0af7651916cd43dd8448eb211c80319c';
      const response = await fetch(`${platen.httpUrl}/platen.v1.TemplateService/CreateTemplate`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', traceparent: `00-${traceId}-b7ad6b7169203331-00` },
        body: JSON.stringify({ tenant: brand.tenant, templateId: 'traced', type: 2, draft: { content: 'x' } }),
      });
      assert.equal(response.status, 200);
      const change = await latest();
      assert.deepEqual([change.traceId, change.requestId, change.actor], [traceId, '', ACTOR]);
    });

    it('the documents before and after, so that a former draft can be saved again', async () => {
      const { tenant } = brand;
      await brand.template('hello', 'First');
      const { draftHash: first } = await brand.templateDraft('hello');
      const update = (content: string, editVersion: number) =>
        platen.clients.templates.updateTemplate({ tenant, templateId: 'hello', draft: { content }, editVersion });
      const { template } = await update('Second', 1);
      const change = await latest();
      assert.deepEqual([change.beforeHash, change.afterHash], [first, template?.draftHash]);
      const { beforeJson, afterJson, change: same } = await documentsOf(change);
      assert.deepEqual(same, change);
      assert.deepEqual(
        [beforeJson, afterJson].map((json) => createHash('sha256').update(json).digest('hex')),
        [change.beforeHash, change.afterHash],
      );
      assert.equal(afterJson, '{"content":"Second","syntax":"FORMAT","type":"SYSTEM_PROMPT"}');
      const { content } = JSON.parse(beforeJson) as { content: string };
      assert.equal((await update(content, 2)).template?.draftHash, first);
    });

    it('what has no document on a side has no hash there', async () => {
      await brand.template('hello', 'Hello', '1.0.0');
      const { draftHash } = await brand.templateDraft('hello');
      await brand.deleteTemplate('hello');
      const changes = (await brand.changes()).slice(-3);
      assert.deepEqual(changes.map(({ beforeHash, afterHash }) => [beforeHash, afterHash]), [
        ['', draftHash],
        ['', draftHash],
        [draftHash, ''],
      ]);
      const { beforeJson, afterJson } = await documentsOf(changes[2]!);
      assert.deepEqual([JSON.parse(beforeJson).content, afterJson], ['Hello', '']);
    });

    it('of a tenant, the whole of it', async () => {
      const { tenant } = brand;
      const update = { tenant, displayName: 'Acme', editVersion: 1 };
      const { tenant: record } = await platen.clients.tenants.updateTenant(update);
      const change = await latest();
      assert.equal(change.afterHash, record?.documentHash);
      assert.equal(JSON.parse((await documentsOf(change)).afterJson).display_name, 'Acme');
    });

    it('of a publish, a release and an activation, where they point', async () => {
      await brand.template('hello', 'Hello', '1.0.0');
      await brand.bundle('chat', { sections: [section('hello')] });
      await brand.publishBundle('chat', '1.0.0', { channel: 'production', activate: true });
      const { bundleHash, canonicalJson } = await brand.bundleVersion('chat', '1.0.0');
      const [published, released, activated] = (await brand.changes()).slice(-3);
      assert.deepEqual(published?.detail, {
        version: '1.0.0',
        edit_version: 1,
        draft_hash: (await brand.bundleDraft('chat')).draftHash,
        pins: [{ tenant: brand.tenant, template_id: 'hello', version: '1.0.0' }],
      });
      assert.equal((await documentsOf(published!)).afterJson, canonicalJson);
      assert.deepEqual(released?.detail, {
        channel: 'production',
        revision: 1,
        origin_revision: 1,
        targets: [{ version: '1.0.0', bundle_hash: bundleHash, weight: 100 }],
      });
      assert.deepEqual([released?.beforeHash, released?.afterHash], ['', bundleHash]);
      assert.deepEqual(activated?.detail, { bundle_id: 'chat', previous_bundle_id: '', revision: 1 });

      await brand.withdraw('chat');
      const withdrawn = await latest();
      assert.deepEqual([withdrawn.beforeHash, withdrawn.afterHash], [bundleHash, '']);
    });

    it('changes are found by tenant, kind, id, action and actor', async () => {
      const { tenant } = brand;
      await brand.template('hello', 'Hello', '1.0.0');
      await brand.bundle('hello', { sections: [section('hello')] }, '1.0.0');
      await brand.activate('hello');
      const found = async (filter: object) =>
        (await platen.clients.audit.listChanges({ tenant, ...filter })).changes.map(brief);
      assert.deepEqual(await found({ entityKind: TENANT }), [`CREATE TENANT ${tenant}`]);
      assert.deepEqual(await found({ entityKind: TEMPLATE }), ['PUBLISH TEMPLATE hello', 'CREATE TEMPLATE hello']);
      assert.deepEqual(await found({ entityKind: BUNDLE, action: ChangeAction.PUBLISH }), ['PUBLISH BUNDLE hello']);
      assert.deepEqual(await found({ entityKind: ACTIVATION, entityId: 'GREETING' }), ['ACTIVATE ACTIVATION GREETING']);
      assert.deepEqual(await found({ entityId: 'hello', action: ChangeAction.CREATE }), [
        'CREATE BUNDLE hello',
        'CREATE TEMPLATE hello',
      ]);
      assert.equal((await found({ actor: ACTOR })).length, 6);
      assert.deepEqual(await found({ actor: 'nobody' }), []);
      const { changes } = await platen.clients.audit.listChanges({ actor: 'platen' });
      assert.deepEqual(changes.map(brief), ['CREATE TENANT default']);
      const { violations } = await failure(found({ entityKind: 99, action: 99 }));
      assert.deepEqual(violations, ['action OUT_OF_RANGE', 'entity_kind OUT_OF_RANGE']);
    });
  });
});
