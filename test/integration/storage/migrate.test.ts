import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { Migrator } from '@mikro-orm/migrations';
import { MikroORM } from '@mikro-orm/postgresql';
import {
  batchHash,
  batchRoot,
  CHAIN_ORIGIN,
  dayOf,
  labelsText,
  receiptHash,
} from '../../../src/audit/hash-chain.ts';
import { Unavailable } from '../../../src/domain/errors.ts';
import { connectionOptions, databaseName, maintenanceUrl } from '../../../src/storage/connection.ts';
import { domainError } from '../../../src/storage/errors.ts';
import { migrate, pendingMigrations } from '../../../src/storage/migrate.ts';
import { MIGRATIONS } from '../../../src/storage/migrations/index.ts';
import { PostgresStores } from '../../../src/storage/postgres-stores.ts';
import { openSession, type Session } from '../../../src/storage/session.ts';
import { DatabaseProxy } from '../../support/database-proxy.ts';
import { asOwner, createEmptyDatabase, type TestDatabase } from '../../support/postgres.ts';
import { assertChainIntact, drain, noon, openChain, suffixOf } from '../../support/storage/chain.ts';
import { receiptRecord } from '../../support/storage/records.ts';
import { openServerDatabase } from '../../support/storage/registry.ts';
import { until } from '../../support/until.ts';

const MIGRATE = new URL('../../support/storage/migrate-process.ts', import.meta.url).pathname;
const NAMES = MIGRATIONS.map(({ name }) => name);
const HASH = 'a'.repeat(64);
const GIVEN_UP = new Error('given up');

function migrateInProcess(ownerUrl: string, serverUrl: string): Promise<unknown> {
  return promisify(execFile)(process.execPath, [MIGRATE, ownerUrl, serverUrl]);
}

async function executed(test: TestDatabase): Promise<string[]> {
  const rows = await asOwner<{ name: string }>(test, 'select name from platen_migration order by id');
  return rows.map(({ name }) => name);
}

describe('Concurrent first starts migrate once', () => {
  let test: TestDatabase;

  beforeEach(async () => {
    test = await createEmptyDatabase();
  });

  afterEach(() => test.drop());

  it('four processes at once on an empty database', async () => {
    await Promise.all(Array.from({ length: 4 }, () => migrateInProcess(test.ownerUrl, test.serverUrl)));
    assert.deepEqual(await executed(test), NAMES);
    assert.equal((await asOwner(test, 'select 1 from change')).length, 1);
  });

  it('four processes at once on a database that is yet to be created', async () => {
    await test.drop();
    await Promise.all(Array.from({ length: 4 }, () => migrateInProcess(test.ownerUrl, test.serverUrl)));
    assert.deepEqual(await executed(test), NAMES);
  });

  it('two databases of one cluster at once', async () => {
    const other = await createEmptyDatabase();
    await Promise.all([test, other].map(({ ownerUrl, serverUrl }) => migrate(ownerUrl, serverUrl)));
    await other.drop();
    assert.deepEqual(await executed(test), NAMES);
  });

  it('a second run changes nothing', async () => {
    await migrate(test.ownerUrl, test.serverUrl);
    await migrate(test.ownerUrl, test.serverUrl);
    assert.deepEqual(await executed(test), NAMES);
  });

  it('what is pending is told, before and after', async () => {
    await asOwner(test, 'grant usage on schema public to platen_server');
    const database = await openServerDatabase(test);
    assert.deepEqual(await pendingMigrations(database), NAMES);
    await migrate(test.ownerUrl, test.serverUrl);
    assert.deepEqual(await pendingMigrations(database), []);
    await database.close();
  });

  it('all are pending for a server that may not read yet which were run', async () => {
    await migrate(test.ownerUrl, test.serverUrl);
    await asOwner(test, 'revoke select on platen_migration from platen_server');
    const database = await openServerDatabase(test);
    assert.deepEqual(await pendingMigrations(database), NAMES);
    await database.close();
  });

  it('a connection that is lost during a migration is told, and nothing of it remains', async () => {
    const blocking = await openSession(test.ownerUrl, 'platen test');
    await blocking.em.execute('begin; create table document ()');
    const migrating = assert.rejects(migrate(test.ownerUrl, test.serverUrl));
    for (let ended = 0; ended === 0; ) {
      const rows = await asOwner(
        test,
        `select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'platen migrate' and datname = current_database() and wait_event_type = 'Lock'`,
      );
      ended = rows.length;
    }
    await migrating;
    await blocking.close();
    await migrate(test.ownerUrl, test.serverUrl);
    assert.deepEqual(await executed(test), NAMES);
  });

  it('whoever waits for another one says so, once, and goes on when it is done', async () => {
    const other = await holdLock();
    const waited: Promise<void>[] = [];
    await migrate(test.ownerUrl, test.serverUrl, { onWait: () => void waited.push(other.close()) });
    assert.equal(waited.length, 1);
    assert.deepEqual(await executed(test), NAMES);
  });

  it('a wait for another one can be given up', async () => {
    const other = await holdLock();
    const stop = new AbortController();
    const waiting = migrate(test.ownerUrl, test.serverUrl, { signal: stop.signal, onWait: () => stop.abort(GIVEN_UP) });
    await assert.rejects(waiting, GIVEN_UP);
    await assert.rejects(migrate(test.ownerUrl, test.serverUrl, { signal: stop.signal }), GIVEN_UP);
    await other.close();
  });

  it('a migration that waits for a locked table can be given up', async () => {
    const blocking = await openSession(test.ownerUrl, 'platen test');
    await blocking.em.execute('begin; create table document ()');
    const stop = new AbortController();
    const waiting = assert.rejects(migrate(test.ownerUrl, test.serverUrl, { signal: stop.signal }), GIVEN_UP);
    const blocked = `select 1 from pg_stat_activity
      where application_name = 'platen migrate' and datname = current_database() and wait_event_type = 'Lock'`;
    await until('it waits', async () => (await asOwner(test, blocked)).length > 0);
    stop.abort(GIVEN_UP);
    await waiting;
    await blocking.close();
    await migrate(test.ownerUrl, test.serverUrl);
    assert.deepEqual(await executed(test), NAMES);
  });

  it('a connection that falls silent is given up', async () => {
    const proxy = await DatabaseProxy.start({ serverUrl: test.ownerUrl });
    const other = await holdLock();
    const waiting = migrate(proxy.url, test.serverUrl, { onWait: () => proxy.strand() });
    await assert.rejects(waiting, (error) => domainError(error) instanceof Unavailable);
    await other.close();
    await proxy.stop();
  });

  /** As another process that migrates. */
  async function holdLock(): Promise<Session> {
    const session = await openSession(test.ownerUrl, 'platen test');
    await session.em.execute('select pg_advisory_lock(7521386)');
    return session;
  }

  it('a database that cannot be reached is told as what it is', async () => {
    const nowhere = 'postgresql://platen@127.0.0.1:1/platen';
    await assert.rejects(migrate(nowhere, nowhere), { code: 'ECONNREFUSED' });
    const database = await openServerDatabase({ serverUrl: nowhere });
    await assert.rejects(pendingMigrations(database), Unavailable);
    await database.close();
  });
});

