import assert from 'node:assert/strict';
import { compileBundle, type CompiledBundle } from '../../../src/domain/assembly.ts';
import { documentOf, type Document } from '../../../src/domain/document.ts';
import type { CompiledBundles } from '../../../src/services/render-ports.ts';

const documents = new Map<string, Document>();
const compiled = new Map<string, CompiledBundle>();

/** The prompt that is known by a mark: its text is `<mark> for {brand} in {tone}`. */
export function promptOf(mark: string): Document {
  const known = documents.get(mark);
  if (known) return known;
  const optional = { type: 'STRING', default: 'unset' };
  const content = `${mark} for {brand} in {tone}`;
  const document = documentOf({
    sections: [{ role: 'SYSTEM', syntax: 'FORMAT', content }],
    variables: { brand: optional, tone: optional },
  });
  documents.set(mark, document);
  compiled.set(document.hash, compileBundle(document));
  return document;
}

/** Every prompt that has a mark, held by everybody. */
export const markedPrompts: CompiledBundles = {
  get(bundleHash) {
    const bundle = compiled.get(bundleHash);
    assert(bundle, `no prompt has the hash ${bundleHash}`);
    return bundle;
  },
};
