/** Long work on the trail, done off the request thread, as narrow contracts. */
import type { ReplayOutcome } from './replay.ts';
import type { ReceiptFilter } from './trail.ts';

/** The ends of both chains at one moment. */
export interface AuditHeads {
  readonly changeSeq: number;
  readonly changeHash: string;
  /** 0: none. */
  readonly batch: number;
  /** CHAIN_ORIGIN: there is no batch. */
  readonly batchHash: string;
}

export const AUDIT_PARTS = ['DOCUMENTS', 'CHANGES', 'RECEIPTS'] as const;
export type AuditPart = (typeof AUDIT_PARTS)[number];

export const AUDIT_PROBLEMS = ['MISSING', 'ALTERED', 'BROKEN_LINK', 'UNEXPECTED', 'CHECKPOINT_MISMATCH'] as const;
export type AuditProblem = (typeof AUDIT_PROBLEMS)[number];

/** The first entry of a part that does not fit. */
export interface AuditFinding {
  readonly part: AuditPart;
  readonly problem: AuditProblem;
  /** 0: it is no change. */
  readonly seq: number;
  /** 0: it is neither a batch nor in one. */
  readonly batch: number;
  /** Empty: it is no receipt. */
  readonly renderId: string;
  /** Empty: it is no document. */
  readonly documentHash: string;
  readonly expected: string;
  readonly actual: string;
  /** In a sentence. */
  readonly description: string;
}

export interface VerificationResult {
  readonly intact: boolean;
  /** Up to which all was verified; undefined unless it is intact. */
  readonly heads: AuditHeads | undefined;
  readonly documents: number;
  readonly changes: number;
  readonly receipts: number;
  readonly prunedReceipts: number;
}

/** How far a verification is. */
export interface VerificationProgress {
  readonly part: AuditPart;
  readonly verified: number;
  readonly total: number;
  /** The rest of that part is not verified. */
  readonly finding?: AuditFinding;
  /** In the last one only. */
  readonly result?: VerificationResult;
}

/** A receipt whose replay did not give the same bytes. */
export interface ReplayDeviation {
  readonly renderId: string;
  readonly outcome: Exclude<ReplayOutcome, 'MATCH'>;
  readonly expectedHash: string;
  /** Empty unless it is a mismatch. */
  readonly actualHash: string;
  readonly missingInputs: readonly string[];
  readonly rendererVersion: number;
}

/** How far replays are; counts since the start, deviations since the progress before. */
export interface ReplayProgress {
  readonly total: number;
  readonly replayed: number;
  readonly matched: number;
  readonly mismatched: number;
  readonly inputMissing: number;
  readonly rendererUnknown: number;
  /** Of each outcome at most the first 1,000. */
  readonly deviations: readonly ReplayDeviation[];
}

/** Jobs that read much of the trail. Each tells its progress at least every second, and ends with the last one. */
export interface TrailJobs {
  /**
   * Verifies documents, changes and receipts up to the heads of now.
   * @param checkpoint what the chains must lead through
   * @param signal ends the job
   * @throws Unavailable OVERLOADED if too many jobs run, DATABASE_UNAVAILABLE
   */
  verify(checkpoint: AuditHeads | undefined, signal: AbortSignal): AsyncIterable<VerificationProgress>;
  /**
   * Replays the receipts that the filter names, the earliest first, with the values that were captured.
   * @throws Unavailable OVERLOADED if too many jobs run, DATABASE_UNAVAILABLE
   */
  replay(filter: ReceiptFilter, signal: AbortSignal): AsyncIterable<ReplayProgress>;
}
