import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { TestRedis } from '../redis-server.ts';
import type { RenderInit } from '../rendering.ts';
import { Arena } from './arena.ts';
import type { Fault } from './faults.ts';
import { CHANGES, checkHistory, type ChangeRow } from './history.ts';
import { Judge } from './judge.ts';
import { keptReceipts } from './kept-receipts.ts';
import { Ledger } from './ledger.ts';
import { Outages } from './outages.ts';
import { OwnPostgres } from './own-postgres.ts';
import { Random } from './random.ts';
import { read } from './reader.ts';
import type { Seat } from './seat.ts';
import { createWorld, QUESTIONS } from './world.ts';
import { Writer } from './writer.ts';

/** What happens in a run. */
export interface ChaosPlan {
  readonly seed: number;
  readonly redis: TestRedis | undefined;
  /** The faults in their order; asked for the next one when one is over, and before the first. */
  readonly faults: (random: Random) => Iterable<Fault>;
  /** Told what happens, line by line. */
  readonly say: (line: string) => void;
  /** Breaks the run off. */
  readonly stop: AbortSignal;
}

const REPLICAS = 3;
const READERS = 6;
const WRITERS = 3;
const BETWEEN_MS = { low: 300, high: 1_500 };

/**
 * Three replicas as processes on stores of their own, with callers who read and write all the time while faults happen
 * to the stores and the replicas.
 *
 * @returns what was found, once every process of the run has ended
 * @throws AbortError if it is broken off
 */
export async function runChaos({ seed, redis, faults, say, stop }: ChaosPlan): Promise<Ledger> {
  const ledger = new Ledger(say);
  const outages = new Outages();
  const judge = new Judge(ledger, outages);
  const random = new Random(seed);
  const end = new AbortController();
  const readers: Promise<void>[] = [];
  const attach = (seat: Seat): void => {
    for (let n = 0; n < READERS; n += 1) {
      readers.push(read(seat, judge, new Random(seed + readers.length), end.signal));
    }
  };
  const lag = monitorEventLoopDelay({ resolution: 5 });

  const postgres = await OwnPostgres.start();
  const journal = await mkdtemp(join(tmpdir(), 'platen-journal-'));
  const settings = {
    PLATEN_DATABASE_URL: postgres.serverUrl,
    PLATEN_DATABASE_OWNER_URL: postgres.ownerUrl,
    PLATEN_AUDIT_JOURNAL_DIR: journal,
    ...(redis && { PLATEN_REDIS_URL: redis.url, PLATEN_REDIS_PREFIX: 'chaos:' }),
  };
  let serving = false;
  const joined = (seat: Seat): void => void (serving && attach(seat));
  const arena = new Arena({ postgres, redis, outages, ledger, random, settings, joined, stop });
  try {
    await Promise.all(Array.from({ length: REPLICAS }, () => arena.join()));
    await createWorld(arena.replicas[0]!.clients);
    arena.replicas.forEach(attach);
    serving = true;
    const seats = () => arena.replicas;
    const writers = Array.from({ length: WRITERS }, (_, n) => {
      const own = new Random(seed + 1_000 + n);
      return new Writer({ name: `writer-${n}`, seats, judge, ledger, random: own, stop: end.signal });
    });
    const writing = writers.map((writer, n) => writer.run(n === 0));
    const began = performance.now();
    const at = (): string => `${((performance.now() - began) / 1_000).toFixed(1).padStart(6)} s`;
    lag.enable();
    try {
      await arena.wait(random.between(BETWEEN_MS.low, BETWEEN_MS.high));
      for (const fault of faults(random)) {
        say(`${at()}  ${fault.name} …`);
        await fault.apply(arena);
        say(`${at()}  … over`);
        ledger.tally(`fault: ${fault.name}`);
        await arena.wait(random.between(BETWEEN_MS.low, BETWEEN_MS.high));
      }
    } finally {
      end.abort();
      await Promise.all([...writing, ...readers]);
    }
    lag.disable();
    ledger.tally('longest turn of the callers themselves, ms', Math.round(lag.max / 1e6));
    await sameAsFresh(arena, ledger);
    await receiptsKept(arena, judge, ledger);
    const written = writers.flatMap(({ records }) => records);
    checkHistory(await postgres.query<ChangeRow>(CHANGES), judge.answers, QUESTIONS, written, ledger);
    await arena.leave();
    return ledger;
  } finally {
    await arena.clear();
    await postgres.stop();
    await rm(journal, { recursive: true, force: true });
  }
}

/** Whether the receipts of all replicas, those killed included, are in the chain, and the trail fits. */
async function receiptsKept({ postgres, replicas }: Arena, { receipts }: Judge, ledger: Ledger): Promise<void> {
  const { missing, doubled, findings, verified } = await keptReceipts(postgres, replicas[0]!.clients, receipts);
  const lost = () => `${missing.length} of ${receipts.size} are missing, ${doubled.length} are there more than once`;
  ledger.check('receiptsKept', missing.length + doubled.length === 0, lost);
  ledger.check('trailFits', findings.length === 0 && verified >= receipts.size, () => findings.join('; '));
  ledger.tally('receipts verified', verified);
}

/** Whether every replica answers every question as one does that loads everything anew. */
async function sameAsFresh(arena: Arena, ledger: Ledger): Promise<void> {
  const fresh = await arena.startReplica();
  try {
    const minSeq = await arena.postgres.head();
    for (const { name, request } of QUESTIONS) {
      const expected = await plain(fresh, { ...request, minSeq });
      for (const replica of arena.replicas) {
        const found = await plain(replica, { ...request, minSeq });
        const told = () => `${replica.name} answers "${name}" with ${found}, and a fresh one with ${expected}`;
        ledger.check('sameAsFresh', found === expected, told);
      }
    }
  } finally {
    await fresh.stop();
  }
}

/** All of an answer but what no two have in common. */
async function plain({ clients }: Seat, request: RenderInit): Promise<string> {
  const answer = await clients.renders.render(request);
  const { text, renderedHash, bundleHash, personalityHash, variablesHash } = answer;
  const { tenant, bundleId, version, channel, revision, seq, source } = answer;
  const origin = `${tenant}/${bundleId}@${version}#${channel}.${revision} at ${seq} (${source})`;
  return [text, renderedHash, bundleHash, personalityHash, variablesHash, origin].join(' ');
}
