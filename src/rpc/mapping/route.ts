import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { Violations } from '../../domain/errors.ts';
import type { RouteStep } from '../../domain/route-map.ts';
import { ROOT_TENANT } from '../../domain/tenant.ts';
import type { RouteTarget } from '../../services/route-resolution.ts';
import type { RouteExplanation, RouteInput } from '../../services/route-service.ts';
import type {
  ExplainRouteRequest,
  ExplainRouteResponseSchema,
  RouteStepSchema,
} from '../../../gen/platen/v1/render_service_pb.js';
import { promptTypes, renderSources, routeFindings } from './enums.ts';

export function readRoute(violations: Violations, { tenant, target, channel }: ExplainRouteRequest): RouteInput {
  return { tenant: tenant || ROOT_TENANT, target: readTarget(violations, target), channel };
}

function readTarget(violations: Violations, target: ExplainRouteRequest['target']): RouteTarget | undefined {
  switch (target.case) {
    case 'bundleId':
      return { bundleId: target.value };
    case 'type':
      return { type: promptTypes.required(violations, 'type', target.value) };
    default:
      return undefined;
  }
}

export function writeRoute(explanation: RouteExplanation): MessageInitShape<typeof ExplainRouteResponseSchema> {
  const { seq, chainHash, verifiedTime, source, steps, channel, answer } = explanation;
  return {
    ...answer,
    seq: BigInt(seq),
    chainHash,
    verifiedTime: timestampFromDate(verifiedTime),
    source: renderSources.number(source),
    steps: steps.map(writeStep),
    channel,
  };
}

function writeStep({ finding, ...place }: RouteStep): MessageInitShape<typeof RouteStepSchema> {
  return { ...place, finding: routeFindings.number(finding) };
}
