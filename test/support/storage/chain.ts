import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { CapturedInputs, JournaledReceipt, ReceiptRecord } from '../../../src/services/trail.ts';
import { ReceiptChain } from '../../../src/storage/receipt-chain.ts';
import { asOwner, type TestDatabase } from '../postgres.ts';

export const DAY_MS = 86_400_000;

/** Noon of a day, UTC, some days from now. */
export function noon(days = 0, milliseconds = 0): Date {
  return new Date((Math.floor(Date.now() / DAY_MS) + days) * DAY_MS + DAY_MS / 2 + milliseconds);
}

/** As `2026-01-31`. */
export function isoDay(time: Date): string {
  return time.toISOString().slice(0, 10);
}

/** What ends the names of the partitions of a day. */
export function suffixOf(time: Date): string {
  return isoDay(time).replaceAll('-', '');
}

export function openChain(
  { serverUrl }: Pick<TestDatabase, 'serverUrl'>,
  changes: Partial<ConstructorParameters<typeof ReceiptChain>[0]> = {},
): ReceiptChain {
  return new ReceiptChain({ url: serverUrl, statementTimeoutMs: 20_000, ...changes });
}

export function journaled(receipt: ReceiptRecord, inputs?: CapturedInputs): JournaledReceipt {
  return { receipt, inputs };
}

/** Drains receipts with the same captured values. @returns how many were new */
export async function drain(
  chain: ReceiptChain,
  receipts: readonly ReceiptRecord[],
  inputs?: CapturedInputs,
): Promise<number> {
  let chained = 0;
  for (const batch of chain.prepare(receipts.map((receipt) => journaled(receipt, inputs)))) {
    chained += (await chain.append(batch)).chained;
  }
  return chained;
}

export function batches(test: TestDatabase): Promise<{ batch: string; day: string; count: number }[]> {
  return asOwner(test, 'select batch, day::text, count from receipt_batch order by batch');
}

/** Recomputes the chain from the rows, by rules written down independently of the implementation. */
export async function assertChainIntact(test: TestDatabase): Promise<void> {
  const hashes = ['rendered', 'bundle', 'personality', 'constraints', 'variables', 'placeholders', 'messages']
    .map((name) => `encode(${name}_hash, 'hex') as ${name}_hash`)
    .join(', ');
  const columns = `render_id, to_char(time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as time,
    duration_us::int, requested_tenant, requested_bundle_id, requested_version, requested_type, capture_policy,
    tenant, bundle_id, version, channel, revision, seq::int, source, ${hashes}, renderer_version, caller, request_id,
    labels, trace_id`;
  const stored = `batch, batch_pos, encode(receipt_hash, 'hex') as receipt_hash`;
  const rows = await asOwner<Record<string, string>>(
    test,
    `select ${stored}, ${columns} from receipt
    union all select ${stored}, ${columns} from receipt_stray order by batch, batch_pos`,
  );
  const links = await asOwner<{
    batch: string;
    time: Date;
    day: string;
    count: number;
    root: string;
    chain_hash: string;
  }>(test, 'select batch, time, day::text, count, root, chain_hash from receipt_batch order by batch');
  let prev = '0'.repeat(64);
  for (const link of links) {
    const root = createHash('sha256');
    const members = rows.filter((row) => row['batch'] === link.batch);
    for (const { batch: _, batch_pos: __, receipt_hash: stored, ...record } of members) {
      const valued = Object.entries(record).filter(([, value]) => value !== '');
      const text = canonicalize({ ...Object.fromEntries(valued), labels: JSON.parse(record['labels']!) })!;
      const hash = createHash('sha256').update(text).digest();
      assert.equal(stored, hash.toString('hex'));
      root.update(hash);
    }
    assert.equal(link.count, members.length);
    assert.equal(link.root, root.digest('hex'));
    const { batch, time, ...rest } = { ...link, prev };
    const { chain_hash: stored, ...covered } = rest;
    const entry = { batch: Number(batch), time: new Date(time).toISOString(), ...covered };
    prev = createHash('sha256').update(canonicalize(entry)!).digest('hex');
    assert.equal(stored, prev);
  }
  assert.equal(rows.length, links.reduce((sum, { count }) => sum + count, 0));
  assert.equal(new Set(rows.map((row) => row['render_id'])).size, rows.length);
  const [head] = await asOwner<{ batch: string; chain_hash: string }>(test, 'select * from receipt_head');
  assert.deepEqual([Number(head?.batch), head?.chain_hash], [links.length, prev]);
}
