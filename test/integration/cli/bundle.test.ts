import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Code } from '@connectrpc/connect';
import { ACTOR, BUNDLE, BUNDLE_VERSION, at } from '../../support/cli/answers.ts';
import { runAgainst } from '../../support/cli/run-command.ts';
import { refusal } from '../../support/cli/scripted-server.ts';

const FILE = `type: GREETING
description: The first message.
personality:
  template: voice
  version: ^1.0.0
sections:
  - template: hello
    version: ^1.0.0
    role: SYSTEM
  - placeholder: history
constraints:
  - id: short
    severity: ERROR
    max_chars: 80
model_config:
  temperature: 0.5
`;

const DRAFT = {
  personality: { templateId: 'voice', version: '^1.0.0' },
  sections: [
    { template: { template: { templateId: 'hello', version: '^1.0.0' }, role: 'ROLE_SYSTEM' } },
    { placeholder: 'history' },
  ],
  constraints: [{ id: 'short', severity: 'SEVERITY_ERROR', maxChars: 80 }],
  modelConfig: { temperature: 0.5 },
  description: 'The first message.',
};

describe('Commands cover the services: platen bundle', () => {
  it('create sends the file', async () => {
    const { calls, ...outcome } = await runAgainst(
      { bundles: { createBundle: () => ({ bundle: BUNDLE, seq: 9n }) } },
      ['bundle', 'create', 'welcome', '--tenant', 'acme', '--file', '-'],
      { stdin: FILE },
    );
    assert.deepEqual(calls[0]!.request, {
      tenant: 'acme',
      bundleId: 'welcome',
      type: 'PROMPT_TYPE_GREETING',
      draft: DRAFT,
    });
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: 'created bundle acme/welcome (edit_version 2, draft_hash d4af7, seq 9)\n',
      stderr: '',
    });
  });

  it('get prints the draft as a file has it, and the rest on standard error', async () => {
    const { calls, ...outcome } = await runAgainst(
      { bundles: { getBundle: () => ({ bundle: BUNDLE }) } },
      ['bundle', 'get', 'welcome', '--tenant', 'acme'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', bundleId: 'welcome' });
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: FILE,
      stderr: `bundle          acme/welcome
edit_version    2
draft_hash      d4af7
latest_version  1.0.0
created         2026-01-31T08:00:00.000Z
updated         2026-01-31T08:05:00.000Z by ${ACTOR}

`,
    });
  });

  it('list is a table', async () => {
    const archived = { ...BUNDLE, bundleId: 'old', archiveTime: at(7) };
    const { calls, stdout } = await runAgainst(
      { bundles: { listBundles: () => ({ bundles: [BUNDLE, archived] }) } },
      ['bundle', 'list', '--tenant', 'acme', '--type', 'GREETING', '--archived'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', type: 'PROMPT_TYPE_GREETING', showArchived: true });
    assert.equal(
      stdout,
      `BUNDLE   TYPE      LATEST  EDIT_VERSION  UPDATED                   BY
welcome  GREETING  1.0.0   2             2026-01-31T08:05:00.000Z  ${ACTOR}
old      GREETING  1.0.0   2             2026-01-31T08:05:00.000Z  ${ACTOR}  archived
`,
    );
  });

  it('update replaces the draft', async () => {
    const { calls, ...outcome } = await runAgainst(
      { bundles: { updateBundle: () => ({ bundle: BUNDLE, seq: 9n }) } },
      ['bundle', 'update', 'welcome', '--tenant', 'acme', '--file', '-', '--edit-version', '1'],
      { stdin: FILE },
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', bundleId: 'welcome', draft: DRAFT, editVersion: 1 });
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: 'updated bundle acme/welcome (edit_version 2, draft_hash d4af7, seq 9)\n',
      stderr: '',
    });
  });

  it('update that is stale shows what a colleague changed, as YAML', async () => {
    const document = (role: string): string =>
      JSON.stringify({ sections: [{ role, template_id: 'hello', version: '^1.0.0' }], type: 'GREETING' });
    const { calls, stderr } = await runAgainst(
      {
        bundles: {
          updateBundle: () => {
            throw refusal(Code.Aborted, 'STALE_EDIT_VERSION', 'edit_version is 2, not 1', [], { edit_version: '2' });
          },
        },
        audit: {
          listChanges: () => ({
            changes: [
              { seq: 8n, time: at(8), actor: 'bea', action: 2, detail: { edit_version: 2 } },
              { seq: 5n, time: at(4), actor: ACTOR, action: 1, detail: { edit_version: 1 } },
            ],
          }),
          getChange: ({ seq }) => ({ afterJson: document(seq === 8n ? 'USER' : 'SYSTEM') }),
        },
      },
      ['bundle', 'update', 'welcome', '--tenant', 'acme', '--file', '-', '--edit-version', '1'],
      { stdin: FILE },
    );
    assert.deepEqual(calls[1]!.request, { tenant: 'acme', entityKind: 'ENTITY_KIND_BUNDLE', entityId: 'welcome' });
    assert.ok(
      stderr.endsWith(`  2 by bea at 2026-01-31T08:08:00.000Z (change 8)
--- edit_version 1
+++ edit_version 2
@@ -1,5 +1,5 @@
 type: GREETING
 sections:
   - template: hello
     version: ^1.0.0
-    role: SYSTEM
+    role: USER
Nothing was saved. Merge these changes into yours, then run:
  platen bundle update welcome --tenant acme --edit-version 2 --file -
`),
      stderr,
    );
  });

  it('publish names what the ranges were pinned to', async () => {
    const { calls, stdout } = await runAgainst(
      { bundles: { publishBundle: () => ({ version: BUNDLE_VERSION, seq: 9n }) } },
      ['bundle', 'publish', 'welcome', '--tenant', 'acme', '--version', '1.0.0', '--edit-version', '2'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', bundleId: 'welcome', version: '1.0.0', editVersion: 2 });
    assert.equal(
      stdout,
      `published bundle acme/welcome@1.0.0 (bundle_hash b00d1e, seq 9)
  default/voice@1.2.0
  acme/hello@1.0.0
`,
    );
  });

  it('publish can release and activate as well', async () => {
    const release = { channel: 'beta', revision: 3 };
    const activation = { type: 2, revision: 1 };
    const { calls, stdout } = await runAgainst(
      { bundles: { publishBundle: () => ({ version: BUNDLE_VERSION, release, activation, seq: 11n }) } },
      ['bundle', 'publish', 'welcome', '--version', '1.0.0', '--edit-version', '2', '--channel', 'beta', '--activate'],
    );
    assert.deepEqual(calls[0]!.request, {
      tenant: 'default',
      bundleId: 'welcome',
      version: '1.0.0',
      editVersion: 2,
      channel: 'beta',
      activate: true,
    });
    assert.ok(stdout.endsWith('released on beta (revision 3)\nactivated for GREETING (revision 1)\n'), stdout);
  });

  it('versions is a table', async () => {
    const { calls, stdout } = await runAgainst(
      { bundles: { listBundleVersions: () => ({ versions: [BUNDLE_VERSION] }) } },
      ['bundle', 'versions', 'welcome', '--tenant', 'acme', '--page-token', 't'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', bundleId: 'welcome', pageToken: 't' });
    assert.equal(
      stdout,
      `VERSION  EDIT_VERSION  BUNDLE_HASH  PUBLISHED                 BY
1.0.0    2             b00d1e       2026-01-31T08:06:00.000Z  ${ACTOR}
`,
    );
  });

  it('show-version prints the content as a file has it, hashes and pins on standard error', async () => {
    const { stdout, stderr } = await runAgainst(
      { bundles: { getBundleVersion: () => ({ version: BUNDLE_VERSION }) } },
      ['bundle', 'show-version', 'welcome', '1.0.0', '--tenant', 'acme'],
    );
    assert.equal(stdout, FILE);
    assert.equal(
      stderr,
      `bundle            acme/welcome@1.0.0
edit_version      2
bundle_hash       b00d1e
personality_hash  fe50
constraints_hash  c057
published         2026-01-31T08:06:00.000Z by ${ACTOR}
pinned templates
  default/voice@1.2.0
  acme/hello@1.0.0

`,
    );
  });

  it('archive archives', async () => {
    const { calls, stdout } = await runAgainst(
      { bundles: { deleteBundle: () => ({ bundle: BUNDLE, seq: 9n }) } },
      ['bundle', 'archive', 'welcome', '--tenant', 'acme', '--edit-version', '2', '--request-id', 'r'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', bundleId: 'welcome', editVersion: 2, requestId: 'r' });
    assert.equal(stdout, 'archived bundle acme/welcome (edit_version 2, draft_hash d4af7, seq 9)\n');
  });

  for (const [command, ...options] of [['update', '--file', '-'], ['publish', '--version', '1.1.0'], ['archive']]) {
    it(`${command} without --edit-version shows the current one and writes nothing`, async () => {
      const { calls, exitCode, stderr } = await runAgainst(
        { bundles: { getBundle: () => ({ bundle: BUNDLE }) } },
        ['bundle', command!, 'welcome', '--tenant', 'acme', ...options],
      );
      assert.equal(exitCode, 2);
      assert.deepEqual(calls, [{ method: 'GetBundle', request: { tenant: 'acme', bundleId: 'welcome' } }]);
      const next = ['platen bundle', command, 'welcome --tenant acme --edit-version 2', ...options].join(' ');
      assert.ok(stderr.endsWith(`\n  ${next}\n`), stderr);
    });
  }

  it('activate names the bundle of a type', async () => {
    const activation = { tenant: 'acme', type: 2, bundleId: 'welcome', revision: 4 };
    const { calls, stdout } = await runAgainst(
      { bundles: { activateBundle: () => ({ activation, seq: 9n }) } },
      ['bundle', 'activate', 'welcome', '--tenant', 'acme', '--type', 'GREETING', '--expected-revision', '0'],
    );
    assert.deepEqual(calls[0]!.request, {
      tenant: 'acme',
      type: 'PROMPT_TYPE_GREETING',
      bundleId: 'welcome',
      expectedRevision: 0,
    });
    assert.equal(stdout, 'activated welcome for GREETING in acme (revision 4, seq 9)\n');
  });

  it('deactivate takes it away', async () => {
    const activation = { tenant: 'acme', type: 2, revision: 5 };
    const { calls, stdout } = await runAgainst(
      { bundles: { deactivateBundle: () => ({ activation, seq: 9n }) } },
      ['bundle', 'deactivate', '--tenant', 'acme', '--type', 'GREETING'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', type: 'PROMPT_TYPE_GREETING' });
    assert.equal(stdout, 'deactivated GREETING in acme (revision 5, seq 9)\n');
  });

  it('activations is a table', async () => {
    const move = { tenant: 'acme', revision: 5, seq: 9n, updateTime: at(1), updateActor: ACTOR };
    const activations = [{ ...move, type: 2, bundleId: 'welcome' }, { ...move, type: 3 }];
    const { calls, stdout } = await runAgainst(
      { bundles: { listActivations: () => ({ activations }) } },
      ['bundle', 'activations', '--tenant', 'acme'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme' });
    assert.equal(
      stdout,
      `TYPE      BUNDLE   REVISION  SEQ  UPDATED                   BY
GREETING  welcome  5         9    2026-01-31T08:01:00.000Z  ${ACTOR}
FAREWELL  -        5         9    2026-01-31T08:01:00.000Z  ${ACTOR}
`,
    );
  });
});

describe('Exported bytes hash to the bundle hash: platen bundle export', () => {
  const canonicalJson = '{"sections":[{"content":"ü","role":"SYSTEM","syntax":"LITERAL"}]}';
  const bundles = { getBundleVersion: () => ({ version: { ...BUNDLE_VERSION, canonicalJson } }) };
  const args = ['bundle', 'export', 'welcome', '--tenant', 'acme', '--version', '1.0.0'];

  it('--canonical prints exactly the bytes', async () => {
    const { calls, stdout } = await runAgainst({ bundles }, [...args, '--canonical']);
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', bundleId: 'welcome', version: '1.0.0' });
    assert.equal(stdout, canonicalJson);
    assert.equal(
      createHash('sha256').update(stdout).digest('hex'),
      createHash('sha256').update(canonicalJson).digest('hex'),
    );
  });

  it('without it the snapshot is indented for people', async () => {
    const { stdout } = await runAgainst({ bundles }, args);
    assert.equal(stdout, `${JSON.stringify(JSON.parse(canonicalJson), null, 2)}\n`);
  });
});
