import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Cancelled, DeadlineExceeded, InvalidInput, Unavailable, WorkTooLong } from '../../../src/domain/errors.ts';
import type { WorkCall } from '../../../src/services/bounded-work.ts';
import { WorkerPool } from '../../../src/workers/worker-pool.ts';
import { until } from '../../support/until.ts';
import { closedGate, entered, type Gate, open } from '../../support/workers/gate.ts';
import { ObservedWork } from '../../support/workers/observed-work.ts';
import type { TestTasks } from '../../support/workers/test-worker.ts';

const WORKERS = join(import.meta.dirname, '../../support/workers');

/** More than any test takes. */
const AMPLE_MS = 60_000;
/** Enough for a thread that is ready to begin a task, however busy the machine is. */
const SHORT_MS = 1_000;

/** A call that is never over. */
function patient(): WorkCall {
  return { deadline: undefined, signal: new AbortController().signal };
}

const ample = () => ({ limitMs: AMPLE_MS, call: patient() });

describe('WorkerPool', () => {
  let pool: WorkerPool<TestTasks>;
  let observed: ObservedWork;
  const gates: Gate[] = [];

  function openPool({ threads = 1, queueMax = 10, memoryMb = 64, filename = 'test-worker.ts' } = {}): void {
    observed = new ObservedWork();
    pool = new WorkerPool({ filename: join(WORKERS, filename), threads, queueMax, memoryMb, observer: observed });
  }

  /** A task that runs until its gate is opened. */
  async function holding(bounds = ample()): Promise<{ gate: Gate; held: Promise<string> }> {
    const gate = closedGate();
    gates.push(gate);
    const held = pool.run('hold', gate, bounds);
    held.catch(() => undefined);
    await until('the task runs', () => entered(gate));
    return { gate, held };
  }

  async function works(): Promise<void> {
    assert.equal(await pool.run('echo', 'still here', ample()), 'still here');
  }

  afterEach(async () => {
    for (const gate of gates.splice(0)) open(gate);
    await pool.close();
  });

  describe('Work that may run long is bounded', () => {
    it('runs in another thread, and comes back with its value', async () => {
      openPool();
      assert.equal(await pool.run('echo', 'a', ample()), 'a');
      assert.equal(await pool.run('later', 'b', ample()), 'b');
      assert.deepEqual(observed, Object.assign(new ObservedWork(), { tasksDone: ['echo', 'later'] }));
    });

    it('runs as many tasks at a time as there are threads', async () => {
      openPool({ threads: 2 });
      const tasks = [await holding(), await holding()];
      for (const { gate } of tasks) open(gate);
      assert.deepEqual(await Promise.all(tasks.map(({ held }) => held)), ['released', 'released']);
    });

    it('ends with its thread when it runs longer than its limit; the next task finds another', async () => {
      openPool();
      await works();
      const endless = pool.run('spin', closedGate(), { limitMs: SHORT_MS, call: patient() });
      await assert.rejects(endless, new WorkTooLong('spin', SHORT_MS));
      await works();
      assert.deepEqual(observed.tasksEnded, ['spin too_long']);
    });

    it('takes no task with it that waits', async () => {
      openPool();
      await works();
      const endless = pool.run('spin', closedGate(), { limitMs: SHORT_MS, call: patient() });
      const waiting = [pool.run('echo', 'first', ample()), pool.run('echo', 'second', ample())];
      await assert.rejects(endless, WorkTooLong);
      assert.deepEqual(await Promise.all(waiting), ['first', 'second']);
    });

    it('has a limit of memory too', async () => {
      openPool();
      await assert.rejects(pool.run('exhaust', undefined, ample()), (error: Error) => {
        assert.ok(error instanceof WorkTooLong);
        assert.equal(error.message, 'exhaust was ended at 64 MiB of memory; make what it works on shorter or simpler');
        assert.deepEqual([error.work, error.limitMs], ['exhaust', AMPLE_MS]);
        return true;
      });
      await works();
      assert.deepEqual(observed.tasksEnded, ['exhaust out_of_memory']);
    });

    it('is measured, however it ends', async () => {
      openPool();
      await works();
      await assert.rejects(pool.run('fail', undefined, ample()));
      await assert.rejects(pool.run('crash', undefined, ample()));
      assert.deepEqual(observed.tasksDone, ['echo', 'fail', 'crash']);
    });
  });

  describe('A thread that fails takes nothing else with it', () => {
    it('answers a task whose thread crashes with an error, and the next one with its value', async () => {
      openPool();
      const crashing = pool.run('crash', undefined, ample());
      const waiting = pool.run('echo', 'waited', ample());
      await assert.rejects(crashing, { name: 'Error', message: 'worker exited with code: 7' });
      assert.equal(await waiting, 'waited');
      assert.deepEqual(observed.tasksEnded, ['crash crashed']);
    });

    it('tells of threads that fail without a task', async () => {
      openPool({ filename: 'broken-worker.ts' });
      const waiting = pool.run('echo', 'a', { limitMs: SHORT_MS, call: patient() });
      await assert.rejects(waiting, { reason: 'OVERLOADED' });
      await until('a failure is told', () => observed.failures.length > 0);
      assert.equal(observed.failures[0]?.message, 'this thread cannot start');
    });
  });

  describe('What a task throws', () => {
    it('is the same error on the other side, if the domain knows it', async () => {
      openPool();
      const violation = { field: 'draft', reason: 'TOO_LONG', description: 'too long' } as const;
      const refusal = new InvalidInput([violation], 'INVALID_INPUT', { a: 'b' }, 900);
      await assert.rejects(pool.run('refuse', 'draft', ample()), refusal);
      assert.deepEqual(observed.tasksEnded, []);
    });

    it('is an Error with its message and stack, if it is a defect', async () => {
      openPool();
      await assert.rejects(pool.run('fail', undefined, ample()), (error: Error) => {
        assert.deepEqual([error.name, error.message], ['TypeError', 'it is not a function']);
        assert.match(error.stack ?? '', /test-worker\.ts/);
        return true;
      });
      await assert.rejects(pool.run('lookUp', undefined, ample()), { name: 'NotFound', message: /acme\/hello/ });
      assert.deepEqual(observed.tasksEnded, []);
    });
  });

  describe('Overload asks for a retry', () => {
    it('where too many tasks wait', async () => {
      openPool({ queueMax: 1 });
      const { gate, held } = await holding();
      const waiting = pool.run('echo', 'waited', ample());
      await assert.rejects(pool.run('echo', 'one too many', ample()), (error: Error) => {
        assert.ok(error instanceof Unavailable);
        assert.deepEqual([error.reason, error.retryDelayMs], ['OVERLOADED', 1_000]);
        assert.equal(error.message, 'too much waits for echo; try again');
        return true;
      });
      open(gate);
      assert.deepEqual(await Promise.all([held, waiting]), ['released', 'waited']);
      assert.deepEqual(observed.tasksEnded, ['echo overloaded']);
    });

    it('where a task waits longer than it may run', async () => {
      openPool();
      const { gate, held } = await holding();
      await assert.rejects(pool.run('echo', 'late', { limitMs: 1, call: patient() }), { reason: 'OVERLOADED' });
      open(gate);
      assert.equal(await held, 'released');
      assert.deepEqual(observed.tasksEnded, ['echo overloaded']);
    });
  });

  describe('Deadlines are honoured', () => {
    it('by a task that runs', async () => {
      openPool();
      await works();
      const call = { ...patient(), deadline: Date.now() + SHORT_MS };
      await assert.rejects(pool.run('spin', closedGate(), { limitMs: AMPLE_MS, call }), new DeadlineExceeded());
      await works();
    });

    it('by a task that waits', async () => {
      openPool();
      await holding();
      const call = { ...patient(), deadline: Date.now() + 30 };
      await assert.rejects(pool.run('echo', 'late', { limitMs: AMPLE_MS, call }), new DeadlineExceeded());
    });

    it('by a task that comes too late', async () => {
      openPool();
      const call = { ...patient(), deadline: Date.now() };
      await assert.rejects(pool.run('echo', 'late', { limitMs: AMPLE_MS, call }), new DeadlineExceeded());
      assert.deepEqual(observed.tasksEnded, []);
    });
  });

  describe('Cancelled work ends', () => {
    it('when it runs, with its thread', async () => {
      openPool();
      const caller = new AbortController();
      const gate = closedGate();
      const running = pool.run('spin', gate, { limitMs: AMPLE_MS, call: { ...patient(), signal: caller.signal } });
      await until('the task runs', () => entered(gate));
      caller.abort();
      await assert.rejects(running, new Cancelled());
      await works();
      assert.deepEqual(observed.tasksEnded, []);
    });

    it('when it waits, and gives its place to others', async () => {
      openPool({ queueMax: 1 });
      const { gate } = await holding();
      const caller = new AbortController();
      const bounds = { limitMs: AMPLE_MS, call: { ...patient(), signal: caller.signal } };
      const cancelled = pool.run('echo', 'cancelled', bounds);
      caller.abort();
      const waiting = pool.run('echo', 'waited', ample());
      await assert.rejects(cancelled, new Cancelled());
      open(gate);
      assert.equal(await waiting, 'waited');
    });

    it('before it began', async () => {
      openPool();
      const bounds = { limitMs: AMPLE_MS, call: { ...patient(), signal: AbortSignal.abort() } };
      await assert.rejects(pool.run('echo', 'cancelled', bounds), new Cancelled());
    });

    it('with the reason that the signal gives', async () => {
      openPool();
      const reason = new Unavailable('DRAINING', 'draining', 1);
      const bounds = { limitMs: AMPLE_MS, call: { ...patient(), signal: AbortSignal.abort(reason) } };
      await assert.rejects(pool.run('echo', 'cancelled', bounds), reason);
      assert.deepEqual(observed.tasksEnded, []);
    });
  });

  describe('Closing the pool', () => {
    it('lets what runs finish, and takes no more', async () => {
      openPool();
      const { gate, held } = await holding();
      const closed = pool.close();
      await assert.rejects(pool.run('echo', 'late', ample()), { name: 'Unavailable', reason: 'DRAINING' });
      open(gate);
      assert.equal(await held, 'released');
      await closed;
    });

    it('ends what does not finish', async () => {
      openPool();
      const { held } = await holding();
      const waiting = pool.run('echo', 'waited', ample());
      const ends = [held, waiting].map((end) => assert.rejects(end, { name: 'Unavailable', reason: 'DRAINING' }));
      await pool.close();
      await Promise.all(ends);
    });
  });
});
