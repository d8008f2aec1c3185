import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  PromptType,
  TemplateDraftSchema,
  TemplateSyntax,
  VariableType,
} from '../../../gen/platen/v1/resources_pb.js';
import { Brand, refused, section, type TemplateDraftInit } from '../../support/brand.ts';
import { failure, Platen } from '../../support/platen.ts';

/** What a client that is newer than the server may send. */
const UNKNOWN: number = 99;
const GREETING = PromptType.GREETING;

describe('the registry of templates', () => {
  let platen: Platen;
  let brand: Brand;

  before(async () => {
    platen = await Platen.start();
    brand = await Brand.create(platen);
    await brand.template('hello', 'Hello', '1.0.0');
  });
  after(() => platen.stop());

  let used = 0;

  /** An id that no other test uses. */
  function freshId(): string {
    used += 1;
    return `template-${used}`;
  }

  function createTemplate(templateId: string, draft: TemplateDraftInit = { content: 'Hello' }, type = GREETING) {
    return platen.clients.templates.createTemplate({ tenant: brand.tenant, templateId, type, draft });
  }

  function updateTemplate(templateId: string, draft: TemplateDraftInit, editVersion: number) {
    return platen.clients.templates.updateTemplate({ tenant: brand.tenant, templateId, draft, editVersion });
  }

  async function versionOf(templateId: string, version: string) {
    const request = { tenant: brand.tenant, templateId, version };
    return (await platen.clients.templates.getTemplateVersion(request)).version!;
  }

  /** The violations of a draft that is refused. */
  async function violationsOf(draft: TemplateDraftInit): Promise<readonly string[]> {
    return (await refused(platen, () => createTemplate(freshId(), draft))).violations;
  }

  describe('Prompt types are a closed enumeration', () => {
    const writes = {
      CreateTemplate: (type: PromptType) => createTemplate('typed', undefined, type),
      CreateBundle: (type: PromptType) => brand.createBundle('typed', { sections: [section('hello')] }, type),
      ActivateBundle: (type: PromptType) => brand.activate('typed', type),
      DeactivateBundle: (type: PromptType) => brand.deactivate(type),
    };

    for (const [rpc, write] of Object.entries(writes)) {
      it(`${rpc} refuses a type that is unspecified, and one that is not in the contract`, async () => {
        assert.deepEqual((await refused(platen, () => write(PromptType.UNSPECIFIED))).violations, ['type UNSPECIFIED']);
        const { code, violations } = await refused(platen, () => write(UNKNOWN));
        assert.equal(code, 'InvalidArgument');
        assert.ok(violations.includes('type OUT_OF_RANGE'), violations.join());
      });
    }

    it('each of the six is taken, and stays', async () => {
      const types = [1, 2, 3, 4, 5, 6];
      for (const type of types) {
        const templateId = freshId();
        await createTemplate(templateId, { content: 'Hello' }, type);
        await updateTemplate(templateId, { content: 'Bye' }, 1);
        assert.equal((await brand.templateDraft(templateId)).type, type);
      }
    });
  });

  describe('Identifiers follow one grammar', () => {
    it('takes lower-case letters, digits, dots, underscores and hyphens', async () => {
      for (const id of ['greeting.v2-short', 'a', '7', 'x'.repeat(63), 'a_b']) {
        assert.equal((await createTemplate(id)).template?.templateId, id);
      }
    });

    it('refuses everything else', async () => {
      for (const id of ['Greeting', '-greeting', 'greeting-', 'a b', 'x'.repeat(64), 'ü', 'a/b']) {
        assert.deepEqual((await refused(platen, () => createTemplate(id))).violations, ['template_id BAD_FORMAT'], id);
      }
      assert.deepEqual((await refused(platen, () => createTemplate(''))).violations, ['template_id REQUIRED']);
    });

    it('is the grammar of tenants, bundles, channels and constraints too', async () => {
      const { clients, tenant } = brand;
      await brand.bundle('grammar', { sections: [section('hello')] }, '1.0.0');
      const target = { case: 'version', value: '1.0.0' } as const;
      const sections = [section('hello')];
      const constraints = [{ id: 'No', severity: 1, rule: { case: 'maxChars', value: 9 } } as const];
      const calls = {
        tenant: () => clients.tenants.createTenant({ tenant: 'No' }),
        bundle_id: () => brand.createBundle('No', { sections }),
        'draft.constraints[0].id': () => brand.updateBundle('grammar', { sections, constraints }, 1),
        channel: () => clients.bundles.releaseBundle({ tenant, bundleId: 'grammar', channel: 'No', target }),
      };
      for (const [field, call] of Object.entries(calls)) {
        assert.deepEqual((await refused(platen, call)).violations, [`${field} BAD_FORMAT`]);
      }
    });
  });

  describe('Template content is bounded', () => {
    it('10,000 code points are taken', async () => {
      const content = '😀'.repeat(10_000);
      assert.equal((await createTemplate(freshId(), { content })).template?.draft?.content, content);
    });

    it('10,001 are not, nor is content that is blank or not there', async () => {
      assert.deepEqual(await violationsOf({ content: 'x'.repeat(10_001) }), ['draft.content TOO_LONG']);
      assert.deepEqual(await violationsOf({ content: '   \t' }), ['draft.content BLANK']);
      assert.deepEqual(await violationsOf({ content: '' }), ['draft.content REQUIRED']);
    });

    it('neither is a draft that is not there', async () => {
      const { tenant } = brand;
      const templateId = freshId();
      const create = () => platen.clients.templates.createTemplate({ tenant, templateId, type: GREETING });
      assert.deepEqual((await refused(platen, create)).violations, ['draft REQUIRED']);
      const update = () => platen.clients.templates.updateTemplate({ tenant, templateId: 'hello', editVersion: 1 });
      assert.deepEqual((await refused(platen, update)).violations, ['draft REQUIRED']);
    });
  });

  describe('Template content is stored normalized', () => {
    it('without a byte order mark, with LF line ends, in NFC', async () => {
      const id = freshId();
      await createTemplate(id, { content: '\uFEFFCafe\u0301\r\nBar' });
      assert.equal((await brand.templateDraft(id)).draft?.content, 'Café\nBar');
    });
  });

  describe('Lone braces are refused', () => {
    it('each one, with its place and how to escape it', async () => {
      const templateId = freshId();
      const error = await createTemplate(templateId, { content: 'a { b\nc } d' }).catch((e: unknown) => e);
      assert.ok(error instanceof ConnectError && error.code === Code.InvalidArgument);
      assert.match(error.rawMessage, /\{\{.*\}\}/s);
      const { violations } = await refused(platen, () => createTemplate(templateId, { content: 'a { b\nc } d' }));
      assert.deepEqual(violations, ['draft.content LONE_BRACE', 'draft.content LONE_BRACE']);
    });

    it('and braces around what is no name', async () => {
      assert.deepEqual(await violationsOf({ content: '{Name}' }), ['draft.content BAD_FORMAT']);
    });
  });

  describe('Double-braced names are refused', () => {
    it('unless literal braces are allowed', async () => {
      assert.deepEqual(await violationsOf({ content: 'Hello {{ user }}' }), ['draft.content DOUBLE_BRACE']);
      const { template } = await createTemplate(freshId(), { content: 'Hello {{user}}', allowLiteralBraces: true });
      assert.equal(template?.draft?.allowLiteralBraces, true);
    });
  });

  describe('LITERAL content is never substituted', () => {
    it('takes every brace', async () => {
      const draft = { syntax: TemplateSyntax.LITERAL, content: '{name} {{x}} }' };
      assert.equal((await createTemplate(freshId(), draft)).template?.draft?.content, draft.content);
    });

    it('a syntax that is not in the contract is refused', async () => {
      const [violation] = await violationsOf({ syntax: UNKNOWN, content: 'x' });
      assert.match(violation!, /^draft\.syntax /);
    });
  });

  describe('Stale edits are refused', () => {
    it('of two editors of one draft the second one is told what the first one saved', async () => {
      const id = freshId();
      await createTemplate(id);
      const { template } = await updateTemplate(id, { content: 'first' }, 1);
      const save = () => updateTemplate(id, { content: 'second' }, 1);
      const { code, reason, metadata } = await refused(platen, save, () => brand.templateDraft(id));
      assert.deepEqual([code, reason], ['Aborted', 'STALE_EDIT_VERSION']);
      assert.deepEqual(metadata, {
        edit_version: '2',
        expected: '1',
        draft_hash: template!.draftHash,
        update_actor: 'anonymous@loopback',
        update_time: timestampDate(template!.updateTime!).toISOString(),
      });
      assert.equal((await updateTemplate(id, { content: 'second' }, 2)).template?.editVersion, 3);
    });

    it('so is a publish or a delete of a draft that moved on, or of one to come', async () => {
      const id = freshId();
      await createTemplate(id);
      await updateTemplate(id, { content: 'newer' }, 1);
      for (const editVersion of [1, 3]) {
        for (const write of [
          () => brand.publishTemplate(id, '1.0.0', editVersion),
          () => brand.deleteTemplate(id, editVersion),
        ]) {
          const { code, metadata } = await refused(platen, write, () => brand.templateDraft(id));
          assert.deepEqual([code, metadata['edit_version']], ['Aborted', '2']);
        }
      }
    });

    it('an edit version is required', async () => {
      const id = freshId();
      await createTemplate(id);
      for (const editVersion of [0, -1]) {
        for (const write of [
          () => updateTemplate(id, { content: 'x' }, editVersion),
          () => brand.publishTemplate(id, '1.0.0', editVersion),
          () => brand.deleteTemplate(id, editVersion),
        ]) {
          assert.deepEqual((await refused(platen, write)).violations, ['edit_version REQUIRED']);
        }
      }
    });
  });

  describe('An update replaces the whole draft', () => {
    it('what it leaves out is gone', async () => {
      const id = freshId();
      const { template: first } = await createTemplate(id, {
        content: 'Hi {user}',
        description: 'To begin with',
        variables: [{ name: 'user', type: VariableType.STRING }],
      });
      const { template } = await updateTemplate(id, { content: 'Hi' }, 1);
      assert.deepEqual(template?.draft, create(TemplateDraftSchema, { syntax: TemplateSyntax.FORMAT, content: 'Hi' }));
      assert.equal(template?.editVersion, 2);
      assert.notEqual(template?.draftHash, first?.draftHash);
      assert.deepEqual(await brand.templateDraft(id), template);
    });

    it('an equal draft counts, and keeps its hash', async () => {
      const id = freshId();
      const { template: first } = await createTemplate(id);
      const { template } = await updateTemplate(id, { content: 'Hello' }, 1);
      assert.deepEqual([template?.editVersion, template?.draftHash], [2, first?.draftHash]);
    });
  });

  describe('Publishing freezes the draft', () => {
    it('and leaves the draft and its edit version as they were', async () => {
      const id = freshId();
      await createTemplate(id, { content: 'first', description: 'why' });
      const before = await brand.templateDraft(id);
      const { version } = await brand.publishTemplate(id, '1.0.0');
      assert.deepEqual(await brand.templateDraft(id), { ...before, latestVersion: '1.0.0' });
      await updateTemplate(id, { content: 'second' }, 1);
      assert.deepEqual(await versionOf(id, '1.0.0'), version);
      assert.deepEqual(
        [version?.content?.content, version?.documentHash, version?.type, version?.editVersion, version?.createActor],
        ['first', before.draftHash, GREETING, 1, 'anonymous@loopback'],
      );
    });
  });

  describe('Semver is strict', () => {
    it('malformed versions are refused', async () => {
      const id = freshId();
      await createTemplate(id);
      for (const version of ['1.0', 'v1.0.0', '01.0.0', '1.0.0+build', '^1.0.0', ' 1.0.0', '1.0.0-01', 'latest']) {
        const publish = () => brand.publishTemplate(id, version);
        assert.deepEqual((await refused(platen, publish)).violations, ['version BAD_FORMAT'], version);
      }
      const publish = (version: string) => refused(platen, () => brand.publishTemplate(id, version));
      assert.deepEqual((await publish('')).violations, ['version REQUIRED']);
      assert.deepEqual((await publish(`1.0.0-${'x'.repeat(59)}`)).violations, ['version TOO_LONG']);
      assert.deepEqual((await publish('1.0.9007199254740992')).violations, ['version OUT_OF_RANGE']);
      assert.equal((await brand.templateDraft(id)).latestVersion, '');
    });

    it('a prerelease is lower than its release, and the latest version is the highest one', async () => {
      const id = freshId();
      await createTemplate(id);
      const latest: string[] = [];
      for (const version of ['1.0.0-rc.1', '1.0.0', '1.0.0-rc.2', '0.9.0', '1.10.0', '1.9.0']) {
        await brand.publishTemplate(id, version);
        latest.push((await brand.templateDraft(id)).latestVersion);
      }
      assert.deepEqual(latest, ['1.0.0-rc.1', '1.0.0', '1.0.0', '1.0.0', '1.10.0', '1.10.0']);
    });
  });

  describe('A taken semver is refused', () => {
    it('whatever the content', async () => {
      const id = freshId();
      await createTemplate(id, { content: 'first' });
      const { version } = await brand.publishTemplate(id, '1.0.0');
      for (const editVersion of [1, 2]) {
        const publish = () => brand.publishTemplate(id, '1.0.0', editVersion);
        const { code, reason, resource } = await refused(platen, publish, () => versionOf(id, '1.0.0'));
        assert.deepEqual([code, reason], ['AlreadyExists', 'VERSION_EXISTS']);
        assert.equal(resource, `template_version ${brand.tenant}/${id}@1.0.0`);
        await updateTemplate(id, { content: `draft ${editVersion + 1}` }, editVersion);
      }
      assert.deepEqual(await versionOf(id, '1.0.0'), version);
    });

    it('of a bundle too, and the channel it was to be released on stays as it is', async () => {
      await brand.bundle('semver', { sections: [section('hello')] }, '1.0.0');
      await brand.updateBundle('semver', { sections: [section('hello'), section('hello')] }, 1);
      const publish = () =>
        brand.publishBundle('semver', '1.0.0', { editVersion: 2, channel: 'production', activate: true });
      const read = async () => [await brand.bundleVersion('semver', '1.0.0'), await brand.releases('semver')];
      const { code, reason, resource } = await refused(platen, publish, read);
      assert.deepEqual([code, reason], ['AlreadyExists', 'VERSION_EXISTS']);
      assert.equal(resource, `bundle_version ${brand.tenant}/semver@1.0.0`);
    });
  });

  describe('An archived id stays reserved', () => {
    it('for templates: versions stay readable, writes are refused', async () => {
      const id = freshId();
      await createTemplate(id);
      const { version } = await brand.publishTemplate(id, '1.0.0');
      const { template } = await brand.deleteTemplate(id);
      assert.ok(template?.archiveTime);
      assert.deepEqual(await brand.templateDraft(id), template);
      assert.deepEqual(await versionOf(id, '1.0.0'), version);

      const { code, reason, resource } = await refused(platen, () => createTemplate(id));
      assert.deepEqual([code, reason], ['AlreadyExists', 'RESOURCE_EXISTS']);
      assert.equal(resource, `template ${brand.tenant}/${id}`);
      for (const write of [
        () => updateTemplate(id, { content: 'x' }, 1),
        () => brand.publishTemplate(id, '2.0.0'),
        () => brand.deleteTemplate(id),
      ]) {
        const refusal = await refused(platen, write, () => brand.templateDraft(id));
        assert.deepEqual([refusal.code, refusal.reason], ['FailedPrecondition', 'RESOURCE_ARCHIVED']);
        assert.deepEqual(refusal.obstacles, [`ARCHIVED ${brand.tenant}/${id}`]);
      }
    });

    it('for bundles: versions stay readable, writes and releases are refused', async () => {
      await brand.bundle('reserved', { sections: [section('hello')] }, '1.0.0');
      const version = await brand.bundleVersion('reserved', '1.0.0');
      const { bundle } = await brand.deleteBundle('reserved');
      assert.ok(bundle?.archiveTime);
      assert.deepEqual(await brand.bundleDraft('reserved'), bundle);
      assert.deepEqual(await brand.bundleVersion('reserved', '1.0.0'), version);

      const draft = { sections: [section('hello')] };
      assert.equal((await failure(brand.createBundle('reserved', draft))).reason, 'RESOURCE_EXISTS');
      for (const write of [
        () => brand.updateBundle('reserved', draft, 1),
        () => brand.publishBundle('reserved', '2.0.0', { channel: 'production', activate: true }),
        () => brand.deleteBundle('reserved'),
        () => brand.release('reserved', '1.0.0'),
        () => brand.rollback('reserved'),
      ]) {
        const refusal = await refused(platen, write, () => brand.bundleDraft('reserved'));
        assert.deepEqual([refusal.code, refusal.reason], ['FailedPrecondition', 'RESOURCE_ARCHIVED']);
        assert.deepEqual(refusal.obstacles, [`ARCHIVED ${brand.tenant}/reserved`]);
      }
      const { code, resource } = await refused(platen, () => brand.activate('reserved'));
      assert.deepEqual([code, resource], ['NotFound', `bundle ${brand.tenant}/reserved`]);
    });
  });
});
