import assert from 'node:assert/strict';
import { compileBundle } from '../../../src/domain/assembly.ts';
import { defaultPrompt } from '../../../src/domain/default-prompts.ts';
import { sha256 } from '../../../src/domain/document.ts';
import { PROMPT_TYPES } from '../../../src/domain/prompt-type.ts';
import { normalizeContent } from '../../../src/domain/text.ts';
import { given } from '../../support/given.ts';

describe('Built-in defaults are documents', () => {
  for (const type of PROMPT_TYPES) {
    it(`${type} is one literal SYSTEM section that nothing can make fail`, () => {
      const document = defaultPrompt(type);
      assert.equal(document.hash, sha256(document.text));
      const bundle = compileBundle(document);
      const [section, ...others] = bundle.snapshot.sections;
      assert.deepEqual(others, []);
      assert.ok(section !== undefined && 'syntax' in section);
      assert.deepEqual([section.role, section.syntax], ['SYSTEM', 'LITERAL']);
      assert.equal(normalizeContent(section.content), section.content);
      const { values, missing } = bundle.variables.resolve({}, { any: 1 });
      assert.deepEqual([values, missing], [{}, []]);
      assert.equal(bundle.assemble(given(), new Map()).text, section.content);
    });
  }

  it('each type has its own', () => {
    assert.equal(new Set(PROMPT_TYPES.map((type) => defaultPrompt(type).hash)).size, PROMPT_TYPES.length);
  });
});
