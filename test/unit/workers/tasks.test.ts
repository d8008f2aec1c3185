import assert from 'node:assert/strict';
import { documentOf } from '../../../src/domain/document.ts';
import { snapshotDocument } from '../../../src/domain/snapshot.ts';
import { startedAt, startMark } from '../../../src/workers/start-mark.ts';
import { tasks } from '../../../src/workers/tasks.ts';
import runTask from '../../../src/workers/worker.ts';
import { bundle, bundleDraft, snapshot, template, templateDraft } from '../../support/drafts.ts';

const NOTHING = { brand: {}, variables: {}, placeholders: new Map() };

describe('Tasks are plain functions', () => {
  it('that check the draft of a template', () => {
    const draft = templateDraft({ content: 'Hello {name}\r\n' });
    const expected = template({ content: 'Hello {name}\r\n' });
    assert.deepEqual(tasks.check_template_draft({ field: 'draft', draft }), {
      value: expected,
      violations: [],
      total: 0,
    });
  });

  it('that check the draft of a bundle', () => {
    const checked = tasks.check_bundle_draft({ field: 'draft', draft: bundleDraft() });
    assert.deepEqual(checked, { value: bundle(), violations: [], total: 0 });
  });

  it('that name what is wrong with a draft by its path', () => {
    const { value, violations, total } = tasks.check_template_draft({
      field: 'bundle_content.draft',
      draft: templateDraft({ content: 'a { b' }),
    });
    assert.equal(value, undefined);
    assert.deepEqual(violations.map(({ field, reason }) => [field, reason]), [
      ['bundle_content.draft.content', 'LONE_BRACE'],
    ]);
    assert.equal(total, 1);
  });

  it('that require a draft', () => {
    const missing = {
      value: undefined,
      violations: [{ field: 'draft', reason: 'REQUIRED', description: 'the draft is required' }],
      total: 1,
    };
    assert.deepEqual(tasks.check_template_draft({ field: 'draft', draft: undefined }), missing);
    assert.deepEqual(tasks.check_bundle_draft({ field: 'draft', draft: undefined }), missing);
  });

  it('that preview', () => {
    const hello = snapshotDocument(snapshot({}, { hello: { content: 'Hello {name}' } }));
    const previewed = tasks.preview({ snapshot: hello, inputs: { ...NOTHING, variables: { name: 'Ada' } } });
    assert.deepEqual([previewed.text, previewed.renderable], ['Hello Ada', true]);
    assert.deepEqual(structuredClone(previewed), previewed);
  });

  it('that count tokens', async () => {
    const texts = ['', 'hello world', '<|endoftext|>'];
    assert.deepEqual(await tasks.count_tokens({ encoding: 'O200K_BASE', texts }), [0, 2, 7]);
    assert.deepEqual(await tasks.count_tokens({ encoding: 'CL100K_BASE', texts }), [0, 2, 7]);
  });

  it('that judge an output', () => {
    const constraints = documentOf([{ id: 'short', severity: 'ERROR', max_chars: 5 }]);
    assert.equal(tasks.check_output({ constraints, output: '12345' }).passed, true);
    const judged = tasks.check_output({ constraints, output: '123456' });
    assert.deepEqual([judged.passed, judged.total, judged.violations[0]?.constraintId], [false, 1, 'short']);
    assert.deepEqual(structuredClone(judged), judged);
  });
});

describe('A thread answers what it is sent', () => {
  it('with the value, and marks when it began', async () => {
    const mark = startMark();
    assert.equal(startedAt(mark), undefined);
    const input = { encoding: 'O200K_BASE', texts: ['hello world'] };
    assert.deepEqual(await runTask({ work: 'count_tokens', input, mark }), { ok: true, value: [2] });
    assert.ok(startedAt(mark)! > 0);
  });

  it('or with the error', async () => {
    const input = { snapshot: { hash: '', text: '{' }, inputs: NOTHING };
    const answer = await runTask({ work: 'preview', input, mark: startMark() });
    assert.ok(!answer.ok && answer.error.kind === 'Defect');
    assert.equal(answer.error.name, 'SyntaxError');
  });
});
