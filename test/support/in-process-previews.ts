import { previewPrompt } from '../../src/domain/preview.ts';
import { tokenCounter } from '../../src/domain/token-count.ts';
import type { PreviewWork } from '../../src/services/bounded-work.ts';

/** The work of previews, done in the test's own thread and without a time limit, on copies as between threads. */
export const inProcessPreviews: PreviewWork = {
  render: async (_call, snapshot, inputs) => structuredClone(previewPrompt(snapshot, structuredClone(inputs))),
  countTokens: async (_call, encoding, texts) => texts.map(await tokenCounter(encoding)),
};
