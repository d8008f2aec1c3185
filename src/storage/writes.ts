import type { EntityManager } from '@mikro-orm/postgresql';
import { Cancelled, DeadlineExceeded, DomainError, InvalidInput } from '../domain/errors.ts';
import {
  CHANGE_NOTIFICATION,
  type Repeatable,
  type WriteCall,
  type Writes,
  type WriteTransaction,
} from '../services/stores.ts';
import { TIMEOUT_MAX_MS, type Database } from './database.ts';
import { RequestEntity } from './entities/request.ts';
import { domainError, driverCode } from './errors.ts';
import { PostgresWriteTransaction } from './write-transaction.ts';

const REPEATABLE_FOR_MS = 24 * 60 * 60 * 1000;
const PURGE_BATCH = 1000;
/** A bound of statements is this many times as long as what it may be too long. */
const BOUND_SLACK = 100;

/** Two transactions that cannot both commit (serialization_failure, deadlock_detected): the next attempt may. */
const CONFLICT_STATES = new Set(['40001', '40P01']);

/** A statement that was ended by its timeout. */
const TIMEOUT_STATES = new Set(['57014', '55P03']);

interface Outcome<T> {
  readonly answer: T;
  /** The last change; 0: none. */
  readonly seq: number;
}

/**
 * Resolves once this replica's route map has applied the committed change, and rejects if it does not in time.
 * @param deadline of the write's call, in milliseconds since the epoch
 */
export type Applied = (seq: number, deadline: number | undefined) => Promise<void>;

export class PostgresWrites implements Writes {
  readonly #database: Database;
  readonly #applied: Applied;
  readonly #now: () => Date;

  constructor(database: Database, applied: Applied, now: () => Date) {
    this.#database = database;
    this.#applied = applied;
    this.#now = now;
  }

  async run<T>(
    call: WriteCall,
    repeatable: Repeatable<T>,
    work: (tx: WriteTransaction) => Promise<T>,
  ): Promise<T> {
    const { answer, seq } = await this.#committed(() => this.#attempt(call, repeatable, work));
    if (seq > 0) await this.#applied(seq, call.deadline);
    return answer;
  }

  /**
   * Deletes stored responses that are too old to be repeated, in batches that lock little.
   * @returns how many
   */
  async purgeRequests(): Promise<number> {
    const before = this.#repeatableSince(this.#now());
    for (let purged = 0; ; ) {
      const rows = await this.#database.access((em) =>
        em.execute(
          `delete from request where (caller, rpc, request_id) in (
            select caller, rpc, request_id from request where time <= ? order by time limit ? for update skip locked
          ) returning 1`,
          [before, PURGE_BATCH],
        ),
      );
      purged += rows.length;
      if (rows.length < PURGE_BATCH) return purged;
    }
  }

  /** A transaction that had to give way to another is carried out once more. */
  async #committed<T>(attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt().catch((error: unknown) => {
        if (!CONFLICT_STATES.has(driverCode(error))) throw error;
        return attempt();
      });
    } catch (error) {
      throw domainError(error);
    }
  }

  async #attempt<T>(
    call: WriteCall,
    repeatable: Repeatable<T>,
    work: (tx: WriteTransaction) => Promise<T>,
  ): Promise<Outcome<T>> {
    this.#check(call);
    return this.#database.transaction(async (em) => {
      try {
        const outcome = await this.#steps(em, call, repeatable, work);
        this.#check(call);
        return outcome;
      } catch (error) {
        // Nothing is committed yet, so a call that is over has written nothing, whatever else went wrong.
        this.#check(call, error);
        throw error;
      }
    });
  }

  async #steps<T>(
    em: EntityManager,
    call: WriteCall,
    repeatable: Repeatable<T>,
    work: (tx: WriteTransaction) => Promise<T>,
  ): Promise<Outcome<T>> {
    const time = this.#now();
    const bound = this.#bounds(em, call);
    await bound();
    const stored = call.requestId === '' ? undefined : await this.#claim(em, call, repeatable, time);
    if (stored !== undefined) return stored;
    const tx = new PostgresWriteTransaction(em, call, time, bound, this.#now);
    const answer = await work(tx);
    await bound();
    if (call.requestId !== '') {
      await em.nativeUpdate(RequestEntity, requestKey(call, repeatable), {
        response: Buffer.from(repeatable.encode(answer)),
        seq: tx.seq,
      });
    }
    if (tx.seq > 0) await em.execute('select pg_notify(?, ?)', [CHANGE_NOTIFICATION, String(tx.seq)]);
    return { answer, seq: tx.seq };
  }

  /**
   * Claims the request_id, or finds what was answered to it. A twin under way is waited for: its row is in the unique
   * index though nobody sees it yet. A row that is too old is taken over.
   */
  async #claim<T>(
    em: EntityManager,
    call: WriteCall,
    repeatable: Repeatable<T>,
    time: Date,
  ): Promise<Outcome<T> | undefined> {
    const claimed = await em.execute(
      `insert into request (caller, rpc, request_id, fingerprint, response, seq, time) values (?, ?, ?, ?, '', 0, ?)
      on conflict (caller, rpc, request_id)
        do update set fingerprint = excluded.fingerprint, response = '', seq = 0, time = excluded.time
        where request.time <= ?
      returning 1`,
      [call.actor, repeatable.rpc, call.requestId, repeatable.fingerprint, time, this.#repeatableSince(time)],
    );
    if (claimed.length > 0) return undefined;
    const row = await em.findOneOrFail(RequestEntity, requestKey(call, repeatable));
    if (row.fingerprint !== repeatable.fingerprint) {
      const description = `was used for another ${repeatable.rpc} request; send a new request_id with new content`;
      const violations = [{ field: 'request_id', reason: 'REUSED', description }] as const;
      throw new InvalidInput(violations, 'REQUEST_ID_REUSED', { request_id: call.requestId });
    }
    return { answer: repeatable.decode(row.response), seq: row.seq };
  }

  /**
   * Bounds the statements to come to what is left of the call's deadline. The bound that was set before stays while it
   * is at most a hundredth too long: who waits is answered in time whatever a statement does, and what ends late is not
   * committed.
   */
  #bounds(em: EntityManager, call: WriteCall): () => Promise<void> {
    let bound: number | undefined;
    return async () => {
      this.#check(call);
      if (call.deadline === undefined) return;
      const left = Math.min(TIMEOUT_MAX_MS, Math.max(1, Math.ceil(call.deadline - this.#now().getTime())));
      if (bound !== undefined && bound - left <= bound / BOUND_SLACK) return;
      bound = left;
      await em.execute(`set local statement_timeout = ${left}`);
    };
  }

  /**
   * @param failure what went wrong meanwhile
   * @throws DeadlineExceeded, Cancelled if the call is over
   */
  #check({ signal, deadline }: WriteCall, failure?: unknown): void {
    const over = deadline !== undefined && this.#now().getTime() >= deadline;
    const timedOut = deadline !== undefined && TIMEOUT_STATES.has(driverCode(failure));
    if (!over && !timedOut && !signal.aborted) return;
    if (failure instanceof DomainError) throw failure;
    const late = over || timedOut || signal.reason instanceof DeadlineExceeded;
    const error = late ? new DeadlineExceeded() : new Cancelled();
    error.cause = failure;
    throw error;
  }

  #repeatableSince(time: Date): Date {
    return new Date(time.getTime() - REPEATABLE_FOR_MS);
  }
}

function requestKey(call: WriteCall, { rpc }: { rpc: string }) {
  return { caller: call.actor, rpc, requestId: call.requestId };
}
