import type { Document } from '../domain/document.ts';
import type { OutputJudgement } from '../domain/output-check.ts';
import type { OutputChecks, WorkCall } from '../services/bounded-work.ts';
import type { Tasks } from './tasks.ts';
import type { WorkerPool } from './worker-pool.ts';

const JUDGE_LIMIT_MS = 2_000;

/** Judges outputs in threads. */
export class WorkerOutputChecks implements OutputChecks {
  readonly #pool: WorkerPool<Tasks>;

  constructor(pool: WorkerPool<Tasks>) {
    this.#pool = pool;
  }

  judge(call: WorkCall, constraints: Document, output: string): Promise<OutputJudgement> {
    return this.#pool.run('check_output', { constraints, output }, { limitMs: JUDGE_LIMIT_MS, call });
  }
}
