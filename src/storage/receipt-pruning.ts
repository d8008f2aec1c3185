import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { changeHash, dayOf } from '../audit/hash-chain.ts';
import { canonicalJson } from '../domain/document.ts';
import type { JsonObject } from '../domain/json.ts';
import { parseJson } from '../domain/parse-json.ts';
import { Retention, type RetentionRow } from '../domain/retention.ts';
import { ROOT_TENANT } from '../domain/tenant.ts';
import { CHANGE_NOTIFICATION } from '../services/stores.ts';
import type { ChangeEntry } from '../services/trail.ts';
import { driverCode } from './errors.ts';
import { connectionOptions } from './connection.ts';
import { TRAIL_LOCK_KEY } from './trail-lock.ts';

export interface PruneOptions {
  /** Days that are not wholly before it stay. */
  readonly before: Date;
  /** Only says what would go. */
  readonly dryRun: boolean;
  /** Told in English why it waits. */
  readonly onWait?: (reason: string) => void;
}

/** A UTC day, as `2026-01-31`. */
export interface PrunedDay {
  readonly day: string;
  readonly receipts: number;
}

export interface KeptDay {
  readonly day: string;
  /** Why, as `tenant acme keeps 365 days`. */
  readonly reason: string;
}

/** The batches that are gone themselves; the chain goes on after them. */
export interface RemovedBatches {
  readonly through: number;
  readonly chainHash: string;
}

export interface Pruning {
  /** Days whose receipts went, the earliest first. */
  readonly days: readonly PrunedDay[];
  /** Days before the time, and receipts of which stay, the earliest first. */
  readonly kept: readonly KeptDay[];
  /** Undefined: no batch went. */
  readonly batches: RemovedBatches | undefined;
  /** The changes that say so; none in a dry run. */
  readonly seqs: readonly number[];
}

const DAY_MS = 86_400_000;
const ACTOR = 'platen';

/** Of one transaction: dropping a table takes a lock for each of its indexes, and of locks there are only so many. */
const DAYS_TOGETHER = 31;

/** Longest wait for a lock, behind which others would wait. */
const LOCK_TIMEOUT_MS = 1_000;
const ATTEMPTS = 5;
const RETRY_MS = 500;

/** lock_not_available, deadlock_detected. */
const LOCKED = new Set(['55P03', '40P01']);
/** undefined_table, undefined_column. */
const OUT_OF_DATE = new Set(['42P01', '42703']);

/** Days before the one that begins now whose receipts may still arrive: a render takes no longer. */
const RECENT_DAYS = 1;

/**
 * Removes the receipts, with their values and batches, of whole UTC days that are past a time and past the retention of
 * every tenant with receipts in them (docs/adr/0035), and says so in the change log. Receipts of today and yesterday
 * always stay. Any number of these may run at once. Each transaction takes the earliest 31 days at most, and is done
 * wholly or not at all; what a run that was interrupted left the next one takes.
 *
 * @param ownerUrl of the login that owns the tables
 * @throws Error if the trail is in use for too long, saying what was done before
 */
export async function pruneReceipts(ownerUrl: string, options: PruneOptions, now: () => Date): Promise<Pruning> {
  const client = new pg.Client(connectionOptions(ownerUrl, 'platen prune', {}));
  // A connection that ends fails the statement under way.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await new ReceiptPruning(client, options, now).run();
  } catch (error) {
    if (!OUT_OF_DATE.has(driverCode(error))) throw error;
    throw new Error('the database is not up to date; run `platen migrate` first', { cause: error });
  } finally {
    await client.end();
  }
}

/** What was planned is not how things stand any more. */
class Outdated extends Error {
  constructor() {
    super('receipts of these days arrived, or a tenant changed, meanwhile');
  }
}

/** A day with a partition or with strays. */
interface Day {
  readonly day: string;
  readonly partition: boolean;
  readonly strays: boolean;
}

/** What goes in one transaction, as things stood at `seq` and `batch`. */
interface Plan {
  readonly seq: number;
  readonly batch: number;
  /** The day before which days may go. */
  readonly before: string;
  readonly days: readonly (Day & PrunedDay)[];
  readonly kept: readonly KeptDay[];
  readonly batches: RemovedBatches | undefined;
  /** All of which no receipt is left then. */
  readonly gone: readonly string[];
  /** There are more days to go. */
  readonly more: boolean;
}

