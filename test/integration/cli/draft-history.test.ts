import assert from 'node:assert/strict';
import { create, toJson } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { BundleDraftSchema } from '../../../gen/platen/v1/resources_pb.js';
import {
  ACTOR,
  BUNDLE,
  BUNDLE_DRAFT,
  BUNDLE_VERSION,
  TEMPLATE,
  TEMPLATE_VERSION,
  at,
} from '../../support/cli/answers.ts';
import { runAgainst } from '../../support/cli/run-command.ts';
import { refusal, type Script } from '../../support/cli/scripted-server.ts';

const WARNING = { code: 3, subject: 'mood', message: 'variable mood is declared and not used' };

function change(seq: bigint, action: number, editVersion: number, entityKind = 2, entityId = 'hello') {
  const head = { seq, time: at(Number(seq)), actor: ACTOR, action, tenant: 'acme', entityKind, entityId };
  return { ...head, afterHash: `hash${seq}`, detail: { edit_version: editVersion } };
}

describe('A former draft is brought back: platen template history', () => {
  const pages = new Map([
    ['', { changes: [change(9n, 3, 3), change(8n, 2, 3)], nextPageToken: 'a' }],
    ['a', { changes: [change(7n, 3, 2), change(6n, 2, 2)], nextPageToken: 'b' }],
    ['b', { changes: [change(4n, 1, 1)], nextPageToken: '' }],
  ]);
  const audit = { listChanges: ({ pageToken }: { pageToken: string }) => pages.get(pageToken)! };
  const args = ['template', 'history', 'hello', '--tenant', 'acme'];

  it('lists the drafts that there were, of all pages', async () => {
    const { calls, ...outcome } = await runAgainst({ audit }, args);
    const filter = { tenant: 'acme', entityKind: 'ENTITY_KIND_TEMPLATE', entityId: 'hello' };
    assert.deepEqual(calls.map(({ request }) => request), [
      filter,
      { ...filter, pageToken: 'a' },
      { ...filter, pageToken: 'b' },
    ]);
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: `SEQ  EDIT_VERSION  TIME                      ACTION  DRAFT_HASH  BY
8    3             2026-01-31T08:08:00.000Z  UPDATE  hash8       ${ACTOR}
6    2             2026-01-31T08:06:00.000Z  UPDATE  hash6       ${ACTOR}
4    1             2026-01-31T08:04:00.000Z  CREATE  hash4       ${ACTOR}
`,
      stderr: '',
    });
  });

  it('--limit reads no further than it must', async () => {
    const { calls, stdout } = await runAgainst({ audit }, [...args, '--limit', '1', '--json']);
    const { changes } = JSON.parse(stdout) as { changes: { seq: string }[] };
    assert.deepEqual([changes.map(({ seq }) => seq), calls.length], [['8'], 1]);
  });

  it('bundles have one too', async () => {
    const { calls, stdout } = await runAgainst(
      { audit: { listChanges: () => ({ changes: [change(5n, 1, 1, 3, 'welcome'), change(6n, 5, 1, 3, 'welcome')] }) } },
      ['bundle', 'history', 'welcome'],
    );
    const filter = { tenant: 'default', entityKind: 'ENTITY_KIND_BUNDLE', entityId: 'welcome' };
    assert.deepEqual(calls[0]!.request, filter);
    assert.deepEqual(stdout.match(/^\d+/gm), ['5']);
  });
});

