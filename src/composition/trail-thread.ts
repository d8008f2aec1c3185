/** Where a thread starts that does one job on the trail. */
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { replayRange } from '../audit/replay-range.ts';
import { verifyTrail } from '../audit/verification.ts';
import type { AuditHeads, VerificationProgress } from '../services/trail-jobs.ts';
import type { ReceiptFilter } from '../services/trail.ts';
import { openDatabase, type Database } from '../storage/database.ts';
import { PostgresStores } from '../storage/postgres-stores.ts';
import { shareTrail } from '../storage/trail-lock.ts';
import { PostgresTrailReader } from '../storage/trail-reader.ts';
import { packFailure, type PackedFailure, type TrailWork } from './trail-messages.ts';

/** A replay reads the next page while it replays one. */
const CONNECTIONS_MAX = 2;

/** A verification makes progress with each page, far more often than anybody wants to know. */
const TELL_MS = 250;

const port = parentPort!;
const { job, database: config } = workerData as TrailWork;
const database = await openDatabase({ ...config, poolMax: CONNECTIONS_MAX, onQuery: () => {} });
port.postMessage({ end: await outcome(database) });
await database.close();

async function outcome(database: Database): Promise<'done' | PackedFailure> {
  try {
    if (job.kind === 'replay') await replay(database, job.filter);
    else await verifyUndisturbed(database, job.checkpoint);
    return 'done';
  } catch (error) {
    return packFailure(error);
  }
}

async function replay(database: Database, filter: ReceiptFilter): Promise<void> {
  for await (const progress of replayRange(new PostgresStores(database.access), filter)) await tell(progress);
}

async function verifyUndisturbed(database: Database, checkpoint: AuditHeads | undefined): Promise<void> {
  const share = await shareTrail(config.url, config.statementTimeoutMs);
  try {
    await Promise.race([verify(database, checkpoint), share.lost]);
  } finally {
    await share.release();
  }
}

async function verify(database: Database, checkpoint: AuditHeads | undefined): Promise<void> {
  let told = 0;
  for await (const progress of verifyTrail(new PostgresTrailReader(database.access), checkpoint)) {
    if (isPassing(progress) && performance.now() - told < TELL_MS) continue;
    await tell(progress);
    told = performance.now();
  }
}

function isPassing({ finding, result }: VerificationProgress): boolean {
  return finding === undefined && result === undefined;
}

/** Waits until it is taken, so that no more is read than is wanted. */
async function tell(progress: unknown): Promise<void> {
  const taken = once(port, 'message');
  port.postMessage({ progress });
  await taken;
}
