import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, mkdir, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { currentAccount, spawnAs, type Account } from './postgres-account.ts';
import { postgresBinaries, type PostgresBinaries } from './postgres-binaries.ts';
import { openSession, type Session } from './session.ts';

export interface EmbeddedPostgresConfig {
  /** Holds everything that is kept; made if it is missing. */
  readonly dataDir: string;
  /** Told what happens, in English. */
  readonly log: (message: string) => void;
  /** false: a crash of the machine loses data; for tests only. */
  readonly fsync?: boolean;
}

/** A PostgreSQL server that belongs to this process. */
export interface EmbeddedPostgres {
  /** Of the login that owns the tables, with its password. */
  readonly ownerUrl: string;
  /** Of the login that the server uses, with its password. */
  readonly serverUrl: string;
  /** Ends all sessions and stops the server. */
  stop(): Promise<void>;
}

interface Credentials {
  readonly owner: string;
  readonly server: string;
}

/** Where things are. All of `home` appears at once, when a database is complete. */
interface Place {
  readonly home: string;
  readonly data: string;
  readonly credentials: string;
  readonly logFile: string;
}

interface Postmaster {
  readonly pid: number;
  readonly port: number;
}

const OWNER = 'platen';
const SERVER = 'platen_app';
const DATABASE = 'platen';

/** Key of the session advisory lock whose holder owns the server. */
const OWNERSHIP_KEY = 7_521_387;

/** A killed owner's session ends as soon as its backend sees the closed socket. */
const OWNERSHIP_ATTEMPTS = 20;
const OWNERSHIP_INTERVAL_MS = 50;

const START_ATTEMPTS = 3;
const START_INTERVAL_MS = 500;

const POLL_MS = 20;

/** Begins the name of a database that is being made; the maker's pid follows. */
const DRAFT_PREFIX = 'postgres.new-';

/**
 * Starts PostgreSQL on a data directory, or takes over the server that a killed owner left running there. The server
 * listens on 127.0.0.1 only, on a free port, and is not reached by the terminal's SIGINT, so that it outlives a drain.
 *
 * @throws Error if the directory is in use by another process, naming the directory and the ways out
 */
export async function startEmbeddedPostgres(config: EmbeddedPostgresConfig): Promise<EmbeddedPostgres> {
  const dataDir = resolve(config.dataDir);
  const place = placeIn(join(dataDir, 'postgres'));
  const binaries = await postgresBinaries(process.platform, process.arch);
  const account = currentAccount();
  await mkdir(dataDir, { recursive: true });
  await removeAbandoned(dataDir);
  if (!existsSync(place.home)) await initialize(dataDir, place, binaries, account, config);
  const { owner, server } = JSON.parse(await readFile(place.credentials, 'utf8')) as Credentials;
  const { postmaster, ownership } = await attempts(async () => {
    const found = (await runningPostmaster(place, config)) ?? (await start(place, binaries, account, config));
    return { postmaster: found, ownership: await takeOwnership(url(found, OWNER, owner, 'postgres')) };
  });
  if (ownership === undefined) {
    throw new Error(
      `another process uses the database in ${dataDir}; stop it, or set PLATEN_DATA_DIR to another directory, ` +
        'or PLATEN_DATABASE_URL to the URL of a PostgreSQL server that both can use',
    );
  }
  await ensureServerLogin(ownership, server);
  return {
    ownerUrl: url(postmaster, OWNER, owner, DATABASE),
    serverUrl: url(postmaster, SERVER, server, DATABASE),
    stop: () => stop(place, postmaster, ownership),
  };
}

function url({ port }: Postmaster, login: string, secret: string, database: string): string {
  return `postgresql://${login}:${secret}@127.0.0.1:${port}/${database}`;
}

/** A server that was found may be just ending; one that is started may meet a taken port or a killed one's remains. */
async function attempts<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt === START_ATTEMPTS) throw error;
      await delay(START_INTERVAL_MS);
    }
  }
}

function placeIn(home: string): Place {
  return {
    home,
    data: join(home, 'data'),
    credentials: join(home, 'credentials.json'),
    logFile: join(home, 'postgres.log'),
  };
}

