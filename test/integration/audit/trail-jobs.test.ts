import assert from 'node:assert/strict';
import { ThreadedTrailJobs } from '../../../src/composition/trail-jobs.ts';
import { sha256 } from '../../../src/domain/document.ts';
import { Cancelled, DeadlineExceeded, Unavailable } from '../../../src/domain/errors.ts';
import type { ReplayProgress, VerificationProgress } from '../../../src/services/trail-jobs.ts';
import type { CapturedInputs, ReceiptRecord } from '../../../src/services/trail.ts';
import { ReceiptChain } from '../../../src/storage/receipt-chain.ts';
import { openSession } from '../../../src/storage/session.ts';
import { TRAIL_LOCK_KEY } from '../../../src/storage/trail-lock.ts';
import { syntheticReceipts } from '../../../bench/support/receipts.ts';
import { DatabaseProxy } from '../../support/database-proxy.ts';
import { messagesHash } from '../../support/independent-hash.ts';
import { asOwner } from '../../support/postgres.ts';
import { ANY_RECEIPT, receiptRecord } from '../../support/storage/records.ts';
import { openRegistry, type Registry } from '../../support/storage/registry.ts';
import { until } from '../../support/until.ts';

const MEMORY_MB = 128;
/** Not enough for 50,000 receipts. */
const TIGHT_MB = 72;
const BATCH = 5_000;
const DAY = 86_400_000;

let registry: Registry;
let jobs: ThreadedTrailJobs;
const never = new AbortController().signal;

function useJobs(): void {
  before(async () => {
    registry = await openRegistry();
  });
  beforeEach(() => {
    jobs = openJobs();
  });
  afterEach(() => jobs.close());
  after(() => registry.close());
}

function openJobs({ url = registry.test.serverUrl, memoryMb = MEMORY_MB, statementTimeoutMs = 10_000 } = {}) {
  return new ThreadedTrailJobs({ database: { url, poolWaitMs: 5_000, statementTimeoutMs }, memoryMb });
}

function said(content: string): string {
  return messagesHash([{ role: 'SYSTEM', content }]);
}

async function chain(
  receipts: readonly ReceiptRecord[],
  inputsOf: (n: number) => CapturedInputs | undefined = () => undefined,
): Promise<void> {
  const chain = new ReceiptChain({ url: registry.test.serverUrl, statementTimeoutMs: 10_000 });
  for (let start = 0; start < receipts.length; start += BATCH) {
    const slice = receipts.slice(start, start + BATCH).map((receipt, n) => ({ receipt, inputs: inputsOf(n) }));
    for (const batch of chain.prepare(slice)) await chain.append(batch);
  }
  await chain.close();
}

async function told<P>(progress: AsyncIterable<P>): Promise<P[]> {
  const all: P[] = [];
  for await (const each of progress) all.push(each);
  return all;
}

/** Keeps verifications waiting, as a pruning does, until the end that it returns. */
async function prune(): Promise<() => Promise<void>> {
  const session = await openSession(registry.test.ownerUrl, 'platen test');
  await session.em.execute(`select pg_advisory_lock(${TRAIL_LOCK_KEY})`);
  return () => session.close();
}

function trailSessions(): Promise<{ pid: number; state: string }[]> {
  const sql = `select pid, state from pg_stat_activity
    where datname = current_database() and application_name = 'platen trail'`;
  return asOwner(registry.test, sql);
}

function unavailable(reason: Unavailable['reason']): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof Unavailable, String(error));
    assert.equal(error.reason, reason);
    return true;
  };
}

describe('Verification shows tampering', () => {
  useJobs();

  it('in a thread of its own', async () => {
    await chain([receiptRecord(new Date()), receiptRecord(new Date())]);
    const progress = await told(jobs.verify(undefined, never));
    const { changes, receipts, intact } = progress.at(-1)!.result!;
    assert.deepEqual([changes, receipts, intact], [1, 2, true]);
    assert.equal(progress.filter(({ result }) => result).length, 1);
  });

  it('with each finding, and against a checkpoint', async () => {
    const [{ result }] = (await told(jobs.verify(undefined, never))).slice(-1) as [VerificationProgress];
    const checkpoint = { ...result!.heads!, changeHash: 'a'.repeat(64), batchHash: 'b'.repeat(64) };
    const findings = (await told(jobs.verify(checkpoint, never))).flatMap(({ finding }) => finding ?? []);
    assert.deepEqual(
      findings.map(({ part, problem }) => [part, problem]),
      [
        ['CHANGES', 'CHECKPOINT_MISMATCH'],
        ['RECEIPTS', 'CHECKPOINT_MISMATCH'],
      ],
    );
  });
});

