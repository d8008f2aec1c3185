/** How long text is in tokens, as models with a published encoding cut it. */

/** Published encodings: o200k_base is that of GPT-4o and later, cl100k_base that of GPT-4 and GPT-3.5. */
export const TOKEN_ENCODINGS = ['O200K_BASE', 'CL100K_BASE'] as const;
export type TokenEncoding = (typeof TOKEN_ENCODINGS)[number];

const ENCODINGS = {
  O200K_BASE: () => import('gpt-tokenizer/encoding/o200k_base'),
  CL100K_BASE: () => import('gpt-tokenizer/encoding/cl100k_base'),
} as const;

/** What looks like a special token, as `<|endoftext|>`, is text like any other. */
const NO_SPECIAL_TOKENS = { disallowedSpecial: new Set<string>() };

/**
 * Counts the tokens of texts. Whoever calls what comes back bounds its time: that grows with the square of the longest
 * run without a word's end, and 256 KiB of one letter take half a minute.
 *
 * The encoding's data, tens of megabytes in memory, is loaded where it is first asked for.
 */
export async function tokenCounter(encoding: TokenEncoding): Promise<(text: string) => number> {
  const { countTokens, clearMergeCache } = await ENCODINGS[encoding]();
  return (text) => {
    const count = countTokens(text, NO_SPECIAL_TOKENS);
    // The cache would keep 100,000 words, however long, and with each the whole text that it was cut from.
    clearMergeCache();
    return count;
  };
}
