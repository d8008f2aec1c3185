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
  tokens: { encoding: 1, text: 5, messages: [3, 2] },
  untrustedVariables: [
    { name: 'note', rendered: '<untrusted name="note">two\nlines</untrusted>', removedCharacters: 1 },
    { name: 'sender', rendered: '', removedCharacters: 0 },
  ],
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
tokens       5 in o200k_base, by message 3 2
bundle_hash  bbbb
missing      user
unused       mood tone
invalid      age: must be an INTEGER
untrusted    note: <untrusted name="note">two lines</untrusted> (characters removed: 1)
untrusted    sender: nothing
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

  it('prints the whole response with --json', async () => {
    const { stdout, stderr } = await runAgainst({ renders }, ['preview', '--bundle', 'welcome', '--json']);
    const { tokens, untrustedVariables } = JSON.parse(stdout);
    assert.deepEqual(tokens, { encoding: 'TOKEN_ENCODING_O200K_BASE', text: 5, messages: [3, 2] });
    assert.deepEqual(untrustedVariables[0], RESPONSE.untrustedVariables[0]);
    assert.equal(stderr, '');
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

describe('Preview counts tokens: platen preview', () => {
  it('in the encoding that is asked for, against a budget', async () => {
    const tokens = { encoding: 2, text: 3, messages: [3] };
    const message = 'the text has 3 tokens in cl100k_base, 1 more than the budget';
    const warnings = [{ code: 10, subject: '3', message }];
    const response = { text: 'Hello you', renderable: true, characters: 9, words: 2, tokens, warnings };
    const args = ['preview', '--bundle', 'welcome', '--encoding', 'cl100k_base', '--token-budget', '2'];
    const { calls, stderr } = await runAgainst({ renders: { preview: () => response } }, args);
    assert.deepEqual(calls[0]!.request, {
      bundleDraft: 'welcome',
      tokenEncoding: 'TOKEN_ENCODING_CL100K_BASE',
      tokenBudget: 2,
    });
    assert.equal(
      stderr,
      `renderable  yes
length      9 characters, 2 words
tokens      3 in cl100k_base
warning: TOKEN_BUDGET_EXCEEDED 3: ${message}
`,
    );
  });

  it('says why they are not counted', async () => {
    const warnings = [{ code: 12, subject: 'O200K_BASE', message: 'the tokens could not be counted in time' }];
    const response = { text: 'Hi', renderable: true, characters: 2, words: 1, warnings };
    const { stderr } = await runAgainst({ renders: { preview: () => response } }, ['preview', '--template', 'hello']);
    assert.match(stderr, /^warning: TOKENS_NOT_COUNTED O200K_BASE: the tokens could not be counted in time$/m);
    assert.doesNotMatch(stderr, /^tokens/m);
  });

  for (const [option, value] of [
    ['--encoding', 'p50k_base'],
    ['--token-budget', '-1'],
  ] as const) {
    it(`refuses ${option} ${value}`, async () => {
      const { exitCode, stderr } = await runCommand(['preview', '--bundle', 'welcome', `${option}=${value}`]);
      assert.equal(exitCode, 2);
      assert.match(stderr, new RegExp(`option '${option}`));
    });
  }
});

describe('Preview shows untrusted values: platen preview', () => {
  it('a long one only in part', async () => {
    const untrustedVariables = [{ name: 'note', rendered: 'x'.repeat(101), removedCharacters: 0 }];
    const response = { text: '', renderable: true, characters: 0, words: 0, untrustedVariables };
    const { stderr } = await runAgainst({ renders: { preview: () => response } }, ['preview', '--template', 'hello']);
    assert.match(stderr, new RegExp(`^untrusted   note: ${'x'.repeat(100)}…$`, 'm'));
  });
});
