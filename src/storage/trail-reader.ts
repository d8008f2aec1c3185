import type {
  BatchRange,
  Link,
  PrunedDays,
  ReceiptPlace,
  StoredBatch,
  StoredChange,
  StoredDocument,
  StoredReceipt,
  TrailReader,
} from '../audit/verification.ts';
import type { EntityAccess } from './database.ts';

/** Rows of a page: a fraction of a second of work, and of what a thread may hold. */
const PAGE_ROWS = 2_000;

/** A page of documents ends with the one that makes it larger than that. */
const PAGE_BYTES = 4 * 2 ** 20;

/** Rows that are counted by one statement. */
const COUNTED_ROWS = 200_000;

/** The trail in PostgreSQL, as it is stored. Each statement reads one page along an index. */
export class PostgresTrailReader implements TrailReader {
  readonly #access: EntityAccess;
  readonly #pageRows: number;

  constructor(access: EntityAccess, pageRows = PAGE_ROWS) {
    this.#access = access;
    this.#pageRows = pageRows;
  }

  async heads(): Promise<{ changes: Link | undefined; batches: Link | undefined }> {
    const [changes, batches] = await this.#rows<Stored<Link>>(
      `select c.seq as number, c.chain_hash as hash from (values (1)) one left join change_head c on true
      union all
      select b.batch, b.chain_hash from (values (1)) one left join receipt_head b on true`,
    );
    return { changes: linkOf(changes!), batches: linkOf(batches!) };
  }

  async countDocuments(): Promise<number> {
    let count = 0;
    for (let last: string | null = ''; last !== null; ) {
      const [page]: { rows: string; last: string | null }[] = await this.#rows(
        `select count(*) as rows, max(hash) as last
        from (select hash from document where hash > ? order by hash limit ?) page`,
        [last, COUNTED_ROWS],
      );
      count += Number(page!.rows);
      last = page!.last;
    }
    return count;
  }

  async countReceipts(last: number, pruned: PrunedDays): Promise<number> {
    const days = JSON.stringify(Array.from(pruned, ([day, through]) => ({ day, through })));
    let count = 0;
    for (let after: string | null = '0'; after !== null; ) {
      const [page]: { receipts: string | null; last: string | null }[] = await this.#rows(
        `select sum(b.count) filter (where p.day is null) as receipts, max(b.batch) as last
        from (select batch, day, count from receipt_batch where batch > ? and batch <= ? order by batch limit ?) b
        left join jsonb_to_recordset(?::jsonb) p (day date, through bigint) on p.day = b.day and b.batch <= p.through`,
        [after, last, COUNTED_ROWS, days],
      );
      count += Number(page!.receipts);
      after = page!.last;
    }
    return count;
  }

  documents(after: string): Promise<StoredDocument[]> {
    return this.#rows<StoredDocument>(
      `select hash, content
      from (
        select hash, content, sum(octet_length(content)) over (order by hash) - octet_length(content) as before
        from (select hash, content from document where hash > ? order by hash limit ?) page
      ) sized
      where before < ? order by hash`,
      [after, this.#pageRows, PAGE_BYTES],
    );
  }

  async missingDocuments(hashes: readonly string[]): Promise<string[]> {
    const rows = await this.#rows<{ hash: string }>(
      `select named.hash from jsonb_array_elements_text(?::jsonb) named (hash)
      where not exists (select from document d where d.hash = named.hash)`,
      [JSON.stringify(hashes)],
    );
    return rows.map(({ hash }) => hash);
  }

  async changes(after: number, last: number): Promise<StoredChange[]> {
    const sql = `select ${CHANGE} from change where seq > ? and seq <= ? order by seq limit ?`;
    return (await this.#rows<Stored<StoredChange>>(sql, [after, last, this.#pageRows])).map(changeOf);
  }

  async prunes(last: number): Promise<StoredChange[]> {
    // The empty id is in an index; the action is not.
    const sql = `select ${CHANGE} from change where entity_id = '' and action = 'PRUNE' and seq <= ? order by seq`;
    return (await this.#rows<Stored<StoredChange>>(sql, [last])).map(changeOf);
  }

  changeOutside(): Promise<number | undefined> {
    return this.#first(
      `(select seq as number from change where seq < 1 order by seq limit 1)
      union all
      (select seq from change where seq > (select seq from change_head) order by seq limit 1)
      limit 1`,
      [],
    );
  }

  async batches(after: number, last: number): Promise<StoredBatch[]> {
    const rows = await this.#rows<Stored<StoredBatch>>(
      `select batch, ${milliseconds('time')}, to_char(day, 'YYYY-MM-DD') as day, count, root,
        prev_hash as "prevHash", chain_hash as "chainHash"
      from receipt_batch where batch > ? and batch <= ? order by batch limit ?`,
      [after, last, this.#pageRows],
    );
    return rows.map((row) => ({ ...row, batch: Number(row.batch), time: new Date(Number(row.time)) }));
  }

  batchOutside(after: number): Promise<number | undefined> {
    return this.#first(
      `(select batch as number from receipt_batch where batch <= ? order by batch limit 1)
      union all
      (select batch from receipt_batch where batch > (select batch from receipt_head) order by batch limit 1)
      limit 1`,
      [after],
    );
  }

  async receipts(range: BatchRange, after: StoredReceipt | undefined): Promise<StoredReceipt[]> {
    const place = after && [after.batch, after.batchPos, after.renderId, after.stray];
    const rows = await this.#rows<Stored<StoredReceipt>>(
      `select *
      from (
        select ${RECEIPT}, false as stray from receipt where ${OF_BATCHES} and ${OF_DAYS}
        union all
        select ${RECEIPT}, true from receipt_stray where ${OF_BATCHES} and ${OF_DAYS}
      ) r
      ${place ? 'where (batch, "batchPos", "renderId", stray) > (?, ?, ?, ?)' : ''}
      order by batch, "batchPos", "renderId", stray limit ?`,
      [...rangeOf(range), ...rangeOf(range), ...(place ?? []), this.#pageRows],
    );
    return rows.map((row) => ({
      ...row,
      time: new Date(Number(row.time)),
      durationUs: Number(row.durationUs),
      seq: Number(row.seq),
      batch: Number(row.batch),
    }));
  }

  receiptOfOtherDay(range: BatchRange): Promise<ReceiptPlace | undefined> {
    const where = `${OF_BATCHES} and not (${OF_DAYS})`;
    const parameters = [...rangeOf(range), ...rangeOf(range)];
    return this.#place([`receipt where ${where}`, `receipt_stray where ${where}`], parameters);
  }

  receiptOutside(after: number): Promise<ReceiptPlace | undefined> {
    const beyond = 'batch > (select batch from receipt_head)';
    return this.#place(
      [
        'receipt where batch <= ?',
        'receipt_stray where batch <= ?',
        `receipt where ${beyond}`,
        `receipt_stray where ${beyond}`,
      ],
      [after, after],
    );
  }

  /** In the order of the index on the batch, which finds at once that there are none. */
  async #place(sources: readonly string[], parameters: unknown[]): Promise<ReceiptPlace | undefined> {
    const firsts = sources.map((source) => `(select render_id, batch from ${source} order by batch limit 1)`);
    const [row] = await this.#rows<Stored<ReceiptPlace>>(
      `select render_id as "renderId", batch from (${firsts.join(' union all ')}) places order by batch limit 1`,
      parameters,
    );
    return row && { renderId: row.renderId, batch: Number(row.batch) };
  }

  async #first(sql: string, parameters: unknown[]): Promise<number | undefined> {
    const [row] = await this.#rows<{ number: string }>(sql, parameters);
    return row && Number(row.number);
  }

  #rows<Row extends object>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    return this.#access((em) => em.execute<Row[]>(sql, parameters));
  }
}

