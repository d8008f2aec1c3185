import type { BundleDraft, UncheckedBundleDraft } from '../domain/bundle.ts';
import type { Checked } from '../domain/checked.ts';
import type { TemplateDraft, UncheckedTemplateDraft } from '../domain/template.ts';
import type { DraftChecks, WorkCall } from '../services/bounded-work.ts';
import type { Tasks } from './tasks.ts';
import type { WorkerPool } from './worker-pool.ts';

const CHECK_LIMIT_MS = 2_000;

/** Checks drafts in threads. */
export class WorkerDraftChecks implements DraftChecks {
  readonly #pool: WorkerPool<Tasks>;

  constructor(pool: WorkerPool<Tasks>) {
    this.#pool = pool;
  }

  template(call: WorkCall, field: string, draft: UncheckedTemplateDraft | undefined): Promise<Checked<TemplateDraft>> {
    return this.#pool.run('check_template_draft', { field, draft }, { limitMs: CHECK_LIMIT_MS, call });
  }

  bundle(call: WorkCall, field: string, draft: UncheckedBundleDraft | undefined): Promise<Checked<BundleDraft>> {
    return this.#pool.run('check_bundle_draft', { field, draft }, { limitMs: CHECK_LIMIT_MS, call });
  }
}
