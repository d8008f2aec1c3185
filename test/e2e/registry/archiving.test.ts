import assert from 'node:assert/strict';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import { Brand, refused, section } from '../../support/brand.ts';
import { Platen } from '../../support/platen.ts';

const { FAREWELL } = PromptType;

describe('archiving in the registry', () => {
  let platen: Platen;
  let brand: Brand;

  before(async () => {
    platen = await Platen.start();
  });
  after(() => platen.stop());

  beforeEach(async () => {
    brand = await Brand.create(platen);
    await brand.template('hello', 'Hello', '1.0.0');
    await brand.template('other', 'Other', '1.0.0');
  });

  /** What stands in the way of archiving a template. */
  async function templateUses(owner = brand): Promise<readonly string[]> {
    const archive = () => owner.deleteTemplate('hello');
    const refusal = await refused(platen, archive, () => owner.templateDraft('hello'));
    assert.deepEqual([refusal.code, refusal.reason], ['FailedPrecondition', 'RESOURCE_IN_USE']);
    assert.equal(refusal.metadata['referrers'], String(refusal.obstacles.length));
    return refusal.obstacles;
  }

  /** What stands in the way of archiving a bundle. */
  async function bundleUses(owner = brand): Promise<readonly string[]> {
    const archive = () => owner.deleteBundle('chat');
    const refusal = await refused(platen, archive, () => owner.bundleDraft('chat'));
    assert.deepEqual([refusal.code, refusal.reason], ['FailedPrecondition', 'RESOURCE_IN_USE']);
    assert.equal(refusal.metadata['referrers'], String(refusal.obstacles.length));
    return refusal.obstacles;
  }

  describe('A template in use is not archived', () => {
    it('while drafts name it, each of which is told', async () => {
      await brand.bundle('chat', { sections: [section('hello'), section('hello', '*')] });
      await brand.bundle('mail', { personality: { templateId: 'hello', version: '9.0.0' } });
      const { tenant } = brand;
      assert.deepEqual(await templateUses(), [`BUNDLE_DRAFT ${tenant}/chat`, `BUNDLE_DRAFT ${tenant}/mail`]);
    });

    it('until they name it no longer, or are archived themselves', async () => {
      await brand.bundle('chat', { sections: [section('hello')] }, '1.0.0');
      await brand.bundle('mail', { sections: [section('hello')] });
      await brand.updateBundle('chat', { sections: [section('other')] }, 1);
      assert.deepEqual(await templateUses(), [`BUNDLE_DRAFT ${brand.tenant}/mail`]);
      await brand.deleteBundle('mail');
      assert.ok((await brand.deleteTemplate('hello')).template?.archiveTime);
    });

    it('while a channel points at a version that is built from it', async () => {
      await brand.bundle('chat', { sections: [section('hello')] }, '1.0.0', '1.1.0');
      await brand.release('chat', '1.0.0');
      await brand.release('chat', '1.1.0', 'beta');
      await brand.updateBundle('chat', { sections: [section('other')] }, 1);
      await brand.publishBundle('chat', '2.0.0', { editVersion: 2 });
      const { tenant } = brand;
      assert.deepEqual(await templateUses(), [`RELEASE ${tenant}/chat#beta`, `RELEASE ${tenant}/chat#production`]);

      await brand.release('chat', '2.0.0');
      assert.deepEqual(await templateUses(), [`RELEASE ${tenant}/chat#beta`]);
      await brand.withdraw('chat', 'beta');
      const released = await brand.bundleVersion('chat', '1.0.0');
      await brand.deleteTemplate('hello');
      assert.deepEqual(await brand.bundleVersion('chat', '1.0.0'), released);
    });

    it('a draft and a release of one bundle are two referrers', async () => {
      await brand.bundle('chat', { sections: [section('hello')] });
      await brand.publishBundle('chat', '1.0.0', { channel: 'production' });
      const { tenant } = brand;
      assert.deepEqual(await templateUses(), [`BUNDLE_DRAFT ${tenant}/chat`, `RELEASE ${tenant}/chat#production`]);
    });

    it('while tenants below use it, of whom those that have their own are none', async () => {
      const child = await brand.child();
      const grandchild = await child.child();
      const sections = [section('hello', '^1.0')];
      await grandchild.bundle('mine', { sections });
      await grandchild.publishBundle('mine', '1.0.0', { channel: 'production' });
      const beside = await Brand.create(platen);
      await beside.template('hello', 'Theirs', '1.0.0');
      await beside.bundle('theirs', { sections });
      const { tenant } = grandchild;
      assert.deepEqual(await templateUses(), [`BUNDLE_DRAFT ${tenant}/mine`, `RELEASE ${tenant}/mine#production`]);

      await child.template('hello', 'Nearer');
      assert.equal((await templateUses()).length, 2);
      await child.publishTemplate('hello', '2.0.0');
      assert.equal((await templateUses()).length, 2);
      await child.publishTemplate('hello', '1.0.0');
      assert.deepEqual(await templateUses(), [`RELEASE ${tenant}/mine#production`]);
      await grandchild.publishBundle('mine', '1.1.0', { channel: 'production' });
      await brand.deleteTemplate('hello');
      assert.deepEqual(await templateUses(child), [`BUNDLE_DRAFT ${tenant}/mine`, `RELEASE ${tenant}/mine#production`]);
    });

    it('of many referrers 20 are named, and all are counted', async () => {
      for (let index = 0; index < 23; index += 1) await brand.bundle(`chat-${index}`, { sections: [section('hello')] });
      const { obstacles, metadata } = await refused(platen, () => brand.deleteTemplate('hello'));
      assert.deepEqual([obstacles.length, metadata['referrers']], [20, '23']);
    });
  });

  describe('A bundle in use is not archived', () => {
    beforeEach(async () => {
      await brand.bundle('chat', { sections: [section('hello')] }, '1.0.0');
    });

    it('while channels serve it, each of which is told', async () => {
      await brand.release('chat', '1.0.0');
      await brand.release('chat', '1.0.0', 'beta');
      const { tenant } = brand;
      assert.deepEqual(await bundleUses(), [`CHANNEL ${tenant}/chat#beta`, `CHANNEL ${tenant}/chat#production`]);
    });

    it('while activations of its tenant or of one below name it', async () => {
      const child = await brand.child();
      await brand.activate('chat');
      await child.activate('chat');
      assert.deepEqual(
        await bundleUses(),
        [`ACTIVATION ${brand.tenant}/GREETING`, `ACTIVATION ${child.tenant}/GREETING`].toSorted(),
      );
    });

    it('until the channels are withdrawn and the activations removed', async () => {
      const child = await brand.child();
      await brand.release('chat', '1.0.0');
      await child.activate('chat');
      assert.equal((await bundleUses()).length, 2);
      await brand.withdraw('chat');
      assert.deepEqual(await bundleUses(), [`ACTIVATION ${child.tenant}/GREETING`]);
      await child.deactivate();
      assert.ok((await brand.deleteBundle('chat')).bundle?.archiveTime);
    });

    it('an activation that means a nearer bundle of the same id is none', async () => {
      const child = await brand.child();
      await child.bundle('chat', { sections: [section('hello')] });
      await child.activate('chat');
      await brand.deleteBundle('chat');
      assert.deepEqual(await bundleUses(child), [`ACTIVATION ${child.tenant}/GREETING`]);
    });

    it('an activation of another bundle, or in a tenant beside, is none', async () => {
      const beside = await Brand.create(platen);
      await beside.template('hello', 'Theirs', '1.0.0');
      await beside.bundle('chat', { sections: [section('hello')] });
      await beside.activate('chat');
      await brand.createBundle('bye', { sections: [section('hello')] }, FAREWELL);
      await brand.activate('bye', FAREWELL);
      assert.ok((await brand.deleteBundle('chat')).bundle?.archiveTime);
    });

    it('its edit version counts on from where it was', async () => {
      const { bundle } = await brand.deleteBundle('chat');
      assert.deepEqual([bundle?.editVersion, bundle?.latestVersion], [1, '1.0.0']);
    });
  });
});
