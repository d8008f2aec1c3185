/** Runs in which servers, or PostgreSQL, go away under load, and what became of the receipts. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../../src/cli/client.ts';
import { PlatenProcess } from '../platen-process.ts';
import { until } from '../until.ts';
import { Callers, createNotedPrompt } from './callers.ts';
import { keptReceipts, type Kept } from './kept-receipts.ts';
import { OwnPostgres } from './own-postgres.ts';
import { Random } from './random.ts';

/** What a run came to. */
export interface ReceiptRun extends Kept {
  /** How many answers said that their receipt is kept. */
  readonly kept: number;
  /** How many said that it is not. */
  readonly unkept: number;
}

export interface KillPlan {
  readonly rounds: number;
  readonly seed: number;
  /** Told what happens, line by line. */
  readonly say: (line: string) => void;
}

const UNDER_LOAD_MS = { low: 50, high: 900 };
const SHORT_NOTE = 'short';
/** So that receipts which were held in memory could not be overlooked. */
const LONG_NOTE = 'All work and no play makes a dull note. '.repeat(200);
const SAMPLE_MS = 500;
/** After these a server has taken all the memory that it does under load. */
const WARM_RENDERS = 20_000;
/** More than can be written in a minute. */
const JOURNAL_BYTES = String(16 * 2 ** 30);

/** One server after the other on one journal; each is killed under load, but for the last. */
export async function runKills({ rounds, seed, say }: KillPlan): Promise<ReceiptRun> {
  const random = new Random(seed);
  return withStores(async (stores) => {
    const callers = new Callers(SHORT_NOTE);
    for (let round = 1; round <= rounds; round += 1) {
      const server = await stores.serve(round === 1);
      callers.start(server.clients);
      await sleep(random.between(UNDER_LOAD_MS.low, UNDER_LOAD_MS.high));
      await server.kill();
      await callers.stop();
      say(`killed ${round} of ${rounds}, ${callers.kept.size} receipts promised`);
    }
    const last = await stores.serve(false);
    const { kept, unkept } = callers;
    const found = await keptReceipts(stores.postgres, last.clients, kept);
    await last.stop();
    return { ...found, kept: kept.size, unkept };
  });
}

export interface OutageRun extends ReceiptRun {
  /** What calls failed with, and how often. */
  readonly failures: ReadonlyMap<string, number>;
  /** Answers while PostgreSQL was away. */
  readonly answeredMeanwhile: number;
  /** The most that waited in the journal. */
  readonly deepest: number;
  /** By how much the server's memory grew at most, in bytes. */
  readonly grown: number;
  /** What the receipts that waited are worth in the journal, in bytes. */
  readonly journaled: number;
}

/** One server under load, while PostgreSQL is killed and stays away for a while. */
export async function runOutage(seconds: number, say: (line: string) => void): Promise<OutageRun> {
  return withStores(async (stores) => {
    const server = await stores.serve(true);
    const callers = new Callers(LONG_NOTE);
    callers.start(server.clients);
    await until('it renders as it does under load', () => callers.kept.size >= WARM_RENDERS);
    const before = await server.metric('process_resident_memory_bytes');
    await stores.postgres.kill();
    const answeredBefore = callers.kept.size;
    let [deepest, grown, journaled] = [0, 0, 0];
    const end = performance.now() + seconds * 1_000;
    while (performance.now() < end) {
      await sleep(SAMPLE_MS);
      deepest = Math.max(deepest, await server.metric('audit_journal_depth'));
      journaled = Math.max(journaled, await server.metric('audit_journal_bytes'));
      grown = Math.max(grown, (await server.metric('process_resident_memory_bytes')) - before);
    }
    const answeredMeanwhile = callers.kept.size - answeredBefore;
    say(`PostgreSQL was away for ${seconds} s: ${answeredMeanwhile} renders, ${deepest} receipts waited`);
    say(`${megabytes(journaled)} MB in the journal; the server's memory grew by ${megabytes(grown)} MB`);
    await stores.postgres.restart();
    await stores.postgres.accepting();
    await callers.stop();
    const { kept, unkept, failures } = callers;
    const found = await keptReceipts(stores.postgres, server.clients, kept);
    await server.stop();
    return { ...found, kept: kept.size, unkept, failures, answeredMeanwhile, deepest, grown, journaled };
  });
}

/** A PostgreSQL and a journal that outlive servers. */
class Stores {
  readonly postgres: OwnPostgres;
  readonly #journal: string;
  readonly #processes: PlatenProcess[] = [];

  constructor(postgres: OwnPostgres, journal: string) {
    this.postgres = postgres;
    this.#journal = journal;
  }

  /** @param first makes the prompt that callers ask for */
  async serve(first: boolean) {
    const server = new PlatenProcess(['serve'], {
      PLATEN_DATABASE_URL: this.postgres.serverUrl,
      PLATEN_DATABASE_OWNER_URL: this.postgres.ownerUrl,
      PLATEN_AUDIT_JOURNAL_DIR: this.#journal,
      PLATEN_AUDIT_JOURNAL_BYTES: JOURNAL_BYTES,
    });
    this.#processes.push(server);
    const { grpc, http } = await server.logged('listening');
    await server.logged('serving');
    const connection = connect(`http://${grpc}`);
    if (first) await createNotedPrompt(connection.clients);
    const end = async (signal: NodeJS.Signals): Promise<void> => {
      server.signal(signal);
      await server.exitCode();
      connection.close();
    };
    return {
      clients: connection.clients,
      metric: (name: string) => metricOf(`http://${http}/metrics`, name),
      kill: () => end('SIGKILL'),
      stop: () => end('SIGTERM'),
    };
  }

  async clear(): Promise<void> {
    for (const process of this.#processes.filter(({ running }) => running)) {
      process.signal('SIGKILL');
      await process.exitCode();
    }
    await this.postgres.stop();
    await rm(this.#journal, { recursive: true, force: true });
  }
}

async function withStores<T>(run: (stores: Stores) => Promise<T>): Promise<T> {
  const stores = new Stores(await OwnPostgres.start(), await mkdtemp(join(tmpdir(), 'platen-journal-')));
  try {
    return await run(stores);
  } finally {
    await stores.clear();
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}

async function metricOf(url: string, name: string): Promise<number> {
  const text = await (await fetch(url)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}
