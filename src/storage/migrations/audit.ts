import { Migration } from '@mikro-orm/migrations';
import { appendOnly } from './append-only.ts';

/**
 * Receipts that a drainer moves in by the thousand: hashes as bytes, indexes for the queries that there are, partitions
 * that are attached; filters of changes; erasures; retention.
 */
export class AuditMigration extends Migration {
  override up(): void {
    this.addSql(DROP_INDEXES);
    for (const table of ['receipt', 'receipt_stray']) this.addSql(hashesAsBytes(table));
    this.addSql(CREATE_INDEXES);
    this.addSql(PARTITIONS);
    this.addSql(ERASURE);
    this.addSql(appendOnly('erasure'));
    this.addSql(RETENTION);
    this.addSql(TEMPORARY);
  }
}

/** First of all: an index is not built again for every column whose type changes. */
const DROP_INDEXES = `
do $$
declare
  index regclass;
begin
  for index in
    select indexrelid from pg_index
    where indrelid in ('receipt'::regclass, 'receipt_stray'::regclass) and not indisprimary
  loop
    execute format('drop index %s', index);
  end loop;
end
$$`;

const HASHES = {
  rendered_hash: '= 32',
  bundle_hash: 'in (0, 32)',
  personality_hash: 'in (0, 32)',
  constraints_hash: 'in (0, 32)',
  variables_hash: 'in (0, 32)',
  placeholders_hash: 'in (0, 32)',
  messages_hash: 'in (0, 32)',
  receipt_hash: '= 32',
};

/** A regular expression for each hash of each row took three quarters of the time of an insert. */
function hashesAsBytes(table: string): string {
  const changes = Object.entries(HASHES).flatMap(([column, lengths]) => [
    `alter column ${column} type bytea using decode(${column}, 'hex')`,
    `add check (octet_length(${column}) ${lengths})`,
  ]);
  return `alter table ${table} ${changes.join(', ')}`;
}

/**
 * Each serves a filter of ListReceipts, and costs every receipt bytes and time (bench/drain.ts). The primary key is the
 * index of time: a UUIDv7 begins with it. What is mostly empty is indexed where it is not. The batch is for
 * verification. Strays are few, and are found by their primary key as far as these do not help. Hashes are indexed
 * whole, though eight bytes of each would take 50 bytes less for each receipt and index: a query must then ask for
 * both, which PostgreSQL takes for independent conditions, and it reads all receipts of a bundle for a page.
 *
 * There is none for bundle_id and labels. A page by these reads back from the latest receipt until it is full, which is
 * soon for what is frequent; for what is rare it takes about half a second (bundle_id) or more than a second (labels)
 * for a million receipts without a time range or another filter (bench/list-receipts.ts). An index of bundle_id would
 * cost as much as that of the caller, some 120 bytes and 2 µs of 40 for each receipt, while bundle_hash finds the same
 * by version; one of labels (GIN) several times as much.
 */
const CREATE_INDEXES = `
create index on receipt (requested_tenant, render_id);
create index on receipt (bundle_hash, render_id);
create index on receipt (personality_hash, render_id) where personality_hash <> '';
create index on receipt (caller, render_id);
create index on receipt (request_id, render_id) where request_id <> '';
create index on receipt (batch);
create index on receipt_stray (requested_tenant, render_id);
create index on receipt_stray (bundle_hash, render_id);
create index on receipt_stray (caller, render_id);
create index on receipt_stray (batch);
create index on change (before_hash) where before_hash <> '';
create index on change (after_hash) where after_hash <> '';
create index on change (time)`;

/**
 * As in 0002, but a partition is made as a table of its own and attached. CREATE TABLE ... PARTITION OF locks the whole
 * table against readers and writers and waits for those that there are; ATTACH PARTITION, of an empty table, does not.
 * A table of the partition's name that was detached stays as it is, and the day's receipts go to receipt_stray.
 * Looked up by a query, whose snapshot is of now: to_regclass may answer from before the wait for the lock.
 */
const PARTITIONS = `
do $outer$ begin execute format($create$
create or replace function platen_ensure_receipt_partition(day date) returns boolean language plpgsql security definer
  set search_path = %1$I, pg_temp set lock_timeout = '1s' as $$
declare
  today date := (now() at time zone 'UTC')::date;
  receipts text := 'receipt_' || to_char(day, 'YYYYMMDD');
  payloads text := 'receipt_payload_' || to_char(day, 'YYYYMMDD');
  bounds text := format('for values from (%%L) to (%%L)', platen_day_bound(day), platen_day_bound(day + 1));
begin
  if day between today - 1 and today + 8
    and not exists (select from pg_class where relname = receipts and relnamespace = '%1$I'::regnamespace)
  then
    perform pg_advisory_xact_lock(hashtextextended('platen receipt partition', 0));
    if not exists (select from pg_class where relname = receipts and relnamespace = '%1$I'::regnamespace) then
      execute format('create table %%I (like receipt including all)', receipts);
      execute format('create trigger append_only_truncate before truncate on %%I for each statement '
        'execute function platen_refuse()', receipts);
      execute format('grant select, insert on %%I to platen_server', receipts);
      execute format('create table %%I (like receipt_payload including all)', payloads);
      execute format('grant select, insert, delete on %%I to platen_server', payloads);
      execute format('alter table receipt attach partition %%I %%s', receipts, bounds);
      execute format('alter table receipt_payload attach partition %%I %%s', payloads, bounds);
    end if;
  end if;
  return exists (
    select from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = 'receipt'::regclass and relname = receipts
  );
end
$$ $create$, current_schema); end $outer$`;

/** Which values must not arrive any more; what had arrived was deleted by the transaction that wrote the row. */
const ERASURE = `
create table erasure (
  seq bigint primary key references change,
  requested_tenant text collate "C" not null,
  caller text collate "C" not null,
  labels text not null,
  first_id uuid not null,
  end_id uuid not null
);
create index on erasure (end_id);
grant select, insert on erasure to platen_server`;

const RETENTION = `
alter table tenant add column receipt_retention_days integer not null default 0 check (receipt_retention_days >= 0)`;

/** For the drainer's staging table. Everybody has it, unless the database's owner has taken it away. */
const TEMPORARY = `
do $$ begin execute format('grant temporary on database %I to platen_server', current_database()); end $$`;
