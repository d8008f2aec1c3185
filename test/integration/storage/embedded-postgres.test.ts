import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../../src/storage/embedded-postgres.ts';
import { migrate } from '../../../src/storage/migrate.ts';
import { currentAccount, spawnAs } from '../../../src/storage/postgres-account.ts';
import { postgresBinaries } from '../../../src/storage/postgres-binaries.ts';
import { asOwner, folderInMemory } from '../../support/postgres.ts';

const OWNER = new URL('../../support/storage/embedded-owner.ts', import.meta.url).pathname;
const IS_ROOT = process.geteuid!() === 0;
const NOBODY = 65_534;

let dataDir: string;
let logged: string[];
let running: Set<EmbeddedPostgres>;
let owners: Set<ChildProcess>;

/** What a first start makes, and a stop leaves; to be copied. */
let made: Promise<string> | undefined;

async function startedOnce(): Promise<string> {
  const folder = await mkdtemp(join(await folderInMemory(), 'platen-embedded-'));
  await (await startEmbeddedPostgres({ dataDir: folder, log: () => {}, fsync: false })).stop();
  return folder;
}

/** Whoever starts then does not start first. */
async function startedBefore(): Promise<void> {
  made ??= startedOnce();
  await promisify(execFile)('cp', ['-a', join(await made, 'postgres'), dataDir]);
}

after(async () => {
  if (made !== undefined) await rm(await made, { recursive: true });
});

async function start(): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres({ dataDir, log: (message) => logged.push(message), fsync: false });
  running.add(postgres);
  return postgres;
}

async function stop(postgres: EmbeddedPostgres): Promise<void> {
  running.delete(postgres);
  await postgres.stop();
}

/** Another process that owns the data directory; its lines tell what happens to it. */
async function startOwner(options: { uid?: number; gid?: number } = {}) {
  const child = spawn(process.execPath, [OWNER, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
    ...options,
  });
  owners.add(child);
  const lines = createInterface(child.stdout!)[Symbol.asyncIterator]();
  assert.deepEqual(await lines.next(), { value: 'started', done: false });
  return { child, lines, postmaster: await postmasterPid() };
}