class ReceiptPruning {
  readonly #client: pg.Client;
  readonly #options: PruneOptions;
  readonly #now: () => Date;

  constructor(client: pg.Client, options: PruneOptions, now: () => Date) {
    this.#client = client;
    this.#options = options;
    this.#now = now;
  }

  async run(): Promise<Pruning> {
    const days: PrunedDay[] = [];
    const seqs: number[] = [];
    let batches: RemovedBatches | undefined;
    for (;;) {
      const { plan, seq } = await this.#patiently(seqs, () => this.#transaction());
      days.push(...plan.days.map(({ day, receipts }) => ({ day, receipts })));
      batches = plan.batches ?? batches;
      if (seq !== undefined) seqs.push(seq);
      if (!plan.more) return { days, kept: plan.kept, batches, seqs };
    }
  }

  /** @param done the changes of before */
  async #patiently<T>(done: readonly number[], attempt: () => Promise<T>): Promise<T> {
    for (let left = ATTEMPTS - 1; ; left -= 1) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof Outdated) && !LOCKED.has(driverCode(error))) throw error;
        const reason = error instanceof Outdated ? error.message : 'others use the trail, as a verification does';
        if (left === 0) {
          const so = done.length > 0 ? `changes ${done.join(', ')} are done, the rest is not` : 'nothing was pruned';
          throw new Error(`${so}: ${reason}; try again later`, { cause: error });
        }
        this.#options.onWait?.(reason);
        await sleep(RETRY_MS);
      }
    }
  }

  async #transaction(): Promise<{ plan: Plan; seq: number | undefined }> {
    const { dryRun } = this.#options;
    await this.#client.query(`begin; set local lock_timeout = ${LOCK_TIMEOUT_MS}; set local timezone = 'UTC'`);
    try {
      await this.#client.query(`select pg_advisory_xact_lock${dryRun ? '_shared' : ''}(${TRAIL_LOCK_KEY})`);
      const plan = await this.#plan();
      const seq = dryRun || plan.days.length === 0 ? undefined : await this.#carryOut(plan);
      await this.#client.query('commit');
      return { plan, seq };
    } catch (error) {
      // What went wrong first says more than that the connection is gone.
      await this.#client.query('rollback').catch(() => undefined);
      throw error;
    }
  }

  /** Reads a lot, and locks nobody out. */
  async #plan(): Promise<Plan> {
    const now = this.#now().getTime();
    const recent = startOfDay(now) - RECENT_DAYS * DAY_MS;
    const end = Math.min(startOfDay(this.#options.before.getTime()), recent);
    const seq = await this.#head('seq', 'change_head');
    const batch = await this.#head('batch', 'receipt_head');
    const retention = await this.#retention();

    const kept: KeptDay[] = [];
    const stays: string[] = [];
    const goes: Day[] = [];
    for (const day of await this.#days(recent)) {
      const over = endOf(day.day);
      const keeper = over > end ? undefined : retention.keeper(await this.#tenants(day), over, now);
      if (over > end || keeper) stays.push(day.day);
      else goes.push(day);
      if (keeper) kept.push({ day: day.day, reason: `tenant ${keeper.tenant} keeps ${keeper.days} days` });
    }
    const taken = this.#options.dryRun ? goes : goes.slice(0, DAYS_TOGETHER);
    const days: (Day & PrunedDay)[] = [];
    for (const day of taken) days.push({ ...day, receipts: await this.#count(day) });
    stays.push(...goes.slice(taken.length).map(({ day }) => day));
    const gone = await this.#gone(days, stays);
    for (let day = recent; day < startOfDay(this.#options.before.getTime()) && day <= now; day += DAY_MS) {
      kept.push({ day: dayAt(day), reason: 'receipts of today and yesterday may still arrive' });
    }
    const batches = days.length > 0 ? await this.#removableBatches(gone, batch) : undefined;
    return { seq, batch, before: dayAt(end), days, kept, batches, gone, more: taken.length < goes.length };
  }

  async #head(column: 'seq' | 'batch', table: 'change_head' | 'receipt_head'): Promise<number> {
    const [head] = await this.#rows<{ value: string }>(`select ${column} as value from ${table}`);
    return Number(head!.value);
  }

  async #retention(): Promise<Retention> {
    return new Retention(
      await this.#rows<RetentionRow>(
        `select tenant, coalesce(parent, '') as parent, receipt_retention_days as days from tenant`,
      ),
    );
  }

  /** The days before a time with a partition, empty ones too, or with strays. */
  async #days(before: number): Promise<Day[]> {
    const days = new Map<string, Day>();
    const names = await this.#rows<{ day: string }>(
      `select regexp_replace(relname, '^receipt_(\\d{4})(\\d\\d)(\\d\\d)$', '\\1-\\2-\\3') as day
       from pg_inherits join pg_class on pg_class.oid = inhrelid where inhparent = 'receipt'::regclass`,
    );
    for (const { day } of names) if (endOf(day) <= before) days.set(day, { day, partition: true, strays: false });
    for (let from = 0; from < before; ) {
      const [stray] = await this.#rows<{ id: string }>(
        'select render_id as id from receipt_stray where render_id >= $1 and render_id < $2 order by 1 limit 1',
        [firstId(from), firstId(before)],
      );
      if (stray === undefined) break;
      const day = dayOf(stray.id);
      days.set(day, { day, partition: days.has(day), strays: true });
      from = endOf(day);
    }
    return [...days.values()].toSorted((a, b) => (a.day < b.day ? -1 : 1));
  }

  /** Who asked for the renders of a day. */
  async #tenants({ day, partition, strays }: Day): Promise<string[]> {
    const found: { tenant: string }[] = [];
    // From one tenant to the next in the index: the day may have millions of receipts.
    if (partition) {
      const next = `select requested_tenant from ${partitionOf('receipt', day)}`;
      found.push(
        ...(await this.#rows<{ tenant: string }>(
          `with recursive tenants as (
             (${next} order by requested_tenant limit 1)
             union all
             select (${next} where requested_tenant > t.requested_tenant order by requested_tenant limit 1)
             from tenants t where t.requested_tenant is not null
           )
           select requested_tenant as tenant from tenants where requested_tenant is not null`,
        )),
      );
    }
    if (strays) {
      const sql = `select distinct requested_tenant as tenant from receipt_stray where ${OF_DAY}`;
      found.push(...(await this.#rows<{ tenant: string }>(sql, idsOf(day))));
    }
    return [...new Set(found.map(({ tenant }) => tenant))];
  }

  async #count({ day, partition, strays }: Day): Promise<number> {
    let count = 0;
    if (partition) count += await this.#number(`select count(*) as n from ${partitionOf('receipt', day)}`);
    if (strays) count += await this.#number(`select count(*) as n from receipt_stray where ${OF_DAY}`, idsOf(day));
    return count;
  }

  /** The days that went before, or go now, and have no receipts. */
  async #gone(days: readonly PrunedDay[], stays: readonly string[]): Promise<string[]> {
    const details = await this.#rows<{ detail: string }>(
      `select detail from change where entity_id = '' and action = 'PRUNE'`,
    );
    const went = details.flatMap(({ detail }) => (parseJson(detail) as { days: string[] }).days);
    const staying = new Set(stays);
    return [...new Set([...went, ...days.map(({ day }) => day)])].filter((day) => !staying.has(day));
  }

  /** The first batches of the chain, as long as no receipt is left of any of them. */
  async #removableBatches(gone: readonly string[], last: number): Promise<RemovedBatches | undefined> {
    const [removed] = await this.#rows<{ batch: string; chain_hash: string }>(
      `select batch, chain_hash from receipt_batch
       where batch <= $2 and batch < coalesce(
         (select batch from receipt_batch where day <> all($1::date[]) order by batch limit 1), $2 + 1)
       order by batch desc limit 1`,
      [gone, last],
    );
    return removed && { through: Number(removed.batch), chainHash: removed.chain_hash };
  }

  /** @returns the seq of the change @throws Outdated */
  async #carryOut(plan: Plan): Promise<number> {
    const { days, batches } = plan;
    await this.#rows('select 1 from receipt_head for update');
    const [head] = await this.#rows<{ seq: string; chain_hash: string }>(
      'select seq, chain_hash from change_head for update',
    );
    await this.#requireUpToDate(plan);

    const partitions = days.filter(({ partition }) => partition).map(({ day }) => day);
    if (partitions.length > 0) {
      // In the order in which readers lock them.
      const receipts = partitions.map((day) => partitionOf('receipt', day));
      const payloads = partitions.map((day) => partitionOf('receipt_payload', day));
      await this.#client.query(`drop table ${[...receipts, ...payloads].join(', ')}`);
    }
    const strays = days.filter((day) => day.strays).map(({ day }) => idsOf(day));
    if (strays.length > 0) {
      await this.#unprotected('receipt_stray', async () => {
        for (const ids of strays) await this.#client.query(`delete from receipt_stray where ${OF_DAY}`, ids);
      });
      for (const ids of strays) await this.#client.query(`delete from receipt_payload_stray where ${OF_DAY}`, ids);
    }
    if (batches) {
      await this.#unprotected('receipt_batch', async () => {
        await this.#client.query('delete from receipt_batch where batch <= $1', [batches.through]);
      });
    }
    return this.#append(plan, Number(head!.seq), head!.chain_hash);
  }

  /** Both chains are locked: what holds now holds until the end. */
  async #requireUpToDate({ seq, batch, gone }: Plan): Promise<void> {
    const [now] = await this.#rows<{ outdated: boolean }>(
      `select exists (select from receipt_batch where batch > $1 and day = any($2::date[]))
         or exists (select from change where seq > $3 and entity_kind = 'TENANT') as outdated`,
      [batch, gone, seq],
    );
    if (now!.outdated) throw new Outdated();
  }

  /** Rows of an append-only table may be deleted meanwhile: by this transaction, since it locks all others out. */
  async #unprotected(table: 'receipt_stray' | 'receipt_batch', work: () => Promise<void>): Promise<void> {
    await this.#client.query(`alter table ${table} disable trigger append_only`);
    await work();
    await this.#client.query(`alter table ${table} enable trigger append_only`);
  }

  async #append(plan: Plan, lastSeq: number, prev: string): Promise<number> {
    const written = { seq: lastSeq + 1, time: this.#now(), actor: ACTOR, requestId: '', traceId: '' };
    const change = { ...pruneChange(plan), ...written };
    const chainHash = changeHash(change, prev);
    await this.#client.query(
      `insert into change (seq, time, actor, action, tenant, entity_kind, entity_id, before_hash, after_hash, detail,
         request_id, trace_id, prev_hash, chain_hash)
       values ($1, $2, $3, $4, $5, $6, '', '', '', $7, '', '', $8, $9)`,
      [
        change.seq,
        change.time,
        change.actor,
        change.action,
        change.tenant,
        change.entityKind,
        canonicalJson(change.detail),
        prev,
        chainHash,
      ],
    );
    await this.#client.query('update change_head set seq = $1, chain_hash = $2', [change.seq, chainHash]);
    await this.#client.query('select pg_notify($1, $2)', [CHANGE_NOTIFICATION, String(change.seq)]);
    return change.seq;
  }

  async #number(sql: string, values: readonly unknown[] = []): Promise<number> {
    const [row] = await this.#rows<{ n: string }>(sql, values);
    return Number(row!.n);
  }

  async #rows<T extends object>(sql: string, values: readonly unknown[] = []): Promise<T[]> {
    return (await this.#client.query<T>(sql, [...values])).rows;
  }
}

