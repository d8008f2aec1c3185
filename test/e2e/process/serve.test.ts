import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import { connect } from '../../../src/cli/client.ts';
import { openSession } from '../../../src/storage/session.ts';
import { DatabaseProxy } from '../../support/database-proxy.ts';
import { PlatenProcess } from '../../support/platen-process.ts';
import { asOwner, createEmptyDatabase, type TestDatabase } from '../../support/postgres.ts';
import { until } from '../../support/until.ts';

function settingsOf({ ownerUrl, serverUrl }: TestDatabase): Record<string, string> {
  return { PLATEN_DATABASE_URL: serverUrl, PLATEN_DATABASE_OWNER_URL: ownerUrl };
}

async function ready(httpAddress: string): Promise<number> {
  return (await fetch(`http://${httpAddress}/readyz`)).status;
}

describe('platen serve', () => {
  let database: TestDatabase;
  const processes: PlatenProcess[] = [];

  function platen(args: readonly string[], settings: Record<string, string> = settingsOf(database)): PlatenProcess {
    const started = new PlatenProcess(args, settings);
    processes.push(started);
    return started;
  }

  beforeEach(async () => {
    database = await createEmptyDatabase();
  });

  afterEach(async () => {
    await Promise.all(processes.splice(0).map((each) => each.end()));
    await database.drop();
  });

  describe('Concurrent first starts migrate once', () => {
    it('four servers on one empty database all serve', async () => {
      const servers = Array.from({ length: 4 }, () => platen(['serve']));
      const addresses = await Promise.all(
        servers.map(async (server) => {
          const { http } = await server.logged('listening');
          await server.logged('serving');
          return http!;
        }),
      );
      assert.deepEqual(await Promise.all(addresses.map(ready)), [200, 200, 200, 200]);
      const changes = await asOwner<{ seq: string }>(database, 'select seq from change');
      assert.equal(changes.length, 1);
    });
  });

  describe('A start that is given up ends', () => {
    it('with 0 while another process migrates', async () => {
      const other = await openSession(database.ownerUrl, 'platen test');
      await other.em.execute('select pg_advisory_lock(7521386)');
      const server = platen(['serve']);
      await server.logged('another process migrates the database');
      server.signal('SIGTERM');
      assert.equal(await server.exitCode(), 0);
      await other.close();
    });
  });

  describe('Draining loses no request', () => {
    it('answers what is in flight at SIGTERM, then ends with 0', async () => {
      const server = platen(['serve'], { ...settingsOf(database), PLATEN_LOG_LEVEL: 'debug' });
      const { grpc, http } = await server.logged('listening');
      await server.logged('serving');
      const connection = connect(`http://${grpc}`);
      const { templates } = connection.clients;
      await templates.createTemplate({ templateId: 'held', type: PromptType.GREETING, draft: { content: 'before' } });
      const holder = await openSession(database.ownerUrl, 'platen test');
      await holder.em.execute('begin');
      await holder.em.execute(`select 1 from template where id = 'held' for update`);
      const update = templates.updateTemplate({ templateId: 'held', draft: { content: 'after' }, editVersion: 1 });
      const waiting = `select 1 from pg_stat_activity where application_name = 'platen' and wait_event_type = 'Lock'`;
      await until('the update waits', async () => (await asOwner(database, waiting)).length > 0);
      server.signal('SIGTERM');
      await server.logged('draining');
      await assert.rejects(ready(http!));
      await holder.em.execute('commit');
      assert.equal((await update).template?.editVersion, 2);
      assert.equal(await server.exitCode(), 0);
      await holder.close();
      connection.close();
    });

    it('ends at once at a second signal', async () => {
      const server = platen(['serve']);
      await server.logged('serving');
      server.signal('SIGINT');
      await server.logged('draining');
      server.signal('SIGINT');
      await server.exitCode();
      assert.equal(server.running, false);
    });
  });

  describe('Health serves once ready', () => {
    it('is open for probes, and not ready, while the database is away', async () => {
      const { serverUrl, ownerUrl } = database;
      const port = await freePort();
      const away = (url: string) => Object.assign(new URL(url), { port: String(port) }).href;
      const server = platen(['serve'], {
        PLATEN_DATABASE_URL: away(serverUrl),
        PLATEN_DATABASE_OWNER_URL: away(ownerUrl),
      });
      const { http } = await server.logged('listening');
      await server.logged('waiting for the database');
      assert.equal(await ready(http!), 503);
      assert.equal((await fetch(`http://${http}/healthz`)).status, 200);
      server.signal('SIGTERM');
      assert.equal(await server.exitCode(), 0);
    });

    it('waits for migrations that somebody else runs', async () => {
      const server = platen(['serve'], { ...settingsOf(database), PLATEN_MIGRATE_ON_START: 'false' });
      const { http } = await server.logged('listening');
      await server.logged('waiting for the database');
      assert.equal(await ready(http!), 503);
      assert.equal(await platen(['migrate']).exitCode(), 0);
      await server.logged('serving');
      assert.equal(await ready(http!), 200);
    });
  });

  describe('A database that falls silent is waited for', () => {
    it('in the middle of the start', async () => {
      assert.equal(await platen(['migrate']).exitCode(), 0);
      const holder = await openSession(database.ownerUrl, 'platen test');
      await holder.em.execute('begin; lock table platen_migration in access exclusive mode');
      const proxy = await DatabaseProxy.start(database);
      const server = platen(['serve'], { PLATEN_DATABASE_URL: proxy.url, PLATEN_MIGRATE_ON_START: 'false' });
      const { http } = await server.logged('listening');
      const blocked = `select 1 from pg_stat_activity where application_name = 'platen' and wait_event_type = 'Lock'`;
      await until('the start waits', async () => (await asOwner(database, blocked)).length > 0);
      proxy.freeze();
      await holder.em.execute('rollback');
      await holder.close();
      await server.logged('waiting for the database');
      assert.equal(await ready(http!), 503);
      proxy.thaw();
      await server.logged('serving');
      proxy.freeze();
      server.signal('SIGTERM');
      assert.equal(await server.exitCode(), 0);
      await proxy.stop();
    });
  });

  describe('Configuration is checked at start', () => {
    it('names what is wrong on standard error, and ends with 1', async () => {
      const server = platen(['serve', '--log-level', 'loud'], { PLATEN_DATABASE_POOL_MAX: 'many' });
      assert.equal(await server.exitCode(), 1);
      assert.match(server.stderr, /PLATEN_DATABASE_POOL_MAX: must be a whole number from 1 to 1000/);
      assert.match(server.stderr, /PLATEN_LOG_LEVEL: must be one of/);
      assert.doesNotMatch(server.stderr, /\n\s+at /);
    });

    it('says so when a port is taken, and ends with 1', async () => {
      const taken = createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      const { port } = taken.address() as AddressInfo;
      const server = platen(['serve', '--grpc-addr', `127.0.0.1:${port}`]);
      assert.equal(await server.exitCode(), 1);
      assert.match(server.stderr, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}`));
      taken.close();
    });

    it('warns when whoever reaches an address may write', async () => {
      const server = platen(['serve'], { ...settingsOf(database), PLATEN_HTTP_ADDR: '0.0.0.0:0' });
      const { address } = await server.logged('authentication is off');
      assert.match(address!, /^0\.0\.0\.0:/);
    });

    it('does not wait for a database that refuses for good', async () => {
      const url = new URL(database.serverUrl);
      url.password = 'wrong';
      const server = platen(['serve'], { PLATEN_DATABASE_URL: url.href });
      assert.equal(await server.exitCode(), 1);
      assert.match(server.stderr, /password authentication failed/);
    });
  });

  describe('The database is embedded when none is named', () => {
    let dataDir: string;
    before(async () => {
      dataDir = await mkdtemp(join(tmpdir(), 'platen-serve-'));
    });
    after(() => rm(dataDir, { recursive: true }));

    it('keeps what was written from one start to the next, and refuses a second owner', async () => {
      const settings = { PLATEN_DATA_DIR: dataDir, PLATEN_LOG_LEVEL: 'info' };
      const first = platen(['serve'], settings);
      const { grpc } = await first.logged('listening');
      await first.logged('serving');
      const connection = connect(`http://${grpc}`);
      await connection.clients.tenants.createTenant({ tenant: 'kept' });
      connection.close();

      const second = platen(['serve'], settings);
      assert.equal(await second.exitCode(), 1);
      assert.match(second.stderr, new RegExp(dataDir));

      first.signal('SIGTERM');
      assert.equal(await first.exitCode(), 0);
      assert.equal(await platen(['migrate'], settings).exitCode(), 0);
      const third = platen(['serve'], settings);
      const { grpc: again } = await third.logged('listening');
      await third.logged('serving');
      const reconnected = connect(`http://${again}`);
      assert.equal((await reconnected.clients.tenants.getTenant({ tenant: 'kept' })).tenant?.editVersion, 1);
      reconnected.close();
    });
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
