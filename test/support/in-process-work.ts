/** The work that a server does in worker threads, done in the test's own thread and without a time limit. */
import { once } from 'node:events';
import { normalizeBundleDraft } from '../../src/domain/bundle.ts';
import { type Checked, checked } from '../../src/domain/checked.ts';
import type { Violations } from '../../src/domain/errors.ts';
import { normalizeTemplateDraft } from '../../src/domain/template.ts';
import type { DraftChecks, WorkCall } from '../../src/services/bounded-work.ts';

export const inProcessDrafts: DraftChecks = {
  template: async (_call, field, draft) => checkedDraft(field, draft, normalizeTemplateDraft),
  bundle: async (_call, field, draft) => checkedDraft(field, draft, normalizeBundleDraft),
};

/** Checks that find nothing out until their call is over. */
export const endlessDrafts: DraftChecks = { template: untilOver, bundle: untilOver };

function checkedDraft<U, T>(
  field: string,
  draft: U | undefined,
  normalize: (violations: Violations, field: string, draft: U) => T,
): Checked<T> {
  if (draft !== undefined) return checked((violations) => normalize(violations, field, draft));
  const violation = { field, reason: 'REQUIRED', description: 'the draft is required' } as const;
  return { value: undefined, violations: [violation], total: 1 };
}

async function untilOver({ signal }: WorkCall): Promise<never> {
  await once(signal, 'abort');
  throw signal.reason;
}