async function kill(child: ChildProcess): Promise<void> {
  owners.delete(child);
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function lockFile(): string {
  return join(dataDir, 'postgres', 'data', 'postmaster.pid');
}

async function postmasterPid(): Promise<number> {
  return Number.parseInt(await readFile(lockFile(), 'utf8'), 10);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Leaves a mark that tells the same database from a new one. */
async function mark({ ownerUrl, serverUrl }: EmbeddedPostgres): Promise<void> {
  await migrate(ownerUrl, serverUrl);
  await asOwner({ ownerUrl }, 'create table mark ()');
}

async function assertMarked({ ownerUrl }: EmbeddedPostgres): Promise<void> {
  assert.deepEqual(await asOwner({ ownerUrl }, 'select * from mark'), []);
}

function useDataDir(parent?: string): void {
  beforeEach(async () => {
    dataDir = await mkdtemp(join(parent ?? (await folderInMemory()), 'platen-embedded-'));
    logged = [];
    running = new Set();
    owners = new Set();
  });

  afterEach(async () => {
    for (const child of owners) await kill(child);
    for (const postgres of running) await postgres.stop();
    await rm(dataDir, { recursive: true });
  });
}

describe('The database is embedded when none is named', () => {
  useDataDir();

  it('it is made, works, and has its data still after a restart', async () => {
    const first = await start();
    await mark(first);
    await stop(first);
    const second = await start();
    await assertMarked(second);
    await migrate(second.ownerUrl, second.serverUrl);
  });

  it('a folder that every user can enter needs no capability', async () => {
    await chmod(dataDir, 0o755);
    await mark(await start());
  });

  it('it is UTF-8 and ordered by code point, with room for many sessions, on the loopback only', async () => {
    const { ownerUrl, serverUrl } = await start();
    await migrate(ownerUrl, serverUrl);
    const [row] = await asOwner(
      { ownerUrl },
      `select pg_encoding_to_char(encoding) as encoding, datlocprovider as provider, datlocale as locale,
        current_setting('max_connections') as connections, current_setting('listen_addresses') as addresses,
        current_setting('unix_socket_directories') as sockets, 'B' < 'a' as ordered
      from pg_database where datname = current_database()`,
    );
    assert.deepEqual(row, {
      encoding: 'UTF8',
      provider: 'b',
      locale: 'C.UTF-8',
      connections: '200',
      addresses: '127.0.0.1',
      sockets: '',
      ordered: true,
    });
  });

  it('data survives a crash of the machine unless a test renounces that', async () => {
    const postgres = await startEmbeddedPostgres({ dataDir, log: () => {} });
    running.add(postgres);
    const url = new URL(postgres.ownerUrl);
    url.pathname = '/postgres';
    assert.deepEqual(await asOwner({ ownerUrl: url.href }, 'show fsync'), [{ fsync: 'on' }]);
  });

  it('nobody gets in without the password, which only the owner of the folder can read', async () => {
    const { ownerUrl } = await start();
    const { mode } = await stat(join(dataDir, 'postgres', 'credentials.json'));
    assert.equal(mode & 0o777, 0o600);
    assert.ok(!(await readdir(join(dataDir, 'postgres'))).includes('password'));
    const url = new URL(ownerUrl);
    url.pathname = '/postgres';
    url.password = 'guess';
    await assert.rejects(asOwner({ ownerUrl: url.href }, 'select 1'), { code: '28P01' });
  });

  it("the terminal's SIGINT does not reach it", async () => {
    await startedBefore();
    const { child, lines, postmaster } = await startOwner();
    process.kill(-child.pid!, 'SIGINT');
    assert.deepEqual(await lines.next(), { value: 'SIGINT', done: false });
    assert.ok(isAlive(postmaster));
    await kill(child);
    await start();
    assert.equal(await postmasterPid(), postmaster);
  });

  it('a database that does not start is told with what it says', async () => {
    await startedBefore();
    await rm(join(dataDir, 'postgres', 'data', 'PG_VERSION'));
    await assert.rejects(start(), /PostgreSQL does not start in .*PG_VERSION/);
  });

  it('a folder that was left half made is made anew', async () => {
    const abandoned = join(dataDir, 'postgres.new-999999999-abc');
    const underWay = join(dataDir, `postgres.new-${process.pid}-abc`);
    for (const folder of [abandoned, underWay]) {
      await mkdir(folder);
      await writeFile(join(folder, 'data'), 'half');
    }
    await start();
    assert.deepEqual((await readdir(dataDir)).toSorted(), ['postgres', `postgres.new-${process.pid}-abc`]);
  });

  it('one that is killed while it makes a database leaves nothing in the way', async () => {
    const child = spawn(process.execPath, [OWNER, dataDir], { stdio: 'inherit', detached: true });
    while (!(await readdir(dataDir)).some((name) => name.startsWith('postgres.new-'))) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await kill(child);
    await mark(await start());
  });

  it('two databases of a new cluster can be migrated at once', async () => {
    const { ownerUrl, serverUrl } = await start();
    const named = (url: string, name: string) => url.replace(/platen$/, name);
    const names = ['platen', 'second', 'third'];
    await Promise.all(names.map((name) => migrate(named(ownerUrl, name), named(serverUrl, name))));
  });

  it('a database that ended by itself can be stopped', async () => {
    await startedBefore();
    const postgres = await start();
    const pid = await postmasterPid();
    process.kill(pid, 'SIGINT');
    while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve));
    await stop(postgres);
  });

  if (IS_ROOT) {
    it('root runs it as another account', async () => {
      await startedBefore();
      await start();
      assert.equal((await stat(`/proc/${await postmasterPid()}`)).uid, currentAccount()?.uid);
    });

    it('an ordinary user runs it as himself', async () => {
      await chown(dataDir, NOBODY, NOBODY);
      const { child, postmaster } = await startOwner({ uid: NOBODY, gid: NOBODY });
      assert.equal((await stat(`/proc/${postmaster}`)).uid, NOBODY);
      await kill(child);
      process.kill(postmaster, 'SIGKILL');
      while (isAlive(postmaster)) await new Promise((resolve) => setImmediate(resolve));
    });

    it('where the account cannot get in and setpriv is missing, the error says what to set', async () => {
      const path = process.env['PATH'];
      process.env['PATH'] = '';
      try {
        await assert.rejects(start(), /setpriv cannot be started .*PLATEN_DATA_DIR .*PLATEN_DATABASE_URL/);
      } finally {
        process.env['PATH'] = path;
      }
    });
  }
});

