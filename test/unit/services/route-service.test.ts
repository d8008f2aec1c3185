import assert from 'node:assert/strict';
import { sha256 } from '../../../src/domain/document.ts';
import { Violations } from '../../../src/domain/errors.ts';
import { RouteMap } from '../../../src/domain/route-map.ts';
import { tenantDocument } from '../../../src/domain/tenant.ts';
import { STALE_AFTER_MS } from '../../../src/services/route-resolution.ts';
import { RouteService, type RouteExplanation, type RouteInput } from '../../../src/services/route-service.ts';
import { refusal } from '../../support/handler-call.ts';

const HELLO = sha256('hello');
const NOW = Date.parse('2026-01-31T08:00:00Z');

function tenant(id: string, parent: string) {
  const draft = { parent, displayName: '', variables: {}, capturePolicy: 'HASH_ONLY' as const };
  return { tenant: id, document: tenantDocument(draft).text };
}

/** `default` activates a GREETING that it has on production; `acme`, its child, has a FAREWELL of its own there. */
function routeMap(): RouteMap {
  const bundle = { archived: false, versions: 1 };
  const head = { channel: 'production', revision: 3 };
  return new RouteMap({
    seq: 7,
    chainHash: 'c7',
    tenants: [tenant('default', ''), tenant('acme', 'default')],
    bundles: [
      { ...bundle, tenant: 'default', bundleId: 'hello', type: 'GREETING' },
      { ...bundle, tenant: 'acme', bundleId: 'bye', type: 'FAREWELL' },
    ],
    channels: [
      { ...head, tenant: 'default', bundleId: 'hello', targets: [{ version: '1.2.0', bundleHash: HELLO }] },
      { ...head, tenant: 'acme', bundleId: 'bye', targets: [{ version: '2.0.0', bundleHash: sha256('bye') }] },
    ],
    activations: [{ tenant: 'default', type: 'GREETING', bundleId: 'hello' }],
  });
}

/** What the service explains, with pointers that were verified just now unless told otherwise. */
function explain(asked: Partial<RouteInput>, given: { verifiedAt?: number; violations?: Violations } = {}) {
  const { verifiedAt = NOW, violations } = given;
  const service = new RouteService({ loaded: routeMap(), verifiedAt, unverifiedMs: () => NOW - verifiedAt });
  return service.explain({ tenant: 'acme', target: { type: 'GREETING' }, channel: '', ...asked }, violations);
}

function steps({ steps: taken }: RouteExplanation): string[] {
  return taken.map(({ tenant: at, finding, bundleId, revision }) => `${at} ${finding} ${bundleId} ${revision}`);
}

describe('A route can be explained', () => {
  it('by type: every place that a render looks at, and what it comes to', () => {
    const explanation = explain({});
    assert.deepEqual(steps(explanation), [
      'acme NOT_ACTIVATED  0',
      'default ACTIVATED hello 0',
      'acme NO_BUNDLE hello 0',
      'default ANSWERS hello 3',
    ]);
    assert.deepEqual(explanation, {
      seq: 7,
      chainHash: 'c7',
      verifiedTime: new Date(NOW),
      source: 'INHERITED',
      steps: explanation.steps,
      channel: 'production',
      answer: {
        tenant: 'default',
        bundleId: 'hello',
        version: '1.2.0',
        bundleHash: HELLO,
        channel: 'production',
        revision: 3,
      },
    });
  });

  it("by bundle: the tenant's own answers as its own", () => {
    const explanation = explain({ target: { bundleId: 'bye' } });
    assert.deepEqual(steps(explanation), ['acme ANSWERS bye 3']);
    assert.equal(explanation.source, 'ACTIVE');
    assert.equal(explanation.answer?.version, '2.0.0');
  });

  it('that nothing answers is no error', () => {
    const explanation = explain({ target: { bundleId: 'hello' }, channel: 'canary' });
    assert.deepEqual(steps(explanation), ['acme NO_BUNDLE hello 0', 'default NOT_RELEASED hello 0']);
    assert.deepEqual(
      [explanation.source, explanation.channel, explanation.answer],
      ['FALLBACK', 'canary', undefined],
    );
  });

  it('an id that cannot exist is unknown, as to a render', () => {
    const byType = explain({ tenant: 'Not An Id' });
    assert.deepEqual(steps(byType), [
      'Not An Id TENANT_UNKNOWN  0',
      'default ACTIVATED hello 0',
      'default ANSWERS hello 3',
    ]);
    assert.equal(byType.source, 'INHERITED');
    const byBundle = explain({ tenant: 'Not An Id', target: { bundleId: 'hello' } });
    assert.deepEqual(steps(byBundle), ['Not An Id TENANT_UNKNOWN  0']);
    assert.equal(byBundle.source, 'FALLBACK');
    assert.deepEqual(steps(explain({ target: { bundleId: 'Not An Id' } })), [
      'acme NO_BUNDLE Not An Id 0',
      'default NO_BUNDLE Not An Id 0',
    ]);
  });

  it('the source tells that the pointers could not be verified lately, unless nothing answers anyway', () => {
    assert.equal(explain({}, { verifiedAt: NOW - STALE_AFTER_MS }).source, 'INHERITED');
    const late = { verifiedAt: NOW - STALE_AFTER_MS - 1 };
    const { source, verifiedTime } = explain({}, late);
    assert.equal(source, 'STALE');
    assert.deepEqual(verifiedTime, new Date(late.verifiedAt));
    assert.equal(explain({ target: { bundleId: 'none' } }, late).source, 'FALLBACK');
  });

  it('all that is wrong with a question is told at once', async () => {
    const long = 'x'.repeat(129);
    const ask = async (asked: Partial<RouteInput>, violations?: Violations) =>
      explain(asked, violations && { violations });
    assert.deepEqual(await refusal(ask({ tenant: long, channel: long, target: undefined })), [
      'tenant TOO_LONG',
      'channel TOO_LONG',
      'target REQUIRED',
    ]);
    assert.deepEqual(await refusal(ask({ target: { bundleId: '' } })), ['bundle_id REQUIRED']);
    const violations = new Violations();
    violations.add('type', 'OUT_OF_RANGE', 'found while reading');
    assert.deepEqual(await refusal(ask({ target: { bundleId: long } }, violations)), [
      'type OUT_OF_RANGE',
      'bundle_id TOO_LONG',
    ]);
    const longest = 'x'.repeat(128);
    assert.equal(explain({ tenant: longest, channel: longest, target: { bundleId: longest } }).answer, undefined);
  });

  it('is unavailable before the pointers are loaded', () => {
    const service = new RouteService({ loaded: undefined, verifiedAt: 0, unverifiedMs: () => Infinity });
    const asked = { tenant: 'acme', target: { bundleId: 'hello' }, channel: '' };
    assert.throws(() => service.explain(asked), { reason: 'DATABASE_UNAVAILABLE', retryDelayMs: 1_000 });
  });
});
