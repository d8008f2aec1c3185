import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { Message } from '../../domain/assembly.ts';
import type { Violations } from '../../domain/errors.ts';
import type { Json } from '../../domain/json.ts';
import type { ReplayResult } from '../../services/audit-service.ts';
import type {
  CapturedInputs,
  ChainedReceipt,
  ChangeFilter,
  ChangeRecord,
  ReceiptFilter,
} from '../../services/stores.ts';
import type {
  ChangeSchema,
  ListChangesRequest,
  ListReceiptsRequest,
  ReceiptSchema,
  RenderInputs,
  RenderInputsSchema,
  ReplayResponseSchema,
} from '../../../gen/platen/v1/audit_service_pb.js';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import { capturePolicies, changeActions, entityKinds, promptTypes, renderSources, replayOutcomes } from './enums.ts';
import { readPlaceholders, writeMessages } from './message.ts';
import { jsonObjectOf, structOf, valuesOf } from './struct.ts';
import { readBound } from './time.ts';

export function readChangeFilter(violations: Violations, request: ListChangesRequest): ChangeFilter {
  return {
    tenant: request.tenant,
    entityKind: entityKinds.optional(violations, 'entity_kind', request.entityKind),
    entityId: request.entityId,
    action: changeActions.optional(violations, 'action', request.action),
    actor: request.actor,
  };
}

export function writeChange(record: ChangeRecord): MessageInitShape<typeof ChangeSchema> {
  return {
    seq: BigInt(record.seq),
    time: timestampFromDate(record.time),
    actor: record.actor,
    action: changeActions.number(record.action),
    tenant: record.tenant,
    entityKind: entityKinds.number(record.entityKind),
    entityId: record.entityId,
    beforeHash: record.beforeHash,
    afterHash: record.afterHash,
    detail: structOf(record.detail),
    requestId: record.requestId,
    traceId: record.traceId,
    chainHash: record.chainHash,
  };
}

export function readReceiptFilter(violations: Violations, request: ListReceiptsRequest): ReceiptFilter {
  return {
    tenant: request.tenant,
    bundleHash: request.bundleHash,
    personalityHash: request.personalityHash,
    caller: request.caller,
    requestId: request.requestId,
    startTime: readBound(violations, 'start_time', request.startTime),
    endTime: readBound(violations, 'end_time', request.endTime),
  };
}

export function writeReceipt(record: ChainedReceipt): MessageInitShape<typeof ReceiptSchema> {
  return {
    renderId: record.renderId,
    time: timestampFromDate(record.time),
    durationUs: BigInt(record.durationUs),
    requestedTenant: record.requestedTenant,
    requestedBundleId: record.requestedBundleId,
    requestedVersion: record.requestedVersion,
    capturePolicy: capturePolicies.number(record.capturePolicy),
    requestedType: record.requestedType ? promptTypes.number(record.requestedType) : PromptType.UNSPECIFIED,
    tenant: record.tenant,
    bundleId: record.bundleId,
    version: record.version,
    channel: record.channel,
    revision: record.revision,
    seq: BigInt(record.seq),
    source: renderSources.number(record.source),
    renderedHash: record.renderedHash,
    bundleHash: record.bundleHash,
    personalityHash: record.personalityHash,
    constraintsHash: record.constraintsHash,
    variablesHash: record.variablesHash,
    placeholdersHash: record.placeholdersHash,
    messagesHash: record.messagesHash,
    rendererVersion: record.rendererVersion,
    caller: record.caller,
    requestId: record.requestId,
    labels: record.labels,
    traceId: record.traceId,
    receiptHash: record.receiptHash,
    batch: BigInt(record.batch),
  };
}

/**
 * Values of a render; placeholders in the form in which receipts keep them, `{name: [{role, content}]}`. The contract
 * cannot tell empty inputs from inputs that are not there; both count as not there.
 */
export function readRenderInputs(violations: Violations, field: string, inputs: RenderInputs): CapturedInputs {
  const { variables, placeholders, fallbackText } = inputs;
  const messages = readPlaceholders(violations, `${field}.placeholders`, placeholders);
  return {
    ...(Object.keys(variables).length > 0 && { variables: jsonObjectOf(variables) }),
    ...(messages.size > 0 && { placeholders: Object.fromEntries(messages) as unknown as Json }),
    ...(fallbackText !== '' && { fallbackText }),
  };
}

export function writeRenderInputs(inputs: CapturedInputs): MessageInitShape<typeof RenderInputsSchema> {
  const { variables = {}, placeholders = {}, fallbackText = '' } = inputs;
  const messages = Object.entries(placeholders as unknown as Record<string, readonly Message[]>);
  return {
    variables: valuesOf(variables),
    placeholders: Object.fromEntries(messages.map(([name, list]) => [name, { messages: writeMessages(list) }])),
    fallbackText,
  };
}

export function writeReplay(result: ReplayResult): MessageInitShape<typeof ReplayResponseSchema> {
  return {
    outcome: replayOutcomes.number(result.outcome),
    expectedHash: result.expectedHash,
    actualHash: result.actualHash,
    text: result.text,
    missingInputs: [...result.missingInputs],
  };
}
