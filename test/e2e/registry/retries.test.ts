import assert from 'node:assert/strict';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import { Brand, headOf, refused, section } from '../../support/brand.ts';
import { failure, Platen } from '../../support/platen.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';

const { GREETING } = PromptType;

describe('retries in the registry', () => {
  let database: TestDatabase;
  let platen: Platen;
  let other: Platen;
  let brand: Brand;

  before(async () => {
    database = await createDatabase();
    [platen, other] = await Promise.all([Platen.start(database), Platen.start(database)]);
  });
  after(async () => {
    await Promise.all([platen.stop(), other.stop()]);
    await database.drop();
  });

  beforeEach(async () => {
    brand = await Brand.create(platen);
    await brand.template('hello', 'Hello', '1.0.0');
    await brand.bundle('chat', { sections: [section('hello')] }, '1.0.0', '1.1.0');
  });

  let used = 0;

  /** A request_id that no other test uses. */
  function freshId(): string {
    used += 1;
    return `request-${used}`;
  }

  describe('A repeated request gets the stored response', () => {
    it('from every mutation, with no second effect', async () => {
      const { tenants, templates, bundles } = platen.clients;
      const { tenant } = brand;
      const template = { tenant, templateId: 'again' };
      const bundle = { tenant, bundleId: 'again' };
      const draft = { sections: [section('hello')] };
      const larger = { sections: [section('hello'), section('hello')] };
      const publication = { ...bundle, version: '1.0.0', editVersion: 2, channel: 'beta', activate: true };
      const calls: Record<string, (requestId: string) => Promise<unknown>> = {
        CreateTenant: (requestId) => tenants.createTenant({ tenant: `${tenant}-again`, parent: tenant, requestId }),
        UpdateTenant: (requestId) => tenants.updateTenant({ tenant: `${tenant}-again`, editVersion: 1, requestId }),
        CreateTemplate: (requestId) =>
          templates.createTemplate({ ...template, type: GREETING, draft: { content: 'Hi' }, requestId }),
        UpdateTemplate: (requestId) =>
          templates.updateTemplate({ ...template, draft: { content: 'Ho' }, editVersion: 1, requestId }),
        PublishTemplate: (requestId) =>
          templates.publishTemplate({ ...template, version: '1.0.0', editVersion: 2, requestId }),
        DeleteTemplate: (requestId) => templates.deleteTemplate({ ...template, editVersion: 2, requestId }),
        CreateBundle: (requestId) => bundles.createBundle({ ...bundle, type: GREETING, draft, requestId }),
        UpdateBundle: (requestId) =>
          bundles.updateBundle({ ...bundle, draft: larger, editVersion: 1, requestId }),
        PublishBundle: (requestId) => bundles.publishBundle({ ...publication, requestId }),
        ReleaseBundle: (requestId) =>
          bundles.releaseBundle({ ...bundle, target: { case: 'version', value: '1.0.0' }, requestId }),
        RollbackBundle: (requestId) => bundles.rollbackBundle({ ...bundle, version: '1.0.0', requestId }),
        ActivateBundle: (requestId) => bundles.activateBundle({ ...bundle, type: GREETING, requestId }),
        DeactivateBundle: (requestId) => bundles.deactivateBundle({ tenant, type: GREETING, requestId }),
        WithdrawBundle: (requestId) =>
          bundles.releaseBundle({ ...bundle, target: { case: 'withdraw', value: true }, requestId }),
        WithdrawBeta: (requestId) =>
          bundles.releaseBundle({ ...bundle, channel: 'beta', target: { case: 'withdraw', value: true }, requestId }),
        DeleteBundle: (requestId) => bundles.deleteBundle({ ...bundle, editVersion: 2, requestId }),
      };
      for (const [rpc, call] of Object.entries(calls)) {
        const requestId = freshId();
        const first = await call(requestId);
        const head = await headOf(platen);
        assert.deepEqual(await call(requestId), first, rpc);
        assert.equal(await headOf(platen), head, rpc);
      }
    });

    it('from another replica, and over the other port', async () => {
      const request = { tenant: brand.tenant, templateId: 'shared', draft: { content: 'Hi' }, requestId: freshId() };
      const first = await platen.clients.templates.createTemplate({ ...request, type: GREETING });
      assert.deepEqual(await other.clients.templates.createTemplate({ ...request, type: GREETING }), first);
      const { status, body } = await other.json('TemplateService/CreateTemplate', { ...request, type: 2 });
      assert.deepEqual([status, body['seq']], [200, String(first.seq)]);
    });

    it('the id counts for one RPC only', async () => {
      const requestId = freshId();
      const { tenant } = brand;
      const { templates } = platen.clients;
      const named = { tenant, templateId: 'named', draft: { content: 'Hi' }, requestId };
      const { seq } = await templates.createTemplate({ ...named, type: GREETING });
      const updated = await templates.updateTemplate({ ...named, editVersion: 1 });
      assert.deepEqual([updated.template?.editVersion, updated.seq], [2, seq + 1n]);
    });

    it('even if the state has moved on since', async () => {
      const request = { tenant: brand.tenant, bundleId: 'chat', requestId: freshId() };
      const target = { case: 'version', value: '1.0.0' } as const;
      const first = await platen.clients.bundles.releaseBundle({ ...request, target });
      await brand.release('chat', '1.1.0');
      assert.deepEqual(await platen.clients.bundles.releaseBundle({ ...request, target }), first);
      assert.equal((await brand.releases('chat'))[0]?.targets[0]?.version, '1.1.0');
    });

    it('without an id each request is one of its own', async () => {
      assert.equal((await brand.release('chat', '1.0.0')).revision, 1);
      assert.equal((await brand.release('chat', '1.0.0')).revision, 2);
    });
  });

  describe('A concurrent twin waits', () => {
    it('20 equal publishes to two replicas get one answer', async () => {
      const head = await headOf(platen);
      const request = {
        tenant: brand.tenant,
        bundleId: 'chat',
        version: '2.0.0',
        editVersion: 1,
        channel: 'production',
        requestId: freshId(),
      };
      const calls = Array.from({ length: 20 }, (_, index) => [platen, other][index % 2]!.clients.bundles);
      const [first, ...rest] = await Promise.all(calls.map((bundles) => bundles.publishBundle(request)));
      for (const answer of rest) assert.deepEqual(answer, first);
      assert.deepEqual([first?.seq, await headOf(platen)], [head + 2n, head + 2n]);
    });
  });

  describe('A request id with other content is refused', () => {
    it('and the other content is not written', async () => {
      const { tenant } = brand;
      const requestId = freshId();
      const create = (templateId: string, content = 'Hi') =>
        platen.clients.templates.createTemplate({ tenant, templateId, type: GREETING, draft: { content }, requestId });
      await create('first');
      for (const write of [() => create('second'), () => create('first', 'Ho'), () => create('first', '{')]) {
        const { code, reason, violations } = await refused(platen, write, () => brand.templateDraft('first'));
        assert.deepEqual([code, reason], ['InvalidArgument', 'REQUEST_ID_REUSED']);
        assert.deepEqual(violations, ['request_id REUSED']);
      }
      assert.equal((await failure(brand.templateDraft('second'))).code, 'NotFound');
    });
  });

  describe('Errors are not stored', () => {
    it('a corrected request may be sent with the same id', async () => {
      const { tenant } = brand;
      const requestId = freshId();
      const publish = (editVersion: number) =>
        platen.clients.bundles.publishBundle({ tenant, bundleId: 'chat', version: '3.0.0', editVersion, requestId });
      assert.equal((await failure(publish(7))).reason, 'STALE_EDIT_VERSION');
      assert.equal((await failure(publish(0))).reason, 'INVALID_INPUT');
      const { version } = await publish(1);
      assert.equal(version?.version, '3.0.0');
      assert.deepEqual((await publish(1)).version, version);
    });

    it('the same request is tried afresh', async () => {
      const { tenant } = brand;
      const requestId = freshId();
      const rollback = () => platen.clients.bundles.rollbackBundle({ tenant, bundleId: 'chat', requestId });
      assert.equal((await failure(rollback())).code, 'NotFound');
      await brand.release('chat', '1.0.0');
      assert.equal((await failure(rollback())).reason, 'NOTHING_TO_ROLL_BACK');
      await brand.release('chat', '1.1.0');
      assert.equal((await rollback()).release?.targets[0]?.version, '1.0.0');
    });

    it('an id of more than 128 characters is refused with the rest', async () => {
      const create = () =>
        platen.clients.templates.createTemplate({ tenant: brand.tenant, templateId: 'No', requestId: 'x'.repeat(129) });
      const expected = ['draft REQUIRED', 'request_id TOO_LONG', 'template_id BAD_FORMAT', 'type UNSPECIFIED'];
      assert.deepEqual((await refused(platen, create)).violations, expected);
    });
  });
});
