import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import {
  contentObserver,
  drainObserver,
  feedObserver,
  guardObserver,
  journalObserver,
  redisObserver,
  renderObserver,
  workObserver,
} from '../../../src/telemetry/observers.ts';
import { memoryLogger } from '../../support/rpc-server.ts';

describe('Work in threads can be observed', () => {
  it('by its time and its ends, by work', async () => {
    const metrics = new Metrics();
    const observer = workObserver(metrics, memoryLogger().logger);
    observer.done('preview', 0.02);
    observer.done('check_output', 2);
    observer.ended('check_output', 'too_long');
    const text = await metrics.registry.metrics();
    assert.match(text, /^worker_task_seconds_sum\{work="preview"\} 0.02$/m);
    assert.match(text, /^worker_task_seconds_count\{work="check_output"\} 1$/m);
    assert.match(text, /^worker_tasks_ended_total\{work="check_output",reason="too_long"\} 1$/m);
  });

  it('and by the log, if a thread fails', () => {
    const { logger, lines } = memoryLogger();
    workObserver(new Metrics(), logger).threadFailed(new Error('cannot start'));
    assert.equal(lines[0]?.msg, 'a worker thread failed; another one replaces it');
  });
});

describe('A document falls through the levels', () => {
  it('and where it is found is counted by level and kind', async () => {
    const metrics = new Metrics();
    const observer = contentObserver(metrics, memoryLogger().logger);
    observer.hit('l1', 'document');
    observer.miss('l2', 'document');
    observer.hit('read_replica', 'version');
    const text = await metrics.registry.metrics();
    assert.match(text, /^bundle_cache_hits_total\{level="l1",kind="document"\} 1$/m);
    assert.match(text, /^bundle_cache_misses_total\{level="l2",kind="document"\} 1$/m);
    assert.match(text, /^bundle_cache_hits_total\{level="read_replica",kind="version"\} 1$/m);
  });

  it('and why a read replica is of no use stands in the log, once', () => {
    const { logger, lines } = memoryLogger();
    const observer = contentObserver(new Metrics(), logger);
    observer.replicaFailed(new Error('permission denied'));
    observer.replicaFailed(new Error('permission denied'));
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.msg, 'the read replica cannot be used; the primary is asked');
  });
});

describe('A replica shows how far it is', () => {
  it('by the last change that it applied, and how many it lacks of those it knows of', async () => {
    const metrics = new Metrics();
    const observer = feedObserver(metrics, memoryLogger().logger);
    const shown = async () => {
      const text = await metrics.registry.metrics();
      return ['applied_seq', 'lag', 'reloads_total'].map((name) =>
        Number(new RegExp(`^platen_route_map_${name} (.*)$`, 'm').exec(text)?.[1]),
      );
    };
    observer.reloaded('start');
    observer.applied(10);
    observer.head(10);
    assert.deepEqual(await shown(), [10, 0, 1]);
    observer.head(12);
    assert.deepEqual(await shown(), [10, 2, 1]);
    observer.applied(11);
    assert.deepEqual(await shown(), [11, 1, 1]);
    observer.applied(12);
    observer.applied(13);
    assert.deepEqual(await shown(), [13, 0, 1]);
    observer.reloaded('change 13 is not in the log as it was applied');
    observer.applied(9);
    observer.head(9);
    assert.deepEqual(await shown(), [9, 0, 2]);
  });

  it('by how long it took since a change was written, never less than no time', async () => {
    const metrics = new Metrics();
    const observer = feedObserver(metrics, memoryLogger().logger);
    observer.propagated(0.25);
    observer.propagated(-5);
    assert.match(await metrics.registry.metrics(), /^prompt_release_propagation_seconds_sum 0.25$/m);
  });

  it('in the log once per outage, with every new reason, and when it is over', () => {
    const { logger, lines } = memoryLogger();
    const observer = feedObserver(new Metrics(), logger);
    for (const reason of ['terminated', 'refused', 'refused', 'starting up', 'starting up']) {
      observer.disconnected(new Error(reason));
    }
    observer.head(5);
    observer.head(6);
    observer.disconnected(new Error('starting up'));
    assert.deepEqual(
      lines.map(({ level, err, seq }) => [level, (err as { message?: string } | undefined)?.message ?? seq]),
      [['warn', 'terminated'], ['warn', 'refused'], ['warn', 'starting up'], ['info', 5], ['warn', 'starting up']],
    );
  });
});