describe('A former draft is brought back: platen template restore', () => {
  const FORMER =
    '{"allow_literal_braces":true,"content":"Hi {user}!\\n---\\n","description":"Says hi.","syntax":"FORMAT",' +
    '"type":"GREETING","variables":[{"default":"you","name":"user","type":"STRING","untrusted":true}]}';
  interface Overrides {
    readonly afterJson?: string;
    readonly change?: object;
    readonly templates?: Script['templates'];
  }
  const scripted = (overrides: Overrides = {}): Script => ({
    templates: {
      getTemplate: () => ({ template: TEMPLATE }),
      updateTemplate: () => ({ template: { ...TEMPLATE, editVersion: 3 }, seq: 12n, warnings: [WARNING] }),
      getTemplateVersion: () => ({ version: { ...TEMPLATE_VERSION, content: { syntax: 1, content: 'Hello.' } } }),
      ...overrides.templates,
    },
    audit: {
      getChange: () => ({
        change: { ...change(4n, 1, 1), ...overrides.change },
        beforeJson: '',
        afterJson: overrides.afterJson ?? FORMER,
      }),
      listChanges: () => ({ changes: [] }),
    },
  });
  const args = ['template', 'restore', 'hello', '--tenant', 'acme'];

  it('--seq saves the draft that a change wrote, and shows the difference', async () => {
    const { calls, ...outcome } = await runAgainst(scripted(), [...args, '--seq', '4', '--request-id', 'r-1']);
    assert.deepEqual(calls.map(({ method }) => method), ['GetChange', 'GetTemplate', 'UpdateTemplate']);
    assert.deepEqual(calls[2]!.request, {
      tenant: 'acme',
      templateId: 'hello',
      draft: {
        syntax: 'TEMPLATE_SYNTAX_FORMAT',
        content: 'Hi {user}!\n---\n',
        description: 'Says hi.',
        allowLiteralBraces: true,
        variables: [{ name: 'user', type: 'VARIABLE_TYPE_STRING', default: 'you', untrusted: true }],
      },
      editVersion: 2,
      requestId: 'r-1',
    });
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: 'restored template acme/hello (edit_version 3, draft_hash d4af7, seq 12)\n',
      stderr: `--- edit_version 2
+++ change 4
@@ -1,6 +1,14 @@
 ---
 type: GREETING
 syntax: FORMAT
-description: Says hello.
+description: Says hi.
+allow_literal_braces: true
+variables:
+  - name: user
+    type: STRING
+    untrusted: true
+    default: you
 ---
-Hello {user}!
+Hi {user}!
+---
+
warning: VARIABLE_UNUSED mood: variable mood is declared and not used
`,
    });
  });

  it('--version saves what was published', async () => {
    const { calls, stderr } = await runAgainst(scripted(), [...args, '--version', '1.0.0']);
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', templateId: 'hello', version: '1.0.0' });
    assert.deepEqual((calls[2]!.request as { draft: object }).draft, {
      syntax: 'TEMPLATE_SYNTAX_FORMAT',
      content: 'Hello.',
    });
    assert.match(stderr, /^\+\+\+ version 1\.0\.0$/m);
  });

  it('--edit-version says which draft may be replaced', async () => {
    const { calls } = await runAgainst(scripted(), [...args, '--seq', '4', '--edit-version', '1']);
    assert.equal((calls[2]!.request as { editVersion: number }).editVersion, 1);
  });

  it('writes nothing if the draft is that already', async () => {
    const afterJson =
      '{"content":"Hello {user}!","description":"Says hello.","syntax":"FORMAT","type":"GREETING"}';
    const { calls, ...outcome } = await runAgainst(scripted({ afterJson }), [...args, '--seq', '4']);
    assert.deepEqual(calls.map(({ method }) => method), ['GetChange', 'GetTemplate']);
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: 'the draft of template acme/hello is that of change 4: nothing to do\n',
      stderr: '',
    });
    const asJson = await runAgainst(scripted({ afterJson }), [...args, '--seq', '4', '--json']);
    assert.equal((JSON.parse(asJson.stdout) as { template: { editVersion: number } }).template.editVersion, 2);
  });

  it('that is stale shows what a colleague changed', async () => {
    const templates = {
      updateTemplate: () => {
        throw refusal(Code.Aborted, 'STALE_EDIT_VERSION', 'edit_version is 3, not 2', [], { edit_version: '3' });
      },
    };
    const { exitCode, stdout, stderr } = await runAgainst(scripted({ templates }), [...args, '--seq', '4']);
    assert.deepEqual([exitCode, stdout], [1, '']);
    assert.match(stderr, /^error: ABORTED STALE_EDIT_VERSION: edit_version is 3, not 2$/m);
    assert.match(stderr, /^ {2}platen template restore hello --tenant acme --edit-version 3 --seq 4$/m);
  });

  for (const [what, fields] of [
    ['of another template', { entityId: 'other' }],
    ["of another tenant's template", { tenant: 'default' }],
    ['of a bundle', { entityKind: 3 }],
    ['that wrote no draft', { action: 3 }],
  ] as const) {
    it(`refuses a change ${what}`, async () => {
      const { calls, exitCode, stderr } = await runAgainst(scripted({ change: fields }), [...args, '--seq', '4']);
      assert.deepEqual([calls.length, exitCode], [1, 2]);
      assert.equal(
        stderr,
        'error: change 4 wrote no draft of template acme/hello; those that did are listed by\n' +
          '  platen template history hello --tenant acme\n',
      );
    });
  }

  for (const words of [[], ['--seq', '4', '--version', '1.0.0']]) {
    it(`is told which draft by one option, not by ${words.length / 2}`, async () => {
      const { calls, exitCode, stderr } = await runAgainst({}, [...args, ...words]);
      assert.deepEqual([calls.length, exitCode], [0, 2]);
      assert.equal(stderr, 'error: which draft? Name it with either --seq or --version\n');
    });
  }
});

describe('A former draft is brought back: platen bundle restore', () => {
  const FORMER =
    '{"constraints":[{"id":"short","max_chars":80,"severity":"ERROR"}],"description":"The first message.",' +
    '"model_config":{"temperature":0.5},"personality":{"template_id":"voice","version":"^1.0.0"},' +
    '"sections":[{"role":"SYSTEM","template_id":"hello","version":"^1.0.0"},{"placeholder":"history"}],' +
    '"type":"GREETING"}';
  const current = { ...BUNDLE, draft: { ...BUNDLE_DRAFT, description: 'Another.' } };
  const scripted: Script = {
    bundles: {
      getBundle: () => ({ bundle: current }),
      updateBundle: () => ({ bundle: BUNDLE, seq: 12n }),
      getBundleVersion: () => ({ version: BUNDLE_VERSION }),
    },
    audit: { getChange: () => ({ change: change(4n, 2, 1, 3, 'welcome'), afterJson: FORMER }) },
  };
  const args = ['bundle', 'restore', 'welcome', '--tenant', 'acme'];

  for (const words of [['--seq', '4'], ['--version', '1.0.0']]) {
    it(`${words.join(' ')} saves the former draft`, async () => {
      const { calls, ...outcome } = await runAgainst(scripted, [...args, ...words]);
      assert.deepEqual(calls[2], {
        method: 'UpdateBundle',
        request: {
          tenant: 'acme',
          bundleId: 'welcome',
          draft: toJson(BundleDraftSchema, create(BundleDraftSchema, BUNDLE_DRAFT)),
          editVersion: 2,
        },
      });
      assert.equal(outcome.stdout, 'restored bundle acme/welcome (edit_version 2, draft_hash d4af7, seq 12)\n');
      assert.match(outcome.stderr, /^-description: Another\.\n\+description: The first message\.$/m);
    });
  }
});
