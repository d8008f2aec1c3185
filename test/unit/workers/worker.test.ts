import assert from 'node:assert/strict';
import { documentOf } from '../../../src/domain/document.ts';
import { RenderedTooLarge, WorkTooLong } from '../../../src/domain/errors.ts';
import { snapshotDocument } from '../../../src/domain/snapshot.ts';
import type { Tasks } from '../../../src/workers/tasks.ts';
import { WorkerDraftChecks } from '../../../src/workers/worker-draft-checks.ts';
import { WORKER_FILE } from '../../../src/workers/worker-file.ts';
import { WorkerOutputChecks } from '../../../src/workers/worker-output-checks.ts';
import { WorkerPool } from '../../../src/workers/worker-pool.ts';
import { WorkerPreviewWork } from '../../../src/workers/worker-preview-work.ts';
import { bundle, bundleDraft, snapshot, template, templateDraft } from '../../support/drafts.ts';
import { ObservedWork } from '../../support/workers/observed-work.ts';

/** Enough for a thread that is ready to begin a task, however busy the machine is. */
const SHORT_MS = 1_000;
const KIB = 1024;

describe('Work that may run long is bounded', () => {
  const call = { deadline: undefined, signal: new AbortController().signal };
  const ample = { limitMs: 60_000, call };
  const short = { limitMs: SHORT_MS, call };
  let pool: WorkerPool<Tasks>;

  before(async () => {
    const observer = new ObservedWork();
    pool = new WorkerPool({ filename: WORKER_FILE, threads: 1, queueMax: 10, memoryMb: 256, observer });
    await pool.run('check_bundle_draft', { field: 'draft', draft: undefined }, ample);
  });

  after(() => pool.close());

  it('as the checks of drafts, in threads', async () => {
    const checks = new WorkerDraftChecks(pool);
    const checkedTemplate = await checks.template(call, 'draft', templateDraft({ content: 'Hello {name}' }));
    assert.deepEqual(checkedTemplate, { value: template({ content: 'Hello {name}' }), violations: [], total: 0 });
    const checkedBundle = await checks.bundle(call, 'draft', bundleDraft());
    assert.deepEqual(checkedBundle, { value: bundle(), violations: [], total: 0 });
    const { value, violations } = await checks.bundle(call, 'draft', undefined);
    assert.deepEqual([value, violations.map(({ reason }) => reason)], [undefined, ['REQUIRED']]);
  });

  it('as previews, in threads', async () => {
    const previews = new WorkerPreviewWork(pool);
    const placeholder = { sections: [...bundleDraft().sections, { placeholder: 'history' }] };
    const document = snapshotDocument(snapshot(placeholder, { hello: { content: 'Hello {name}' } }));
    const history = [{ role: 'USER', content: 'Hi' }] as const;
    const inputs = { brand: { name: 'Ada' }, variables: {}, placeholders: new Map([['history', history]]) };
    assert.equal((await previews.render(call, document, inputs)).text, 'Hello Ada\n\nHi');

    const long = [{ role: 'USER', content: 'x'.repeat(KIB * KIB) }] as const;
    const tooLong = { ...inputs, placeholders: new Map([['history', long]]) };
    await assert.rejects(previews.render(call, document, tooLong), new RenderedTooLarge(KIB * KIB));
  });

  it('as counts of tokens, in threads', async () => {
    const previews = new WorkerPreviewWork(pool);
    assert.deepEqual(await previews.countTokens(call, 'O200K_BASE', ['hello world', '']), [2, 0]);
  });

  it('as the judgement of outputs, in threads', async () => {
    const outputs = new WorkerOutputChecks(pool);
    const constraints = documentOf([{ id: 'short', severity: 'WARNING', max_chars: 5 }]);
    const { passed, total } = await outputs.judge(call, constraints, '123456');
    assert.deepEqual([passed, total], [true, 1]);
  });

  it('whatever is counted', async () => {
    const endless = pool.run('count_tokens', { encoding: 'O200K_BASE', texts: ['a'.repeat(256 * KIB)] }, short);
    await assert.rejects(endless, new WorkTooLong('count_tokens', SHORT_MS));
    assert.deepEqual(await pool.run('count_tokens', { encoding: 'O200K_BASE', texts: ['a'] }, ample), [1]);
  });

  it('whatever is judged', async () => {
    // Each of the matches looks for a b in all of the rest.
    const pattern = 'a.*b|a';
    const constraints = documentOf([{ id: 'costly', severity: 'ERROR', forbidden_pattern: pattern }]);
    const endless = pool.run('check_output', { constraints, output: 'a'.repeat(256 * KIB) }, short);
    await assert.rejects(endless, new WorkTooLong('check_output', SHORT_MS));
    assert.equal((await pool.run('check_output', { constraints, output: 'a' }, ample)).passed, false);
  });
});