describe('A store that does not answer is left alone', () => {
  it('and its breaker and what it refused can be seen', async () => {
    const metrics = new Metrics();
    const observer = guardObserver(metrics, memoryLogger().logger);
    observer.state('redis', 'closed');
    observer.state('postgres_reads', 'open');
    observer.state('postgres_read_replica', 'half_open');
    observer.rejected('postgres_reads', 'open');
    observer.rejected('postgres_reads', 'open');
    observer.rejected('redis', 'timeout');
    const text = await metrics.registry.metrics();
    assert.match(text, /^platen_store_breaker_state\{store="redis"\} 0$/m);
    assert.match(text, /^platen_store_breaker_state\{store="postgres_read_replica"\} 1$/m);
    assert.match(text, /^platen_store_breaker_state\{store="postgres_reads"\} 2$/m);
    assert.match(text, /^platen_store_rejections_total\{store="postgres_reads",reason="open"\} 2$/m);
    assert.match(text, /^platen_store_rejections_total\{store="redis",reason="timeout"\} 1$/m);
  });

  it('which is logged when it begins and when it ends', () => {
    const { logger, lines } = memoryLogger();
    const observer = guardObserver(new Metrics(), logger);
    for (const state of ['closed', 'open', 'half_open', 'open', 'half_open', 'closed', 'open'] as const) {
      observer.state('redis', state);
    }
    observer.state('postgres_reads', 'open');
    assert.deepEqual(lines.map(({ level, store, msg }) => [level, store, msg]), [
      ['warn', 'redis', 'a store does not answer; it is left alone, and tried from time to time'],
      ['info', 'redis', 'the store answers again'],
      ['warn', 'redis', 'a store does not answer; it is left alone, and tried from time to time'],
      ['warn', 'postgres_reads', 'a store does not answer; it is left alone, and tried from time to time'],
    ]);
  });
});

describe('A lost receipt is counted and told', () => {
  const receipt = { renderId: 'render-1', labels: { user: '42' } };

  it('each with all that is left of it', async () => {
    const metrics = new Metrics();
    const { logger, lines } = memoryLogger();
    const observer = renderObserver(metrics, logger);
    for (const renderId of ['render-1', 'render-2']) {
      observer.receiptLost({ ...receipt, renderId }, new Error('the disk is full'));
    }
    assert.match(await metrics.text(), /^audit_receipts_lost_total 2$/m);
    assert.deepEqual(lines.map(({ level, msg }) => [level, msg]), [
      ['error', 'the receipt of a render is lost'],
      ['error', 'the receipt of a render is lost'],
    ]);
    assert.deepEqual(lines[0]!['receipt'], receipt);
  });

  it('those that are late by one line in the log for an outage', async () => {
    const metrics = new Metrics();
    const { logger, lines } = memoryLogger();
    const observer = renderObserver(metrics, logger);
    for (let count = 0; count < 3; count += 1) observer.receiptLate(receipt, new Error('the database is away'));
    assert.match(await metrics.text(), /^audit_receipts_late_total 3$/m);
    assert.deepEqual(lines.map(({ level, renderId }) => [level, renderId]), [['warn', 'render-1']]);
  });
});

describe('Journals are bounded and outlive faults', () => {
  it('and what the journal refuses is counted by reason, and logged when it begins and ends', async () => {
    const metrics = new Metrics();
    const { logger, lines } = memoryLogger();
    const observer = journalObserver(metrics, logger);
    observer.failed('disk_full', new Error('ENOSPC'));
    observer.failed('disk_full', new Error('ENOSPC'));
    observer.failed('slow', new Error('the disk does nothing'));
    observer.recovered();
    observer.failed('full', new Error('bound'));
    const text = await metrics.text();
    assert.match(text, /^audit_journal_failures_total\{reason="disk_full"\} 2$/m);
    assert.match(text, /^audit_journal_failures_total\{reason="slow"\} 1$/m);
    assert.deepEqual(lines.map(({ level, reason, msg }) => [level, reason, msg]), [
      ['error', 'disk_full', 'the journal takes no receipts'],
      ['info', undefined, 'the journal takes receipts again'],
      ['error', 'full', 'the journal takes no receipts'],
    ]);
  });
});

