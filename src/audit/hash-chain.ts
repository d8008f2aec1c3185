import { createHash, hash } from 'node:crypto';
import { canonicalJson, sha256 } from '../domain/document.ts';
import type { JsonObject } from '../domain/json.ts';
import type { ChangeRecord, ReceiptRecord } from '../services/trail.ts';

/** The hash before the first entry of a chain: 64 zeros. */
export const CHAIN_ORIGIN = '0'.repeat(64);

/** What a batch's hash covers beside the batch before it. */
export interface ReceiptBatch {
  readonly batch: number;
  readonly time: Date;
  /** The UTC day of all its receipts, as `2026-01-31`. */
  readonly day: string;
  readonly count: number;
  /** The batch root of its receipts. */
  readonly root: string;
}

/**
 * SHA-256 of a record in canonical form (RFC 8785). Members without a value (empty strings) are left out, so that
 * members which later versions add leave the hashes of older records as they are.
 */
function recordHash(record: JsonObject): string {
  return sha256(canonicalJson(Object.fromEntries(Object.entries(record).filter(([, value]) => value !== ''))));
}

/**
 * The chain hash of a change: SHA-256 of its canonical entry (RFC 8785), which holds the hash of the change before.
 *
 * @param prev chain hash of the change with `seq - 1`, or CHAIN_ORIGIN
 */
export function changeHash(record: Omit<ChangeRecord, 'chainHash'>, prev: string): string {
  return recordHash({
    seq: record.seq,
    time: record.time.toISOString(),
    actor: record.actor,
    action: record.action,
    tenant: record.tenant,
    entity: { kind: record.entityKind, id: record.entityId },
    before: record.beforeHash,
    after: record.afterHash,
    detail: record.detail,
    request_id: record.requestId,
    trace_id: record.traceId,
    prev,
  });
}

/**
 * SHA-256 of the canonical JSON (RFC 8785) of a receipt's columns, which hold hashes of the values, never values.
 *
 * @throws Error if a text is not well-formed Unicode
 */
export function receiptHash(record: ReceiptRecord): string {
  // In the order of RFC 8785, which JSON.stringify keeps: canonicalJson sorts the members of every receipt anew, and
  // takes three times as long. Names of labels may be numbers, whose order it does not keep.
  const beforeLabels = JSON.stringify({
    bundle_hash: valued(record.bundleHash),
    bundle_id: valued(record.bundleId),
    caller: valued(record.caller),
    capture_policy: valued(record.capturePolicy),
    channel: valued(record.channel),
    constraints_hash: valued(record.constraintsHash),
    duration_us: record.durationUs,
  });
  const afterLabels = JSON.stringify({
    messages_hash: valued(record.messagesHash),
    personality_hash: valued(record.personalityHash),
    placeholders_hash: valued(record.placeholdersHash),
    render_id: valued(record.renderId),
    rendered_hash: valued(record.renderedHash),
    renderer_version: record.rendererVersion,
    request_id: valued(record.requestId),
    requested_bundle_id: valued(record.requestedBundleId),
    requested_tenant: valued(record.requestedTenant),
    requested_type: valued(record.requestedType),
    requested_version: valued(record.requestedVersion),
    revision: record.revision,
    seq: record.seq,
    source: valued(record.source),
    tenant: valued(record.tenant),
    time: record.time.toISOString(),
    trace_id: valued(record.traceId),
    variables_hash: valued(record.variablesHash),
    version: valued(record.version),
  });
  const labels = labelsText(record.labels);
  return hash('sha256', `${beforeLabels.slice(0, -1)},"labels":${labels},${afterLabels.slice(1)}`, 'hex');
}

/** The canonical JSON (RFC 8785) of a receipt's labels, as it is hashed and stored. */
export function labelsText(labels: ReceiptRecord['labels']): string {
  return canonicalJson(labels);
}

/** Members without a value are left out. */
function valued(text: string): string | undefined {
  if (!text.isWellFormed()) throw new Error('a receipt holds text that is not well-formed Unicode');
  return text === '' ? undefined : text;
}

/** The UTC day of a UUIDv7 (RFC 9562: it begins with 48 bits of milliseconds), as `2026-01-31`. */
export function dayOf(renderId: string): string {
  const milliseconds = Number.parseInt(renderId.slice(0, 8) + renderId.slice(9, 13), 16);
  // ISO 8601 writes years of five digits with a sign, `+010889`.
  return new Date(milliseconds).toISOString().split('T')[0]!.replace(/^\+0/, '');
}

/** SHA-256 of the concatenated bytes of receipt hashes, in the order of their batch positions. */
export function batchRoot(receiptHashes: readonly string[]): string {
  const hash = createHash('sha256');
  for (const receipt of receiptHashes) hash.update(receipt, 'hex');
  return hash.digest('hex');
}

/**
 * The chain hash of a batch of receipts: SHA-256 of RFC 8785 `{batch, time, day, count, root, prev}`.
 *
 * @param prev chain hash of the batch before it, or CHAIN_ORIGIN
 */
export function batchHash({ batch, time, day, count, root }: ReceiptBatch, prev: string): string {
  return recordHash({ batch, time: time.toISOString(), day, count, root, prev });
}
