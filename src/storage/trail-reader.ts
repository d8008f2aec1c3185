import { isDeepStrictEqual } from 'node:util';
import type {
  Columns,
  LastingTable,
  MovingTable,
  PointerPage,
  PointerRow,
} from '../audit/pointer-verification.ts';
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
} from '../audit/stored-trail.ts';
import type { JsonObject } from '../domain/json.ts';
import { parseJson } from '../domain/parse-json.ts';
import type { CapturePolicy } from '../domain/prompt-type.ts';
import { parseTenantDocument, tenantDocument, type TenantContent } from '../domain/tenant.ts';
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

  async moving(table: MovingTable, after: PointerRow | undefined): Promise<PointerPage> {
    const { key, columns } = MOVING[table];
    const page = await this.#pointers(key, `select ${key.join(', ')}, ${columns} from ${table}`, after);
    return table === 'tenant' ? { ...page, rows: page.rows.map(withContentHash) } : page;
  }

  owners(table: LastingTable, after: PointerRow | undefined): Promise<PointerPage> {
    const owner = LASTING[table].key.slice(0, -1);
    const names = owner.join(', ');
    const select = `select ${names}, count(*)::integer as rows from ${table}`;
    return this.#pointers(owner, select, after, `group by ${names}`);
  }

  async lasting(table: LastingTable, keys: PointerRow['key'][]): Promise<PointerRow[]> {
    const { key, columns } = LASTING[table];
    const named = key.map((column, index) => `k.key ->> ${index} as ${column}`);
    const joined = key.map((column) => `r.${column} = k.${column}${column === 'revision' ? '::integer' : ''}`);
    const rows = await this.#rows<Columns>(
      `select ${key.map((column) => `k.${column}`).join(', ')}, ${columns}
      from (select ${named.join(', ')} from jsonb_array_elements(?::jsonb) k (key)) k
      join ${table} r on ${joined.join(' and ')}`,
      [JSON.stringify(keys)],
    );
    return rows.map((row) => pointerOf(key, row));
  }

  /** By one statement, so that rows and head are of one moment. */
  async #pointers(
    key: readonly string[],
    select: string,
    after: PointerRow | undefined,
    grouping = '',
  ): Promise<PointerPage> {
    const order = key.join(', ');
    const beyond = after ? `where (${order}) > (${key.map(() => '?').join(', ')})` : '';
    const rows = await this.#rows<Columns & { readonly head: string }>(
      `select h.seq as head, r.*
      from (select (select seq from change_head) as seq) h
      left join (${select} ${beyond} ${grouping} order by ${order} limit ?) r on true
      order by ${order}`,
      [...(after?.key ?? []), this.#pageRows],
    );
    const there = rows.filter((row) => row[key[0]!] !== null);
    return { head: Number(rows[0]!.head), rows: there.map((row) => pointerOf(key, row)) };
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

interface PointerColumns {
  /** The primary key. */
  readonly key: readonly string[];
  /** The other columns that are compared. */
  readonly columns: string;
}

const DRAFT: PointerColumns = {
  key: ['tenant', 'id'],
  columns: 'type, edit_version, draft_hash, archive_time is not null as archived',
};

const MOVING: Readonly<Record<MovingTable, PointerColumns>> = {
  tenant: {
    key: ['tenant'],
    columns: `edit_version, document_hash, coalesce(parent, '') as parent, display_name, variables, capture_policy,
      receipt_retention_days`,
  },
  template: DRAFT,
  bundle: DRAFT,
  activation: { key: ['tenant', 'type'], columns: 'bundle_id, revision' },
  channel: { key: ['tenant', 'bundle_id', 'channel'], columns: 'revision' },
};

const LASTING: Readonly<Record<LastingTable, PointerColumns>> = {
  template_version: {
    key: ['tenant', 'id', 'version'],
    columns: 'r.type, r.document_hash, r.edit_version, r.create_actor',
  },
  bundle_version: {
    key: ['tenant', 'id', 'version'],
    columns: `r.type, r.draft_hash, r.snapshot_hash, r.edit_version, r.create_actor, coalesce((
        select string_agg(template_tenant || '/' || template_id || '@' || template_version, ' ' order by ordinal)
        from bundle_version_pin p where p.tenant = r.tenant and p.bundle_id = r.id and p.version = r.version
      ), '') as pins`,
  },
  release: {
    key: ['tenant', 'bundle_id', 'channel', 'revision'],
    columns: 'r.kind, r.targets, r.origin_revision, r.seq::float8 as seq, r.create_actor',
  },
};

function pointerOf(key: readonly string[], row: Columns): PointerRow {
  const columns = Object.entries(row).filter(([column]) => column !== 'head' && !key.includes(column));
  return { key: key.map((column) => String(row[column])), columns: Object.fromEntries(columns) };
}

type TenantColumns = {
  readonly edit_version: number;
  readonly document_hash: string;
  readonly parent: string;
  readonly display_name: string;
  readonly variables: string;
  readonly capture_policy: CapturePolicy;
  readonly receipt_retention_days: number;
};

function withContentHash({ key, columns }: PointerRow): PointerRow {
  const { edit_version, document_hash, ...content } = columns as TenantColumns;
  return { key, columns: { edit_version, document_hash, content_hash: contentHash(content) } };
}

function contentHash(columns: Omit<TenantColumns, 'edit_version' | 'document_hash'>): string {
  try {
    const content: TenantContent = {
      parent: columns.parent,
      displayName: columns.display_name,
      variables: parseJson(columns.variables) as JsonObject,
      capturePolicy: columns.capture_policy,
      receiptRetentionDays: columns.receipt_retention_days,
    };
    const { hash, text } = tenantDocument(content);
    // A document leaves out what is empty, and with it what is none, as days below 0.
    return isDeepStrictEqual(parseTenantDocument(text), content) ? hash : '';
  } catch {
    return '';
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
