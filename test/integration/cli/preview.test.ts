import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runAgainst, runCommand } from '../../support/cli/run-command.ts';

const RESPONSE = {
  text: 'Hello {user}!',
  renderable: false,
  bundleHash: 'bbbb',
  missingVariables: ['user'],
  unusedVariables: ['mood', 'tone'],
  invalidVariables: [{ name: 'age', message: 'must be an INTEGER' }],
  warnings: [{ code: 8, subject: 'sections[1]', message: 'the section is empty' }],
  characters: 13,
  words: 2,
  pins: [{ tenant: 'default', templateId: 'voice', version: '1.2.0' }],
};

const renders = { preview: () => RESPONSE };

describe('Commands cover the services: platen preview', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'platen-cli-'));
    await writeFile(join(folder, 'hello.md'), '---\ntype: GREETING\n---\nHello {user}!\n');
    await writeFile(join(folder, 'welcome.yaml'), 'type: GREETING\npersonality: { template: voice, version: ^1 }\n');
    await writeFile(join(folder, 'request.yaml'), 'tenant: acme\ntype: GREETING\nvariables: { a: 1, b: 2 }\n');
  });
  after(() => rm(folder, { recursive: true }));

  it('prints the text, and what it found on standard error', async () => {
    const { calls, ...outcome } = await runAgainst({ renders }, [
      'preview', '--tenant', 'acme', '--bundle', 'welcome', '--var', 'age=x', '--tenant-var', 'tone=cool',
    ]);
    assert.deepEqual(calls[0]!.request, {
      tenant: 'acme',
      bundleDraft: 'welcome',
      variables: { age: 'x' },
      tenantVariables: { tone: 'cool' },
    });
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: 'Hello {user}!',
      stderr: `renderable   no
length       13 characters, 2 words
bundle_hash  bbbb
missing      user
unused       mood tone
invalid      age: must be an INTEGER
pinned       default/voice@1.2.0
warning: SECTION_EMPTY sections[1]: the section is empty
`,
    });
  });

  it('says that a prompt can be rendered', async () => {
    const response = { text: 'Hi', renderable: true, renderedHash: 'aaaa', characters: 2, words: 1 };
    const { stderr } = await runAgainst({ renders: { preview: () => response } }, ['preview', '--template', 'hello']);
    assert.equal(stderr, 'renderable     yes\nlength         2 characters, 1 words\nrendered_hash  aaaa\n');
  });

  it('previews drafts, versions and files', async () => {
    const requests = [];
    for (const subject of [
      ['--bundle', 'welcome', '--version', '1.0.0'],
      ['--template', 'hello'],
      ['--template', 'hello', '--version', '1.0.0'],
      ['--file', join(folder, 'hello.md')],
      ['--file', join(folder, 'welcome.yaml')],
    ]) {
      const { calls } = await runAgainst({ renders }, ['preview', ...subject]);
      requests.push(calls[0]!.request);
    }
    assert.deepEqual(requests, [
      { bundleVersion: { id: 'welcome', version: '1.0.0' } },
      { templateDraft: 'hello' },
      { templateVersion: { id: 'hello', version: '1.0.0' } },
      { templateContent: { content: 'Hello {user}!' } },
      {
        bundleContent: {
          type: 'PROMPT_TYPE_GREETING',
          draft: { personality: { templateId: 'voice', version: '^1' } },
        },
      },
    ]);
  });

  it('takes the values of a render request', async () => {
    const args = ['preview', '--bundle', 'welcome', '--inputs', join(folder, 'request.yaml'), '--var', 'b=3'];
    const { calls } = await runAgainst({ renders }, args);
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', bundleDraft: 'welcome', variables: { a: 1, b: 3 } });
  });

  for (const [args, message] of [
    [[], 'name one of --bundle, --template and --file'],
    [['--bundle', 'a', '--template', 'b'], 'name one of --bundle, --template and --file'],
    [['--file', 'a.md', '--version', '1.0.0'], '--version goes with --bundle or --template'],
  ] as const) {
    it(`refuses ${args.join(' ') || 'no subject'}`, async () => {
      const outcome = await runCommand(['preview', ...args]);
      assert.deepEqual(outcome, { exitCode: 2, stdout: '', stderr: `error: ${message}\n` });
    });
  }
});
