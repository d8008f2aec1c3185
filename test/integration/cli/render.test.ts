import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runAgainst, runCommand } from '../../support/cli/run-command.ts';

const RESPONSE = {
  text: 'Be kind.\n\nHi',
  messages: [
    { role: 1, content: 'Be kind.' },
    { role: 2, content: 'Hi' },
  ],
  renderId: '0197-receipt',
  renderedHash: 'aaaa',
  bundleHash: 'bbbb',
  personalityHash: 'cccc',
  variablesHash: 'dddd',
  tenant: 'acme',
  bundleId: 'welcome',
  version: '1.0.0',
  channel: 'production',
  revision: 3,
  seq: 40n,
  source: 5,
  constraints: [{ id: 'short', severity: 1, rule: { case: 'maxChars' as const, value: 80 } }],
  warnings: [{ code: 2, subject: 'mood', message: 'mood is not declared; it was ignored' }],
};

const PROVENANCE = `source            ACTIVE
bundle            acme/welcome@1.0.0
channel           production, revision 3
seq               40
rendered_hash     aaaa
bundle_hash       bbbb
personality_hash  cccc
variables_hash    dddd
receipt           0197-receipt
warning: VARIABLE_UNDECLARED mood: mood is not declared; it was ignored
`;

const REQUEST_FILE = `tenant: acme
type: GREETING
channel: beta
variables: { a: 1, b: x }
placeholders:
  history:
    - { role: USER, content: Hi }
  notes:
    - { role: ASSISTANT, content: Noted. }
labels: { service: chat }
min_seq: 12
request_id: r-1
fallback_text: Sorry.
view: MESSAGES
`;

const renders = { render: () => RESPONSE };