describe('The server role owns no table', () => {
  let test: TestDatabase;
  let role: string;

  const as = (login: string) => {
    const url = new URL(test.ownerUrl);
    url.username = login;
    url.password = 'secret';
    return url.href;
  };

  beforeEach(async () => {
    test = await createEmptyDatabase();
    role = `platen_test_${randomBytes(4).toString('hex')}`;
    for (const login of [role, `${role}_owner`]) await asOwner(test, `create role ${login} login password 'secret'`);
  });

  afterEach(async () => {
    await test.drop();
    await asOwner({ ownerUrl: maintenanceUrl(test.ownerUrl) }, `drop role ${role}; drop role ${role}_owner`);
  });

  it("the owner's login need not be a superuser, and may be the server's as well", async () => {
    await asOwner(test, `grant platen_server to ${role}_owner with admin option;
      alter database ${new URL(test.ownerUrl).pathname.slice(1)} owner to ${role}_owner`);
    await migrate(as(`${role}_owner`), as(`${role}_owner`));
    await migrate(as(`${role}_owner`), as(role));
    for (const login of [role, `${role}_owner`]) {
      const database = await openServerDatabase({ serverUrl: as(login) });
      const [row] = await database.access((em) => em.execute<{ role: string }[]>('select current_user as role'));
      assert.equal(row?.role, 'platen_server');
      await database.close();
    }
  });

  it('an owner who may not admit the server is told what to run', async () => {
    await migrate(test.ownerUrl, test.serverUrl);
    await asOwner(test, `grant all on schema public to ${role}_owner; grant all on platen_migration to ${role}_owner`);
    await assert.rejects(migrate(as(`${role}_owner`), as(role)), new RegExp(`GRANT platen_server TO ${role}`));
  });
});

