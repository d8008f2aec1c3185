import { setTimeout as delay } from 'node:timers/promises';
import type { EntityManager } from '@mikro-orm/postgresql';
import { batchHash, batchRoot, receiptHash } from '../audit/hash-chain.ts';
import { Unavailable } from '../domain/errors.ts';
import type { CapturedInputs, ReceiptRecord, ReceiptSink } from '../services/stores.ts';
import type { Database } from './database.ts';
import { ReceiptBatchEntity } from './entities/receipt-batch.ts';
import { ReceiptHeadEntity } from './entities/receipt-head.ts';
import { ReceiptPayloadStrayEntity } from './entities/receipt-payload-stray.ts';
import { ReceiptPayloadEntity } from './entities/receipt-payload.ts';
import { ReceiptStrayEntity } from './entities/receipt-stray.ts';
import { ReceiptEntity } from './entities/receipt.ts';
import { domainError } from './errors.ts';

export interface ReceiptsConfig {
  /** How long a receipt may take until it is in the chain, in milliseconds. */
  readonly timeoutMs: number;
  /** Most receipts that wait. */
  readonly queueMax: number;
}

/** Most receipts of one transaction. */
const BATCH_MAX = 1000;

/** Pause before a database that could not serve is asked again. */
const RETRY_MS = 50;

/** Retry delay told to callers whose receipt was lost. */
const RETRY_DELAY_MS = 1000;

interface Pending {
  readonly receipt: ReceiptRecord;
  /** Of its render_id, in UTC. */
  readonly day: string;
  readonly inputs: CapturedInputs | undefined;
  /** Why it could not be recorded so far. */
  failure: unknown;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Where the receipts of a day with, or without, a partition go. */
interface Tables {
  readonly receipts: typeof ReceiptEntity | typeof ReceiptStrayEntity;
  readonly payloads: typeof ReceiptPayloadEntity | typeof ReceiptPayloadStrayEntity;
  /** Holds receipts that were drained while the day had no partition, or had one. */
  readonly others: 'receipt' | 'receipt_stray';
}

const PARTITIONED: Tables = { receipts: ReceiptEntity, payloads: ReceiptPayloadEntity, others: 'receipt_stray' };
const STRAY: Tables = { receipts: ReceiptStrayEntity, payloads: ReceiptPayloadStrayEntity, others: 'receipt' };

/**
 * Chains receipts in group commits: those that wait while one transaction runs go into the next, one UTC day at a time.
 * A receipt that cannot be inserted is rejected alone. While the database cannot serve they are tried again until each
 * one's time is over.
 */
export class PostgresReceipts implements ReceiptSink {
  readonly #database: Database;
  readonly #config: ReceiptsConfig;
  readonly #now: () => Date;
  readonly #partitioned = new Set<string>();
  readonly #queue = new Set<Pending>();
  #draining: Promise<void> | undefined;

  constructor(database: Database, config: ReceiptsConfig, now: () => Date) {
    this.#database = database;
    this.#config = config;
    this.#now = now;
  }