describe('Ranges of receipts are replayed', () => {
  useJobs();

  it('in a thread of its own; values that a superuser changed are not those of the render', async () => {
    const text = (customer: string) => `Goodbye, ${customer}.`;
    const receipts = ['Ada', 'Grace', 'Mary'].map((customer) =>
      receiptRecord(new Date(), {
        bundleHash: '',
        renderedHash: sha256(text(customer)),
        messagesHash: said(text(customer)),
      }),
    );
    await chain(receipts, (n) => ({ fallbackText: text(['Ada', 'Grace', 'Mary'][n]!) }));
    const filter = { ...ANY_RECEIPT, startTime: new Date(Date.now() - DAY) };
    const last = async () => (await told(jobs.replay(filter, never))).at(-1)!;
    const { total, replayed, matched } = await last();
    assert.deepEqual([total, replayed, matched], [3, 3, 3]);

    await asOwner(
      registry.test,
      `set session_replication_role = replica; update receipt_payload set inputs = '{"fallbackText":"Goodbye, Eve."}'
      where render_id = '${receipts[1]!.renderId}'`,
    );
    const progress = await told(jobs.replay(filter, never));
    assert.deepEqual(
      progress.flatMap(({ deviations }) => deviations.map(({ renderId, outcome }) => [renderId, outcome])),
      [[receipts[1]!.renderId, 'INPUT_MISSING']],
    );
    assert.equal((await told(jobs.verify(undefined, never))).at(-1)!.result!.intact, true);
  });

  it('and their callers learn every second that they go on', async () => {
    const session = await openSession(registry.test.ownerUrl, 'platen test');
    await session.em.execute('begin; lock table receipt');
    const running = jobs.replay(ANY_RECEIPT, never);
    const none = { total: 0, replayed: 0, matched: 0, mismatched: 0, inputMissing: 0, rendererUnknown: 0 };
    const waiting = { done: false, value: { ...none, deviations: [] } };
    assert.deepEqual([await running.next(), await running.next(), await running.next()], [waiting, waiting, waiting]);
    await session.em.execute('rollback');
    await session.close();
    assert.equal((await told(running)).at(-1)!.matched, 2);
  });
});

