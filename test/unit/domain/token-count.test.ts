import assert from 'node:assert/strict';
import { TOKEN_ENCODINGS, tokenCounter } from '../../../src/domain/token-count.ts';

describe('Preview counts tokens', () => {
  // As OpenAI's cookbook shows what its own tokenizer counts.
  for (const [text, o200k, cl100k] of [
    ['', 0, 0],
    ['hello world', 2, 2],
    ['tiktoken is great!', 6, 6],
    ['antidisestablishmentarianism', 6, 6],
    ['お誕生日おめでとう', 8, 9],
  ] as const) {
    it(`of ${JSON.stringify(text)}`, async () => {
      const counts = await Promise.all(TOKEN_ENCODINGS.map(async (encoding) => (await tokenCounter(encoding))(text)));
      assert.deepEqual(counts, [o200k, cl100k]);
    });
  }

  for (const encoding of TOKEN_ENCODINGS) {
    it(`what looks like a special token of ${encoding} is text like any other`, async () => {
      const count = await tokenCounter(encoding);
      for (const special of ['<|endoftext|>', '<|im_start|>', '<|fim_prefix|>', '<|endofprompt|>']) {
        assert.ok(count(special) > 2, special);
        assert.equal(count(`a${special}`), count('a') + count(special));
      }
    });

    it(`a text that is no well-formed Unicode has tokens of ${encoding} too`, async () => {
      assert.ok((await tokenCounter(encoding))('a\ud800b') > 2);
    });

    it(`a text has as many tokens of ${encoding} as it had before`, async () => {
      const count = await tokenCounter(encoding);
      const text = 'Donaudampfschifffahrtsgesellschaft '.repeat(3);
      assert.equal(count(text), count(text));
    });
  }
});
