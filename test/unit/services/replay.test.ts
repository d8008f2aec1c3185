import assert from 'node:assert/strict';
import type { Json } from '../../../src/domain/json.ts';
import { snapshotDocument } from '../../../src/domain/snapshot.ts';
import { replayReceipt, replaySubject } from '../../../src/services/replay.ts';
import type { CapturedInputs, ReceiptRecord } from '../../../src/services/trail.ts';
import { compiled, declaration, snapshot } from '../../support/drafts.ts';
import { canonicalHash, messagesHash } from '../../support/independent-hash.ts';
import { fellBack, rendered } from '../../support/replays.ts';

const DRAFT = {
  sections: [
    { template: { templateId: 'hello', version: '1.0.0' }, role: 'SYSTEM' as const },
    { placeholder: 'history' },
  ],
};
const TEMPLATES = { hello: { content: 'Hello {name}', variables: [declaration()] } };
const { text: SNAPSHOT } = snapshotDocument(snapshot(DRAFT, TEMPLATES));
const BUNDLE = compiled(DRAFT, TEMPLATES);
const HISTORY = { history: [{ role: 'USER' as const, content: 'Hi!' }] };

/** How a receipt's replay ends with these inputs: the outcome, and what is missing. */
function replay(receipt: ReceiptRecord, inputs: CapturedInputs | undefined, text: string | undefined = SNAPSHOT) {
  const { outcome, missingInputs } = replayReceipt(receipt, replaySubject(receipt, text), [inputs]);
  return [outcome, ...missingInputs];
}

describe('Replay tells match from mismatch', () => {
  it('the captured inputs give the same bytes', () => {
    const { receipt, inputs } = rendered(BUNDLE, { name: 'Ada' }, HISTORY);
    assert.deepEqual(replayReceipt(receipt, replaySubject(receipt, SNAPSHOT), [inputs]), {
      outcome: 'MATCH',
      expectedHash: receipt.renderedHash,
      actualHash: receipt.renderedHash,
      text: 'Hello Ada\n\nHi!',
      missingInputs: [],
    });
  });

  it('a render without values and messages needs none', () => {
    assert.deepEqual(replay(rendered(BUNDLE, {}).receipt, undefined), ['MATCH']);
  });

  it('of several inputs those count that have the hash', () => {
    const { receipt, inputs } = rendered(BUNDLE, { name: 'Ada' }, HISTORY);
    const subject = replaySubject(receipt, SNAPSHOT);
    const other = { variables: { name: 'Bob' }, placeholders: {} };
    for (const candidates of [[other, inputs], [undefined, inputs], [inputs, undefined], [inputs, other]]) {
      assert.equal(replayReceipt(receipt, subject, candidates).outcome, 'MATCH');
    }
  });

  it('messages that the render did not look at do not count', () => {
    const { receipt, inputs } = rendered(BUNDLE, { name: 'Ada' }, HISTORY);
    const sent = { ...inputs, placeholders: { ...HISTORY, elsewhere: [{ role: 'USER', content: 'x' }] } };
    assert.deepEqual(replay(receipt, sent), ['MATCH']);
    const silent = rendered(BUNDLE, { name: 'Ada' });
    assert.deepEqual(replay(silent.receipt, { ...silent.inputs, placeholders: { history: [] } }), ['MATCH']);
  });

  for (const changed of ['renderedHash', 'messagesHash'] as const) {
    it(`another ${changed} is a mismatch`, () => {
      const { receipt, inputs } = rendered(BUNDLE, { name: 'Ada' }, HISTORY, { [changed]: 'f'.repeat(64) });
      const result = replayReceipt(receipt, replaySubject(receipt, SNAPSHOT), [inputs]);
      assert.deepEqual([result.outcome, result.text], ['MISMATCH', 'Hello Ada\n\nHi!']);
    });
  }

  it('what was not captured, or was erased, is missing', () => {
    const { receipt, inputs } = rendered(BUNDLE, { name: 'Ada' }, HISTORY);
    assert.deepEqual(replay(receipt, undefined), ['INPUT_MISSING', 'variables', 'placeholders']);
    assert.deepEqual(replay(receipt, { variables: inputs.variables! }), ['INPUT_MISSING', 'placeholders']);
    assert.deepEqual(replay(receipt, { placeholders: inputs.placeholders! }), ['INPUT_MISSING', 'variables']);
  });

  it('values that were tampered with count as missing, whatever they are now', () => {
    const { receipt } = rendered(BUNDLE, { name: 'Ada' }, HISTORY);
    const forged: Json[] = [{ name: 'Eve' }, { history: [null] }, { history: 5 }, ['history'], 'history', 5, null];
    for (const value of forged) {
      const inputs = { variables: value, placeholders: value } as CapturedInputs;
      assert.deepEqual(replay(receipt, inputs), ['INPUT_MISSING', 'variables', 'placeholders']);
    }
  });

  it('a snapshot that is not there, or not what it was, is missing', () => {
    const { receipt, inputs } = rendered(BUNDLE, { name: 'Ada' }, HISTORY);
    const subject = replaySubject(receipt, undefined);
    assert.deepEqual(replayReceipt(receipt, subject, [inputs]).missingInputs, ['snapshot']);
    assert.deepEqual(replay(receipt, inputs, SNAPSHOT.replace('Hello', 'Goodbye')), ['INPUT_MISSING', 'snapshot']);
    assert.deepEqual(replay(receipt, inputs, 'not JSON'), ['INPUT_MISSING', 'snapshot']);
  });

  it('a render that nothing answered is replayed from its fallback text', () => {
    const { receipt, inputs } = fellBack('Somebody will be with you soon.');
    assert.deepEqual(replay(receipt, inputs), ['MATCH']);
    for (const forged of [undefined, {}, { fallbackText: 'Another' }, { fallbackText: 5 } as unknown as CapturedInputs]) {
      assert.deepEqual(replay(receipt, forged), ['INPUT_MISSING', 'fallback_text']);
    }
  });
});

