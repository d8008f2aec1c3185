import type { Config } from '../config.ts';
import { pruneReceipts, type Pruning } from '../storage/receipt-pruning.ts';
import type { Logger } from '../telemetry/logger.ts';
import { databaseOf } from './database-place.ts';

export interface PruneFlags {
  readonly before: Date;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/**
 * Prunes receipts of the configured database as its owner. An embedded one is started for it, and stopped.
 *
 * @returns what went and what stays, each day in a line, or as JSON
 */
export async function prune(config: Config, logger: Logger, flags: PruneFlags): Promise<string> {
  const { ownerUrl, stop } = await databaseOf(config, logger);
  try {
    const onWait = (reason: string): void => logger.warn({ reason }, 'waiting to prune');
    const pruning = await pruneReceipts(ownerUrl, { ...flags, onWait }, () => new Date());
    return flags.json ? json(pruning, flags) : text(pruning, flags);
  } finally {
    await stop();
  }
}

function json({ days, kept, batches, seqs }: Pruning, { before, dryRun }: PruneFlags): string {
  const report = {
    before: before.toISOString(),
    dry_run: dryRun,
    days,
    receipts: receiptsOf(days),
    kept_days: Object.fromEntries(kept.map(({ day, reason }) => [day, reason])),
    ...(batches && { batches: { removed_through: batches.through, chain_hash: batches.chainHash } }),
    changes: seqs,
  };
  return `${JSON.stringify(report, undefined, 2)}\n`;
}

function text({ days, kept, batches, seqs }: Pruning, { dryRun }: PruneFlags): string {
  const lines = [
    ...days.map(({ day, receipts }) => `${day}  ${dryRun ? 'would go' : 'gone'}: ${receipts} receipts`),
    ...kept.map(({ day, reason }) => `${day}  stays: ${reason}`),
  ].toSorted();
  const went = `${days.length} days with ${receiptsOf(days)} receipts ${dryRun ? 'would go' : 'are gone'}`;
  const links = batches ? `, and batches up to ${batches.through}` : '';
  const changes = seqs.length > 0 ? `; in the change log: ${seqs.join(', ')}` : '';
  return [...lines, `${went}${links}${changes}`, ''].join('\n');
}

function receiptsOf(days: Pruning['days']): number {
  return days.reduce((sum, { receipts }) => sum + receipts, 0);
}
