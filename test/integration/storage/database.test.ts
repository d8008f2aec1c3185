import assert from 'node:assert/strict';
import { Unavailable } from '../../../src/domain/errors.ts';
import { MikroORM } from '@mikro-orm/postgresql';
import { databaseName, withSessionOptions } from '../../../src/storage/connection.ts';
import { Database } from '../../../src/storage/database.ts';
import { ENTITIES } from '../../../src/storage/entities/index.ts';
import { driverCode } from '../../../src/storage/errors.ts';
import { DatabaseProxy } from '../../support/database-proxy.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { openServerDatabase } from '../../support/storage/registry.ts';

let test: TestDatabase;
let database: Database;

function assertUnavailable(error: unknown): true {
  assert.ok(error instanceof Unavailable);
  assert.equal(error.reason, 'DATABASE_UNAVAILABLE');
  assert.equal(error.retryDelayMs, 1000);
  assert.ok(error.cause instanceof Error);
  return true;
}

function select(one: Database = database): Promise<unknown> {
  return one.access((em) => em.execute('select 1'));
}

/** Ends every session of the server's. */
function terminateSessions(): Promise<unknown> {
  return asOwner(
    test,
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity
    where datname = current_database() and application_name = 'platen'`,
  );
}

function useDatabase(): void {
  beforeEach(async () => {
    test = await createDatabase();
    database = await openServerDatabase(test, { poolMax: 2 });
  });

  afterEach(async () => {
    await database.close();
    await test.drop();
  });
}

describe('Overload asks for a retry', () => {
  useDatabase();

  it('no connection in the time to wait for one', async () => {
    const narrow = await openServerDatabase(test, { poolMax: 1, poolWaitMs: 50 });
    const gate = Promise.withResolvers<void>();
    const holding = Promise.withResolvers<void>();
    const held = narrow.transaction(async () => {
      holding.resolve();
      await gate.promise;
    });
    await holding.promise;
    await assert.rejects(select(narrow), assertUnavailable);
    gate.resolve();
    await held;
    await narrow.close();
  });

  it('a statement that runs too long', async () => {
    const impatient = await openServerDatabase(test, { statementTimeoutMs: 50 });
    await assert.rejects(impatient.access((em) => em.execute('select pg_sleep(60)')), assertUnavailable);
    await impatient.close();
  });
});

describe('Losing a store never flips health', () => {
  useDatabase();

  it('idle connections that the database ends are replaced', async () => {
    await Promise.all([select(), select()]);
    await terminateSessions();
    for (let served = false; !served; ) {
      served = await select().then(
        () => true,
        (error: unknown) => !assertUnavailable(error),
      );
    }
  });

  it('connections lost during a transaction do not shrink the pool', async () => {
    for (let lost = 0; lost < 3; lost += 1) {
      const statements = database.transaction(async (em) => {
        await em.execute('select 1');
        await terminateSessions();
        await em.execute('select 1');
      });
      await assert.rejects(statements, (error) => {
        assert.match(`${driverCode(error)} ${(error as Error).message}`, /57P01|Connection terminated|not queryable/);
        return true;
      });
    }
    await Promise.all([select(), select()]);
  });

  describe('a connection that falls silent is given up, and another one made', () => {
    let proxy: DatabaseProxy;
    let silent: Database;
    beforeEach(async () => {
      proxy = await DatabaseProxy.start(test);
      silent = await openServerDatabase({ serverUrl: proxy.url }, { poolMax: 1, statementTimeoutMs: 50 });
    });
    afterEach(async () => {
      await silent.close();
      await proxy.stop();
    });

    it('outside a transaction', async () => {
      await select(silent);
      proxy.strand();
      await assert.rejects(select(silent), assertUnavailable);
      await select(silent);
    });

    it('in a transaction, whose rollback is not waited for', async () => {
      const statements = silent.transaction(async (em) => {
        await em.execute('select 1');
        proxy.strand();
        await em.execute('select 1');
      });
      await assert.rejects(statements, { message: 'Query read timeout' });
      await select(silent);
    });
  });

  it('a connection whose transaction was not ended is given up, and another one made', async () => {
    const single = await openServerDatabase(test, { poolMax: 1 });
    try {
      // As a rollback that is interrupted leaves it.
      await assert.rejects(single.access((em) => em.execute('begin; select 1/0')));
      await assert.rejects(single.transaction((em) => em.execute('select 1')), { code: '25P02' });
      await single.transaction((em) => em.execute('select 1'));
    } finally {
      await single.close();
    }
  });

  it('a connection lost before the commit is told, and nothing is committed', async () => {
    const statements = database.transaction(async (em) => {
      await em.execute(`insert into request values ('c', 'r', 'i', 'f', '', 0, now())`);
      await terminateSessions();
    });
    await assert.rejects(statements);
    assert.deepEqual(await asOwner(test, 'select 1 from request'), []);
    await Promise.all([select(), select()]);
  });
});

describe('The server role owns no table', () => {
  useDatabase();

  it('sessions that do not run as it are found out', async () => {
    await database.requireServerRole();
    const { serverUrl } = test;
    const orm = await MikroORM.init({
      entities: ENTITIES,
      dbName: databaseName(serverUrl),
      driverOptions: { connectionString: serverUrl },
    });
    const pooled = new Database(orm, false);
    const login = new URL(serverUrl).username;
    await assert.rejects(pooled.requireServerRole(), {
      message:
        `sessions run as ${login}, not as platen_server: a pooler drops the startup parameter "options"; ` +
        `run ALTER ROLE ${login} SET role = platen_server`,
    });
    await pooled.close();
  });
});

describe('Metrics keep their names', () => {
  useDatabase();

  it('each statement is measured, failed ones and begin and commit included', async () => {
    const seconds: number[] = [];
    const measured = await openServerDatabase(test, { onQuery: (duration) => seconds.push(duration) });
    await select(measured);
    await assert.rejects(measured.access((em) => em.execute('select nothing')));
    await measured.transaction((em) => em.execute('select 1'));
    await measured.close();
    assert.equal(seconds.length, 5);
    assert.ok(seconds.every((duration) => duration > 0 && duration < 20));
  });
});

describe('A document falls through the levels', () => {
  useDatabase();

  it('sessions of a read replica only read, whatever settings a pooler drops', async () => {
    const reader = await openServerDatabase(test, { readOnly: true });
    const access = () =>
      reader.access((em) => em.execute<{ mode: string }[]>(`select current_setting('transaction_read_only') as mode`));
    assert.deepEqual(await Promise.all([access(), access()]), [[{ mode: 'on' }], [{ mode: 'on' }]]);
    const write = `insert into request values ('c', 'r', 'i', 'f', '', 0, now())`;
    await assert.rejects(
      reader.access((em) => em.execute(write)),
      (error) => driverCode((error as Unavailable).cause) === '25006',
    );
    await assert.rejects(reader.access((em) => em.execute('select nothing')), /nothing/);
    await reader.close();
    await database.access((em) => em.execute(write));
  });
});

describe('Settings of a session', () => {
  it("a URL's own options are kept", () => {
    const url = withSessionOptions('postgresql://u@h/db?options=-c%20work_mem%3D8MB&sslmode=require', { role: 'r' });
    assert.equal(new URL(url).searchParams.get('options'), '-c work_mem=8MB -c role=r');
    assert.equal(new URL(url).searchParams.get('sslmode'), 'require');
  });
});
