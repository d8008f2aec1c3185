import type { Document } from '../domain/document.ts';
import type { PreviewedPrompt, PreviewInputs } from '../domain/preview.ts';
import type { TokenEncoding } from '../domain/token-count.ts';
import type { PreviewWork, WorkCall } from '../services/bounded-work.ts';
import type { Tasks } from './tasks.ts';
import type { WorkerPool } from './worker-pool.ts';

const RENDER_LIMIT_MS = 1_000;
const COUNT_LIMIT_MS = 1_000;

/** Renders previews in threads. */
export class WorkerPreviewWork implements PreviewWork {
  readonly #pool: WorkerPool<Tasks>;

  constructor(pool: WorkerPool<Tasks>) {
    this.#pool = pool;
  }

  render(call: WorkCall, snapshot: Document, inputs: PreviewInputs): Promise<PreviewedPrompt> {
    return this.#pool.run('preview', { snapshot, inputs }, { limitMs: RENDER_LIMIT_MS, call });
  }

  countTokens(call: WorkCall, encoding: TokenEncoding, texts: readonly string[]): Promise<number[]> {
    return this.#pool.run('count_tokens', { encoding, texts }, { limitMs: COUNT_LIMIT_MS, call });
  }
}
