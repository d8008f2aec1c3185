/** Receipts as PostgreSQL's COPY reads them, in text format. */
import { labelsText, receiptHash } from '../audit/hash-chain.ts';
import type { CapturedInputs, JournaledReceipt, ReceiptRecord } from '../services/trail.ts';

/** A receipt at its place in a batch. */
interface Row {
  readonly record: ReceiptRecord;
  readonly inputs: CapturedInputs | undefined;
  readonly receiptHash: string;
  readonly position: number;
}

/** The columns of `receipt` that a batch brings along, and how each is written. */
const COLUMNS: Readonly<Record<string, (row: Row) => string>> = {
  render_id: ({ record }) => text(record.renderId),
  time: ({ record }) => record.time.toISOString(),
  duration_us: ({ record }) => String(record.durationUs),
  requested_tenant: ({ record }) => text(record.requestedTenant),
  requested_bundle_id: ({ record }) => text(record.requestedBundleId),
  requested_version: ({ record }) => text(record.requestedVersion),
  requested_type: ({ record }) => text(record.requestedType),
  capture_policy: ({ record }) => text(record.capturePolicy),
  tenant: ({ record }) => text(record.tenant),
  bundle_id: ({ record }) => text(record.bundleId),
  version: ({ record }) => text(record.version),
  channel: ({ record }) => text(record.channel),
  revision: ({ record }) => String(record.revision),
  seq: ({ record }) => String(record.seq),
  source: ({ record }) => text(record.source),
  rendered_hash: ({ record }) => bytes(record.renderedHash),
  bundle_hash: ({ record }) => bytes(record.bundleHash),
  personality_hash: ({ record }) => bytes(record.personalityHash),
  constraints_hash: ({ record }) => bytes(record.constraintsHash),
  variables_hash: ({ record }) => bytes(record.variablesHash),
  placeholders_hash: ({ record }) => bytes(record.placeholdersHash),
  messages_hash: ({ record }) => bytes(record.messagesHash),
  renderer_version: ({ record }) => String(record.rendererVersion),
  caller: ({ record }) => text(record.caller),
  request_id: ({ record }) => text(record.requestId),
  labels: ({ record }) => text(labelsText(record.labels)),
  trace_id: ({ record }) => text(record.traceId),
  receipt_hash: (row) => bytes(row.receiptHash),
  batch_pos: ({ position }) => String(position),
};

/** Names of the columns of `receipt` that a batch brings along, in the order of its rows. */
export const RECEIPT_COLUMNS = Object.keys(COLUMNS).join(', ');

/** Names of all that a row holds: the columns of `receipt`, then the captured values. */
export const ROW_COLUMNS = `${RECEIPT_COLUMNS}, inputs`;

const NULL = '\\N';

/** Captured values are hashed by nobody as they stand here, so that their members may stay in any order. */
const WRITERS = [...Object.values(COLUMNS), ({ inputs }: Row) => (inputs ? text(JSON.stringify(inputs)) : NULL)];

/** Whatever else PostgreSQL reads as it stands (https://www.postgresql.org/docs/current/sql-copy.html, text format). */
const SPECIAL = /[\\\t\n\r]/;
const SPECIALS = new RegExp(SPECIAL, 'g');
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/**
 * A receipt as a row of a COPY, at its place in a batch.
 *
 * @throws Error if it cannot be hashed
 */
export function receiptRow({ receipt: record, inputs }: JournaledReceipt, position: number): string {
  const row = { record, inputs, receiptHash: receiptHash(record), position };
  return `${WRITERS.map((write) => write(row)).join('\t')}\n`;
}

function text(value: string): string {
  return SPECIAL.test(value) ? value.replace(SPECIALS, (special) => ESCAPES[special]!) : value;
}

/** A bytea in hex format, whose backslash is escaped. */
function bytes(hex: string): string {
  return `\\\\x${text(hex)}`;
}
