import { openDatabase, type Database } from '../../../src/storage/database.ts';
import { PostgresStores } from '../../../src/storage/postgres-stores.ts';
import { PostgresWrites } from '../../../src/storage/writes.ts';
import type { Repeatable, WriteCall, WriteTransaction } from '../../../src/services/stores.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

/** A registry on a database of its own. */
export interface Registry {
  readonly test: TestDatabase;
  readonly database: Database;
  readonly stores: PostgresStores;
  readonly writes: PostgresWrites;
  /** The seqs that were waited for. */
  readonly applied: number[];
  /** Runs one write by `admin`. */
  write<T>(work: (tx: WriteTransaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export async function openRegistry(now: () => Date = () => new Date()): Promise<Registry> {
  const test = await createDatabase();
  const database = await openServerDatabase(test);
  const applied: number[] = [];
  const writes = new PostgresWrites(database, async (seq) => void applied.push(seq), now);
  return {
    test,
    database,
    stores: new PostgresStores(database.access),
    writes,
    applied,
    write: (work) => writes.run(writeCall(), notRepeated(), work),
    close: async () => {
      await database.close();
      await test.drop();
    },
  };
}

export function openServerDatabase(
  test: Pick<TestDatabase, 'serverUrl'>,
  changes: Partial<Parameters<typeof openDatabase>[0]> = {},
): Promise<Database> {
  return openDatabase({
    url: test.serverUrl,
    poolMax: 10,
    poolWaitMs: 10_000,
    statementTimeoutMs: 20_000,
    onQuery: () => {},
    ...changes,
  });
}

export function writeCall(changes: Partial<WriteCall> = {}): WriteCall {
  return {
    actor: 'admin',
    traceId: '',
    requestId: '',
    deadline: undefined,
    signal: new AbortController().signal,
    ...changes,
  };
}

/** For answers that no repeat asks for. */
export function notRepeated<T>(): Repeatable<T> {
  return { rpc: '', fingerprint: '', encode: () => new Uint8Array(), decode: () => undefined as T };
}

/** For answers that are strings. */
export function repeatable(rpc: string, fingerprint: string): Repeatable<string> {
  return {
    rpc,
    fingerprint,
    encode: (answer) => new TextEncoder().encode(answer),
    decode: (bytes) => new TextDecoder().decode(bytes),
  };
}
