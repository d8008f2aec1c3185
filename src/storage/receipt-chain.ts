import { setImmediate as nextTurn } from 'node:timers/promises';
import { batchHash, batchRoot, dayOf, type ReceiptBatch } from '../audit/hash-chain.ts';
import { Unavailable } from '../domain/errors.ts';
import type { JournaledReceipt } from '../services/trail.ts';
import { databaseUnavailable, refusesValues } from './errors.ts';
import { RECEIPT_COLUMNS, receiptRow } from './receipt-rows.ts';
import { StagingSession, type StagingSessionConfig } from './staging-session.ts';

/** Of a session that is kept between transactions: not through a pooler that gives sessions away after each. */
export interface ReceiptChainConfig extends StagingSessionConfig {
  /**
   * Asked with each session whether this is the database that the receipts are for, by the chain_hash of its first
   * change. What it throws keeps the session from being used.
   */
  readonly admits?: (origin: string) => Promise<void>;
}

/** Receipts of one UTC day that are made ready to be sent. */
export interface PreparedBatch {
  /** As they were given, in their order. */
  readonly receipts: readonly JournaledReceipt[];
  /** Rejects if a receipt cannot be written. */
  readonly content: Promise<BatchContent>;
}

interface BatchContent {
  /** The UTC day of all render_ids, as `2026-01-31`. */
  readonly day: string;
  /** For COPY. */
  readonly rows: readonly Buffer[];
  /** The least and the greatest render_id. */
  readonly ids: readonly [string, string];
}

/** A batch whose rows are sent before its turn. */
interface Ahead {
  readonly batch: PreparedBatch;
  readonly session: Promise<StagingSession>;
}

/** How far ahead partitions are made, in days. */
const DAYS_AHEAD = 7;
const DAY_MS = 86_400_000;

/** So many receipts take about a millisecond to be made ready. */
const SLICE = 100;

/**
 * The chain of receipts as a drainer sees it: one transaction after another, and the rows of the next batch are sent
 * meanwhile, over a second session. Any number of drainers may chain at once: whoever holds the row of `receipt_head`
 * appends the next link.
 */
export class ReceiptChain {
  readonly #config: ReceiptChainConfig;
  /** Ends all sessions. */
  #end = new AbortController();
  #idle: StagingSession[] = [];
  #ahead: Ahead | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** Opens its sessions with the first calls that need them. */
  constructor(config: ReceiptChainConfig) {
    this.#config = config;
  }

  /**
   * Begins to hash receipts, and to write them as rows for the database. It goes on by a millisecond at a time, so that
   * the batch before is appended meanwhile. The rows are sent ahead, unless those of an earlier call are and wait for
   * their `append`. Never throws: `append` says what went wrong.
   *
   * @returns one batch for each UTC day, in the order in which the days first occur
   */
  prepare(receipts: readonly JournaledReceipt[]): PreparedBatch[] {
    const days = Map.groupBy(receipts, ({ receipt }) => Math.floor(millisecondsOf(receipt.renderId) / DAY_MS));
    const batches = Array.from(days.values(), (each) => {
      const content = contentOf(each);
      content.catch(() => {});
      return { receipts: each, content };
    });
    const [next] = batches;
    if (next && !this.#ahead) this.#sendAhead(next);
    return batches;
  }

  /**
   * Chains those receipts of a batch that are not in the database yet, as one link, or none of them. May be repeated
   * whatever became of it: a render_id is in the chain once. Calls of one instance follow each other.
   *
   * @returns how many were new
   * @throws Unavailable DATABASE_UNAVAILABLE if the database cannot chain now, whatever the batch; it may have chained
   *   this one all the same. The next call opens another session.
   * @throws Error if the database refuses a value of the batch: nothing of it is chained, and a repeat is refused again
   */
  append(batch: PreparedBatch): Promise<{ readonly chained: number }> {
    return this.#inTurn(async () => {
      const ahead = this.#takeAhead(batch);
      const content = await batch.content;
      return this.#inSession(ahead ?? this.#staged(batch), (session) => chain(session, content));
    });
  }

  /**
   * Makes the partitions of today and of the next seven days. Those who read and write receipts do not wait for it.
   *
   * @throws Unavailable DATABASE_UNAVAILABLE
   */
  ensurePartitions(): Promise<void> {
    return this.#inTurn(() =>
      this.#inSession(this.#free(), async (session) => {
        for (let ahead = 0; ahead <= DAYS_AHEAD; ahead += 1) {
          const day = new Date(Date.now() + ahead * DAY_MS).toISOString().slice(0, 10);
          await session.query('select platen_ensure_receipt_partition($1)', [day]);
        }
      }),
    );
  }

  /** Waits for the calls under way, then ends the sessions. */
  async close(): Promise<void> {
    await this.#last;
    this.#drop();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  /** No transaction is ended by a statement of its own after an error: that might not be answered either. */
  async #inSession<T>(opening: Promise<StagingSession>, work: (session: StagingSession) => Promise<T>): Promise<T> {
    try {
      const session = await opening;
      const result = await work(session);
      this.#idle.push(session);
      return result;
    } catch (error) {
      this.#drop();
      throw error instanceof Unavailable || refusesValues(error) ? error : databaseUnavailable(error);
    }
  }

  #sendAhead(batch: PreparedBatch): void {
    const session = this.#staged(batch);
    session.catch(() => {});
    this.#ahead = { batch, session };
  }

  /** @returns undefined: the batch was not sent ahead, or to sessions that were left since */
  #takeAhead(batch: PreparedBatch): Promise<StagingSession> | undefined {
    if (this.#ahead?.batch !== batch) return undefined;
    const { session } = this.#ahead;
    this.#ahead = undefined;
    return session;
  }

  /** A session in a transaction in which the rows of a batch are staged: nobody waits for that one. */
  async #staged({ content }: PreparedBatch): Promise<StagingSession> {
    const { signal } = this.#end;
    const { rows } = await content;
    signal.throwIfAborted();
    const session = await this.#free();
    // Not at the level that is the default somewhere: each statement after the lock must see what was committed before.
    await session.query('begin isolation level read committed');
    await session.stage(rows);
    return session;
  }

  async #free(): Promise<StagingSession> {
    return this.#idle.pop() ?? this.#open();
  }

  /** Whatever keeps a session from being opened has nothing to do with a batch. */
  async #open(): Promise<StagingSession> {
    try {
      const session = await StagingSession.open(this.#config, this.#end.signal);
      const [first] = await session.query<{ chain_hash: string }>('select chain_hash from change where seq = 1');
      await this.#config.admits?.(first!.chain_hash);
      return session;
    } catch (error) {
      throw databaseUnavailable(error);
    }
  }

  /** Leaves all sessions, whatever runs there. What was sent ahead is sent again by its `append`. */
  #drop(): void {
    this.#end.abort();
    this.#end = new AbortController();
    this.#idle = [];
    this.#ahead = undefined;
  }
}

