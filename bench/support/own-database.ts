import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../src/storage/embedded-postgres.ts';
import { migrate } from '../../src/storage/migrate.ts';
import { openSession, type Session } from '../../src/storage/session.ts';

/** A migrated PostgreSQL of a bench's own. */
export interface OwnDatabase {
  readonly serverUrl: string;
  readonly ownerUrl: string;
  /** As the owner. */
  readonly session: Session;
}

/** Processor time is told in hundredths of a second (proc(5), USER_HZ). */
const TICKS_A_SECOND = 100;

/** Runs the work with a PostgreSQL in a temporary directory, as it runs for real (fsync on). */
export async function withOwnDatabase<T>(work: (database: OwnDatabase) => Promise<T>): Promise<T> {
  const dataDir = await mkdtemp(join(tmpdir(), 'platen-bench-'));
  const postgres = await startEmbeddedPostgres({ dataDir, log: () => {} });
  try {
    await migrate(postgres.ownerUrl, postgres.serverUrl);
    const session = await openSession(postgres.ownerUrl, 'platen bench');
    try {
      return await work({ serverUrl: postgres.serverUrl, ownerUrl: postgres.ownerUrl, session });
    } finally {
      await session.close();
    }
  } finally {
    await postgres.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Seconds of processor time that all processes of the server took so far, those that ended included (Linux). */
export async function serverCpuSeconds({ em }: Session): Promise<number> {
  const [backend] = await em.execute<{ pid: number }[]>('select pg_backend_pid() as pid');
  const server = (await processTimes(String(backend!.pid))).parent;
  const all = await Promise.all((await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(processTimes));
  const ticks = all
    .filter(({ pid, parent }) => pid === server || parent === server)
    .reduce((sum, { pid, own, ended }) => sum + own + (pid === server ? ended : 0), 0);
  return ticks / TICKS_A_SECOND;
}

interface ProcessTimes {
  readonly pid: string;
  readonly parent: string;
  readonly own: number;
  /** Of children that ended. */
  readonly ended: number;
}

async function processTimes(pid: string): Promise<ProcessTimes> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // What follows the name, which may hold blanks: fields 3 and on.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const sum = (first: number) => Number(fields[first - 3] ?? 0) + Number(fields[first - 2] ?? 0);
  return { pid, parent: fields[1] ?? '', own: sum(14), ended: sum(16) };
}
