import assert from 'node:assert/strict';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { workObserver } from '../../../src/telemetry/observers.ts';
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