/** A new database is made beside its place and moved there when complete, so that none is ever half made. */
async function initialize(
  dataDir: string,
  place: Place,
  binaries: PostgresBinaries,
  account: Account | undefined,
  { log, fsync }: EmbeddedPostgresConfig,
): Promise<void> {
  log(`creating a database in ${dataDir}`);
  const draft = placeIn(await mkdtemp(join(dataDir, `${DRAFT_PREFIX}${process.pid}-`)));
  const credentials: Credentials = { owner: password(), server: password() };
  const passwordFile = join(draft.home, 'password');
  await writeFile(draft.credentials, JSON.stringify(credentials), { mode: 0o600 });
  await writeFile(passwordFile, credentials.owner, { mode: 0o600 });
  if (account !== undefined) {
    for (const path of [draft.home, passwordFile]) await chown(path, account.uid, account.gid);
  }
  const args = [
    `--pgdata=${draft.data}`,
    `--username=${OWNER}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    ...(fsync === false ? ['--no-sync'] : []),
  ];
  const output = await open(draft.logFile, 'a', 0o600);
  try {
    const initdb = await spawnAs(account, binaries.initdb, args, [draft.data], {
      stdio: ['ignore', output.fd, output.fd],
      detached: true,
    });
    const [code] = (await once(initdb, 'exit')) as [number | null];
    if (code !== 0) throw new Error(`initdb failed: ${await tail(draft.logFile)}`);
  } finally {
    await output.close();
  }
  await rm(passwordFile);
  await rename(draft.home, place.home).catch(async (error: NodeJS.ErrnoException) => {
    await rm(draft.home, { recursive: true, force: true });
    // Another process made one meanwhile; whose it is the ownership decides.
    if (error.code !== 'ENOTEMPTY') throw error;
  });
}

/** Removes what processes that were killed while they made a database left behind. */
async function removeAbandoned(dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir)) {
    if (name.startsWith(DRAFT_PREFIX) && !isAlive(Number.parseInt(name.slice(DRAFT_PREFIX.length), 10))) {
      await rm(join(dataDir, name), { recursive: true, force: true, maxRetries: 5 });
    }
  }
}

/** 192 bits that need no escaping in a URL. */
function password(): string {
  return randomBytes(24).toString('base64url');
}

/** @throws Error with the end of its log if it ends before it accepts connections */
async function start(
  place: Place,
  binaries: PostgresBinaries,
  account: Account | undefined,
  { log, fsync }: EmbeddedPostgresConfig,
): Promise<Postmaster> {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(await freePort()),
    unix_socket_directories: '',
    max_connections: '200',
    ...(fsync === false && { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  // Its log is a file rather than a pipe: it may outlive this process.
  const output = await open(place.logFile, 'a', 0o600);
  try {
    const child = await spawnAs(account, binaries.postgres, ['-D', place.data, ...args], [place.data], {
      stdio: ['ignore', output.fd, output.fd],
      detached: true,
    });
    child.unref();
    log(`starting PostgreSQL in ${place.home} (process ${child.pid})`);
    while (child.exitCode === null && child.signalCode === null) {
      const lock = await readLock(place);
      if (lock?.pid === child.pid && lock?.ready) return lock;
      await delay(POLL_MS);
    }
    throw new Error(`PostgreSQL does not start in ${place.home}: ${await tail(place.logFile)}`);
  } finally {
    await output.close();
  }
}

/** The server that runs on this data, once it accepts connections; undefined: none. */
async function runningPostmaster(place: Place, { log }: EmbeddedPostgresConfig): Promise<Postmaster | undefined> {
  for (;;) {
    const lock = await readLock(place);
    if (lock === undefined || !isAlive(lock.pid)) return undefined;
    if (!(await commandOf(lock.pid)).includes(place.data)) {
      // The pid belongs to somebody else now, which PostgreSQL would take for a running server.
      await rm(join(place.data, 'postmaster.pid'), { force: true });
      return undefined;
    }
    if (lock.ready) {
      log(`PostgreSQL runs in ${place.home} already (process ${lock.pid})`);
      return lock;
    }
    await delay(POLL_MS);
  }
}

/**
 * What the server says of itself in postmaster.pid, line by line: pid, data directory, start time, port, socket folder,
 * address, shared memory, state.
 */
async function readLock(place: Place): Promise<(Postmaster & { ready: boolean }) | undefined> {
  const text = await readFile(join(place.data, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n');
  if (lines[0] === '') return undefined;
  return { pid: Number(lines[0]), port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' };
}

/** The command line of a process; empty: there is none. */
async function commandOf(pid: number): Promise<string> {
  // Slim images have no ps; other systems than Linux have no /proc.
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return promisify(execFile)('ps', ['-o', 'args=', '-p', String(pid)]).then(({ stdout }) => stdout, () => '');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** @returns the session that holds the ownership; undefined: another one does */
async function takeOwnership(ownerUrl: string): Promise<Session | undefined> {
  const session = await openSession(ownerUrl, 'platen owner');
  try {
    for (let attempt = 1; attempt <= OWNERSHIP_ATTEMPTS; attempt += 1) {
      const [row] = await session.em.execute<{ owned: boolean }[]>('select pg_try_advisory_lock(?) as owned', [
        OWNERSHIP_KEY,
      ]);
      if (row!.owned) return session;
      await delay(OWNERSHIP_INTERVAL_MS);
    }
  } catch (error) {
    await session.close();
    throw error;
  }
  await session.close();
  return undefined;
}

async function ensureServerLogin({ em }: Session, serverPassword: string): Promise<void> {
  const existing = await em.execute('select 1 from pg_roles where rolname = ?', [SERVER]);
  if (existing.length === 0) await em.execute(`create role ${SERVER} login password '${serverPassword}'`);
}

async function stop(place: Place, { pid }: Postmaster, ownership: Session): Promise<void> {
  // PostgreSQL's fast shutdown: sessions end, what is committed is written.
  if (isAlive(pid)) process.kill(pid, 'SIGINT');
  // An adopted server that has ended stays a zombie if nobody collects it; its lock file is gone, though.
  while (isAlive(pid) && (await readLock(place))?.pid === pid) await delay(POLL_MS);
  await ownership.close();
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** The end of a log. */
async function tail(file: string): Promise<string> {
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  return lines.slice(-5).join(' | ');
}
