import { Migration } from '@mikro-orm/migrations';
import { CHAIN_ORIGIN } from '../../audit/hash-chain.ts';
import { appendOnly } from './append-only.ts';

/** Receipts by UTC day, their erasable values, and their chain. */
export class ReceiptsMigration extends Migration {
  override up(): void {
    this.addSql(TABLES);
    for (const table of ['receipt', 'receipt_stray', 'receipt_batch']) this.addSql(appendOnly(table));
    for (const table of ['receipt_payload', 'receipt_payload_stray']) {
      this.addSql(`
create trigger append_only before update on ${table} for each row execute function platen_refuse()`);
    }
    this.addSql(PARTITIONS);
    this.addSql(GRANTS);
    this.addSql(`insert into receipt_head values (true, 0, '${CHAIN_ORIGIN}')`);
  }
}

const TABLES = `
create table receipt (
  render_id uuid primary key,
  time timestamptz(3) not null,
  duration_us bigint not null check (duration_us >= 0),
  requested_tenant text collate "C" not null,
  requested_bundle_id text collate "C" not null,
  requested_version text not null,
  requested_type text not null,
  capture_policy text not null,
  tenant text collate "C" not null,
  bundle_id text collate "C" not null,
  version text not null,
  channel text not null,
  revision integer not null,
  seq bigint not null,
  source text not null,
  rendered_hash hash not null,
  bundle_hash hash_or_empty not null,
  personality_hash hash_or_empty not null,
  constraints_hash hash_or_empty not null,
  variables_hash hash_or_empty not null,
  placeholders_hash hash_or_empty not null,
  messages_hash hash_or_empty not null,
  renderer_version integer not null,
  caller text collate "C" not null,
  request_id text collate "C" not null,
  labels text not null,
  trace_id text not null,
  receipt_hash hash not null,
  batch bigint not null,
  batch_pos integer not null
) partition by range (render_id);
create index on receipt (requested_tenant, render_id);
create index on receipt (bundle_hash, render_id);
create index on receipt (personality_hash, render_id);
create index on receipt (caller, render_id);
create index on receipt (request_id, render_id);
create index on receipt using brin (time);
create index on receipt (batch);
create table receipt_stray (like receipt including all);

create table receipt_payload (
  render_id uuid primary key,
  inputs text not null
) partition by range (render_id);
create table receipt_payload_stray (like receipt_payload including all);

create table receipt_batch (
  batch bigint primary key check (batch > 0),
  day date not null,
  count integer not null check (count > 0),
  root hash not null,
  prev_hash hash not null,
  chain_hash hash not null,
  time timestamptz(3) not null
);

create table receipt_head (
  one boolean primary key check (one),
  batch bigint not null,
  chain_hash hash not null
);`;

/**
 * A UUIDv7 begins with 48 bits of milliseconds (RFC 9562), so a day is a range of ids. A partition takes the row
 * triggers of its parent, but not the one against TRUNCATE. The server owns nothing, hence SECURITY DEFINER; the bounds
 * on the day keep it from making tables at will.
 */
const PARTITIONS = `
create function platen_day_bound(day date) returns uuid language sql immutable
  set search_path = pg_catalog, pg_temp
  return (lpad(to_hex((extract(epoch from day) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

do $outer$ begin execute format($create$
create function platen_ensure_receipt_partition(day date) returns boolean language plpgsql security definer
  set search_path = %I, pg_temp as $$
declare
  today date := (now() at time zone 'UTC')::date;
  receipts text := 'receipt_' || to_char(day, 'YYYYMMDD');
  payloads text := 'receipt_payload_' || to_char(day, 'YYYYMMDD');
begin
  perform pg_advisory_xact_lock(hashtextextended('platen receipt partition', 0));
  if to_regclass(receipts) is not null then
    return true;
  end if;
  if day not between today - 1 and today + 8 then
    return false;
  end if;
  execute format('create table %%I partition of receipt for values from (%%L) to (%%L)',
    receipts, platen_day_bound(day), platen_day_bound(day + 1));
  execute format('create trigger append_only_truncate before truncate on %%I for each statement execute function '
    'platen_refuse()', receipts);
  execute format('grant select, insert on %%I to platen_server', receipts);
  execute format('create table %%I partition of receipt_payload for values from (%%L) to (%%L)',
    payloads, platen_day_bound(day), platen_day_bound(day + 1));
  execute format('grant select, insert, delete on %%I to platen_server', payloads);
  return true;
end
$$ $create$, current_schema); end $outer$;
revoke execute on function platen_ensure_receipt_partition(date) from public;
grant execute on function platen_ensure_receipt_partition(date) to platen_server;`;

const GRANTS = `
grant select, insert on receipt, receipt_stray, receipt_payload, receipt_payload_stray, receipt_batch to platen_server;
grant select, update on receipt_head to platen_server;
grant delete on receipt_payload, receipt_payload_stray to platen_server`;
