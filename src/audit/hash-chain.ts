import { createHash } from 'node:crypto';
import { canonicalJson, sha256 } from '../domain/document.ts';
import type { JsonObject } from '../domain/json.ts';
import type { ChangeRecord, ReceiptRecord } from '../services/stores.ts';

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

/** SHA-256 of the canonical JSON (RFC 8785) of a receipt's columns, which hold hashes of the values, never values. */
export function receiptHash(record: ReceiptRecord): string {
  return recordHash({
    render_id: record.renderId,
    time: record.time.toISOString(),
    duration_us: record.durationUs,
    requested_tenant: record.requestedTenant,
    requested_bundle_id: record.requestedBundleId,
    requested_version: record.requestedVersion,
    requested_type: record.requestedType,
    capture_policy: record.capturePolicy,
    tenant: record.tenant,
    bundle_id: record.bundleId,
    version: record.version,
    channel: record.channel,
    revision: record.revision,
    seq: record.seq,
    source: record.source,
    rendered_hash: record.renderedHash,
    bundle_hash: record.bundleHash,
    personality_hash: record.personalityHash,
    constraints_hash: record.constraintsHash,
    variables_hash: record.variablesHash,
    placeholders_hash: record.placeholdersHash,
    messages_hash: record.messagesHash,
    renderer_version: record.rendererVersion,
    caller: record.caller,
    request_id: record.requestId,
    labels: record.labels,
    trace_id: record.traceId,
  });
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
