import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { Unavailable } from '../../../src/domain/errors.ts';
import { StoreGuard, type StoreGuardOptions } from '../../../src/guard/store-guard.ts';

const TIMEOUT_MS = 100;
const RETRY_AFTER_MS = 500;

/** A guard, what it told, and work that does not end by itself. */
function given(options: Partial<StoreGuardOptions> = {}) {
  const told: string[] = [];
  const guard = new StoreGuard({
    store: 'shelf',
    timeoutMs: TIMEOUT_MS,
    retryAfterMs: RETRY_AFTER_MS,
    now: () => Date.now(),
    observer: {
      state: (store, state) => told.push(`${store} ${state}`),
      rejected: (store, reason) => told.push(`${store} rejects ${reason}`),
    },
    ...options,
  });
  return { guard, told };
}

const answer = () => Promise.resolve('an answer');
const away = () => Promise.reject(new Unavailable('DATABASE_UNAVAILABLE', 'the shelf is away', 1_000));
const never = () => new Promise<string>(() => {});

/** Runs work that fails, so many times. */
async function failing(guard: StoreGuard, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) await assert.rejects(guard.run(away), { message: 'the shelf is away' });
}

function refused(work: Promise<unknown>): Promise<void> {
  return assert.rejects(work, {
    name: 'Unavailable',
    reason: 'DATABASE_UNAVAILABLE',
    message: 'shelf is left alone, because it did not answer',
    retryDelayMs: 1_000,
  });
}