/** Parameters: rangeOf. */
const OF_BATCHES = 'batch between ? and ?';
const OF_DAYS = 'render_id >= platen_day_bound(?::date) and render_id < platen_day_bound(?::date + 1)';

function rangeOf({ first, last, firstDay, lastDay }: BatchRange): [number, number, string, string] {
  return [first, last, firstDay, lastDay];
}

/** As the driver gives it: no number of 64 bits is one of JavaScript's, and times are milliseconds since the epoch. */
type Stored<T> = {
  readonly [K in keyof T]: K extends 'number' | 'seq' | 'batch' | 'durationUs' | 'time' ? string : T[K];
};

/** A time that cannot be told so, as infinity, is that of no entry. */
function milliseconds(column: string): string {
  return `case when isfinite(${column}) then (extract(epoch from ${column}) * 1000)::bigint end as ${column}`;
}

function hex(column: string, name: string): string {
  return `encode(${column}, 'hex') as "${name}"`;
}

const CHANGE = `seq, ${milliseconds('time')}, actor, action, tenant, entity_kind as "entityKind",
  entity_id as "entityId", before_hash as "beforeHash", after_hash as "afterHash", detail,
  request_id as "requestId", trace_id as "traceId", prev_hash as "prevHash", chain_hash as "chainHash"`;

const RECEIPT = `render_id as "renderId", ${milliseconds('time')}, duration_us as "durationUs",
  requested_tenant as "requestedTenant", requested_bundle_id as "requestedBundleId",
  requested_version as "requestedVersion", requested_type as "requestedType", capture_policy as "capturePolicy",
  tenant, bundle_id as "bundleId", version, channel, revision, seq, source, ${hex('rendered_hash', 'renderedHash')},
  ${hex('bundle_hash', 'bundleHash')}, ${hex('personality_hash', 'personalityHash')},
  ${hex('constraints_hash', 'constraintsHash')}, ${hex('variables_hash', 'variablesHash')},
  ${hex('placeholders_hash', 'placeholdersHash')}, ${hex('messages_hash', 'messagesHash')},
  renderer_version as "rendererVersion", caller, request_id as "requestId", labels, trace_id as "traceId",
  ${hex('receipt_hash', 'receiptHash')}, batch, batch_pos as "batchPos"`;

function linkOf({ number, hash }: Stored<Link>): Link | undefined {
  return number === null ? undefined : { number: Number(number), hash };
}

function changeOf(row: Stored<StoredChange>): StoredChange {
  return { ...row, seq: Number(row.seq), time: new Date(Number(row.time)) };
}
