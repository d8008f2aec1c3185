import { Migration } from '@mikro-orm/migrations';
import { CHAIN_ORIGIN, changeHash } from '../../audit/hash-chain.ts';
import { ROOT_TENANT, tenantDocument } from '../../domain/tenant.ts';
import type { ChangeRecord } from '../../services/trail.ts';
import { appendOnly } from './append-only.ts';

/** The registry, its change log and the stored responses; the root tenant is the log's first change. */
export class RegistryMigration extends Migration {
  override up(): void {
    this.addSql(SERVER_ROLE);
    this.addSql(TABLES);
    this.addSql(REFUSE);
    for (const table of ['document', 'template_version', 'bundle_version', 'bundle_version_pin', 'release', 'change']) {
      this.addSql(appendOnly(table));
    }
    this.addSql(GRANTS);
    for (const statement of rootTenant(new Date())) this.addSql(statement);
  }
}

/**
 * Roles belong to the cluster, so migrations of two databases may create it at once; and where the owner may not create
 * roles somebody else has to.
 */
const SERVER_ROLE = `
do $$
begin
  if to_regrole('platen_server') is null then
    create role platen_server nologin;
  end if;
exception
  when duplicate_object or unique_violation then
    null;
  when insufficient_privilege then
    raise insufficient_privilege using
      message = format('role %I may not create the role platen_server', current_user),
      hint = 'run CREATE ROLE platen_server NOLOGIN as a role that may, grant it to the server''s login, migrate again';
end
$$`;

const TABLES = `
create domain hash as text collate "C" check (value ~ '^[0-9a-f]{64}$');
create domain hash_or_empty as text collate "C" check (value ~ '^([0-9a-f]{64})?$');

create table document (
  hash hash primary key,
  content text not null check (hash = encode(sha256(convert_to(content, 'UTF8')), 'hex'))
);

create table tenant (
  tenant text collate "C" primary key,
  parent text collate "C" references tenant check ((parent is null) = (tenant = 'default')),
  display_name text not null,
  variables text not null,
  capture_policy text not null,
  edit_version integer not null check (edit_version > 0),
  document_hash hash not null references document,
  create_time timestamptz(3) not null,
  update_time timestamptz(3) not null,
  update_actor text not null
);
create index on tenant (parent);

create table template (
  tenant text collate "C" not null references tenant,
  id text collate "C" not null,
  type text not null,
  edit_version integer not null check (edit_version > 0),
  draft_hash hash not null references document,
  latest_version text not null,
  create_time timestamptz(3) not null,
  update_time timestamptz(3) not null,
  update_actor text not null,
  archive_time timestamptz(3),
  primary key (tenant, id)
);

create table template_version (
  tenant text collate "C" not null,
  id text collate "C" not null,
  version text collate "C" not null,
  position bigint generated always as identity,
  type text not null,
  document_hash hash not null references document,
  edit_version integer not null,
  create_time timestamptz(3) not null,
  create_actor text not null,
  primary key (tenant, id, version),
  foreign key (tenant, id) references template
);
create index on template_version (tenant, id, position);

create table bundle (like template including all);
alter table bundle add foreign key (tenant) references tenant, add foreign key (draft_hash) references document;

create table bundle_reference (
  tenant text collate "C" not null,
  bundle_id text collate "C" not null,
  template_id text collate "C" not null,
  version text collate "C" not null,
  primary key (tenant, bundle_id, template_id, version),
  foreign key (tenant, bundle_id) references bundle
);
create index on bundle_reference (template_id);

create table bundle_version (
  tenant text collate "C" not null,
  id text collate "C" not null,
  version text collate "C" not null,
  position bigint generated always as identity,
  type text not null,
  draft_hash hash not null references document,
  snapshot_hash hash not null references document,
  personality_hash hash_or_empty not null,
  constraints_hash hash not null,
  edit_version integer not null,
  create_time timestamptz(3) not null,
  create_actor text not null,
  primary key (tenant, id, version),
  foreign key (tenant, id) references bundle
);
create index on bundle_version (tenant, id, position);
create index on bundle_version (snapshot_hash);
create index on bundle_version (personality_hash);

create table bundle_version_pin (
  tenant text collate "C" not null,
  bundle_id text collate "C" not null,
  version text collate "C" not null,
  ordinal integer not null,
  template_tenant text collate "C" not null,
  template_id text collate "C" not null,
  template_version text collate "C" not null,
  primary key (tenant, bundle_id, version, ordinal),
  foreign key (tenant, bundle_id, version) references bundle_version,
  foreign key (template_tenant, template_id, template_version) references template_version
);
create index on bundle_version_pin (template_tenant, template_id);

create table change (
  seq bigint primary key check (seq > 0),
  time timestamptz(3) not null,
  actor text collate "C" not null,
  action text not null,
  tenant text collate "C" not null,
  entity_kind text not null,
  entity_id text collate "C" not null,
  before_hash hash_or_empty not null,
  after_hash hash_or_empty not null,
  detail text not null,
  request_id text not null,
  trace_id text not null,
  prev_hash hash not null,
  chain_hash hash not null
);
create index on change (tenant, seq);
create index on change (entity_id, seq);
create index on change (actor, seq);

create table change_head (
  one boolean primary key check (one),
  seq bigint not null,
  chain_hash hash not null
);

create table release (
  tenant text collate "C" not null,
  bundle_id text collate "C" not null,
  channel text collate "C" not null,
  revision integer not null check (revision > 0),
  kind text not null,
  targets text not null,
  origin_revision integer not null,
  seq bigint not null references change,
  create_time timestamptz(3) not null,
  create_actor text not null,
  primary key (tenant, bundle_id, channel, revision),
  foreign key (tenant, bundle_id) references bundle
);
create index on release (tenant, bundle_id, seq);

create table channel (
  tenant text collate "C" not null,
  bundle_id text collate "C" not null,
  channel text collate "C" not null,
  revision integer not null,
  primary key (tenant, bundle_id, channel),
  foreign key (tenant, bundle_id, channel, revision) references release
);

create table activation (
  tenant text collate "C" not null references tenant,
  type text collate "C" not null,
  bundle_id text collate "C" not null,
  revision integer not null check (revision > 0),
  seq bigint not null references change,
  update_time timestamptz(3) not null,
  update_actor text not null,
  primary key (tenant, type)
);
create index on activation (bundle_id);

create table request (
  caller text collate "C" not null,
  rpc text collate "C" not null,
  request_id text collate "C" not null,
  fingerprint text not null,
  response bytea not null,
  seq bigint not null,
  time timestamptz(3) not null,
  primary key (caller, rpc, request_id)
);
create index on request (time);`;