describe('A store that does not answer is left alone', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'] }));
  afterEach(() => mock.timers.reset());

  describe('as long as it answers', () => {
    it('work runs, and gives what it gives', async () => {
      const { guard, told } = given();
      assert.equal(await guard.run(answer), 'an answer');
      assert.deepEqual(told, ['shelf closed']);
    });

    it('an error of the work is passed on as it is', async () => {
      const error = new Error('no such row');
      await assert.rejects(given().guard.run(() => Promise.reject(error)), (thrown) => thrown === error);
    });

    it('errors that do not say that it is away count for nothing', async () => {
      const { guard, told } = given({ failuresToOpen: 2 });
      const defect = () => Promise.reject(new Error('a defect'));
      for (let time = 0; time < 4; time += 1) await assert.rejects(guard.run(defect), { message: 'a defect' });
      assert.deepEqual(told, ['shelf closed']);
    });
  });

  describe('if it is slow', () => {
    it('nobody waits for longer than the time limit', async () => {
      const { guard, told } = given();
      const work = guard.run(never);
      mock.timers.tick(TIMEOUT_MS);
      await assert.rejects(work, {
        name: 'Unavailable',
        reason: 'DATABASE_UNAVAILABLE',
        message: 'shelf did not answer within 100 ms',
      });
      assert.deepEqual(told, ['shelf closed', 'shelf rejects timeout']);
    });

    it('an error that comes later harms nobody', async () => {
      const { guard } = given();
      const late = Promise.withResolvers<string>();
      const work = guard.run(() => late.promise);
      mock.timers.tick(TIMEOUT_MS);
      await assert.rejects(work, Unavailable);
      late.reject(new Error('too late'));
      assert.equal(await guard.run(answer), 'an answer');
    });

    it('answers that are too late open the breaker as errors do', async () => {
      const { guard, told } = given({ failuresToOpen: 2 });
      const work = [guard.run(never), guard.run(never)];
      mock.timers.tick(TIMEOUT_MS);
      await Promise.allSettled(work);
      await refused(guard.run(answer));
      assert(told.includes('shelf open'));
    });
  });

  describe('after five failures in a row', () => {
    it('work is refused at once, and not tried', async () => {
      const { guard, told } = given();
      await failing(guard, 5);
      await refused(guard.run(() => assert.fail('it was tried')));
      assert.deepEqual(told, ['shelf closed', 'shelf open', 'shelf rejects open']);
    });

    it('but not after four and a success', async () => {
      const { guard, told } = given();
      await failing(guard, 4);
      await guard.run(answer);
      await failing(guard, 4);
      assert.deepEqual(told, ['shelf closed']);
    });

    it('where the store has its own way of saying that it is away, too', async () => {
      const { guard, told } = given({ judge: (error) => (String(error).includes('ECONNREFUSED') ? 'away' : 'there') });
      const work = () => guard.run(() => Promise.reject(new Error('connect ECONNREFUSED')));
      for (let time = 0; time < 5; time += 1) await assert.rejects(work());
      assert.deepEqual(told, ['shelf closed', 'shelf open']);
    });
  });

  describe('after a while', () => {
    it('one piece of work tries it, and others are refused meanwhile', async () => {
      const { guard } = given();
      await failing(guard, 5);
      mock.timers.tick(RETRY_AFTER_MS);
      const first = Promise.withResolvers<string>();
      const trying = guard.run(() => first.promise);
      await refused(guard.run(() => assert.fail('it was tried twice')));
      first.resolve('an answer');
      assert.equal(await trying, 'an answer');
    });

    it('an answer closes the breaker', async () => {
      const { guard, told } = given();
      await failing(guard, 5);
      mock.timers.tick(RETRY_AFTER_MS);
      await guard.run(answer);
      assert.deepEqual(told, ['shelf closed', 'shelf open', 'shelf half_open', 'shelf closed']);
      await failing(guard, 4);
      assert.equal(await guard.run(answer), 'an answer');
    });

    it('so does an error which shows that it is there', async () => {
      const { guard, told } = given();
      await failing(guard, 5);
      mock.timers.tick(RETRY_AFTER_MS);
      await assert.rejects(guard.run(() => Promise.reject(new Error('no such row'))), { message: 'no such row' });
      assert.deepEqual(told.slice(2), ['shelf half_open', 'shelf closed']);
    });

    it('one more failure opens it again, for as long', async () => {
      const { guard, told } = given();
      await failing(guard, 5);
      mock.timers.tick(RETRY_AFTER_MS);
      await failing(guard, 1);
      mock.timers.tick(RETRY_AFTER_MS - 1);
      await refused(guard.run(answer));
      mock.timers.tick(1);
      assert.equal(await guard.run(answer), 'an answer');
      assert.deepEqual(told.slice(2), [
        'shelf half_open',
        'shelf open',
        'shelf rejects open',
        'shelf half_open',
        'shelf closed',
      ]);
    });
  });

  describe('and has its work bounded', () => {
    it('what is over the number at a time waits, what is over that is refused', async () => {
      const { guard, told } = given({ concurrency: 1, queueMax: 1 });
      const first = Promise.withResolvers<string>();
      const running = guard.run(() => first.promise);
      const waiting = guard.run(answer);
      await assert.rejects(guard.run(answer), { name: 'Unavailable', message: 'shelf has too much to do' });
      first.resolve('the first answer');
      assert.deepEqual(await Promise.all([running, waiting]), ['the first answer', 'an answer']);
      assert.deepEqual(told, ['shelf closed', 'shelf rejects full']);
    });

    it('nothing waits unless it is said how much; work that nobody waits for any more counts until it ends', async () => {
      const { guard } = given({ concurrency: 1 });
      const slow = Promise.withResolvers<string>();
      const running = guard.run(() => slow.promise);
      await assert.rejects(guard.run(answer), { message: 'shelf has too much to do' });
      mock.timers.tick(TIMEOUT_MS);
      await assert.rejects(running, { message: 'shelf did not answer within 100 ms' });
      await assert.rejects(guard.run(answer), { message: 'shelf has too much to do' });
      slow.resolve('late');
      await slow.promise;
      assert.equal(await guard.run(answer), 'an answer');
    });

    it('what waits is refused once the breaker is open, and so is what comes then', async () => {
      const { guard } = given({ concurrency: 2, queueMax: 9, failuresToOpen: 1 });
      const slow = guard.run(never);
      const fails = Promise.withResolvers<string>();
      const failing = guard.run(() => fails.promise);
      const waiting = guard.run(() => assert.fail('it was tried'));
      const waitingLonger = guard.run(() => assert.fail('it was tried'));
      fails.reject(new Unavailable('DATABASE_UNAVAILABLE', 'the shelf is away', 1_000));
      await assert.rejects(failing, { message: 'the shelf is away' });
      await refused(waiting);
      await refused(waitingLonger);
      mock.timers.tick(TIMEOUT_MS);
      await assert.rejects(slow, { message: 'shelf did not answer within 100 ms' });
    });

    it('the one that tries waits for nothing that hangs', async () => {
      const { guard } = given({ concurrency: 1, queueMax: 9, failuresToOpen: 1 });
      const hanging = guard.run(never);
      mock.timers.tick(TIMEOUT_MS);
      await assert.rejects(hanging, { message: 'shelf did not answer within 100 ms' });
      await refused(guard.run(answer));
      mock.timers.tick(RETRY_AFTER_MS);
      assert.equal(await guard.run(answer), 'an answer');
    });
  });

  describe('whatever else happens', () => {
    it('what began before the breaker moved says nothing any more', async () => {
      const { guard, told } = given({ failuresToOpen: 1 });
      const early = Promise.withResolvers<string>();
      const tooLate = Promise.withResolvers<string>();
      const before = [guard.run(() => early.promise), guard.run(() => tooLate.promise)];
      await failing(guard, 1);
      early.resolve('an answer from before');
      await before[0];
      await refused(guard.run(answer));
      mock.timers.tick(RETRY_AFTER_MS);
      await guard.run(answer);
      tooLate.reject(new Unavailable('DATABASE_UNAVAILABLE', 'a failure from before', 1_000));
      await assert.rejects(before[1]!);
      assert.equal(await guard.run(answer), 'an answer');
      assert.equal(told.at(-1), 'shelf closed');
    });

    it('an end that says nothing neither opens nor closes it', async () => {
      const { guard, told } = given({
        failuresToOpen: 2,
        judge: (error) => ((error as Error).message === 'in a hurry' ? 'nothing' : 'away'),
      });
      const hurry = () => assert.rejects(guard.run(() => Promise.reject(new Error('in a hurry'))));
      await failing(guard, 1);
      await hurry();
      await failing(guard, 1);
      mock.timers.tick(RETRY_AFTER_MS);
      await hurry();
      assert.equal(told.at(-1), 'shelf half_open');
      await guard.run(answer);
      assert.deepEqual(told, ['shelf closed', 'shelf open', 'shelf half_open', 'shelf closed']);
    });

    it('it says that it may be tried, though nobody does', async () => {
      const { guard, told } = given();
      await failing(guard, 5);
      mock.timers.tick(RETRY_AFTER_MS);
      assert.deepEqual(told, ['shelf closed', 'shelf open', 'shelf half_open']);
    });

    it('an answer that came while the process was busy is no failure', async () => {
      const { guard, told } = given();
      const answered = Promise.withResolvers<string>();
      const work = guard.run(() => answered.promise);
      mock.timers.tick(TIMEOUT_MS);
      answered.resolve('an answer');
      assert.equal(await work, 'an answer');
      assert.deepEqual(told, ['shelf closed']);
    });

    it('without a time limit it waits for what the work says', async () => {
      const slow = Promise.withResolvers<string>();
      const patient = new StoreGuard({
        store: 'shelf',
        retryAfterMs: RETRY_AFTER_MS,
        observer: { state: () => {}, rejected: () => {} },
      });
      const work = patient.run(() => slow.promise);
      mock.timers.tick(TIMEOUT_MS * 100);
      slow.resolve('an answer');
      assert.equal(await work, 'an answer');
    });
  });
});
