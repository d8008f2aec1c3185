import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { PromptType, Role, VariableType } from '../../../gen/platen/v1/resources_pb.js';
import { ChangeAction } from '../../../gen/platen/v1/audit_service_pb.js';
import { type BundleDraftInit, Brand, placeholder, refused, section } from '../../support/brand.ts';
import { failure, Platen } from '../../support/platen.ts';

/** What a client that is newer than the server may send. */
const UNKNOWN: number = 99;

describe('the registry of bundles', () => {
  let platen: Platen;
  let brand: Brand;

  before(async () => {
    platen = await Platen.start();
  });
  after(() => platen.stop());

  beforeEach(async () => {
    brand = await Brand.create(platen);
    await brand.template('hello', 'Hello', '1.0.0');
  });

  /** The violations of a draft that is refused, by CreateBundle and by UpdateBundle alike. */
  async function violationsOf(draft: BundleDraftInit): Promise<readonly string[]> {
    const created = await refused(platen, () => brand.createBundle('refused', draft));
    await brand.bundle('kept', { sections: [section('hello')] });
    const update = () => brand.updateBundle('kept', draft, 1);
    const updated = await refused(platen, update, () => brand.bundleDraft('kept'));
    assert.deepEqual([created.code, updated.code], ['InvalidArgument', 'InvalidArgument']);
    assert.deepEqual(updated.violations, created.violations);
    return created.violations;
  }

  function pins(version: { pins: { tenant: string; templateId: string; version: string }[] } | undefined): string[] {
    return version!.pins.map((pin) => `${pin.tenant}/${pin.templateId}@${pin.version}`);
  }

  describe('A bundle draft is checked when saved', () => {
    it('a template that does not exist is named with its place', async () => {
      const personality = { templateId: 'nobody', version: '*' };
      assert.deepEqual(await violationsOf({ personality, sections: [section('hello'), section('helo')] }), [
        'draft.personality.template_id UNRESOLVED',
        'draft.sections[1].template.template.template_id UNRESOLVED',
      ]);
    });

    it('an archived template does not exist for it, nor does one of a tenant beside', async () => {
      await brand.template('old', 'Old', '1.0.0');
      await brand.deleteTemplate('old');
      const beside = await Brand.create(platen);
      await beside.template('theirs', 'Theirs', '1.0.0');
      assert.deepEqual(await violationsOf({ sections: [section('old'), section('theirs')] }), [
        'draft.sections[0].template.template.template_id UNRESOLVED',
        'draft.sections[1].template.template.template_id UNRESOLVED',
      ]);
    });

    it('a template need not be published yet', async () => {
      await brand.template('unpublished');
      assert.equal((await brand.createBundle('early', { sections: [section('unpublished')] })).bundle?.editVersion, 1);
    });

    it('what its templates are called and which versions they have is checked with the rest', async () => {
      const sections = [
        section('No Id', '1.0.0'),
        section('hello', 'latest'),
        section('helo', ''),
        section('hello', '1.0.0', Role.UNSPECIFIED),
      ];
      assert.deepEqual(await violationsOf({ sections }), [
        'draft.sections[0].template.template.template_id BAD_FORMAT',
        'draft.sections[0].template.template.template_id UNRESOLVED',
        'draft.sections[1].template.template.version BAD_FORMAT',
        'draft.sections[2].template.template.template_id UNRESOLVED',
        'draft.sections[2].template.template.version REQUIRED',
        'draft.sections[3].template.role UNSPECIFIED',
      ]);
    });

    it('a draft is required, and a tenant', async () => {
      const { tenant } = brand;
      const type = PromptType.GREETING;
      const create = () => platen.clients.bundles.createBundle({ tenant, bundleId: 'none', type });
      assert.deepEqual((await refused(platen, create)).violations, ['draft REQUIRED']);
      await brand.bundle('kept', { sections: [section('hello')] });
      const update = () => platen.clients.bundles.updateBundle({ tenant, bundleId: 'kept', editVersion: 1 });
      assert.deepEqual((await refused(platen, update)).violations, ['draft REQUIRED']);
    });
  });

  describe('A section is a template with a role or a placeholder', () => {
    it('a section that is neither, and a role that is not in the contract, are refused', async () => {
      const [first, second] = await violationsOf({ sections: [{}, section('hello', '1.0.0', UNKNOWN)] });
      assert.equal(first, 'draft.sections[0] REQUIRED');
      assert.match(second!, /^draft\.sections\[1\]\.template\.role /);
    });

    it('placeholders alone are no bundle, nor is nothing', async () => {
      for (const sections of [[placeholder('history')], []]) {
        assert.deepEqual(await violationsOf({ sections }), ['draft.sections REQUIRED']);
        brand = await Brand.create(platen);
        await brand.template('hello');
      }
    });

    it('a personality alone is one', async () => {
      await brand.bundle('short', { personality: { templateId: 'hello', version: '1.0.0' } }, '1.0.0');
      const version = await brand.bundleVersion('short', '1.0.0');
      assert.deepEqual(pins(version), [`${brand.tenant}/hello@1.0.0`]);
      assert.match(version.personalityHash, /^[0-9a-f]{64}$/);
    });

    it('each placeholder is named once, by the grammar of names', async () => {
      const sections = [section('hello'), placeholder('history'), placeholder('History'), placeholder('history')];
      assert.deepEqual(await violationsOf({ sections }), [
        'draft.sections[2].placeholder BAD_FORMAT',
        'draft.sections[3].placeholder DUPLICATE',
      ]);
    });
  });

  describe('A bundle is bounded', () => {
    it('64 sections and 100 constraints are taken, one more of each is not', async () => {
      const draft = (extra: number) => ({
        sections: Array.from({ length: 64 + extra }, () => section('hello')),
        constraints: Array.from({ length: 100 + extra }, (_, index) => ({
          id: `c${index}`,
          severity: 1,
          rule: { case: 'maxChars', value: 100 } as const,
        })),
      });
      assert.deepEqual(await violationsOf(draft(1)), ['draft.constraints TOO_MANY', 'draft.sections TOO_MANY']);
      const { bundle } = await brand.createBundle('full', draft(0));
      assert.deepEqual([bundle?.draft?.sections.length, bundle?.draft?.constraints.length], [64, 100]);
    });

    it('so are the description and the model settings', async () => {
      const draft = {
        sections: [section('hello')],
        description: 'x'.repeat(1_001),
        modelConfig: { stop: ['x'.repeat(64 * 1024)] },
      };
      assert.deepEqual(await violationsOf(draft), ['draft.description TOO_LONG', 'draft.model_config TOO_LARGE']);
    });

    it('and the variables of all its templates together, when it is published', async () => {
      const content = (from: number, count: number) =>
        Array.from({ length: count }, (_, index) => `{v${from + index}}`).join(' ');
      await brand.template('many', content(0, 128), '1.0.0');
      await brand.template('one-more', content(128, 1), '1.0.0');
      await brand.bundle('chat', { sections: [section('many'), section('one-more')] });
      const publish = () => brand.publishBundle('chat', '1.0.0');
      assert.deepEqual((await refused(platen, publish)).violations, ['draft.sections TOO_MANY']);
      await brand.updateBundle('chat', { sections: [section('many')] }, 1);
      await brand.publishBundle('chat', '1.0.0', { editVersion: 2 });
    });
  });

  describe('Publishing pins version ranges', () => {
    it('to the highest version in the range, and later versions change nothing', async () => {
      await brand.template('tone', 'Calm', '1.2.0', '1.3.0', '1.10.0-rc.1', '2.0.0');
      await brand.bundle('chat', { sections: [section('tone', '^1.2')] }, '1.0.0');
      const published = await brand.bundleVersion('chat', '1.0.0');
      assert.deepEqual(pins(published), [`${brand.tenant}/tone@1.3.0`]);
      const [first] = published.content!.sections;
      assert.equal(first?.part.case === 'template' && first.part.value.template?.version, '^1.2');

      await brand.publishTemplate('tone', '1.4.0');
      assert.deepEqual(await brand.bundleVersion('chat', '1.0.0'), published);
      assert.deepEqual(pins((await brand.publishBundle('chat', '1.1.0')).version), [`${brand.tenant}/tone@1.4.0`]);
    });

    it('the personality first, then the sections in order; an exact version is itself', async () => {
      await brand.template('tone', 'Calm', '1.2.0', '1.3.0', '1.10.0-rc.1');
      const personality = { templateId: 'tone', version: '1.2.0' };
      const sections = [section('hello', '*'), placeholder('history'), section('tone', '1.10.0-rc.1', Role.USER)];
      await brand.bundle('chat', { personality, sections }, '1.0.0');
      const expected = ['tone@1.2.0', 'hello@1.0.0', 'tone@1.10.0-rc.1'];
      const version = await brand.bundleVersion('chat', '1.0.0');
      assert.deepEqual(pins(version), expected.map((pin) => `${brand.tenant}/${pin}`));
    });

    it('every range that nothing is in is named, and what there is', async () => {
      await brand.template('unpublished');
      await brand.bundle('chat', {
        personality: { templateId: 'unpublished', version: '*' },
        sections: [section('hello', '^3.0'), section('hello', '^1.0')],
      });
      const refusal = await refused(platen, () => brand.publishBundle('chat', '1.0.0'));
      assert.deepEqual(refusal.violations, [
        'draft.personality.version UNRESOLVED',
        'draft.sections[0].template.template.version UNRESOLVED',
      ]);
      assert.match(refusal.descriptions['draft.sections[0].template.template.version']!, /1\.0\.0/);
      assert.equal((await failure(brand.bundleVersion('chat', '1.0.0'))).code, 'NotFound');
    });

    it('what is wrong with the request itself is said at once', async () => {
      await brand.bundle('chat', { sections: [section('hello')] });
      const publish = () => brand.publishBundle('chat', 'v1', { editVersion: 0, channel: 'No' });
      const expected = ['channel BAD_FORMAT', 'edit_version REQUIRED', 'version BAD_FORMAT'];
      assert.deepEqual((await refused(platen, publish)).violations, expected);
    });

    it('a template that went out of reach with a move of the tenant is told when the bundle is published', async () => {
      const child = await brand.child();
      await child.bundle('chat', { sections: [section('hello')] });
      await platen.clients.tenants.updateTenant({ tenant: child.tenant, editVersion: 1 });
      const { violations } = await refused(platen, () => child.publishBundle('chat', '1.0.0'));
      assert.deepEqual(violations, ['draft.sections[0].template.template.template_id UNRESOLVED']);
    });
  });

  describe('References resolve through the tenant tree', () => {
    it('to the nearest tenant that has a version in the range; drafts do not shadow', async () => {
      const child = await brand.child();
      await child.template('hello', 'Nearer');
      const sections = [section('hello', '^1.0')];
      await child.bundle('chat', { sections }, '1.0.0');
      await child.publishTemplate('hello', '2.0.0');
      await child.publishBundle('chat', '1.1.0');
      await child.publishTemplate('hello', '1.0.0-rc.1');
      await child.publishBundle('chat', '1.2.0');
      await child.publishTemplate('hello', '1.0.0');
      await brand.publishTemplate('hello', '1.5.0');
      await child.publishBundle('chat', '1.3.0');
      const resolved: string[] = [];
      for (const version of ['1.0.0', '1.1.0', '1.2.0', '1.3.0']) {
        resolved.push(...pins(await child.bundleVersion('chat', version)));
      }
      const inherited = `${brand.tenant}/hello@1.0.0`;
      assert.deepEqual(resolved, [inherited, inherited, inherited, `${child.tenant}/hello@1.0.0`]);
    });

    it('archived templates do not shadow', async () => {
      const child = await brand.child();
      await child.template('hello', 'Nearer', '1.0.0');
      await child.deleteTemplate('hello');
      await child.bundle('chat', { sections: [section('hello')] }, '1.0.0');
      assert.deepEqual(pins(await child.bundleVersion('chat', '1.0.0')), [`${brand.tenant}/hello@1.0.0`]);
    });

    it('whatever the type of the template', async () => {
      assert.equal((await brand.templateDraft('hello')).type, PromptType.SYSTEM_PROMPT);
      await brand.createBundle('bye', { sections: [section('hello')] }, PromptType.FAREWELL);
      const { version } = await brand.publishBundle('bye', '1.0.0');
      assert.deepEqual([version?.type, pins(version).length], [PromptType.FAREWELL, 1]);
    });
  });

  describe('Publishing can release and activate at once', () => {
    it('with three changes of consecutive seqs, the last of which is the answer', async () => {
      await brand.bundle('chat', { sections: [section('hello')] });
      const published = await brand.publishBundle('chat', '1.1.0', { channel: 'production', activate: true });
      const { version, release, activation, seq } = published;
      assert.deepEqual([release?.revision, release?.channel, release?.seq], [1, 'production', seq - 1n]);
      assert.deepEqual(
        release?.targets.map((target) => [target.version, target.bundleHash, target.weight]),
        [['1.1.0', version?.bundleHash, 100]],
      );
      assert.deepEqual([activation?.bundleId, activation?.revision, activation?.seq], ['chat', 1, seq]);
      const changes = (await brand.changes()).slice(-3);
      assert.deepEqual(changes.map((change) => [change.action, change.seq]), [
        [ChangeAction.PUBLISH, seq - 2n],
        [ChangeAction.RELEASE, seq - 1n],
        [ChangeAction.ACTIVATE, seq],
      ]);
      assert.equal(await brand.text('chat'), 'Hello');
    });

    it('or do one of them', async () => {
      await brand.bundle('chat', { sections: [section('hello')] });
      const released = await brand.publishBundle('chat', '1.0.0', { channel: 'beta' });
      assert.deepEqual([released.release?.channel, released.activation], ['beta', undefined]);
      const activated = await brand.publishBundle('chat', '1.1.0', { activate: true });
      assert.deepEqual([activated.release, activated.activation?.revision], [undefined, 1]);
      const neither = await brand.publishBundle('chat', '1.2.0');
      assert.deepEqual([neither.release, neither.activation], [undefined, undefined]);
      assert.deepEqual((await brand.releases('chat')).map(({ revision }) => revision), [1]);
    });

    it('goes on counting the revisions of both', async () => {
      await brand.bundle('chat', { sections: [section('hello')] });
      await brand.publishBundle('chat', '1.0.0', { channel: 'production', activate: true });
      await brand.bundle('other', { sections: [section('hello')] });
      const again = await brand.publishBundle('chat', '1.1.0', { channel: 'production' });
      const other = await brand.publishBundle('other', '1.0.0', { channel: 'production', activate: true });
      assert.deepEqual([again.release?.revision, other.release?.revision, other.activation?.revision], [2, 1, 2]);
    });

    it('a publish that is refused moves neither', async () => {
      await brand.bundle('chat', { sections: [section('hello', '^3.0')] });
      const publish = () => brand.publishBundle('chat', '1.0.0', { channel: 'production', activate: true });
      const { tenant } = brand;
      const read = async () => [
        await brand.releases('chat'),
        (await platen.clients.bundles.listActivations({ tenant })).activations,
        await brand.bundleDraft('chat'),
      ];
      assert.equal((await refused(platen, publish, read)).code, 'InvalidArgument');
    });
  });

  describe('A snapshot is complete and frozen', () => {
    it('what its templates become later does not change what it renders', async () => {
      await brand.template('tone', 'Calm', '1.0.0');
      const sections = [section('tone', '*')];
      await brand.bundle('chat', { sections }, '1.0.0');
      await brand.release('chat', '1.0.0');
      const version = await brand.bundleVersion('chat', '1.0.0');

      const draft = { content: 'Loud' };
      const update = { tenant: brand.tenant, templateId: 'tone', draft, editVersion: 1 };
      await platen.clients.templates.updateTemplate(update);
      await brand.publishTemplate('tone', '2.0.0', 2);
      await brand.updateBundle('chat', { sections: [section('hello')] }, 1);

      assert.deepEqual(await brand.bundleVersion('chat', '1.0.0'), version);
      assert.equal(await brand.text('chat'), 'Calm');
    });

    it('its canonical JSON holds all that a render needs, and hashes to its bundle_hash', async () => {
      await brand.template('line', {
        content: 'Hi {user}',
        variables: [{ name: 'user', type: VariableType.STRING, required: true, description: 'who' }],
      }, '1.0.0');
      await brand.bundle('chat', {
        personality: { templateId: 'hello', version: '1.0.0' },
        sections: [section('line', '1.0.0', Role.USER), placeholder('history')],
        constraints: [{ id: 'short', severity: 1, rule: { case: 'maxWords', value: 9 } }],
        modelConfig: { temperature: 0.5 },
        description: 'not in the snapshot',
      }, '1.0.0');
      const { canonicalJson, bundleHash } = await brand.bundleVersion('chat', '1.0.0');
      assert.equal(
        canonicalJson,
        '{"constraints":[{"id":"short","max_words":9,"severity":"ERROR"}],"model_config":{"temperature":0.5},' +
          '"personality":{"content":"Hello","syntax":"FORMAT"},' +
          '"sections":[{"content":"Hi {user}","role":"USER","syntax":"FORMAT"},{"placeholder":"history"}],' +
          '"variables":{"user":{"required":true,"type":"STRING"}}}',
      );
      assert.equal(createHash('sha256').update(canonicalJson).digest('hex'), bundleHash);
    });
  });

  describe('An update replaces the whole draft', () => {
    it('of a bundle too', async () => {
      await brand.bundle('chat', {
        personality: { templateId: 'hello', version: '1.0.0' },
        sections: [section('hello')],
        constraints: [{ id: 'short', severity: 1, rule: { case: 'maxWords', value: 9 } }],
        modelConfig: { temperature: 0.5 },
        description: 'Everything',
      });
      const { bundle } = await brand.updateBundle('chat', { sections: [section('hello')] }, 1);
      const { personality, constraints, modelConfig, description } = bundle!.draft!;
      assert.deepEqual([personality, constraints, modelConfig, description], [undefined, [], undefined, '']);
      assert.deepEqual([bundle?.editVersion, await brand.bundleDraft('chat')], [2, bundle]);
    });
  });

  describe('Stale edits are refused', () => {
    it('of a bundle too, with what holds now', async () => {
      await brand.bundle('chat', { sections: [section('hello')] });
      const { bundle } = await brand.updateBundle('chat', { sections: [section('hello', '*')] }, 1);
      for (const write of [
        () => brand.updateBundle('chat', { sections: [section('hello')] }, 1),
        () => brand.publishBundle('chat', '1.0.0', { channel: 'production', activate: true }),
        () => brand.deleteBundle('chat', 1),
      ]) {
        const { code, reason, metadata } = await refused(platen, write, () => brand.bundleDraft('chat'));
        assert.deepEqual([code, reason, metadata['draft_hash']], ['Aborted', 'STALE_EDIT_VERSION', bundle!.draftHash]);
      }
    });
  });
});