describe('Receipts pass through a local journal', () => {
  const batch = { chained: 0, seconds: 0, torn: 0, deadLetters: [] };

  it('and how they leave it is measured', async () => {
    const metrics = new Metrics();
    const { logger, lines } = memoryLogger();
    const observer = drainObserver(metrics, logger);
    observer.settled({ ...batch, chained: 4_000, seconds: 0.25 });
    observer.settled({ ...batch, chained: 10, seconds: 0.5 });
    observer.settled(batch);
    const text = await metrics.text();
    assert.match(text, /^audit_drained_total 4010$/m);
    assert.match(text, /^audit_drain_seconds_count 2$/m);
    assert.match(text, /^audit_drain_seconds_sum 0.75$/m);
    assert.deepEqual(lines, []);
  });

  it('and what becomes of dead letters and torn lines is counted and logged, without an end', async () => {
    const metrics = new Metrics();
    const { logger, lines } = memoryLogger();
    const observer = drainObserver(metrics, logger);
    const deadLetters = Array.from({ length: 12 }, (_, at) => ({ renderId: `render-${at}`, reason: '22P05' }));
    observer.settled({ ...batch, deadLetters, torn: 1 });
    const text = await metrics.text();
    assert.match(text, /^audit_dead_letters_total 12$/m);
    assert.match(text, /^audit_journal_torn_total 1$/m);
    assert.deepEqual(lines.map(({ level, msg }) => [level, msg]), [
      ['warn', 'a journal ends within a receipt that nobody was told to be kept'],
      ['error', 'receipts were set aside as dead letters'],
    ]);
    assert.equal(lines[1]!['count'], 12);
    assert.deepEqual(lines[1]!['deadLetters'], deadLetters.slice(0, 10));
  });

  it('and an outage is logged once, with every new reason, by what does not work, until it is over', () => {
    const { logger, lines } = memoryLogger();
    const observer = drainObserver(new Metrics(), logger);
    observer.away('ECONNREFUSED');
    observer.away('ECONNREFUSED');
    observer.away('the journals hold receipts of another database');
    observer.settled(batch);
    observer.settled(batch);
    observer.failed('unlink', 'EACCES');
    observer.failed('unlink', 'EACCES');
    observer.failed('read', 'EIO');
    observer.adopted('/journal/1');
    observer.died(new Error('out of memory'));
    assert.deepEqual(lines.map(({ level, reason, msg }) => [level, reason, msg]), [
      ['warn', 'ECONNREFUSED', 'receipts wait in the journal until the database takes them'],
      [
        'warn',
        'the journals hold receipts of another database',
        'receipts wait in the journal until the database takes them',
      ],
      ['info', undefined, 'receipts reach the database again'],
      ['error', 'EACCES', 'a part of draining receipts failed; it is tried again'],
      ['error', 'EIO', 'a part of draining receipts failed; it is tried again'],
      ['info', undefined, 'the journal of a worker that is gone is drained'],
      ['error', undefined, 'the thread that drains receipts ended; it starts again'],
    ]);
  });
});

describe('What becomes of Redis can be observed', () => {
  beforeEach(() => mock.timers.enable({ apis: ['Date'], now: 1_000_000 }));
  afterEach(() => mock.timers.reset());

  it('by what fails, and what is wrong in it', async () => {
    const metrics = new Metrics();
    const { logger } = memoryLogger();
    const observer = redisObserver(metrics, logger);
    observer.failed('get', 'OOM');
    observer.failed('get', 'OOM');
    observer.failed('set_forward', 'OOM');
    contentObserver(metrics, logger).corrupt('pointer');
    const text = await metrics.registry.metrics();
    assert.match(text, /^platen_redis_errors_total\{operation="get"\} 2$/m);
    assert.match(text, /^platen_redis_errors_total\{operation="set_forward"\} 1$/m);
    assert.match(text, /^bundle_cache_corrupt_total\{kind="pointer"\} 1$/m);
  });

  it('by one line in the log for each outage', () => {
    const { logger, lines } = memoryLogger();
    const observer = redisObserver(new Metrics(), logger);
    const outage = () => {
      for (let second = 0; second < 300; second += 1) {
        observer.disconnected('connect ECONNREFUSED');
        observer.failed('get', 'not connected');
        mock.timers.tick(1_000);
      }
    };
    outage();
    observer.connected();
    outage();
    mock.timers.tick(60_000);
    outage();
    assert.deepEqual(lines.map(({ level, msg, reason }) => [level, msg, reason]), [
      ['warn', 'no connection to Redis; connecting again', 'connect ECONNREFUSED'],
      ['warn', 'Redis cannot be used', 'not connected'],
      ['info', 'connected to Redis', undefined],
      ['warn', 'no connection to Redis; connecting again', 'connect ECONNREFUSED'],
      ['warn', 'no connection to Redis; connecting again', 'connect ECONNREFUSED'],
      ['warn', 'Redis cannot be used', 'not connected'],
    ]);
  });
});
