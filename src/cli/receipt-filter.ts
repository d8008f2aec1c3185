import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import { labels, labelsOf, timed, timesOf, type TimeOptions } from './options.ts';

/** Options that name receipts. */
export interface ReceiptFilterOptions extends TimeOptions {
  readonly tenant: string;
  readonly bundle: string;
  readonly bundleHash: string;
  readonly personalityHash: string;
  readonly caller: string;
  readonly label: readonly string[];
}

/** The same as requests carry it. */
export interface ReceiptFilter {
  readonly tenant: string;
  readonly bundleId: string;
  readonly bundleHash: string;
  readonly personalityHash: string;
  readonly caller: string;
  readonly labels: Record<string, string>;
  readonly startTime?: Timestamp;
  readonly endTime?: Timestamp;
}

/** Adds the options that name receipts. */
export function withReceiptFilter(command: Command): Command {
  return timed(
    command
      .option('--tenant <id>', 'only renders that this tenant asked for', '')
      .option('--bundle <id>', 'only renders that the bundle of this id answered', '')
      .option('--bundle-hash <hash>', 'only this snapshot', '')
      .option('--personality-hash <hash>', 'only this personality', '')
      .option('--caller <caller>', 'only this caller', '')
      .addOption(labels()),
  );
}

/** @throws UsageError if a label is named twice */
export function receiptFilter(options: ReceiptFilterOptions): ReceiptFilter {
  const { tenant, bundle, bundleHash, personalityHash, caller, label } = options;
  const names = { tenant, bundleId: bundle, bundleHash, personalityHash, caller };
  return { ...names, labels: labelsOf(label), ...timesOf(options) };
}