describe('The renderer version follows the semantics', () => {
  const MESSAGES = [{ role: 'SYSTEM', content: 'Hello Ada' }, ...HISTORY.history];

  it('a receipt is compared with the hash of messages that its version made', () => {
    const made = { 1: canonicalHash(MESSAGES), 2: messagesHash(MESSAGES) };
    for (const [rendererVersion, hashVersion, outcome] of [
      [1, 1, 'MATCH'],
      [1, 2, 'MISMATCH'],
      [2, 1, 'MISMATCH'],
      [2, 2, 'MATCH'],
    ] as const) {
      const changes = { rendererVersion, messagesHash: made[hashVersion] };
      const { receipt, inputs } = rendered(BUNDLE, { name: 'Ada' }, HISTORY, changes);
      assert.deepEqual(replay(receipt, inputs), [outcome]);
    }
  });

  it('so is that of a fallback text', () => {
    const { receipt, inputs } = fellBack('Soon.');
    const former = canonicalHash([{ role: 'SYSTEM', content: 'Soon.' }]);
    assert.deepEqual(replay({ ...receipt, rendererVersion: 1, messagesHash: former }, inputs), ['MATCH']);
    assert.deepEqual(replay({ ...receipt, rendererVersion: 1 }, inputs), ['MISMATCH']);
  });

  it('a receipt of a version that is not known is not replayed with another one', () => {
    const later = { rendererVersion: 99 };
    const { receipt, inputs } = rendered(BUNDLE, { name: 'Ada' }, HISTORY, later);
    assert.deepEqual(replay(receipt, inputs), ['RENDERER_UNKNOWN']);
    const { receipt: text, inputs: given } = fellBack('Soon.');
    assert.deepEqual(replay({ ...text, ...later }, given), ['RENDERER_UNKNOWN']);
  });
});
