import pg from 'pg';
import { domainError } from './errors.ts';
import { connectionOptions } from './connection.ts';

/**
 * SQL of the key of the advisory lock that keeps pruning and verification apart: verifications share it, pruning has it
 * alone.
 */
export const TRAIL_LOCK_KEY = `hashtextextended('platen trail', 0)`;

/** What the answer to a wait that was ended may take. */
const ANSWER_MARGIN_MS = 1_000;

/** How long a share waits to be given back in good order. */
const RELEASE_MS = 500;

/** A share of the lock. */
export interface TrailShare {
  /** Rejects with Unavailable DATABASE_UNAVAILABLE when it is lost, with its connection; never resolves. */
  readonly lost: Promise<never>;
  release(): Promise<void>;
}

/**
 * Keeps pruning away, on a connection of its own. The lock belongs to a transaction that reads nothing, so that it
 * holds behind a pooler as well, and holds up neither migrations nor the removal of old rows.
 *
 * @param waitMs how long a pruning may go on meanwhile
 * @throws Unavailable DATABASE_UNAVAILABLE, also if one goes on for longer
 */
export async function shareTrail(url: string, waitMs: number): Promise<TrailShare> {
  const end = new AbortController();
  const bounds = { queryTimeoutMs: waitMs + ANSWER_MARGIN_MS, signal: end.signal };
  const client = new pg.Client(connectionOptions(url, 'platen trail', bounds));
  const { promise: lost, reject } = Promise.withResolvers<never>();
  lost.catch(() => {});
  client.on('error', (error) => reject(domainError(error)));
  try {
    await client.connect();
    await client.query(`begin; set local idle_in_transaction_session_timeout = 0; set local lock_timeout = ${waitMs};
      select pg_advisory_xact_lock_shared(${TRAIL_LOCK_KEY})`);
  } catch (error) {
    end.abort();
    throw domainError(error);
  }
  const release = async () => {
    const commit: pg.QueryConfig & { query_timeout: number } = { text: 'commit', query_timeout: RELEASE_MS };
    // Whatever becomes of it, the lock ends with the connection.
    await client.query(commit).catch(() => {});
    end.abort();
  };
  return { lost, release };
}
