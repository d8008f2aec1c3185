import assert from 'node:assert/strict';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { InvalidInput, Violations } from '../../../../src/domain/errors.ts';
import { readRoute, writeRoute } from '../../../../src/rpc/mapping/route.ts';
import type { RouteExplanation } from '../../../../src/services/route-service.ts';
import {
  ExplainRouteRequestSchema,
  ExplainRouteResponseSchema,
  RenderSource,
  RouteFinding,
} from '../../../../gen/platen/v1/render_service_pb.js';
import { PromptType } from '../../../../gen/platen/v1/resources_pb.js';
import { brief } from '../../../support/handler-call.ts';
import { overTheWire, unsetFields } from '../../../support/wire.ts';

function read(request: MessageInitShape<typeof ExplainRouteRequestSchema>): ReturnType<typeof readRoute> {
  const violations = new Violations();
  const input = readRoute(violations, overTheWire(ExplainRouteRequestSchema, request));
  violations.throwIfAny();
  return input;
}

const FOUND: RouteExplanation = {
  seq: 812,
  chainHash: 'c812',
  verifiedTime: new Date('2026-01-31T08:00:00.250Z'),
  source: 'INHERITED',
  steps: [{ tenant: 'acme', finding: 'ANSWERS', bundleId: 'hello', revision: 3 }],
  channel: 'production',
  answer: {
    tenant: 'acme',
    bundleId: 'hello',
    version: '1.2.0',
    bundleHash: 'b00d1e',
    channel: 'production',
    revision: 3,
  },
};

describe('A route can be explained', () => {
  it('to a bundle or to a type, for the root unless a tenant is named', () => {
    const byBundle = { tenant: 'acme', target: { case: 'bundleId', value: 'hello' }, channel: 'beta' } as const;
    assert.deepEqual(unsetFields(ExplainRouteRequestSchema, overTheWire(ExplainRouteRequestSchema, byBundle)), []);
    assert.deepEqual(read(byBundle), { tenant: 'acme', target: { bundleId: 'hello' }, channel: 'beta' });
    assert.deepEqual(read({ target: { case: 'type', value: PromptType.HANDOFF } }), {
      tenant: 'default',
      target: { type: 'HANDOFF' },
      channel: '',
    });
    assert.equal(read({}).target, undefined);
  });

  it('and a type that is none is refused', () => {
    for (const [value, violation] of [
      [PromptType.UNSPECIFIED, 'type UNSPECIFIED'],
      [99 as PromptType, 'type OUT_OF_RANGE'],
    ] as const) {
      assert.throws(
        () => read({ target: { case: 'type', value } }),
        (error) => error instanceof InvalidInput && brief(error.violations[0]!) === violation,
      );
    }
  });

  it('the answer tells the way, and what it comes to', () => {
    const response = overTheWire(ExplainRouteResponseSchema, writeRoute(FOUND));
    assert.deepEqual(unsetFields(ExplainRouteResponseSchema, response), []);
    const { steps, verifiedTime } = response;
    const replica = { seq: 812n, chainHash: 'c812', source: RenderSource.INHERITED };
    const expected = { ...FOUND.answer, ...replica, steps, verifiedTime };
    assert.deepEqual(response, overTheWire(ExplainRouteResponseSchema, expected));
    assert.deepEqual(timestampDate(verifiedTime!), FOUND.verifiedTime);
    const [{ tenant, finding, bundleId, revision } = assert.fail()] = steps;
    assert.deepEqual([tenant, finding, bundleId, revision], ['acme', RouteFinding.ANSWERS, 'hello', 3]);
  });

  it('where nothing answers, it names the channel that was read and no release', () => {
    const nothing: RouteExplanation = { ...FOUND, source: 'FALLBACK', steps: [], answer: undefined };
    const response = overTheWire(ExplainRouteResponseSchema, writeRoute(nothing));
    assert.deepEqual(unsetFields(ExplainRouteResponseSchema, response), [
      'steps',
      'tenant',
      'bundle_id',
      'version',
      'bundle_hash',
      'revision',
    ]);
    assert.equal(response.channel, 'production');
    assert.equal(response.source, RenderSource.FALLBACK);
  });
});