/** What verification needs to know of it (docs/hashes.md). */
function pruneChange({ before, days, batch, batches }: Plan): ChangeEntry {
  const detail: JsonObject = {
    before,
    days: days.map(({ day }) => day),
    through: batch,
    receipts: days.reduce((sum, { receipts }) => sum + receipts, 0),
    ...(batches && { batches: { removed_through: batches.through, chain_hash: batches.chainHash } }),
  };
  const entity = { tenant: ROOT_TENANT, entityKind: 'RECEIPT', entityId: '' } as const;
  return { action: 'PRUNE', ...entity, beforeHash: '', afterHash: '', detail };
}

const OF_DAY = 'render_id >= $1 and render_id < $2';

function idsOf(day: string): [string, string] {
  return [firstId(Date.parse(day)), firstId(endOf(day))];
}

function partitionOf(table: string, day: string): string {
  return `${table}_${day.replaceAll('-', '')}`;
}

function startOfDay(time: number): number {
  return Math.floor(time / DAY_MS) * DAY_MS;
}

function endOf(day: string): number {
  return Date.parse(day) + DAY_MS;
}

function dayAt(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/** The least UUIDv7 of a time (RFC 9562: it begins with 48 bits of milliseconds). */
function firstId(time: number): string {
  const milliseconds = time.toString(16).padStart(12, '0');
  return `${milliseconds.slice(0, 8)}-${milliseconds.slice(8)}-0000-0000-000000000000`;
}