describe('A second owner of the data directory is refused', () => {
  useDataDir();

  it('with an error that names the directory and the ways out, and the first goes on', async () => {
    await startedBefore();
    const first = await start();
    await mark(first);
    await assert.rejects(start(), (error) => {
      const { message } = error as Error;
      for (const part of [dataDir, 'PLATEN_DATA_DIR', 'PLATEN_DATABASE_URL']) assert.ok(message.includes(part), part);
      return true;
    });
    await assertMarked(first);
  });

  it('of two that start at once in an empty directory one wins', async () => {
    const outcomes = await Promise.allSettled([start(), start()]);
    assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
    await mark([...running][0]!);
  });
});

describe("A crashed owner's database is taken over", () => {
  useDataDir();

  it('a running one is adopted', async () => {
    await startedBefore();
    const { child, postmaster } = await startOwner();
    await kill(child);
    await mark(await start());
    assert.equal(await postmasterPid(), postmaster);
    assert.match(logged.join('\n'), /already/);
  });

  it('one that was killed as well is started again', async () => {
    await startedBefore();
    const first = await start();
    await mark(first);
    await stop(first);
    const { child, postmaster } = await startOwner();
    await kill(child);
    process.kill(postmaster, 'SIGKILL');
    await assertMarked(await start());
    assert.notEqual(await postmasterPid(), postmaster);
  });

  it('one that is just stopping is waited for', async () => {
    await startedBefore();
    const { child, postmaster } = await startOwner();
    await kill(child);
    process.kill(postmaster, 'SIGINT');
    await start();
  });

  it('a stale pid file whose pid is somebody else now is no obstacle', async () => {
    await startedBefore();
    const first = await start();
    await mark(first);
    const lock = await readFile(lockFile(), 'utf8');
    await stop(first);
    const account = currentAccount();
    const foreign = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { ...account, cwd: '/' });
    await once(foreign, 'spawn');
    await writeFile(lockFile(), lock.replace(/^\d+/, String(foreign.pid)));
    await assertMarked(await start());
    foreign.kill('SIGKILL');
    await once(foreign, 'exit');
  });
});

if (IS_ROOT) {
  describe('The database is embedded when none is named: below a home folder', () => {
    useDataDir(homedir());

    it('that only root can enter', async () => {
      await mark(await start());
    });

    it('though its programs lie there as well', async () => {
      const { initdb } = await postgresBinaries(process.platform, process.arch);
      const native = join(dataDir, 'native');
      await cp(dirname(dirname(initdb)), native, { recursive: true, verbatimSymlinks: true });
      const program = join(native, 'bin', 'initdb');
      const options = { stdio: 'pipe', detached: false } as const;
      const args = [`--pgdata=${join(dataDir, 'data')}`, '--auth=trust', '--no-sync'];
      const child = await spawnAs(currentAccount(), program, args, [dataDir], options);
      const [errors, [code]] = await Promise.all([text(child.stderr!), once(child, 'exit'), text(child.stdout!)]);
      assert.deepEqual([code, errors], [0, '']);
    });
  });
}