const REFUSE = `
create function platen_refuse() returns trigger language plpgsql as $$
begin
  raise exception 'table % is append-only: % is refused', tg_table_name, tg_op using errcode = 'PLT01';
end
$$`;

const GRANTS = `
do $$ begin execute format('grant usage on schema %I to platen_server', current_schema); end $$;
grant select, insert on document, tenant, template, template_version, bundle, bundle_reference, bundle_version,
  bundle_version_pin, change, release, channel, activation, request to platen_server;
grant select on change_head to platen_server;
grant update on tenant, template, bundle, bundle_reference, channel, activation, change_head, request to platen_server;
grant delete on bundle_reference, request to platen_server`;

function* rootTenant(time: Date): Generator<string> {
  const document = tenantDocument({ parent: '', displayName: '', variables: {}, capturePolicy: 'VARIABLES' });
  const change: Omit<ChangeRecord, 'chainHash'> = {
    seq: 1,
    time,
    actor: 'platen',
    action: 'CREATE',
    tenant: ROOT_TENANT,
    entityKind: 'TENANT',
    entityId: ROOT_TENANT,
    beforeHash: '',
    afterHash: document.hash,
    detail: { edit_version: 1 },
    requestId: '',
    traceId: '',
  };
  const chainHash = changeHash(change, CHAIN_ORIGIN);
  const at = time.toISOString();
  yield `insert into document values ('${document.hash}', '${document.text}')`;
  yield `insert into tenant values ('${ROOT_TENANT}', null, '', '{}', 'VARIABLES', 1, '${document.hash}', '${at}',
    '${at}', 'platen')`;
  yield `insert into change values (1, '${at}', 'platen', 'CREATE', '${ROOT_TENANT}', 'TENANT', '${ROOT_TENANT}', '',
    '${document.hash}', '{"edit_version":1}', '', '', '${CHAIN_ORIGIN}', '${chainHash}')`;
  yield `insert into change_head values (true, 1, '${chainHash}')`;
}
