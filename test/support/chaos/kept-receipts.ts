import { setTimeout as sleep } from 'node:timers/promises';
import type { Clients } from '../../../src/cli/client.ts';
import type { OwnPostgres } from './own-postgres.ts';

const POLL_MS = 100;
const PATIENCE_MS = 120_000;
const LONG_MS = 600_000;

/** What became of receipts that were said to be kept. */
export interface Kept {
  /** Those that are not in the chain. */
  readonly missing: readonly string[];
  /** Those that are there more than once. */
  readonly doubled: readonly string[];
  /** What a verification of the whole trail found. */
  readonly findings: readonly string[];
  /** How many receipts fit. */
  readonly verified: number;
}

/** Waits until the receipts are in the chain, two minutes at most, and verifies the trail. */
export async function keptReceipts(
  postgres: Pick<OwnPostgres, 'query'>,
  { audit }: Clients,
  renderIds: ReadonlySet<string>,
): Promise<Kept> {
  const end = Date.now() + PATIENCE_MS;
  let missing = await missingOf(postgres, renderIds);
  while (missing.length > 0 && Date.now() < end) {
    await sleep(POLL_MS);
    missing = await missingOf(postgres, renderIds);
  }
  const doubled = await postgres.query<{ render_id: string }>(
    `select render_id from (select render_id from receipt union all select render_id from receipt_stray) kept
     group by render_id having count(*) > 1`,
  );
  const findings: string[] = [];
  let verified = 0n;
  for await (const { finding, result } of audit.verifyAudit({}, { timeoutMs: LONG_MS })) {
    if (finding) findings.push(finding.description);
    if (result) verified = result.receipts;
  }
  return { missing, doubled: doubled.map((row) => row.render_id), findings, verified: Number(verified) };
}

async function missingOf(postgres: Pick<OwnPostgres, 'query'>, renderIds: ReadonlySet<string>): Promise<string[]> {
  const rows = await postgres.query<{ render_id: string }>(
    `select wanted::text as render_id from unnest($1::uuid[]) wanted
     where not exists (select from receipt r where r.render_id = wanted)
       and not exists (select from receipt_stray s where s.render_id = wanted)`,
    [[...renderIds]],
  );
  return rows.map((row) => row.render_id);
}