  /** @throws Unavailable DATABASE_UNAVAILABLE if it is not in the chain in time, OVERLOADED if too many wait */
  async write(receipt: ReceiptRecord, inputs: CapturedInputs | undefined, until: number): Promise<void> {
    if (this.#queue.size >= this.#config.queueMax) {
      throw new Unavailable('OVERLOADED', `${this.#queue.size} receipts wait already`, RETRY_DELAY_MS);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const pending: Pending = { receipt, day: dayOf(receipt.renderId), inputs, failure: undefined, resolve, reject };
    this.#queue.add(pending);
    const wait = Math.max(0, Math.min(this.#config.timeoutMs, until - this.#now().getTime()));
    const timer = setTimeout(() => {
      this.#queue.delete(pending);
      const message = `receipt ${receipt.renderId} was not recorded within ${wait} ms`;
      reject(new Unavailable('DATABASE_UNAVAILABLE', message, RETRY_DELAY_MS, {}, { cause: pending.failure }));
    }, wait);
    this.#draining ??= this.#drain();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for the receipts that were handed over. */
  async close(): Promise<void> {
    await this.#draining;
  }

  async #drain(): Promise<void> {
    while (this.#queue.size > 0) await this.#record(this.#nextBatch());
    this.#draining = undefined;
  }

  /** What waits longest, with others of its day. */
  #nextBatch(): Pending[] {
    const [first] = this.#queue;
    return [...this.#queue].filter(({ day }) => day === first!.day).slice(0, BATCH_MAX);
  }

  async #record(batch: readonly Pending[]): Promise<void> {
    const { day } = batch[0]!;
    try {
      await this.#commit(batch, day, (await this.#hasPartition(day)) ? PARTITIONED : STRAY);
      for (const pending of batch) {
        this.#queue.delete(pending);
        pending.resolve();
      }
    } catch (error) {
      await this.#retry(batch, day, domainError(error));
    }
  }

  /** Halving finds the bad ones among a thousand in few transactions. */
  async #retry(batch: readonly Pending[], day: string, failure: unknown): Promise<void> {
    this.#partitioned.delete(day);
    if (failure instanceof Unavailable) {
      for (const pending of batch) pending.failure = failure;
      await delay(RETRY_MS);
    } else if (batch.length === 1) {
      this.#queue.delete(batch[0]!);
      batch[0]!.reject(failure);
    } else {
      const half = batch.length >> 1;
      await this.#record(batch.slice(0, half));
      await this.#record(batch.slice(half));
    }
  }

  /** Makes the day's partition if it may be made. */
  async #hasPartition(day: string): Promise<boolean> {
    if (this.#partitioned.has(day)) return true;
    const [row] = await this.#database.access((em) =>
      em.execute<{ partitioned: boolean }[]>('select platen_ensure_receipt_partition(?) as partitioned', [day]),
    );
    if (row!.partitioned) this.#partitioned.add(day);
    return row!.partitioned;
  }

  async #commit(batch: readonly Pending[], day: string, tables: Tables): Promise<void> {
    await this.#database.transaction(async (em) => {
      const [head] = await em.execute<{ batch: string; chain_hash: string }[]>(
        'select batch, chain_hash from receipt_head for update',
      );
      const number = Number(head!.batch) + 1;
      const fresh = await withoutKnown(em, batch, tables.others);
      const inserted = await insertReceipts(em, fresh, number, tables.receipts);
      if (inserted.length === 0) return;
      const payloads = inserted.flatMap(({ batchPos }) => {
        const { receipt, inputs } = fresh[batchPos]!;
        // A copy: MikroORM assigns to every object in what it inserts, and defaults of a snapshot are frozen.
        return inputs === undefined ? [] : [{ renderId: receipt.renderId, inputs: structuredClone(inputs) }];
      });
      if (payloads.length > 0) await em.insertMany(tables.payloads, payloads);
      const root = batchRoot(inserted.map((row) => row.receiptHash));
      const link = { batch: number, time: this.#now(), day, count: inserted.length, root };
      const chainHash = batchHash(link, head!.chain_hash);
      await em.insert(ReceiptBatchEntity, { ...link, prevHash: head!.chain_hash, chainHash });
      await em.nativeUpdate(ReceiptHeadEntity, { one: true }, { batch: number, chainHash });
    });
  }
}

/** Without those that are in the other table already: no key spans the two. */
async function withoutKnown(em: EntityManager, batch: readonly Pending[], others: string): Promise<Pending[]> {
  const ids = batch.map(({ receipt }) => receipt.renderId);
  const sql = `select render_id from ${others} where render_id in (?)`;
  const rows = await em.execute<{ render_id: string }[]>(sql, [ids]);
  const known = new Set(rows.map((row) => row.render_id));
  return batch.filter(({ receipt }) => !known.has(receipt.renderId));
}

/** @returns those that were not there yet, by batch position */
async function insertReceipts(
  em: EntityManager,
  batch: readonly Pending[],
  number: number,
  table: Tables['receipts'],
): Promise<{ batchPos: number; receiptHash: string }[]> {
  if (batch.length === 0) return [];
  const rows = batch.map(({ receipt }, batchPos) => ({
    ...receipt,
    receiptHash: receiptHash(receipt),
    batch: number,
    batchPos,
  }));
  const insert = em.createQueryBuilder(table).insert(rows).onConflict().ignore().returning(['batchPos', 'receiptHash']);
  const inserted = await insert.execute<{ batchPos: number; receiptHash: string }[]>('all');
  return inserted.toSorted((a, b) => a.batchPos - b.batchPos);
}

/** The UTC day of a UUIDv7 (RFC 9562: it begins with 48 bits of milliseconds), as `2026-01-31`. */
function dayOf(renderId: string): string {
  const milliseconds = Number.parseInt(renderId.slice(0, 8) + renderId.slice(9, 13), 16);
  // Years of five digits, which ISO 8601 writes `+010889`, do not fail either.
  return new Date(milliseconds).toISOString().split('T')[0]!.replace(/^\+0/, '');
}
