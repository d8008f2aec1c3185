import assert from 'node:assert/strict';
import { PreconditionFailed } from '../../../src/domain/errors.ts';
import type { Database } from '../../../src/storage/database.ts';
import { driverCode } from '../../../src/storage/errors.ts';
import { asOwner } from '../../support/postgres.ts';
import { drain, openChain } from '../../support/storage/chain.ts';
import {
  bundleVersion,
  changeEntry,
  draftRecord,
  receiptRecord,
  templateVersion,
  TIME,
} from '../../support/storage/records.ts';
import { openRegistry, type Registry } from '../../support/storage/registry.ts';

const SUFFIX = new Date().toISOString().slice(0, 10).replaceAll('-', '');

/** Each append-only table, with one of its columns. */
const APPEND_ONLY: Record<string, string> = {
  document: 'content',
  template_version: 'type',
  bundle_version: 'type',
  bundle_version_pin: 'template_id',
  release: 'kind',
  change: 'actor',
  receipt: 'caller',
  [`receipt_${SUFFIX}`]: 'caller',
  receipt_stray: 'caller',
  receipt_batch: 'root',
  erasure: 'caller',
};

let registry: Registry;

/** A registry with a row in each table. */
async function fill({ write, test }: Registry): Promise<void> {
  const hello = draftRecord('hello');
  const version = bundleVersion('hello', '1.0.0', {
    pins: [{ tenant: 'default', templateId: 'hello', version: '1.0.0' }],
  });
  await write(async (tx) => {
    await tx.putDocument(hello.draft);
    await tx.putDocument(version.snapshot);
    await tx.insertTemplate(hello);
    await tx.insertTemplateVersion(templateVersion('hello', '1.0.0'));
    await tx.insertBundle(hello, [{ templateId: 'hello', version: '1.0.0' }]);
    await tx.insertBundleVersion(version);
    const seq = await tx.appendChange(changeEntry());
    await tx.insertRelease({
      tenant: 'default',
      bundleId: 'hello',
      channel: 'production',
      revision: 1,
      kind: 'RELEASE',
      targets: [],
      originRevision: 1,
      seq,
      createTime: TIME,
      createActor: 'admin',
    });
    await tx.insertErasure(
      seq,
      { tenant: '', caller: 'x', labels: {}, startTime: undefined, endTime: undefined },
      tx.time,
    );
  });
  const chain = openChain(test);
  await drain(chain, [receiptRecord(new Date()), receiptRecord(TIME)], { variables: {} });
  await chain.close();
}

function useRegistry(): void {
  before(async () => {
    registry = await openRegistry();
    await fill(registry);
  });
  after(() => registry.close());
}

function inServer(database: Database, sql: string): Promise<unknown> {
  return database.access((em) => em.execute(sql));
}

describe('Changes and receipts are append-only', () => {
  useRegistry();

  for (const [table, column] of Object.entries(APPEND_ONLY)) {
    for (const sql of [
      `update ${table} set ${column} = ${column}`,
      `delete from ${table}`,
      `truncate ${table} cascade`,
    ]) {
      const operation = sql.split(' ')[0]!.toUpperCase();
      it(`${operation} of ${table.replace(SUFFIX, 'DAY')} is refused, from the owner too`, async () => {
        await assert.rejects(asOwner(registry.test, sql), (error) => {
          assert.equal(driverCode(error), 'PLT01');
          assert.match((error as Error).message, /^table \w+ is append-only: \w+ is refused/);
          return true;
        });
        await assert.rejects(inServer(registry.database, sql), /permission denied/);
      });
    }
  }

  for (const table of [`receipt_payload_${SUFFIX}`, 'receipt_payload_stray']) {
    it(`values in ${table.replace(SUFFIX, 'DAY')} cannot be changed, but erased`, async () => {
      await assert.rejects(asOwner(registry.test, `update ${table} set inputs = inputs`), /append-only/);
      await inServer(registry.database, `delete from ${table}`);
      assert.deepEqual(await asOwner(registry.test, `select * from ${table}`), []);
    });
  }
});

describe('A published version never changes', () => {
  useRegistry();

  it('a change that reached the database is told as a refusal', async () => {
    await asOwner(registry.test, 'grant update on template_version to platen_server');
    await assert.rejects(inServer(registry.database, `update template_version set type = 'FAREWELL'`), (error) => {
      assert.ok(error instanceof PreconditionFailed);
      assert.equal(error.reason, 'VERSION_IMMUTABLE');
      assert.equal(driverCode(error.cause), 'PLT01');
      return true;
    });
  });
});

describe('The server role owns no table', () => {
  useRegistry();

  it('every session runs as platen_server, which owns nothing and may not log in', async () => {
    const [session] = await registry.database.access((em) =>
      em.execute<{ current_user: string; zone: string; application: string }[]>(
        `select current_user, current_setting('TimeZone') as zone, current_setting('application_name') as application`,
      ),
    );
    assert.deepEqual(session, { current_user: 'platen_server', zone: 'UTC', application: 'platen' });
    const owned = `select relname from pg_class where relowner = 'platen_server'::regrole
      union all select proname from pg_proc where proowner = 'platen_server'::regrole`;
    assert.deepEqual(await asOwner(registry.test, owned), []);
    const login = `select rolcanlogin or rolsuper as powers from pg_roles where rolname = 'platen_server'`;
    assert.deepEqual(await asOwner(registry.test, login), [{ powers: false }]);
  });

  for (const table of Object.keys(APPEND_ONLY)) {
    it(`the triggers of ${table.replace(SUFFIX, 'DAY')} cannot be disabled`, async () => {
      const disable = `alter table ${table} disable trigger all`;
      await assert.rejects(inServer(registry.database, disable), /must be owner/);
    });
  }

  for (const sql of [
    'drop table change',
    'create table public.mine (id int)',
    'update change_head set one = false',
    'insert into change_head values (true, 9, repeat(\'0\', 64))',
    'delete from template',
    'set session_replication_role = replica',
  ]) {
    it(`"${sql}" is refused`, async () => {
      await assert.rejects(inServer(registry.database, sql));
    });
  }
});
