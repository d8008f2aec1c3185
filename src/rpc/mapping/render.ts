import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Violations } from '../../domain/errors.ts';
import { ROOT_TENANT } from '../../domain/tenant.ts';
import type { RenderInput, RenderTarget } from '../../services/render-input.ts';
import type { RenderResult } from '../../services/renderer-service.ts';
import {
  RenderView,
  type BundleTarget,
  type RenderRequest,
  type RenderResponseSchema,
} from '../../../gen/platen/v1/render_service_pb.js';
import { writeConstraint } from './constraint.ts';
import { promptTypes, renderSources, renderViews } from './enums.ts';
import { readPlaceholders, writeMessages } from './message.ts';
import { readSeq } from './seq.ts';
import { jsonObjectOf, structOf } from './struct.ts';
import { writeWarning } from './warning.ts';

export function readRender(violations: Violations, request: RenderRequest): RenderInput {
  renderViews.optional(violations, 'view', request.view);
  return {
    tenant: request.tenant || ROOT_TENANT,
    target: readTarget(violations, request.target),
    channel: request.channel,
    variables: jsonObjectOf(request.variables),
    placeholders: readPlaceholders(violations, 'placeholders', request.placeholders),
    minSeq: readSeq(request.minSeq),
    requestId: request.requestId,
    labels: request.labels,
    fallbackText: request.fallbackText,
  };
}

function readTarget(violations: Violations, target: RenderRequest['target']): RenderTarget | undefined {
  switch (target.case) {
    case 'bundle':
      return readBundleTarget(target.value);
    case 'type':
      return { type: promptTypes.required(violations, 'type', target.value) };
    default:
      return undefined;
  }
}

function readBundleTarget({ bundleId, selector }: BundleTarget): RenderTarget {
  return {
    bundleId,
    version: selector.case === 'version' ? selector.value : undefined,
    channel: selector.case === 'channel' ? selector.value : undefined,
  };
}

/** @param view what the response carries of the prompt; UNSPECIFIED means TEXT */
export function writeRender(result: RenderResult, view: RenderView): MessageInitShape<typeof RenderResponseSchema> {
  const full = view === RenderView.FULL;
  return {
    text: view === RenderView.MESSAGES ? '' : result.text,
    messages: full || view === RenderView.MESSAGES ? writeMessages(result.messages) : [],
    renderId: result.renderId,
    renderedHash: result.renderedHash,
    bundleHash: result.bundleHash,
    personalityHash: result.personalityHash,
    variablesHash: result.variablesHash,
    tenant: result.tenant,
    bundleId: result.bundleId,
    version: result.version,
    channel: result.channel,
    revision: result.revision,
    seq: BigInt(result.seq),
    source: renderSources.number(result.source),
    modelConfig: result.modelConfig && structOf(result.modelConfig),
    constraints: full ? result.constraints.map(writeConstraint) : [],
    warnings: result.warnings.map(writeWarning),
  };
}
