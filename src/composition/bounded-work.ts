import { availableParallelism } from 'node:os';
import type { DraftChecks, OutputChecks, PreviewWork } from '../services/bounded-work.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { workObserver } from '../telemetry/observers.ts';
import type { Tasks } from '../workers/tasks.ts';
import { WorkerDraftChecks } from '../workers/worker-draft-checks.ts';
import { WORKER_FILE } from '../workers/worker-file.ts';
import { WorkerOutputChecks } from '../workers/worker-output-checks.ts';
import { WorkerPool } from '../workers/worker-pool.ts';
import { WorkerPreviewWork } from '../workers/worker-preview-work.ts';
import type { Opened } from './opened.ts';

/** With one thread, whoever sends what takes long would hold up all others for as long as it may take. */
const THREADS_MIN = 2;
const CALLER_THREADS_MAX = 4;
const WORK_QUEUE_MAX = 100;
const WORK_MEMORY_MB = 256;

/** What may run long, done in threads. */
export interface BoundedWork {
  readonly drafts: DraftChecks;
  readonly previews: PreviewWork;
  readonly outputs: OutputChecks;
}

/** Authors have threads of their own, so that no draft holds up the callers of rendered prompts. */
export function openWork(metrics: Metrics, logger: Logger, opened: Opened): BoundedWork {
  const openPool = (threads: number) => {
    const pool = new WorkerPool<Tasks>({
      filename: WORKER_FILE,
      threads,
      queueMax: WORK_QUEUE_MAX,
      memoryMb: WORK_MEMORY_MB,
      observer: workObserver(metrics, logger),
    });
    opened.add(() => pool.close());
    return pool;
  };
  const authors = openPool(THREADS_MIN);
  const callers = openPool(Math.min(CALLER_THREADS_MAX, Math.max(THREADS_MIN, availableParallelism() - 1)));
  return {
    drafts: new WorkerDraftChecks(authors),
    previews: new WorkerPreviewWork(authors),
    outputs: new WorkerOutputChecks(callers),
  };
}