describe('Commands cover the services: platen render', () => {
  it('prints the exact text, and where it came from on standard error', async () => {
    const { calls, ...outcome } = await runAgainst({ renders }, [
      'render', '--tenant', 'acme', '--type', 'GREETING', '--var', 'a=1', '--var', 'b=x', '--label', 'service=a=b',
    ]);
    assert.deepEqual(calls[0]!.request, {
      tenant: 'acme',
      type: 'PROMPT_TYPE_GREETING',
      variables: { a: 1, b: 'x' },
      labels: { service: 'a=b' },
    });
    assert.deepEqual(outcome, { exitCode: 0, stdout: 'Be kind.\n\nHi', stderr: PROVENANCE });
  });

  it('ends the text with a newline for a person', async () => {
    const { stdout } = await runAgainst({ renders }, ['render', '--type', 'GREETING'], { tty: true });
    assert.equal(stdout, 'Be kind.\n\nHi\n');
  });

  it('leaves out of the provenance what a fallback does not have', async () => {
    const hashes = { renderedHash: 'aaaa', variablesHash: 'dddd' };
    const fallback = { ...hashes, text: 'Sorry.', renderId: '0197', seq: 4n, source: 1 };
    const args = ['render', '--bundle', 'none', '--fallback-text', 'Sorry.', '--min-seq', '4', '--request-id', 'r'];
    const { calls, stderr } = await runAgainst({ renders: { render: () => fallback } }, args);
    assert.deepEqual(calls[0]!.request, {
      bundle: { bundleId: 'none', channel: '' },
      fallbackText: 'Sorry.',
      minSeq: '4',
      requestId: 'r',
    });
    assert.equal(
      stderr,
      'source          FALLBACK\nseq             4\nrendered_hash   aaaa\nvariables_hash  dddd\nreceipt         0197\n',
    );
  });

  it('--view MESSAGES prints the messages under their roles', async () => {
    const { calls, stdout } = await runAgainst({ renders }, ['render', '--type', 'GREETING', '--view', 'MESSAGES']);
    assert.deepEqual(calls[0]!.request, { type: 'PROMPT_TYPE_GREETING', view: 'RENDER_VIEW_MESSAGES' });
    assert.equal(stdout, '--- SYSTEM ---\nBe kind.\n--- USER ---\nHi\n');
  });

  it('--view FULL adds the constraints', async () => {
    const { stdout } = await runAgainst({ renders }, ['render', '--type', 'GREETING', '--view', 'FULL']);
    assert.equal(
      stdout,
      '--- SYSTEM ---\nBe kind.\n--- USER ---\nHi\n' +
        'constraints:\n  - id: short\n    severity: ERROR\n    max_chars: 80\n',
    );
  });

  it('a bundle is rendered from a channel or as an exact version', async () => {
    const targets = [];
    for (const options of [['--channel', 'beta'], ['--version', '1.0.0'], []]) {
      const { calls } = await runAgainst({ renders }, ['render', '--bundle', 'welcome', ...options]);
      targets.push(calls[0]!.request);
    }
    assert.deepEqual(targets, [
      { bundle: { bundleId: 'welcome', channel: 'beta' } },
      { bundle: { bundleId: 'welcome', version: '1.0.0' } },
      { bundle: { bundleId: 'welcome', channel: '' } },
    ]);
  });

  describe('with a request file', () => {
    let folder: string;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'platen-cli-'));
      await writeFile(join(folder, 'request.yaml'), REQUEST_FILE);
      await writeFile(join(folder, 'history.json'), '[{"role": "USER", "content": "Hello"}]');
    });
    after(() => rm(folder, { recursive: true }));
    const fromFile = (...options: string[]): string[] => ['render', '--file', join(folder, 'request.yaml'), ...options];

    it('sends what the file says', async () => {
      const { calls } = await runAgainst({ renders }, fromFile());
      assert.deepEqual(calls[0]!.request, {
        tenant: 'acme',
        type: 'PROMPT_TYPE_GREETING',
        channel: 'beta',
        variables: { a: 1, b: 'x' },
        placeholders: {
          history: { messages: [{ role: 'ROLE_USER', content: 'Hi' }] },
          notes: { messages: [{ role: 'ROLE_ASSISTANT', content: 'Noted.' }] },
        },
        labels: { service: 'chat' },
        minSeq: '12',
        requestId: 'r-1',
        fallbackText: 'Sorry.',
        view: 'RENDER_VIEW_MESSAGES',
      });
    });

    it('lets options change it', async () => {
      const { calls } = await runAgainst(
        { renders },
        fromFile('--var', 'b=y', '--history', join(folder, 'history.json'), '--channel', 'production', '--label', 'x=y')
          .concat(['--min-seq', '13', '--tenant', 'default', '--view', 'TEXT', '--request-id', 'r-2']),
      );
      assert.deepEqual(calls[0]!.request, {
        tenant: 'default',
        type: 'PROMPT_TYPE_GREETING',
        channel: 'production',
        variables: { a: 1, b: 'y' },
        placeholders: {
          history: { messages: [{ role: 'ROLE_USER', content: 'Hello' }] },
          notes: { messages: [{ role: 'ROLE_ASSISTANT', content: 'Noted.' }] },
        },
        labels: { service: 'chat', x: 'y' },
        minSeq: '13',
        requestId: 'r-2',
        fallbackText: 'Sorry.',
        view: 'RENDER_VIEW_TEXT',
      });
    });

    it('lets an option name another target', async () => {
      const { calls } = await runAgainst({ renders }, fromFile('--bundle', 'welcome', '--version', '1.0.0'));
      const { bundle, type, channel } = calls[0]!.request as Record<string, unknown>;
      assert.deepEqual([bundle, type, channel], [{ bundleId: 'welcome', version: '1.0.0' }, undefined, undefined]);
    });

    for (const [selector, options, expected] of [
      ['version: 1.0.0', [], { bundleId: 'welcome', version: '1.0.0' }],
      ['channel: beta', [], { bundleId: 'welcome', channel: 'beta' }],
      ['version: 1.0.0', ['--channel', 'beta'], { bundleId: 'welcome', channel: 'beta' }],
      ['channel: beta', ['--version', '2.0.0'], { bundleId: 'welcome', version: '2.0.0' }],
    ] as const) {
      it(['takes its bundle at', selector, ...options].join(' '), async () => {
        const stdin = `bundle: { bundle_id: welcome, ${selector} }\n`;
        const { calls } = await runAgainst({ renders }, ['render', '--file', '-', ...options], { stdin });
        assert.deepEqual(calls[0]!.request, { bundle: expected });
      });
    }
  });

  for (const [args, message] of [
    [[], 'name what to render: --bundle, --type, or a --file that says it'],
    [['--bundle', 'a', '--type', 'GREETING'], 'name either --bundle or --type, not both'],
    [['--bundle', 'a', '--version', '1.0.0', '--channel', 'b'], 'name either --version or --channel, not both'],
    [['--type', 'GREETING', '--version', '1.0.0'], '--version goes with --bundle: a render by type reads a channel'],
  ] as const) {
    it(`refuses ${args.join(' ') || 'no target'}`, async () => {
      const outcome = await runCommand(['render', ...args]);
      assert.deepEqual(outcome, { exitCode: 2, stdout: '', stderr: `error: ${message}\n` });
    });
  }
});
