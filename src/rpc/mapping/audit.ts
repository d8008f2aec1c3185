import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { Message } from '../../domain/assembly.ts';
import type { Violations } from '../../domain/errors.ts';
import type { Json } from '../../domain/json.ts';
import type { ReplayResult } from '../../services/replay.ts';
import type {
  AuditFinding,
  AuditHeads,
  ReplayDeviation,
  ReplayProgress,
  VerificationProgress,
  VerificationResult,
} from '../../services/trail-jobs.ts';
import type {
  CapturedInputs,
  ChainedReceipt,
  ChangeFilter,
  ChangeRecord,
  ErasureFilter,
  ReceiptFilter,
} from '../../services/trail.ts';
import type {
  AuditFindingSchema,
  AuditHeads as AuditHeadsMessage,
  AuditHeadsSchema,
  ChangeSchema,
  EraseInputsRequest,
  ListChangesRequest,
  ListReceiptsRequest,
  ReceiptSchema,
  RenderInputs,
  RenderInputsSchema,
  ReplayDeviationSchema,
  ReplayReceiptsRequest,
  ReplayReceiptsResponseSchema,
  ReplayResponseSchema,
  VerifyAuditResponseSchema,
  VerifyAuditResultSchema,
} from '../../../gen/platen/v1/audit_service_pb.js';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import {
  auditParts,
  auditProblems,
  capturePolicies,
  changeActions,
  entityKinds,
  promptTypes,
  renderSources,
  replayOutcomes,
} from './enums.ts';
import { readPlaceholders, writeMessages } from './message.ts';
import { readSeq } from './seq.ts';
import { jsonObjectOf, structOf, valuesOf } from './struct.ts';
import { readSpan } from './time.ts';

const HASH = /^[0-9a-f]{64}$/;

export function readChangeFilter(violations: Violations, request: ListChangesRequest): ChangeFilter {
  return {
    tenant: request.tenant,
    entityKind: entityKinds.optional(violations, 'entity_kind', request.entityKind),
    entityId: request.entityId,
    action: changeActions.optional(violations, 'action', request.action),
    actor: request.actor,
    hash: readHashFilter(violations, 'hash', request.hash),
    ...readSpan(violations, request),
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

/** @param request without a request_id: any */
export function readReceiptFilter(
  violations: Violations,
  request: ListReceiptsRequest | ReplayReceiptsRequest,
): ReceiptFilter {
  return {
    tenant: request.tenant,
    bundleHash: readHashFilter(violations, 'bundle_hash', request.bundleHash),
    personalityHash: readHashFilter(violations, 'personality_hash', request.personalityHash),
    caller: request.caller,
    requestId: 'requestId' in request ? request.requestId : '',
    bundleId: request.bundleId,
    labels: request.labels,
    ...readSpan(violations, request),
  };
}

export function readErasureFilter(violations: Violations, request: EraseInputsRequest): ErasureFilter {
  const { tenant, caller, labels } = request;
  return { tenant, caller, labels, ...readSpan(violations, request) };
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

export function writeReplayProgress(progress: ReplayProgress): MessageInitShape<typeof ReplayReceiptsResponseSchema> {
  return {
    total: BigInt(progress.total),
    replayed: BigInt(progress.replayed),
    matched: BigInt(progress.matched),
    mismatched: BigInt(progress.mismatched),
    inputMissing: BigInt(progress.inputMissing),
    rendererUnknown: BigInt(progress.rendererUnknown),
    deviations: progress.deviations.map(writeDeviation),
  };
}

function writeDeviation(deviation: ReplayDeviation): MessageInitShape<typeof ReplayDeviationSchema> {
  return {
    renderId: deviation.renderId,
    outcome: replayOutcomes.number(deviation.outcome),
    expectedHash: deviation.expectedHash,
    actualHash: deviation.actualHash,
    missingInputs: [...deviation.missingInputs],
    rendererVersion: deviation.rendererVersion,
  };
}

/** What the chains must lead through. There is a change wherever there is a chain; there may be no batch. */
export function readHeads(violations: Violations, field: string, heads: AuditHeadsMessage): AuditHeads {
  const { changeSeq, changeHash, batch, batchHash } = heads;
  if (changeSeq < 1n) violations.add(`${field}.change_seq`, 'OUT_OF_RANGE', 'must be at least 1');
  if (batch < 0n) violations.add(`${field}.batch`, 'OUT_OF_RANGE', 'must not be negative; 0 means that there is none');
  checkHash(violations, `${field}.change_hash`, changeHash);
  checkHash(violations, `${field}.batch_hash`, batchHash);
  return { changeSeq: readSeq(changeSeq), changeHash, batch: readSeq(batch), batchHash };
}

/** @param hash empty: any */
function readHashFilter(violations: Violations, field: string, hash: string): string {
  if (hash !== '') checkHash(violations, field, hash);
  return hash;
}

function checkHash(violations: Violations, field: string, hash: string): void {
  if (!HASH.test(hash)) violations.add(field, 'BAD_FORMAT', 'must be a SHA-256 in 64 lower-case hexadecimal digits');
}

export function writeVerificationProgress(
  progress: VerificationProgress,
): MessageInitShape<typeof VerifyAuditResponseSchema> {
  return {
    part: auditParts.number(progress.part),
    verified: BigInt(progress.verified),
    total: BigInt(progress.total),
    finding: progress.finding && writeFinding(progress.finding),
    result: progress.result && writeResult(progress.result),
  };
}

function writeFinding(finding: AuditFinding): MessageInitShape<typeof AuditFindingSchema> {
  return {
    part: auditParts.number(finding.part),
    problem: auditProblems.number(finding.problem),
    seq: BigInt(finding.seq),
    batch: BigInt(finding.batch),
    renderId: finding.renderId,
    documentHash: finding.documentHash,
    expected: finding.expected,
    actual: finding.actual,
    description: finding.description,
  };
}

function writeResult(result: VerificationResult): MessageInitShape<typeof VerifyAuditResultSchema> {
  return {
    intact: result.intact,
    heads: result.heads && writeHeads(result.heads),
    documents: BigInt(result.documents),
    changes: BigInt(result.changes),
    receipts: BigInt(result.receipts),
    prunedReceipts: BigInt(result.prunedReceipts),
  };
}

function writeHeads(heads: AuditHeads): MessageInitShape<typeof AuditHeadsSchema> {
  return {
    changeSeq: BigInt(heads.changeSeq),
    changeHash: heads.changeHash,
    batch: BigInt(heads.batch),
    batchHash: heads.batchHash,
  };
}
