/** The work that is done in threads, by name. */
import { normalizeBundleDraft, type BundleDraft, type UncheckedBundleDraft } from '../domain/bundle.ts';
import { checked, type Checked } from '../domain/checked.ts';
import type { Document } from '../domain/document.ts';
import type { Violations } from '../domain/errors.ts';
import type { OutputJudgement } from '../domain/output-check.ts';
import { previewPrompt, type PreviewedPrompt, type PreviewInputs } from '../domain/preview.ts';
import { normalizeTemplateDraft, type TemplateDraft, type UncheckedTemplateDraft } from '../domain/template.ts';
import { tokenCounter, type TokenEncoding } from '../domain/token-count.ts';
import { ConstraintsCache } from './constraints-cache.ts';

/** A draft, and its path in the request. */
interface PlacedDraft<T> {
  readonly field: string;
  readonly draft: T | undefined;
}

/** Of each thread. */
const CONSTRAINTS_BYTES = 64 * 1024 * 1024;

const constraintsCache = new ConstraintsCache(CONSTRAINTS_BYTES);

function checkDraft<U, T>(
  { field, draft }: PlacedDraft<U>,
  normalize: (violations: Violations, field: string, draft: U) => T,
): Checked<T> {
  if (draft !== undefined) return checked((violations) => normalize(violations, field, draft));
  const violation = { field, reason: 'REQUIRED', description: 'the draft is required' } as const;
  return { value: undefined, violations: [violation], total: 1 };
}

export const tasks = {
  check_template_draft: (input: PlacedDraft<UncheckedTemplateDraft>): Checked<TemplateDraft> =>
    checkDraft(input, normalizeTemplateDraft),

  check_bundle_draft: (input: PlacedDraft<UncheckedBundleDraft>): Checked<BundleDraft> =>
    checkDraft(input, normalizeBundleDraft),

  /** @throws RenderedTooLarge, RenderTooCostly */
  preview: ({ snapshot, inputs }: { readonly snapshot: Document; readonly inputs: PreviewInputs }): PreviewedPrompt =>
    previewPrompt(snapshot, inputs),

  /** Takes memory for the encoding's data from the first call on. */
  count_tokens: async (input: { readonly encoding: TokenEncoding; readonly texts: readonly string[] }) => {
    const count = await tokenCounter(input.encoding);
    return input.texts.map((text) => count(text));
  },

  /** Constraints are compiled once in each thread, as long as there is room for them. */
  check_output: (input: { readonly constraints: Document; readonly output: string }): OutputJudgement =>
    constraintsCache.get(input.constraints).judge(input.output),
};

export type Tasks = typeof tasks;
