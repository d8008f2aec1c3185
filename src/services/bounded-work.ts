/**
 * Work that may run long, done elsewhere than where renders run, and ended when it takes too long. Every method throws
 * WorkTooLong when it was ended, Unavailable OVERLOADED when too much waits, DeadlineExceeded and Cancelled when the
 * caller's time is over.
 */
import type { BundleDraft, UncheckedBundleDraft } from '../domain/bundle.ts';
import type { Checked } from '../domain/checked.ts';
import type { Document } from '../domain/document.ts';
import type { OutputJudgement } from '../domain/output-check.ts';
import type { PreviewedPrompt, PreviewInputs } from '../domain/preview.ts';
import type { TemplateDraft, UncheckedTemplateDraft } from '../domain/template.ts';
import type { TokenEncoding } from '../domain/token-count.ts';

/** For how long the result is of use. */
export interface WorkCall {
  /** Milliseconds since the epoch. */
  readonly deadline: number | undefined;
  /** Aborts when the caller goes away. */
  readonly signal: AbortSignal;
}

/** Checks what authors write. */
export interface DraftChecks {
  /** @param field path of the draft in the request; a draft that is undefined is a violation */
  template(call: WorkCall, field: string, draft: UncheckedTemplateDraft | undefined): Promise<Checked<TemplateDraft>>;
  /** @param field path of the draft in the request; a draft that is undefined is a violation */
  bundle(call: WorkCall, field: string, draft: UncheckedBundleDraft | undefined): Promise<Checked<BundleDraft>>;
}

/** Renders previews. */
export interface PreviewWork {
  /** @throws RenderedTooLarge, RenderTooCostly as well */
  render(call: WorkCall, snapshot: Document, inputs: PreviewInputs): Promise<PreviewedPrompt>;
  /** The number of tokens of each text. */
  countTokens(call: WorkCall, encoding: TokenEncoding, texts: readonly string[]): Promise<number[]>;
}

/** Judges outputs. */
export interface OutputChecks {
  /**
   * @param constraints the canonical JSON of normalized constraints, and its hash
   * @param output as the model gave it; it is taken in NFC
   */
  judge(call: WorkCall, constraints: Document, output: string): Promise<OutputJudgement>;
}
