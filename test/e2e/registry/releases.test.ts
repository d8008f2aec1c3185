import assert from 'node:assert/strict';
import { Code, ConnectError } from '@connectrpc/connect';
import { RenderSource } from '../../../gen/platen/v1/render_service_pb.js';
import { PromptType, ReleaseKind } from '../../../gen/platen/v1/resources_pb.js';
import { Brand, refused, section } from '../../support/brand.ts';
import { failure, Platen } from '../../support/platen.ts';

const { GREETING, FAREWELL } = PromptType;

describe('the registry of releases', () => {
  let platen: Platen;
  let brand: Brand;

  before(async () => {
    platen = await Platen.start();
  });
  after(() => platen.stop());

  /** A bundle `chat` whose versions say which they are. */
  beforeEach(async () => {
    brand = await Brand.create(platen);
    const versions = ['1.0.0', '1.1.0', '1.2.0'];
    for (const [index, version] of versions.entries()) {
      await brand.template(`line-${version}`, `This is ${version}`, '1.0.0');
      const draft = { sections: [section(`line-${version}`)] };
      if (index === 0) await brand.createBundle('chat', draft);
      else await brand.updateBundle('chat', draft, index);
      await brand.publishBundle('chat', version, { editVersion: index + 1 });
    }
  });

  /** Releases these versions one after another. */
  async function releaseAll(...versions: readonly string[]): Promise<void> {
    for (const version of versions) await brand.release('chat', version);
  }

  /** What a channel points at. */
  async function served(channel = 'production'): Promise<string> {
    const [head] = await brand.releases('chat', channel);
    return head?.targets[0]?.version ?? '';
  }

  describe('Revisions count from one and never reset', () => {
    it('over releases, withdrawals and rollbacks, for each channel alone', async () => {
      assert.equal((await brand.release('chat', '1.0.0')).revision, 1);
      assert.equal((await brand.withdraw('chat')).revision, 2);
      assert.equal((await brand.release('chat', '1.0.0')).revision, 3);
      assert.equal((await brand.release('chat', '1.1.0', 'beta')).revision, 1);
      assert.equal((await brand.rollback('chat', '1.0.0')).revision, 4);
      const { RELEASE, ROLLBACK, WITHDRAW } = ReleaseKind;
      assert.deepEqual(
        (await brand.releases('chat')).map(({ channel, revision, kind }) => [channel, revision, kind]),
        [
          ['production', 4, ROLLBACK],
          ['beta', 1, RELEASE],
          ['production', 3, RELEASE],
          ['production', 2, WITHDRAW],
          ['production', 1, RELEASE],
        ],
      );
    });

    it('tenants that own a bundle of one id count for themselves', async () => {
      const child = await brand.child();
      await child.bundle('chat', { sections: [section('line-1.0.0')] }, '1.0.0');
      await releaseAll('1.0.0', '1.1.0');
      assert.equal((await child.release('chat', '1.0.0')).revision, 1);
    });
  });

  describe('A stale expected revision is refused', () => {
    it('by a release, with what holds now', async () => {
      await releaseAll('1.0.0');
      assert.equal((await brand.release('chat', '1.1.0', '', 1)).revision, 2);
      const release = () => brand.release('chat', '1.2.0', '', 1);
      const { code, reason, metadata } = await refused(platen, release, () => brand.releases('chat'));
      assert.deepEqual([code, reason], ['Aborted', 'STALE_REVISION']);
      const { draftHash } = await brand.bundleDraft('chat');
      assert.deepEqual([metadata['revision'], metadata['expected']], ['2', '1']);
      assert.deepEqual([metadata['draft_hash'], metadata['update_actor']], [draftHash, 'anonymous@loopback']);
      assert.match(metadata['update_time']!, /^\d{4}-\d\d-\d\dT/);
    });

    it('of two that move a channel at once one wins', async () => {
      await releaseAll('1.0.0');
      const releases = ['1.1.0', '1.2.0'].map((version) => brand.release('chat', version, '', 1));
      const settled = await Promise.allSettled(releases);
      const lost = settled.findIndex(({ status }) => status === 'rejected');
      const { reason, metadata } = await failure(releases[lost]!);
      assert.deepEqual([reason, metadata['revision']], ['STALE_REVISION', '2']);
      assert.equal((await brand.releases('chat')).length, 2);
    });

    it('0 says that there is none yet', async () => {
      assert.equal((await brand.release('chat', '1.0.0', '', 0)).revision, 1);
      const again = await refused(platen, () => brand.release('chat', '1.1.0', '', 0));
      assert.deepEqual([again.reason, again.metadata['revision']], ['STALE_REVISION', '1']);
      const first = await refused(platen, () => brand.release('chat', '1.1.0', 'beta', 3));
      assert.deepEqual([first.reason, first.metadata['revision']], ['STALE_REVISION', '0']);
      assert.deepEqual([first.metadata['update_actor'], first.metadata['update_time']], ['', '']);
    });

    it('by a rollback and a withdrawal', async () => {
      await releaseAll('1.0.0', '1.1.0');
      const { bundles } = platen.clients;
      const named = { tenant: brand.tenant, bundleId: 'chat', expectedRevision: 1 };
      const target = { case: 'withdraw', value: true } as const;
      for (const write of [() => bundles.rollbackBundle(named), () => bundles.releaseBundle({ ...named, target })]) {
        const { code, metadata } = await refused(platen, write, () => brand.releases('chat'));
        assert.deepEqual([code, metadata['revision']], ['Aborted', '2']);
      }
      assert.equal((await bundles.rollbackBundle({ ...named, expectedRevision: 2 })).release?.revision, 3);
    });

    it('by an activation and a deactivation', async () => {
      const { bundles } = platen.clients;
      const { tenant } = brand;
      const activate = (expectedRevision: number) =>
        bundles.activateBundle({ tenant, type: GREETING, bundleId: 'chat', expectedRevision });
      assert.equal((await activate(0)).activation?.revision, 1);
      for (const write of [
        () => activate(0),
        () => bundles.deactivateBundle({ tenant, type: GREETING, expectedRevision: 2 }),
      ]) {
        const { code, reason, metadata } = await refused(platen, write);
        assert.deepEqual([code, reason, metadata['revision']], ['Aborted', 'STALE_REVISION', '1']);
        assert.equal(metadata['draft_hash'], (await brand.bundleDraft('chat')).draftHash);
        assert.deepEqual(metadata['update_actor'], 'anonymous@loopback');
      }
      assert.equal((await activate(1)).activation?.revision, 2);
    });

    it('one below 0 is invalid', async () => {
      const { bundles } = platen.clients;
      const named = { tenant: brand.tenant, bundleId: 'chat', expectedRevision: -1 };
      for (const write of [
        () => brand.release('chat', '1.0.0', '', -1),
        () => bundles.rollbackBundle(named),
        () => bundles.activateBundle({ ...named, type: GREETING }),
        () => bundles.deactivateBundle({ tenant: brand.tenant, type: GREETING, expectedRevision: -1 }),
      ]) {
        assert.deepEqual((await refused(platen, write)).violations, ['expected_revision OUT_OF_RANGE']);
      }
    });
  });

  describe('A release keeps its targets as a list', () => {
    it('of one version with its hash', async () => {
      const { bundleHash } = await brand.bundleVersion('chat', '1.2.0');
      const release = await brand.release('chat', '1.2.0');
      assert.deepEqual(
        release.targets.map(({ version, bundleHash: hash, weight }) => [version, hash, weight]),
        [['1.2.0', bundleHash, 100]],
      );
      assert.deepEqual([release.kind, release.channel], [ReleaseKind.RELEASE, 'production']);
      assert.deepEqual([release.originRevision, release.createActor], [1, 'anonymous@loopback']);
      assert.deepEqual(await brand.releases('chat'), [release]);
    });

    it('a release needs a target, and a version that is published', async () => {
      const { bundles } = platen.clients;
      const named = { tenant: brand.tenant, bundleId: 'chat' };
      const withdraw = { case: 'withdraw', value: false } as const;
      for (const request of [named, { ...named, target: withdraw }]) {
        const release = () => bundles.releaseBundle(request);
        assert.deepEqual((await refused(platen, release)).violations, ['target REQUIRED']);
      }
      assert.deepEqual((await refused(platen, () => brand.release('chat', '^1.0'))).violations, ['version BAD_FORMAT']);
      const { code, resource } = await refused(platen, () => brand.release('chat', '9.0.0'));
      assert.deepEqual([code, resource], ['NotFound', `bundle_version ${brand.tenant}/chat@9.0.0`]);
    });
  });

  describe('Rollback returns to the version before', () => {
    it('under a new revision', async () => {
      await releaseAll('1.0.0', '1.1.0', '1.2.0');
      const release = await brand.rollback('chat');
      assert.deepEqual([release.revision, release.kind], [4, ReleaseKind.ROLLBACK]);
      assert.deepEqual([release.targets[0]?.version, release.originRevision], ['1.1.0', 2]);
      assert.equal(await brand.text('chat'), 'This is 1.1.0');
    });

    it('a version that was released twice in a row counts once', async () => {
      await releaseAll('1.0.0', '1.1.0', '1.1.0');
      assert.equal((await brand.rollback('chat')).targets[0]?.version, '1.0.0');
    });

    it('after a withdrawal it is the version that was withdrawn', async () => {
      await releaseAll('1.0.0', '1.1.0');
      await brand.withdraw('chat');
      assert.equal((await brand.rollback('chat')).targets[0]?.version, '1.1.0');
      assert.equal((await brand.rollback('chat')).targets[0]?.version, '1.0.0');
    });

    it('where there was none, nothing can be rolled back', async () => {
      await releaseAll('1.0.0', '1.0.0');
      const { code, reason, obstacles } = await refused(platen, () => brand.rollback('chat'), () => served());
      assert.deepEqual([code, reason], ['FailedPrecondition', 'NOTHING_TO_ROLL_BACK']);
      assert.deepEqual(obstacles, [`RELEASE_HISTORY ${brand.tenant}/chat#production`]);
    });

    it('a channel that never was is not found', async () => {
      const { code, resource } = await refused(platen, () => brand.rollback('chat', '', 'beta'));
      assert.deepEqual([code, resource], ['NotFound', `channel ${brand.tenant}/chat#beta`]);
    });
  });

  describe('Repeated rollback walks further back', () => {
    it('until nothing is left', async () => {
      await releaseAll('1.0.0', '1.1.0', '1.2.0');
      const walked = [await brand.rollback('chat'), await brand.rollback('chat')];
      assert.deepEqual(walked.map(({ targets }) => targets[0]?.version), ['1.1.0', '1.0.0']);
      assert.deepEqual(walked.map(({ revision, originRevision }) => [revision, originRevision]), [[4, 2], [5, 1]]);
      assert.equal((await failure(brand.rollback('chat'))).reason, 'NOTHING_TO_ROLL_BACK');
      assert.equal(await served(), '1.0.0');
    });

    it('a release in between begins the walk anew', async () => {
      await releaseAll('1.0.0', '1.1.0');
      await brand.rollback('chat');
      await releaseAll('1.2.0');
      assert.equal((await brand.rollback('chat')).targets[0]?.version, '1.0.0');
    });

    it('each channel has a walk of its own', async () => {
      await releaseAll('1.0.0', '1.1.0');
      await brand.release('chat', '1.2.0', 'beta');
      assert.equal((await brand.rollback('chat')).targets[0]?.version, '1.0.0');
      assert.equal(await served('beta'), '1.2.0');
    });
  });

  describe('Rollback to a version needs a former release', () => {
    it('and goes there at once', async () => {
      await releaseAll('1.0.0', '1.1.0', '1.2.0');
      const release = await brand.rollback('chat', '1.0.0');
      assert.deepEqual([release.targets[0]?.version, release.originRevision, release.revision], ['1.0.0', 1, 4]);
      assert.equal(await brand.text('chat'), 'This is 1.0.0');
    });

    it('a version that was only published, or released elsewhere, is refused', async () => {
      await releaseAll('1.0.0', '1.1.0');
      await brand.release('chat', '1.2.0', 'beta');
      for (const version of ['1.2.0', '0.9.0']) {
        const rollback = () => brand.rollback('chat', version);
        const { code, reason, obstacles } = await refused(platen, rollback, () => brand.releases('chat'));
        assert.deepEqual([code, reason], ['FailedPrecondition', 'NOTHING_TO_ROLL_BACK']);
        assert.deepEqual(obstacles, [`RELEASE_HISTORY ${brand.tenant}/chat#production`]);
      }
    });

    it('a range is no version', async () => {
      await releaseAll('1.0.0', '1.1.0');
      assert.deepEqual((await refused(platen, () => brand.rollback('chat', '1.x'))).violations, ['version BAD_FORMAT']);
    });
  });

  describe('A channel can be withdrawn', () => {
    it('then the ancestors answer', async () => {
      const child = await brand.child();
      await child.template('own', 'Our own', '1.0.0');
      await child.bundle('chat', { sections: [section('own')] }, '1.0.0');
      await releaseAll('1.0.0');
      await child.release('chat', '1.0.0');
      assert.equal(await child.text('chat'), 'Our own');
      const release = await child.withdraw('chat');
      assert.deepEqual([release.kind, release.targets, release.revision], [ReleaseKind.WITHDRAW, [], 2]);
      const answer = await platen.clients.renders.render({
        tenant: child.tenant,
        target: { case: 'bundle', value: { bundleId: 'chat' } },
      });
      assert.deepEqual([answer.text, answer.source], ['This is 1.0.0', RenderSource.INHERITED]);
      assert.equal(answer.tenant, brand.tenant);
    });

    it('one that never was is not found', async () => {
      const { code, resource } = await refused(platen, () => brand.withdraw('chat'));
      assert.deepEqual([code, resource], ['NotFound', `channel ${brand.tenant}/chat#production`]);
    });
  });

  describe('An activation points a type at a bundle', () => {
    it('its revisions count over deactivations', async () => {
      assert.equal((await brand.activate('chat')).revision, 1);
      const deactivated = await brand.deactivate();
      assert.deepEqual([deactivated.bundleId, deactivated.revision], ['', 2]);
      assert.equal((await brand.activate('chat')).revision, 3);
      const { activations } = await platen.clients.bundles.listActivations({ tenant: brand.tenant });
      assert.deepEqual(activations.map(({ type, bundleId, revision }) => [type, bundleId, revision]), [
        [GREETING, 'chat', 3],
      ]);
    });

    it('it makes the bundle answer the type, for the tenant and those below', async () => {
      const child = await brand.child();
      await releaseAll('1.0.0');
      await brand.activate('chat');
      const render = async ({ tenant }: Brand) =>
        (await platen.clients.renders.render({ tenant, target: { case: 'type', value: GREETING } })).text;
      assert.deepEqual([await render(brand), await render(child)], ['This is 1.0.0', 'This is 1.0.0']);
      await brand.deactivate();
      assert.notEqual(await render(child), 'This is 1.0.0');
    });

    it('the bundle may be an ancestor\'s', async () => {
      const child = await brand.child();
      const activation = await child.activate('chat');
      assert.deepEqual([activation.tenant, activation.bundleId], [child.tenant, 'chat']);
    });

    it('a bundle of another type is refused', async () => {
      const activate = () => brand.activate('chat', FAREWELL);
      assert.deepEqual((await refused(platen, activate)).violations, ['type CONFLICT']);
    });

    it('a bundle that neither the tenant nor an ancestor has is not found', async () => {
      const beside = await Brand.create(platen);
      const { code, resource } = await refused(platen, () => beside.activate('chat'));
      assert.deepEqual([code, resource], ['NotFound', `bundle ${beside.tenant}/chat`]);
      const named = await refused(platen, () => brand.activate('No Id'));
      assert.deepEqual(named.violations, ['bundle_id BAD_FORMAT']);
    });

    it('what is not activated cannot be deactivated', async () => {
      const { code, resource } = await refused(platen, () => brand.deactivate());
      assert.deepEqual([code, resource], ['NotFound', `activation ${brand.tenant}/GREETING`]);
      await brand.activate('chat');
      await brand.deactivate();
      assert.equal((await failure(brand.deactivate())).code, 'NotFound');
    });

    it('a tenant that does not exist has none', async () => {
      const { bundles } = platen.clients;
      for (const call of [
        () => bundles.activateBundle({ tenant: 'nobody', type: GREETING, bundleId: 'chat' }),
        () => bundles.deactivateBundle({ tenant: 'nobody', type: GREETING }),
        () => bundles.listActivations({ tenant: 'nobody' }),
      ]) {
        const error = await call().catch((reason: unknown) => reason);
        assert.ok(error instanceof ConnectError && error.code === Code.NotFound);
      }
    });
  });
});
