/** What a thread that works on the trail is given, and what it answers. */
import { Unavailable } from '../domain/errors.ts';
import type { AuditHeads } from '../services/trail-jobs.ts';
import type { ReceiptFilter } from '../services/trail.ts';
import type { DatabaseConfig } from '../storage/database.ts';
import { packError, unpackError, type PackedError } from '../workers/error-transfer.ts';

/** The database of a thread. */
export type TrailDatabase = Pick<DatabaseConfig, 'url' | 'poolWaitMs' | 'statementTimeoutMs'>;

/** The two kinds of work. */
export type TrailJob =
  | { readonly kind: 'verify'; readonly checkpoint: AuditHeads | undefined }
  | { readonly kind: 'replay'; readonly filter: ReceiptFilter };

/** The workerData of a thread. */
export interface TrailWork {
  readonly job: TrailJob;
  readonly database: TrailDatabase;
}

/** A progress is followed by nothing until it was answered with any message; how it ended is the last one. */
export type TrailMessage<P> = { readonly progress: P } | { readonly end: 'done' | PackedFailure };

export type PackedFailure =
  | (Pick<Unavailable, 'reason' | 'message' | 'retryDelayMs' | 'metadata'> & { readonly kind: 'Unavailable' })
  | PackedError;

/** Whatever a job threw, as plain data. */
export function packFailure(error: unknown): PackedFailure {
  if (!(error instanceof Unavailable)) return packError(error);
  const { reason, message, retryDelayMs, metadata } = error;
  return { kind: 'Unavailable', reason, message, retryDelayMs, metadata };
}

/** The error that packFailure was given. */
export function unpackFailure(packed: PackedFailure): Error {
  if (packed.kind !== 'Unavailable') return unpackError(packed);
  return new Unavailable(packed.reason, packed.message, packed.retryDelayMs, packed.metadata);
}
