import assert from 'node:assert/strict';
import { ReplayOutcome } from '../../../gen/platen/v1/audit_service_pb.js';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import { PROMPT_TYPES } from '../../../src/domain/prompt-type.ts';
import { defaultPrompt } from '../../../src/domain/default-prompts.ts';
import { Brand, freshId } from '../../support/authoring.ts';
import { failure, Platen } from '../../support/platen.ts';
import { byBundle, byType, origin, type RenderInit, warned } from '../../support/rendering.ts';

describe('which prompt answers a render', () => {
  let platen: Platen;
  let base: Brand;

  before(async () => {
    platen = await Platen.start();
    base = new Brand(platen.clients, 'default');
  });
  after(() => platen.stop());

  function render(request: RenderInit) {
    return platen.clients.renders.render(request);
  }

  function fallbacks(reason: string): Promise<number> {
    return platen.metric('prompt_fallback_total', `reason="${reason}"`).then((value) => value ?? 0);
  }

  describe('The nearest tenant that answers serves the bundle', () => {
    it("the tenant's own", async () => {
      const brand = await Brand.create(platen.clients);
      const { bundleId, bundleHash } = await brand.bundle({ draft: 'own' });
      const answer = await render({ tenant: brand.tenant, target: byBundle(bundleId) });
      assert.equal(answer.text, 'own');
      assert.equal(answer.bundleHash, bundleHash);
      assert.equal(origin(answer), `ACTIVE ${brand.tenant}/${bundleId}@1.0.0#production.1`);
    });

    it('an empty tenant is the root', async () => {
      const { bundleId } = await base.bundle({ draft: 'of the root' });
      const answer = await render({ target: byBundle(bundleId) });
      assert.equal(origin(answer), `ACTIVE default/${bundleId}@1.0.0#production.1`);
    });

    it("an ancestor's, however far, unless a nearer one answers", async () => {
      const brand = await Brand.create(platen.clients);
      const child = await brand.child();
      const grandchild = await child.child();
      const { bundleId } = await base.bundle({ draft: 'root' });
      const ask = () => render({ tenant: grandchild.tenant, target: byBundle(bundleId) });
      assert.equal(origin(await ask()), `INHERITED default/${bundleId}@1.0.0#production.1`);
      await brand.bundle({ id: bundleId, draft: 'brand' });
      assert.equal(origin(await ask()), `INHERITED ${brand.tenant}/${bundleId}@1.0.0#production.1`);
      await grandchild.bundle({ id: bundleId, draft: 'grandchild' });
      assert.equal((await ask()).text, 'grandchild');
    });

    it("never a child's or a sibling's", async () => {
      const [brand, sibling] = await Promise.all([Brand.create(platen.clients), Brand.create(platen.clients)]);
      const { bundleId } = await sibling.bundle({ draft: 'private' });
      for (const tenant of [brand.tenant, 'default']) {
        assert.equal((await failure(render({ tenant, target: byBundle(bundleId) }))).code, 'NotFound');
      }
    });

    it('the revision that the channel is at', async () => {
      const brand = await Brand.create(platen.clients);
      const { bundleId } = await brand.bundle({ draft: 'one' });
      await brand.bundle({ id: bundleId, draft: 'two', version: '1.1.0' });
      const answer = await render({ tenant: brand.tenant, target: byBundle(bundleId) });
      assert.equal(answer.text, 'two');
      assert.equal(origin(answer), `ACTIVE ${brand.tenant}/${bundleId}@1.1.0#production.2`);
      await platen.clients.bundles.rollbackBundle({ tenant: brand.tenant, bundleId });
      const back = await render({ tenant: brand.tenant, target: byBundle(bundleId) });
      assert.equal(origin(back), `ACTIVE ${brand.tenant}/${bundleId}@1.0.0#production.3`);
    });
  });

  describe('Drafts and archived bundles never shadow', () => {
    it('a draft, and a version that is on no channel', async () => {
      const brand = await Brand.create(platen.clients);
      const { bundleId } = await base.bundle({ draft: 'root' });
      await brand.bundle({ id: bundleId, draft: 'not released', channel: '' });
      const answer = await render({ tenant: brand.tenant, target: byBundle(bundleId) });
      assert.equal(answer.text, 'root');
    });

    it('a bundle whose channel was withdrawn, and then archived', async () => {
      const brand = await Brand.create(platen.clients);
      const { tenant } = brand;
      const { bundleId } = await base.bundle({ draft: 'root' });
      await brand.bundle({ id: bundleId, draft: 'own' });
      const target = { case: 'withdraw', value: true } as const;
      await platen.clients.bundles.releaseBundle({ tenant, bundleId, target });
      assert.equal((await render({ tenant, target: byBundle(bundleId) })).text, 'root');
      const own = byBundle(bundleId, { version: '1.0.0' });
      assert.equal((await render({ tenant, target: own })).text, 'own');
      await platen.clients.bundles.deleteBundle({ tenant, bundleId, editVersion: 1 });
      assert.equal((await render({ tenant, target: byBundle(bundleId) })).text, 'root');
      assert.equal((await render({ tenant, target: own })).text, 'root');
    });
  });

  describe('A missing channel never becomes production', () => {
    it('by bundle', async () => {
      const brand = await Brand.create(platen.clients);
      const { tenant } = brand;
      const { bundleId } = await brand.bundle({ draft: 'live' });
      const failed = await failure(render({ tenant, target: byBundle(bundleId, { channel: 'canary' }) }));
      assert.equal(failed.code, 'NotFound');
      assert.equal(failed.reason, 'RESOURCE_NOT_FOUND');
      assert.equal(failed.resource, `channel ${tenant}/${bundleId}#canary`);
    });

    it('each channel has its own answer', async () => {
      const brand = await Brand.create(platen.clients);
      const { tenant } = brand;
      const { bundleId } = await brand.bundle({ draft: 'live' });
      await brand.bundle({ id: bundleId, draft: 'new', version: '2.0.0', channel: 'canary' });
      const ask = (channel: string) => render({ tenant, target: byBundle(bundleId, { channel }) });
      assert.equal((await ask('canary')).text, 'new');
      assert.equal((await ask('production')).text, 'live');
      assert.equal((await ask('')).text, 'live');
    });

    it('an ancestor that has the channel answers, though the tenant has another', async () => {
      const brand = await Brand.create(platen.clients);
      const { bundleId } = await base.bundle({ draft: 'root on canary', channel: 'canary' });
      await brand.bundle({ id: bundleId, draft: 'own on production' });
      const answer = await render({ tenant: brand.tenant, target: byBundle(bundleId, { channel: 'canary' }) });
      assert.equal(answer.text, 'root on canary');
    });

    it('by type', async () => {
      const brand = await Brand.create(platen.clients);
      const { tenant } = brand;
      const type = PromptType.CLARIFICATION;
      await brand.bundle({ draft: 'live', type, activate: true });
      assert.equal((await render({ tenant, target: byType(type) })).text, 'live');
      const answer = await render({ tenant, target: byType(type), channel: 'canary' });
      assert.equal(origin(answer), 'FALLBACK /@#canary.0');
    });
  });

  describe('An exact version is pinned', () => {
    it('whatever the channels point at', async () => {
      const brand = await Brand.create(platen.clients);
      const { tenant } = brand;
      const { bundleId } = await brand.bundle({ draft: 'one' });
      await brand.bundle({ id: bundleId, draft: 'two', version: '2.0.0', channel: '' });
      for (const [version, text] of Object.entries({ '1.0.0': 'one', '2.0.0': 'two' })) {
        const answer = await render({ tenant, target: byBundle(bundleId, { version }) });
        assert.equal(answer.text, text);
        assert.equal(origin(answer), `PINNED ${tenant}/${bundleId}@${version}#.0`);
      }
    });

    it('at the nearest tenant that has it, once that one has published it', async () => {
      const brand = await Brand.create(platen.clients);
      const { tenant } = brand;
      const { bundleId } = await base.bundle({ draft: 'root 1' });
      await brand.bundle({ id: bundleId, draft: 'own 2', version: '2.0.0' });
      const ask = () => render({ tenant, target: byBundle(bundleId, { version: '1.0.0' }) });
      assert.equal(origin(await ask()), `PINNED default/${bundleId}@1.0.0#.0`);
      await brand.bundle({ id: bundleId, draft: 'own 1', version: '1.0.0', channel: '' });
      assert.equal(origin(await ask()), `PINNED ${tenant}/${bundleId}@1.0.0#.0`);
    });

    it('is not found if neither the tenant nor an ancestor published it', async () => {
      const brand = await Brand.create(platen.clients);
      const { bundleId } = await brand.bundle({ draft: 'one' });
      const failed = await failure(render({ tenant: brand.tenant, target: byBundle(bundleId, { version: '1.0.1' }) }));
      assert.equal(failed.code, 'NotFound');
      assert.equal(failed.resource, `bundle_version ${brand.tenant}/${bundleId}@1.0.1`);
    });

    it('and has to be exact', async () => {
      const { bundleId } = await base.bundle({ draft: 'one' });
      const failed = await failure(render({ target: byBundle(bundleId, { version: '^1.0' }) }));
      assert.deepEqual(failed.violations, ['bundle.version BAD_FORMAT']);
    });
  });

  describe('The nearest activation names the bundle', () => {
    it("the tenant's own, else an ancestor's", async () => {
      const brand = await Brand.create(platen.clients);
      const child = await brand.child();
      const type = PromptType.GREETING;
      const inherited = await brand.bundle({ draft: 'hello', type, activate: true });
      const ask = () => render({ tenant: child.tenant, target: byType(type) });
      assert.equal(origin(await ask()), `INHERITED ${brand.tenant}/${inherited.bundleId}@1.0.0#production.1`);
      const own = await child.bundle({ draft: 'hi', type, activate: true });
      assert.equal(origin(await ask()), `ACTIVE ${child.tenant}/${own.bundleId}@1.0.0#production.1`);
    });

    it('which is resolved from the tenant that asks', async () => {
      const brand = await Brand.create(platen.clients);
      const child = await brand.child();
      const type = PromptType.GREETING;
      const { bundleId } = await brand.bundle({ draft: 'hello', type, activate: true });
      await child.bundle({ id: bundleId, draft: 'my hello', type });
      const answer = await render({ tenant: child.tenant, target: byType(type) });
      assert.equal(answer.text, 'my hello');
      assert.equal(origin(answer), `ACTIVE ${child.tenant}/${bundleId}@1.0.0#production.1`);
    });

    it('a bundle of another type does not answer', async () => {
      const brand = await Brand.create(platen.clients);
      const child = await brand.child();
      const { bundleId } = await brand.bundle({ draft: 'bye', type: PromptType.FAREWELL, activate: true });
      await child.bundle({ id: bundleId, draft: 'no, a greeting', type: PromptType.GREETING });
      const answer = await render({ tenant: child.tenant, target: byType(PromptType.FAREWELL) });
      assert.equal(answer.text, 'bye');
    });
  });

  describe("A silent activation gives way to the ancestor's", () => {
    it('when its bundle is on no such channel', async () => {
      const brand = await Brand.create(platen.clients);
      const child = await brand.child();
      const type = PromptType.REJECTION;
      await brand.bundle({ draft: 'sorry', type, activate: true });
      const silent = await child.bundle({ draft: 'nope', type, activate: true });
      const { tenant } = child;
      const ask = () => render({ tenant, target: byType(type) });
      assert.equal((await ask()).text, 'nope');
      const withdraw = { case: 'withdraw', value: true } as const;
      await platen.clients.bundles.releaseBundle({ tenant, bundleId: silent.bundleId, target: withdraw });
      assert.equal((await ask()).text, 'sorry');
    });

    it('when it is taken away', async () => {
      const brand = await Brand.create(platen.clients);
      const child = await brand.child();
      const type = PromptType.REJECTION;
      await brand.bundle({ draft: 'sorry', type, activate: true });
      await child.bundle({ draft: 'nope', type, activate: true });
      await platen.clients.bundles.deactivateBundle({ tenant: child.tenant, type });
      assert.equal((await render({ tenant: child.tenant, target: byType(type) })).text, 'sorry');
    });
  });

  describe('A render by type never fails for want of a prompt', () => {
    for (const name of PROMPT_TYPES) {
      it(`${name} has a built-in default`, async () => {
        const brand = await Brand.create(platen.clients);
        const { tenant } = brand;
        const before = await fallbacks('nothing_answers');
        const answer = await render({ tenant, target: byType(PromptType[name]) });
        assert.equal(origin(answer), 'FALLBACK /@#production.0');
        assert.equal(answer.bundleHash, defaultPrompt(name).hash);
        assert.ok(answer.text.length > 100);
        assert.deepEqual(warned(answer.warnings), [`FALLBACK_USED ${name}`]);
        assert.equal(await fallbacks('nothing_answers'), before + 1);
        const line = platen.logs.find((each) => each['tenant'] === tenant && each['target'] === name);
        assert.equal(line?.['level'], 'warn');
        assert.equal(line['answeredWith'], 'default');
        assert.equal(line['reason'], 'nothing_answers');
      });
    }
  });

  describe('An unknown tenant still renders by type', () => {
    it("with the root's activation, and is told so", async () => {
      const type = PromptType.HANDOFF;
      const { bundleId } = await base.bundle({ draft: 'to a human', type, activate: true });
      const answer = await render({ tenant: 'nobody', target: byType(type) });
      assert.equal(answer.text, 'to a human');
      assert.equal(origin(answer), `INHERITED default/${bundleId}@1.0.0#production.1`);
      assert.deepEqual(warned(answer.warnings), ['TENANT_UNKNOWN nobody']);
      await platen.clients.bundles.deactivateBundle({ type });
    });

    it('else with the built-in default', async () => {
      const answer = await render({ tenant: 'Not An Id', target: byType(PromptType.FAREWELL) });
      assert.equal(answer.bundleHash, defaultPrompt('FAREWELL').hash);
      assert.deepEqual(warned(answer.warnings), ['TENANT_UNKNOWN Not An Id', 'FALLBACK_USED FAREWELL']);
    });

    it('and by bundle it is not found', async () => {
      const { bundleId } = await base.bundle({ draft: 'root' });
      for (const at of [{}, { version: '1.0.0' }]) {
        const failed = await failure(render({ tenant: 'nobody', target: byBundle(bundleId, at) }));
        assert.equal(failed.code, 'NotFound');
        assert.equal(failed.resource, 'tenant nobody');
      }
    });
  });

  describe('A render by bundle without fallback is not found', () => {
    it('a bundle that nobody has', async () => {
      const brand = await Brand.create(platen.clients);
      const errors = (await platen.metric('render_errors_total', 'code="NOT_FOUND"')) ?? 0;
      const failed = await failure(render({ tenant: brand.tenant, target: byBundle('no-such') }));
      assert.equal(failed.code, 'NotFound');
      assert.equal(failed.resource, `channel ${brand.tenant}/no-such#production`);
      assert.equal(failed.retry, false);
      assert.equal(await platen.metric('render_errors_total', 'code="NOT_FOUND"'), errors + 1);
    });
  });

  describe('Fallback text is answered literally', () => {
    const fallbackText = 'We are {closed}. {{Sorry}}\r\n';

    it('by bundle', async () => {
      const brand = await Brand.create(platen.clients);
      const target = freshId('missing');
      const before = await fallbacks('nothing_answers');
      const answer = await render({ tenant: brand.tenant, target: byBundle(target), fallbackText });
      assert.equal(answer.text, fallbackText);
      assert.equal(answer.bundleHash, '');
      assert.equal(answer.personalityHash, '');
      assert.equal(origin(answer), 'FALLBACK /@#production.0');
      assert.deepEqual(warned(answer.warnings), [`FALLBACK_USED ${target}`]);
      assert.equal(await fallbacks('nothing_answers'), before + 1);
      assert.equal(platen.logs.find((line) => line['target'] === target)?.['answeredWith'], 'text');
    });

    it('by exact version', async () => {
      const answer = await render({ target: byBundle('no-such', { version: '1.0.0' }), fallbackText });
      assert.equal(answer.text, fallbackText);
      assert.equal(origin(answer), 'FALLBACK /@#.0');
    });

    it('by type, before the built-in default', async () => {
      const brand = await Brand.create(platen.clients);
      const answer = await render({ tenant: brand.tenant, target: byType(PromptType.GREETING), fallbackText });
      assert.equal(answer.text, fallbackText);
      assert.deepEqual(warned(answer.warnings), ['FALLBACK_USED GREETING']);
    });

    it('for an unknown tenant', async () => {
      const answer = await render({ tenant: 'nobody', target: byBundle('no-such'), fallbackText });
      assert.equal(answer.text, fallbackText);
      assert.deepEqual(warned(answer.warnings), ['TENANT_UNKNOWN nobody', 'FALLBACK_USED no-such']);
    });

    it('and not where something answers, values that do not fit included', async () => {
      const brand = await Brand.create(platen.clients);
      const { bundleId } = await brand.bundle({ draft: 'Hello {name}' });
      const failed = await failure(render({ tenant: brand.tenant, target: byBundle(bundleId), fallbackText }));
      assert.equal(failed.reason, 'VARIABLES_INVALID');
    });
  });

  describe('Built-in defaults are documents', () => {
    it('that replay', async () => {
      const { renderId } = await render({ tenant: 'nobody', target: byType(PromptType.CLARIFICATION) });
      const { receipt } = await platen.clients.audit.getReceipt({ renderId });
      assert.equal(receipt!.bundleHash, defaultPrompt('CLARIFICATION').hash);
      const replay = await platen.clients.audit.replay({ renderId });
      assert.equal(replay.outcome, ReplayOutcome.MATCH);
    });
  });
});
