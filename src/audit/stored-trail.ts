/** The trail as it is stored, whatever was done to it, and what verification needs of those who read it. */
import type { ChangeRecord, ReceiptRecord } from '../services/trail.ts';
import type { ReceiptBatch } from './hash-chain.ts';
import type { PointerReader } from './pointer-verification.ts';

/** A link of a chain: a change, or a batch of receipts. */
export interface Link {
  readonly number: number;
  readonly hash: string;
}

export interface StoredDocument {
  readonly hash: string;
  readonly content: string;
}

/** A change as it is stored, whatever was done to it. */
export interface StoredChange extends Omit<ChangeRecord, 'detail'> {
  /** The stored text. */
  readonly detail: string;
  readonly prevHash: string;
}

/** A batch as it is stored. */
export interface StoredBatch extends ReceiptBatch {
  readonly prevHash: string;
  readonly chainHash: string;
}

/** A receipt as it is stored. */
export interface StoredReceipt extends Omit<ReceiptRecord, 'labels'> {
  /** The stored text. */
  readonly labels: string;
  readonly receiptHash: string;
  readonly batch: number;
  readonly batchPos: number;
  /** It lies among those of days without a partition. */
  readonly stray: boolean;
}

/** Of which batch a receipt is said to be. */
export interface ReceiptPlace {
  readonly renderId: string;
  readonly batch: number;
}

/** Up to which batch the receipts of a UTC day, as `2026-01-31`, may have been removed. */
export type PrunedDays = ReadonlyMap<string, number>;

/** Consecutive batches, with the first and the last of their UTC days. */
export interface BatchRange {
  readonly first: number;
  readonly last: number;
  readonly firstDay: string;
  readonly lastDay: string;
}

/** Reads the trail in pages that take little memory; an empty page is the last one. */
export interface TrailReader extends PointerReader {
  /** The ends of both chains at one moment, as their heads say; undefined: a head is not there. */
  heads(): Promise<{ readonly changes: Link | undefined; readonly batches: Link | undefined }>;
  countDocuments(): Promise<number>;
  /** How many receipts there must be in the batches up to this one. */
  countReceipts(last: number, pruned: PrunedDays): Promise<number>;
  /** Those with a greater hash, in its order. */
  documents(after: string): Promise<StoredDocument[]>;
  /** Those of the hashes under which no document is stored. */
  missingDocuments(hashes: readonly string[]): Promise<string[]>;
  /** Those with a greater seq up to the last one, in its order. */
  changes(after: number, last: number): Promise<StoredChange[]>;
  /** Those with action PRUNE up to the last one, in the order of their seqs. */
  prunes(last: number): Promise<StoredChange[]>;
  /** The first change that is not between the beginning and the head of now. */
  changeOutside(): Promise<number | undefined>;
  /** Those with a greater number up to the last one, in its order. */
  batches(after: number, last: number): Promise<StoredBatch[]>;
  /** The first batch that is not between `after` and the head of now. */
  batchOutside(after: number): Promise<number | undefined>;
  /**
   * Receipts of these days that are said to be of these batches, by batch and position.
   * @param after the last one of the page before
   */
  receipts(range: BatchRange, after: StoredReceipt | undefined): Promise<StoredReceipt[]>;
  /** The first receipt of another day that is said to be of these batches. */
  receiptOfOtherDay(range: BatchRange): Promise<ReceiptPlace | undefined>;
  /** A receipt that is said to be of a batch that is not between `after` and the head of now. */
  receiptOutside(after: number): Promise<ReceiptPlace | undefined>;
}