/** Days with a partition, and days without, whose receipts are kept in one table. */
const PARTITIONED = chainSql('receipt', 'receipt_payload', 'receipt_stray');
const STRAY = chainSql('receipt_stray', 'receipt_payload_stray', 'receipt');

/**
 * The transaction of spec section 4, from where the rows are staged. One that was lost is rolled back by the end of its
 * session.
 */
async function chain(session: StagingSession, { day, ids }: BatchContent): Promise<{ chained: number }> {
  // The partition after the lock: whoever removes one holds the lock too.
  const [head] = await session.query<{ batch: string; chain_hash: string; partitioned: boolean }>(
    `with head as materialized (select batch, chain_hash from receipt_head for update)
    select batch, chain_hash, platen_ensure_receipt_partition($1) as partitioned from head`,
    [day],
  );
  const batch = Number(head!.batch) + 1;
  const sql = head!.partitioned ? PARTITIONED : STRAY;
  const [chained] = await session.query<{ count: number; hashes: string }>(sql, [batch, ...ids]);
  const { count, hashes } = chained!;
  if (count > 0) {
    await extend(session, { batch, time: new Date(), day, count, root: batchRoot([hashes]) }, head!.chain_hash);
  }
  await session.query('commit');
  return { chained: count };
}

/** @throws Unavailable: whatever is wrong with the chain is not the receipts' fault */
async function extend(session: StagingSession, link: ReceiptBatch, prevHash: string): Promise<void> {
  const { batch, day, count, root, time } = link;
  const chainHash = batchHash(link, prevHash);
  try {
    await session.query(
      `with link as (
        insert into receipt_batch (batch, day, count, root, prev_hash, chain_hash, time)
        values ($1, $2, $3, $4, $5, $6, $7)
        returning batch, chain_hash
      )
      update receipt_head set (batch, chain_hash) = (select batch, chain_hash from link)`,
      [batch, day, count, root, prevHash, chainHash, time],
    );
  } catch (error) {
    throw databaseUnavailable(error);
  }
}

/**
 * Moves what is staged into the tables of its day. No key spans both kinds of tables, so what was drained before the
 * day got its partition, or after it lost it, is looked for in the others. Parameters: the batch, its least and its
 * greatest render_id. Tells how many rows were inserted, and their hashes in their order, as one text: under the lock
 * of the head, the driver would take a tenth of the time for a list.
 */
function chainSql(receipts: string, payloads: string, others: string): string {
  return `
with chained as (
  insert into ${receipts} (${RECEIPT_COLUMNS}, batch)
  select ${RECEIPT_COLUMNS}, $1::bigint from receipt_staging s
  where not exists (
    select from ${others} o where o.render_id = s.render_id and o.render_id between $2::uuid and $3::uuid
  )
  on conflict do nothing
  returning batch_pos, receipt_hash
), kept as (
  insert into ${payloads} (render_id, inputs)
  select s.render_id, s.inputs from receipt_staging s join chained using (batch_pos)
  where s.inputs is not null and not exists (
    select from erasure e
    where e.end_id > $2::uuid and e.first_id <= $3::uuid
      and s.render_id >= e.first_id and s.render_id < e.end_id
      and e.requested_tenant in ('', s.requested_tenant)
      and e.caller in ('', s.caller)
      and s.labels::jsonb @> e.labels::jsonb
  )
)
select count(*)::integer as count, encode(string_agg(receipt_hash, '' order by batch_pos), 'hex') as hashes
from chained`;
}

async function contentOf(receipts: readonly JournaledReceipt[]): Promise<BatchContent> {
  const ids = receipts.map(({ receipt }) => receipt.renderId).toSorted();
  const rows: Buffer[] = [];
  for (let start = 0; start < receipts.length; start += SLICE) {
    await nextTurn();
    const slice = receipts.slice(start, start + SLICE);
    rows.push(Buffer.from(slice.map((receipt, place) => receiptRow(receipt, start + place)).join('')));
  }
  return { day: dayOf(ids[0]!), rows, ids: [ids[0]!, ids.at(-1)!] };
}

/** Of a UUIDv7; NaN of what is none. */
function millisecondsOf(renderId: string): number {
  return Number.parseInt(renderId.slice(0, 8) + renderId.slice(9, 13), 16);
}