describe('Work that may run long is bounded', () => {
  useJobs();

  it('as two jobs on the trail at a time', async () => {
    const pruned = await prune();
    const running = [jobs.verify(undefined, never), jobs.verify(undefined, never)];
    for (const each of running) await each.next();
    await assert.rejects(jobs.verify(undefined, never).next(), unavailable('OVERLOADED'));
    await assert.rejects(jobs.replay(ANY_RECEIPT, never).next(), unavailable('OVERLOADED'));
    await pruned();
    const results = await Promise.all(running.map(async (each) => (await told(each)).at(-1)!.result!.intact));
    assert.deepEqual(results, [true, true]);
    assert.equal((await told(jobs.verify(undefined, never))).at(-1)!.result!.intact, true);
  });

  it('whose callers learn every second that they go on', async () => {
    const pruned = await prune();
    const running = jobs.verify(undefined, never);
    const waiting = { done: false, value: { part: 'DOCUMENTS', verified: 0, total: 0 } };
    assert.deepEqual([await running.next(), await running.next()], [waiting, waiting]);
    await pruned();
    assert.equal((await told(running)).at(-1)!.result!.intact, true);
  });

  it('and whose memory does not grow with the trail', async () => {
    const start = new Date(Math.floor(Date.now() / DAY) * DAY);
    const records = [...syntheticReceipts(50_000, start, new Date(start.getTime() + 3_600_000))];
    await chain(records.map(({ receipt }) => receipt));
    const narrow = openJobs({ memoryMb: TIGHT_MB });
    const { result } = (await told(narrow.verify(undefined, never))).at(-1)!;
    assert.deepEqual([result!.intact, result!.receipts], [true, 50_000]);
    const [last] = (await told(narrow.replay({ ...ANY_RECEIPT, caller: 'nobody' }, never))).slice(-1) as [ReplayProgress];
    assert.equal(last.total, 0);
  });

  it('and ends with its call', async () => {
    for (const [reason, expected] of [
      [new DeadlineExceeded(), new DeadlineExceeded()],
      [new Error('gone'), new Cancelled()],
    ] as const) {
      const pruned = await prune();
      const caller = new AbortController();
      const running = jobs.verify(undefined, caller.signal);
      await running.next();
      const next = running.next();
      caller.abort(reason);
      await assert.rejects(next, expected);
      await assert.rejects(jobs.verify(undefined, caller.signal).next(), expected);
      await pruned();
      await until('its session has ended', async () => (await trailSessions()).length === 0);
    }
  });

  it('and with a caller who takes no more of it', async () => {
    const pruned = await prune();
    const caller = new AbortController();
    const [returned, stalled] = [jobs.verify(undefined, never), jobs.verify(undefined, caller.signal)];
    await Promise.all([returned.next(), stalled.next()]);
    await returned.return(undefined);
    caller.abort();
    await pruned();
    await until('their sessions have ended', async () => (await trailSessions()).length === 0);
    await assert.rejects(stalled.next(), new Cancelled());
  });

  it('and with the server', async () => {
    const pruned = await prune();
    const running = jobs.verify(undefined, never);
    await running.next();
    await jobs.close();
    await assert.rejects(running.next(), unavailable('DRAINING'));
    await assert.rejects(jobs.verify(undefined, never).next(), unavailable('DRAINING'));
    await pruned();
  });

  it('and with the memory that it may take', async () => {
    const tight = openJobs({ memoryMb: 4 });
    await assert.rejects(told(tight.verify(undefined, never)), { code: 'ERR_WORKER_OUT_OF_MEMORY' });
  });
});

describe('Verification shows tampering', () => {
  useJobs();

  it('a pruning that goes on makes a verification unavailable', async () => {
    const pruned = await prune();
    const impatient = openJobs({ statementTimeoutMs: 100 });
    await assert.rejects(told(impatient.verify(undefined, never)), unavailable('DATABASE_UNAVAILABLE'));
    await pruned();
  });

  it('a database that is away makes jobs unavailable', async () => {
    const proxy = await DatabaseProxy.start(registry.test);
    proxy.cut();
    const remote = openJobs({ url: proxy.url });
    await assert.rejects(told(remote.verify(undefined, never)), unavailable('DATABASE_UNAVAILABLE'));
    await assert.rejects(told(remote.replay(ANY_RECEIPT, never)), unavailable('DATABASE_UNAVAILABLE'));
    await proxy.stop();
  });

  it('a database that falls silent makes jobs unavailable', async () => {
    const proxy = await DatabaseProxy.start(registry.test);
    const session = await openSession(registry.test.ownerUrl, 'platen test');
    await session.em.execute('begin; lock table document');
    const running = openJobs({ url: proxy.url, statementTimeoutMs: 2_000 }).verify(undefined, never);
    await running.next();
    const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await until('it waits', async () => (await asOwner(registry.test, waiting)).length > 0);
    proxy.freeze();
    await assert.rejects(told(running), unavailable('DATABASE_UNAVAILABLE'));
    await session.close();
    await proxy.stop();
  });

  it('what is no fault of the database is none of theirs', async () => {
    await asOwner(registry.test, 'alter table change rename to changes');
    await assert.rejects(told(jobs.verify(undefined, never)), /relation "change" does not exist/);
    await asOwner(registry.test, 'alter table changes rename to change');
  });

  it('a verification that pruning is not kept from any more does not go on', async () => {
    const running = jobs.verify(undefined, never);
    await running.next();
    let share: number | undefined;
    await until('it keeps pruning away', async () => {
      share = (await trailSessions()).find(({ state }) => state === 'idle in transaction')?.pid;
      return share !== undefined;
    });
    await asOwner(registry.test, 'select pg_terminate_backend(?)', [share]);
    await assert.rejects(told(running), unavailable('DATABASE_UNAVAILABLE'));
  });
});