describe('Receipts lie in partitions of their day', () => {
  let test: TestDatabase;
  /** Of days with a partition, and without. */
  const records = [-30, -1, 0, 0, 3, 40].map((days) =>
    receiptRecord(noon(days), { bundleHash: days === 0 ? '' : HASH, requestId: days === 3 ? 'r' : '' }),
  );
  const inputs = { variables: { 'né': ["it's \\ ?", null] } };

  before(async () => {
    test = await createEmptyDatabase();
    await migrateTo(2);
    await fill();
    await migrate(test.ownerUrl, test.serverUrl);
  });

  after(() => test.drop());

  /** Runs the first migrations only, as the release did that had no more. */
  async function migrateTo(migrations: number): Promise<void> {
    const orm = await MikroORM.init({
      entities: [],
      discovery: { warnWhenNoEntities: false },
      dbName: databaseName(test.ownerUrl),
      driverOptions: connectionOptions(test.ownerUrl, 'platen test', {}),
      extensions: [Migrator],
      migrations: {
        tableName: 'platen_migration',
        migrationsList: MIGRATIONS.slice(0, migrations),
        snapshot: false,
        silent: true,
      },
    });
    await orm.migrator.up();
    await orm.close();
  }

  /** One batch for each receipt. */
  async function fill(): Promise<void> {
    let prev = CHAIN_ORIGIN;
    for (const [index, record] of records.entries()) {
      const batch = index + 1;
      const day = dayOf(record.renderId);
      const hash = receiptHash(record);
      const link = { batch, time: record.time, day, count: 1, root: batchRoot([hash]) };
      const sql = 'select platen_ensure_receipt_partition(?) as partitioned';
      const [row] = await asOwner<{ partitioned: boolean }>(test, sql, [day]);
      const stray = row!.partitioned ? '' : '_stray';
      const columns = Object.entries({ ...record, receiptHash: hash, batch, batchPos: 0 }).map(([name, value]) => [
        name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
        name === 'labels' ? labelsText(record.labels) : value,
      ]);
      await asOwner(test, `insert into receipt${stray} select * from jsonb_populate_record(null::receipt, ?)`, [
        JSON.stringify(Object.fromEntries(columns)),
      ]);
      const values = [record.renderId, JSON.stringify(inputs)];
      await asOwner(test, `insert into receipt_payload${stray} values (?, ?)`, values);
      const chainHash = batchHash(link, prev);
      const { time, count, root } = link;
      const columnsOfLink = [batch, day, count, root, prev, chainHash, time];
      await asOwner(test, 'insert into receipt_batch values (?, ?, ?, ?, ?, ?, ?)', columnsOfLink);
      await asOwner(test, 'update receipt_head set batch = ?, chain_hash = ?', [batch, chainHash]);
      prev = chainHash;
    }
  }

  it('every value of every receipt, in partitions and astray, and the chain over them', async () => {
    const database = await openServerDatabase(test);
    const { receipts } = new PostgresStores(database.access);
    for (const record of records) {
      const { receiptHash: hash, batch: _, ...read } = (await receipts.find(record.renderId))!;
      assert.deepEqual(read, record);
      assert.equal(hash, receiptHash(record));
      assert.deepEqual(await receipts.findInputs(record.renderId), inputs);
    }
    await database.close();
    await assertChainIntact(test);
  });

  it('they are not drained again, and the chain goes on', async () => {
    const chain = openChain(test);
    assert.equal(await drain(chain, [...records, receiptRecord(noon())]), 1);
    await chain.close();
    await assertChainIntact(test);
  });

  it('they cannot be altered', async () => {
    for (const table of ['receipt', 'receipt_stray', `receipt_${suffixOf(noon())}`]) {
      await assert.rejects(asOwner(test, `update ${table} set caller = ''`), /append-only/);
      await assert.rejects(asOwner(test, `truncate ${table}`), /append-only/);
    }
  });

  it('partitions of both releases have the same columns, checks, indexes and triggers', async () => {
    const partition = (days: number) => `receipt_${suffixOf(noon(days))}`;
    const chain = openChain(test);
    await chain.ensurePartitions();
    await chain.close();
    const shapeOf = async (table: string) => {
      const rows = await asOwner<{ text: string }>(
        test,
        `select attname || ' ' || format_type(atttypid, atttypmod) || attnotnull as text
          from pg_attribute where attrelid = '${table}'::regclass and attnum > 0 and not attisdropped
        union all select pg_get_constraintdef(oid) from pg_constraint where conrelid = '${table}'::regclass
        union all select pg_get_indexdef(indexrelid) from pg_index where indrelid = '${table}'::regclass
        union all select pg_get_triggerdef(oid) from pg_trigger where tgrelid = '${table}'::regclass
        union all select privilege_type || grantee from information_schema.table_privileges
          where table_name = '${table}'`,
      );
      return rows.map(({ text }) => text.replaceAll(table, 'receipt_DAY')).toSorted();
    };
    assert.deepEqual(await shapeOf(partition(5)), await shapeOf(partition(0)));
  });
});
