import assert from 'node:assert/strict';
import { PromptType, VariableType } from '../../../gen/platen/v1/resources_pb.js';
import { Brand, refused, section } from '../../support/brand.ts';
import { type Failure, Platen } from '../../support/platen.ts';

const { GREETING } = PromptType;

const text = (value: string) => ({ kind: { case: 'stringValue', value } }) as const;
const list = (...values: ReturnType<typeof text>[]) => ({ kind: { case: 'listValue', value: { values } } }) as const;

describe('refusals of the registry', () => {
  let platen: Platen;
  let brand: Brand;

  before(async () => {
    platen = await Platen.start();
    brand = await Brand.create(platen);
    await brand.template('hello', 'Hello', '1.0.0');
    await brand.bundle('chat', { sections: [section('hello')] }, '1.0.0');
  });
  after(() => platen.stop());

  describe('Every violation is reported at once', () => {
    it('of a template', async () => {
      const create = () =>
        platen.clients.templates.createTemplate({
          tenant: brand.tenant,
          templateId: 'Bad Id',
          draft: {
            content: ' ',
            variables: [{ name: 'user', type: VariableType.STRING }, { name: 'user', type: VariableType.STRING }],
          },
        });
      const { code, reason, violations, descriptions } = await refused(platen, create);
      assert.deepEqual([code, reason], ['InvalidArgument', 'INVALID_INPUT']);
      assert.deepEqual(violations, [
        'draft.content BLANK',
        'draft.variables[1].name DUPLICATE',
        'template_id BAD_FORMAT',
        'type UNSPECIFIED',
      ]);
      for (const description of Object.values(descriptions)) assert.ok(description.length > 10, description);
    });

    it('of a bundle, whatever had to be looked up for it', async () => {
      const create = () =>
        platen.clients.bundles.createBundle({
          tenant: brand.tenant,
          bundleId: 'Bad Id',
          draft: {
            sections: [section('helo'), { part: { case: 'placeholder', value: 'a b' } }],
            constraints: [{ id: 'x', severity: 1, rule: { case: 'maxChars', value: 0 } }],
            description: 'x'.repeat(1_001),
          },
          requestId: 'x'.repeat(129),
        });
      assert.deepEqual((await refused(platen, create)).violations, [
        'bundle_id BAD_FORMAT',
        'draft.constraints[0].max_chars OUT_OF_RANGE',
        'draft.description TOO_LONG',
        'draft.sections[0].template.template.template_id UNRESOLVED',
        'draft.sections[1].placeholder BAD_FORMAT',
        'request_id TOO_LONG',
        'type UNSPECIFIED',
      ]);
    });

    it('as JSON too', async () => {
      const { status, body } = await platen.json('TemplateService/CreateTemplate', { templateId: 'Bad Id', draft: {} });
      assert.deepEqual([status, body['code']], [400, 'invalid_argument']);
      const details = body['details'] as { type: string; debug: { fieldViolations?: { field: string }[] } }[];
      assert.deepEqual(details.map(({ type }) => type), ['google.rpc.ErrorInfo', 'google.rpc.BadRequest']);
    });
  });

  describe('A stale write tells the current state', () => {
    it('as JSON with HTTP 409', async () => {
      const draft = { content: 'Newer' };
      const named = { tenant: brand.tenant, templateId: 'stale' };
      await brand.template('stale');
      const { template } = await platen.clients.templates.updateTemplate({ ...named, draft, editVersion: 1 });
      const { status, body } = await platen.json('TemplateService/UpdateTemplate', { ...named, draft, editVersion: 1 });
      assert.deepEqual([status, body['code']], [409, 'aborted']);
      type Detail = { debug: { reason: string; domain: string; metadata: Record<string, string> } };
      const [info] = body['details'] as Detail[];
      assert.deepEqual([info?.debug.reason, info?.debug.domain], ['STALE_EDIT_VERSION', 'platen']);
      assert.deepEqual(
        [info?.debug.metadata['edit_version'], info?.debug.metadata['draft_hash']],
        ['2', template?.draftHash],
      );
    });

    it('of a channel likewise', async () => {
      await brand.release('chat', '1.0.0');
      const named = { tenant: brand.tenant, bundleId: 'chat', version: '1.0.0', expectedRevision: 7 };
      const { status, body } = await platen.json('BundleService/ReleaseBundle', named);
      assert.deepEqual([status, body['code']], [409, 'aborted']);
    });
  });

  describe('NUL is refused in every string', () => {
    const NUL = 'a\0b';
    const LONE = 'a\ud800b';

    /** Writes with one string each that must not be stored, by its path. */
    const writes: Record<string, () => Promise<unknown>> = {
      'template_id': () => platen.clients.templates.createTemplate({ templateId: NUL, type: GREETING }),
      'draft.content': () => createTemplate({ content: NUL }),
      'draft.description': () => createTemplate({ content: 'x', description: NUL }),
      'draft.variables[0].pattern': () =>
        createTemplate({ content: '{v}', variables: [{ name: 'v', type: VariableType.STRING, pattern: NUL }] }),
      'draft.variables[0].default[1]': () =>
        createTemplate({
          content: '{v}',
          variables: [
            {
              name: 'v',
              type: VariableType.LIST,
              default: list(text('x'), text(NUL)),
            },
          ],
        }),
      'draft.variables[0].enum_values[0]': () =>
        createTemplate({ content: '{v}', variables: [{ name: 'v', type: VariableType.ENUM, enumValues: [NUL] }] }),
      'variables.page.notes[1]': () =>
        platen.clients.tenants.createTenant({
          tenant: 'nul',
          variables: {
            page: {
              kind: { case: 'structValue', value: { fields: { notes: list(text('x'), text(NUL)) } } },
            },
          },
        }),
      'variables["a\\u0000b"]': () =>
        platen.clients.tenants.createTenant({ tenant: 'nul', variables: { [NUL]: text('x') } }),
      'display_name': () => platen.clients.tenants.createTenant({ tenant: 'nul', displayName: NUL }),
      'draft.model_config.stop[0]': () =>
        brand.createBundle('nul', { sections: [section('hello')], modelConfig: { stop: [NUL] } }),
      'draft.constraints[0].forbidden_phrases.phrases[0]': () =>
        brand.createBundle('nul', {
          sections: [section('hello')],
          constraints: [{ id: 'x', severity: 1, rule: { case: 'forbiddenPhrases', value: { phrases: [NUL] } } }],
        }),
      'draft.constraints[0].json_schema.title': () =>
        brand.createBundle('nul', {
          sections: [section('hello')],
          constraints: [{ id: 'x', severity: 1, rule: { case: 'jsonSchema', value: { title: NUL } } }],
        }),
      'version': () => brand.publishBundle('chat', NUL),
      'channel': () => brand.release('chat', '1.0.0', NUL),
      'request_id': () => platen.clients.templates.createTemplate({ templateId: 'nul', requestId: NUL }),
      'labels.who': () => render({ labels: { who: NUL } }),
      'placeholders.history.messages[0].content': () =>
        render({ placeholders: { history: { messages: [{ role: 2, content: NUL }] } } }),
      'entity_id': () => platen.clients.audit.listChanges({ entityId: NUL }),
      'page_token': () => platen.clients.tenants.listTenants({ pageToken: NUL }),
    };

    type CreateTemplate = Parameters<typeof platen.clients.templates.createTemplate>[0];
    type Render = Parameters<typeof platen.clients.renders.render>[0];

    function createTemplate(draft: NonNullable<CreateTemplate['draft']>) {
      return platen.clients.templates.createTemplate({ templateId: 'nul', type: GREETING, draft });
    }

    function render(given: Render) {
      return platen.clients.renders.render({ target: { case: 'bundle', value: { bundleId: 'chat' } }, ...given });
    }

    for (const [path, write] of Object.entries(writes)) {
      it(path, async () => {
        const { code, violations } = await refused(platen, write);
        assert.equal(code, 'InvalidArgument');
        assert.ok(violations.includes(`${path} NUL`), violations.join());
      });
    }

    it('half of a surrogate pair cannot even be sent as JSON without being told', async () => {
      const request = { templateId: 'lone', type: 2, draft: { content: LONE } };
      const { status, body } = await platen.json('TemplateService/CreateTemplate', request);
      assert.deepEqual([status, body['code']], [400, 'invalid_argument']);
    });
  });

  describe('Unknown names are not found', () => {
    const none = { tenant: 'nobody', templateId: 'x', bundleId: 'x' };
    const draft = { content: 'x' };
    const bundle = { sections: [section('hello')] };
    const first = { version: '1.0.0', editVersion: 1 };
    const version = { ...none, version: '1.0.0' };
    const unknownReceipt = '01890a5d-ac96-774b-bcce-b302099a8057';

    /** Calls about what does not exist, by what it is. */
    const calls: Record<string, [resource: string, () => Promise<unknown>][]> = {
      tenant: [
        ['tenant nobody', () => platen.clients.tenants.getTenant(none)],
        ['tenant nobody', () => platen.clients.tenants.updateTenant({ ...none, editVersion: 1 })],
        ['tenant nobody', () => platen.clients.templates.listTemplates(none)],
        ['tenant nobody', () => platen.clients.bundles.listBundles(none)],
        ['tenant nobody', () => platen.clients.bundles.listActivations(none)],
        ['tenant nobody', () => platen.clients.templates.createTemplate({ ...none, type: GREETING, draft })],
        ['tenant nobody', () => platen.clients.bundles.createBundle({ ...none, type: GREETING, draft: bundle })],
        ['tenant nobody', () => platen.clients.bundles.activateBundle({ ...none, type: GREETING })],
      ],
      template: [
        ['template default/x', () => platen.clients.templates.getTemplate({ templateId: 'x' })],
        ['template nobody/x', () => platen.clients.templates.getTemplate(none)],
        ['template default/x', () => platen.clients.templates.listTemplateVersions({ templateId: 'x' })],
        ['template nobody/x', () => platen.clients.templates.updateTemplate({ ...none, draft, editVersion: 1 })],
        ['template nobody/x', () => platen.clients.templates.publishTemplate({ ...none, ...first })],
        ['template nobody/x', () => platen.clients.templates.deleteTemplate({ ...none, editVersion: 1 })],
      ],
      bundle: [
        ['bundle default/x', () => platen.clients.bundles.getBundle({ bundleId: 'x' })],
        ['bundle default/x', () => platen.clients.bundles.listBundleVersions({ bundleId: 'x' })],
        ['bundle default/x', () => platen.clients.bundles.listReleases({ bundleId: 'x' })],
        ['bundle nobody/x', () => platen.clients.bundles.updateBundle({ ...none, draft: bundle, editVersion: 1 })],
        ['bundle nobody/x', () => platen.clients.bundles.publishBundle({ ...none, ...first, activate: true })],
        ['bundle nobody/x', () => platen.clients.bundles.deleteBundle({ ...none, editVersion: 1 })],
        ['bundle nobody/x', () => platen.clients.bundles.rollbackBundle({ ...none, expectedRevision: 3 })],
        ['bundle default/x', () => release({ bundleId: 'x', expectedRevision: 3 })],
      ],
      version: [
        ['template_version nobody/x@1.0.0', () => platen.clients.templates.getTemplateVersion(version)],
        ['bundle_version nobody/x@1.0.0', () => platen.clients.bundles.getBundleVersion(version)],
        ['bundle_version default/x@', () => platen.clients.bundles.getBundleVersion({ bundleId: 'x' })],
      ],
      change: [
        ['change 0', () => platen.clients.audit.getChange({})],
        ['change 999999', () => platen.clients.audit.getChange({ seq: 999_999n })],
        ['change -1', () => platen.clients.audit.getChange({ seq: -1n })],
      ],
      receipt: [
        [`receipt ${unknownReceipt}`, () => platen.clients.audit.getReceipt({ renderId: unknownReceipt })],
        [`receipt ${unknownReceipt}`, () => platen.clients.audit.replay({ renderId: unknownReceipt })],
        ['receipt no-uuid', () => platen.clients.audit.getReceipt({ renderId: 'no-uuid' })],
        ['receipt ', () => platen.clients.audit.replay({})],
      ],
    };

    function release(given: { bundleId: string; expectedRevision: number }) {
      return platen.clients.bundles.releaseBundle({ ...given, target: { case: 'version', value: '1.0.0' } });
    }

    it('a channel that does not exist is named', async () => {
      for (const call of [() => brand.rollback('chat', '', 'nowhere'), () => brand.withdraw('chat', 'nowhere')]) {
        const { code, resource } = await refused(platen, call);
        assert.deepEqual([code, resource], ['NotFound', `channel ${brand.tenant}/chat#nowhere`]);
      }
    });

    for (const [kind, named] of Object.entries(calls)) {
      it(`a ${kind} that does not exist is named`, async () => {
        const failures: Failure[] = [];
        for (const [, call] of named) failures.push(await refused(platen, call));
        assert.deepEqual(
          failures.map(({ code, reason, resource }) => [code, reason, resource]),
          named.map(([resource]) => ['NotFound', 'RESOURCE_NOT_FOUND', resource]),
        );
      });
    }
  });

  describe('A refused write changes nothing', () => {
    it('whichever step refuses it', async () => {
      const own = await Brand.create(platen);
      await own.template('hello', 'Hello', '1.0.0');
      await own.bundle('chat', { sections: [section('hello')] });
      await own.publishBundle('chat', '1.0.0', { channel: 'production', activate: true });
      const { tenant } = own;
      const state = async () => [
        await platen.clients.tenants.getTenant({ tenant }),
        await platen.clients.templates.listTemplates({ tenant, showArchived: true }),
        await platen.clients.templates.listTemplateVersions({ tenant, templateId: 'hello' }),
        await platen.clients.bundles.listBundles({ tenant, showArchived: true }),
        await platen.clients.bundles.listBundleVersions({ tenant, bundleId: 'chat' }),
        await platen.clients.bundles.listActivations({ tenant }),
        await own.releases('chat'),
      ];
      const writes: Record<string, () => Promise<unknown>> = {
        RESOURCE_EXISTS: () => own.createBundle('chat', { sections: [section('hello')] }),
        VERSION_EXISTS: () => own.publishBundle('chat', '1.0.0', { channel: 'beta', activate: true }),
        STALE_EDIT_VERSION: () => own.updateBundle('chat', { sections: [section('hello', '*')] }, 4),
        STALE_REVISION: () => own.release('chat', '1.0.0', '', 4),
        RESOURCE_IN_USE: () => own.deleteBundle('chat'),
        NOTHING_TO_ROLL_BACK: () => own.rollback('chat'),
        RESOURCE_NOT_FOUND: () => own.release('chat', '2.0.0'),
        INVALID_INPUT: () => own.activate('chat', PromptType.HANDOFF),
      };
      for (const [reason, write] of Object.entries(writes)) {
        assert.equal((await refused(platen, write, state)).reason, reason);
      }
    });
  });
});
