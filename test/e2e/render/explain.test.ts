import assert from 'node:assert/strict';
import { toJson } from '@bufbuild/protobuf';
import {
  ExplainRouteResponseSchema,
  RouteFinding,
  type ExplainRouteResponse,
  type RouteStep,
} from '../../../gen/platen/v1/render_service_pb.js';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import { Brand } from '../../support/authoring.ts';
import { failure, Platen } from '../../support/platen.ts';
import { byBundle, byType, origin } from '../../support/rendering.ts';

/** A bundle, or the bundle that is activated for a type. */
type Target = { readonly bundleId: string } | { readonly type: PromptType };

/** A step as `tenant FINDING`, followed by what is looked for and the channel's revision, if there are any. */
function taken({ tenant, finding, bundleId, revision }: RouteStep): string {
  return [tenant, RouteFinding[finding], bundleId, revision || ''].join(' ').trimEnd();
}

describe('A route can be explained', () => {
  const type = PromptType.GREETING;
  let platen: Platen;
  let base: Brand;

  before(async () => {
    platen = await Platen.start();
    base = new Brand(platen.clients, 'default');
  });
  after(() => platen.stop());

  /** Explains the route, and holds the explanation against a render at the same seq. */
  async function explain(tenant: string, target: Target, channel = ''): Promise<ExplainRouteResponse> {
    const { renders } = platen.clients;
    const asked = 'type' in target ? byType(target.type) : ({ case: 'bundleId', value: target.bundleId } as const);
    const rendered = 'type' in target ? byType(target.type) : byBundle(target.bundleId, { channel });
    const explanation = await renders.explainRoute({ tenant, target: asked, channel });
    const answer = await renders.render({ tenant, target: rendered, channel, fallbackText: 'nothing answers' });
    assert.deepEqual(
      [origin(explanation), explanation.bundleHash, explanation.seq],
      [origin(answer), answer.bundleHash, answer.seq],
    );
    return explanation;
  }

  async function steps(tenant: string, target: Target, channel = ''): Promise<string[]> {
    return (await explain(tenant, target, channel)).steps.map(taken);
  }

  function withdraw({ tenant }: Brand, bundleId: string) {
    const target = { case: 'withdraw', value: true } as const;
    return platen.clients.bundles.releaseBundle({ tenant, bundleId, target });
  }

  describe('by bundle', () => {
    it("the tenant's own release", async () => {
      const brand = await Brand.create(platen.clients);
      const { bundleId, bundleHash } = await brand.bundle({ draft: 'own' });
      const { seq } = await brand.bundle({ id: bundleId, draft: 'newer', version: '1.1.0', channel: 'canary' });
      const explanation = await explain(brand.tenant, { bundleId });
      assert.deepEqual(explanation.steps.map(taken), [`${brand.tenant} ANSWERS ${bundleId} 1`]);
      assert.equal(origin(explanation), `ACTIVE ${brand.tenant}/${bundleId}@1.0.0#production.1`);
      assert.equal(explanation.bundleHash, bundleHash);
      assert.equal(explanation.seq, seq);
    });

    it('an inherited one', async () => {
      const brand = await Brand.create(platen.clients);
      const child = await brand.child();
      const { bundleId } = await base.bundle({ draft: 'root' });
      assert.deepEqual(await steps(child.tenant, { bundleId }), [
        `${child.tenant} NO_BUNDLE ${bundleId}`,
        `${brand.tenant} NO_BUNDLE ${bundleId}`,
        `default ANSWERS ${bundleId} 1`,
      ]);
    });

    it('one behind a bundle that was withdrawn, and then archived', async () => {
      const brand = await Brand.create(platen.clients);
      const child = await brand.child();
      const { bundleId } = await base.bundle({ draft: 'root' });
      await brand.bundle({ id: bundleId, draft: 'brand' });
      await withdraw(brand, bundleId);
      const found = (between: string) => [
        `${child.tenant} NO_BUNDLE ${bundleId}`,
        `${brand.tenant} ${between} ${bundleId} 2`,
        `default ANSWERS ${bundleId} 1`,
      ];
      assert.deepEqual(await steps(child.tenant, { bundleId }), found('WITHDRAWN'));
      await platen.clients.bundles.deleteBundle({ tenant: brand.tenant, bundleId, editVersion: 1 });
      assert.deepEqual(await steps(child.tenant, { bundleId }), found('ARCHIVED'));
    });

    it('none, on a channel that nobody released it on', async () => {
      const brand = await Brand.create(platen.clients);
      const { bundleId } = await brand.bundle({ draft: 'live' });
      const explanation = await explain(brand.tenant, { bundleId }, 'canary');
      assert.deepEqual(explanation.steps.map(taken), [
        `${brand.tenant} NOT_RELEASED ${bundleId}`,
        `default NO_BUNDLE ${bundleId}`,
      ]);
      assert.equal(origin(explanation), 'FALLBACK /@#canary.0');
    });

    it('none, for a tenant that nobody knows', async () => {
      const { bundleId } = await base.bundle({ draft: 'root' });
      for (const tenant of ['nobody', 'Not An Id']) {
        assert.deepEqual(await steps(tenant, { bundleId }), [`${tenant} TENANT_UNKNOWN`]);
      }
    });
  });

  describe('by type', () => {
    it('what the tenant activates', async () => {
      const brand = await Brand.create(platen.clients);
      const { bundleId } = await brand.bundle({ draft: 'hello', type, activate: true });
      assert.deepEqual(await steps(brand.tenant, { type }), [
        `${brand.tenant} ACTIVATED ${bundleId}`,
        `${brand.tenant} ANSWERS ${bundleId} 1`,
      ]);
    });

    it('what an ancestor activates, looked for from the tenant that asks', async () => {
      const brand = await Brand.create(platen.clients);
      const child = await brand.child();
      const { bundleId } = await brand.bundle({ draft: 'hello', type, activate: true });
      assert.deepEqual(await steps(child.tenant, { type }), [
        `${child.tenant} NOT_ACTIVATED`,
        `${brand.tenant} ACTIVATED ${bundleId}`,
        `${child.tenant} NO_BUNDLE ${bundleId}`,
        `${brand.tenant} ANSWERS ${bundleId} 1`,
      ]);
    });

    it('past a bundle of the same id and another type', async () => {
      const brand = await Brand.create(platen.clients);
      const child = await brand.child();
      const { bundleId } = await brand.bundle({ draft: 'hello', type, activate: true });
      await child.bundle({ id: bundleId, draft: 'bye', type: PromptType.FAREWELL });
      assert.deepEqual(await steps(child.tenant, { type }), [
        `${child.tenant} NOT_ACTIVATED`,
        `${brand.tenant} ACTIVATED ${bundleId}`,
        `${child.tenant} OTHER_TYPE ${bundleId} 1`,
        `${brand.tenant} ANSWERS ${bundleId} 1`,
      ]);
    });

    it("a silent activation that gives way to the ancestor's, and one that is taken back", async () => {
      const brand = await Brand.create(platen.clients);
      const child = await brand.child();
      const general = await brand.bundle({ draft: 'hello', type, activate: true });
      const silent = await child.bundle({ draft: 'hi', type, activate: true });
      await withdraw(child, silent.bundleId);
      const inherited = [
        `${brand.tenant} ACTIVATED ${general.bundleId}`,
        `${child.tenant} NO_BUNDLE ${general.bundleId}`,
        `${brand.tenant} ANSWERS ${general.bundleId} 1`,
      ];
      assert.deepEqual(await steps(child.tenant, { type }), [
        `${child.tenant} ACTIVATED ${silent.bundleId}`,
        `${child.tenant} WITHDRAWN ${silent.bundleId} 2`,
        `${brand.tenant} NO_BUNDLE ${silent.bundleId}`,
        `default NO_BUNDLE ${silent.bundleId}`,
        ...inherited,
      ]);
      await platen.clients.bundles.deactivateBundle({ tenant: child.tenant, type });
      assert.deepEqual(await steps(child.tenant, { type }), [`${child.tenant} NOT_ACTIVATED`, ...inherited]);
    });

    it('nothing, on a channel that nobody released it on', async () => {
      const brand = await Brand.create(platen.clients);
      const { bundleId } = await brand.bundle({ draft: 'hello', type, activate: true });
      const explanation = await explain(brand.tenant, { type }, 'canary');
      assert.deepEqual(explanation.steps.map(taken), [
        `${brand.tenant} ACTIVATED ${bundleId}`,
        `${brand.tenant} NOT_RELEASED ${bundleId}`,
        `default NO_BUNDLE ${bundleId}`,
        'default NOT_ACTIVATED',
      ]);
      assert.equal(origin(explanation), 'FALLBACK /@#canary.0');
    });

    it("the root's, for a tenant that nobody knows", async () => {
      const handoff = PromptType.HANDOFF;
      assert.deepEqual(await steps('nobody', { type: handoff }), ['nobody TENANT_UNKNOWN', 'default NOT_ACTIVATED']);
      const { bundleId } = await base.bundle({ draft: 'to a human', type: handoff, activate: true });
      for (const tenant of ['nobody', 'Not An Id']) {
        assert.deepEqual(await steps(tenant, { type: handoff }), [
          `${tenant} TENANT_UNKNOWN`,
          `default ACTIVATED ${bundleId}`,
          `default ANSWERS ${bundleId} 1`,
        ]);
      }
    });
  });

  it('alike over gRPC and as JSON', async () => {
    const brand = await Brand.create(platen.clients);
    const { bundleId } = await base.bundle({ draft: 'root' });
    const explanation = await explain(brand.tenant, { bundleId });
    const { status, body } = await platen.json('RenderService/ExplainRoute', { tenant: brand.tenant, bundleId });
    assert.equal(status, 200);
    const { verifiedTime, ...rest } = toJson(ExplainRouteResponseSchema, explanation) as Record<string, unknown>;
    assert.deepEqual({ ...body, verifiedTime }, { ...rest, verifiedTime });
    assert.ok(Number.isFinite(Date.parse(body['verifiedTime'] as string)));
  });

  it('with the place of this replica in the change log', async () => {
    const { seq, chainHash } = await platen.clients.renders.explainRoute({ target: byType(type) });
    const { change } = await platen.clients.audit.getChange({ seq });
    assert.equal(chainHash, change!.chainHash);
  });

  it('and leaves no trace', async () => {
    const brand = await Brand.create(platen.clients);
    const { tenant } = brand;
    const before = await platen.clients.renders.explainRoute({ tenant, target: byType(type) });
    const after = await platen.clients.renders.explainRoute({ tenant, target: byType(type) });
    assert.equal(after.seq, before.seq);
    assert.deepEqual((await platen.clients.audit.listReceipts({ tenant })).receipts, []);
  });

  it('all that is wrong with a question is told at once', async () => {
    const long = 'x'.repeat(129);
    const { renders } = platen.clients;
    const unnamed = await failure(renders.explainRoute({ tenant: long, channel: long }));
    assert.deepEqual(unnamed.violations, ['channel TOO_LONG', 'target REQUIRED', 'tenant TOO_LONG']);
    const unspecified = await failure(renders.explainRoute({ tenant: long, target: byType(PromptType.UNSPECIFIED) }));
    assert.deepEqual(unspecified.violations, ['tenant TOO_LONG', 'type UNSPECIFIED']);
    const empty = await failure(renders.explainRoute({ target: { case: 'bundleId', value: '' } }));
    assert.deepEqual([empty.code, empty.violations], ['InvalidArgument', ['bundle_id REQUIRED']]);
  });
});
