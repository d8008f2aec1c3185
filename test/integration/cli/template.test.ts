import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Code } from '@connectrpc/connect';
import { ACTOR, TEMPLATE, TEMPLATE_VERSION, at } from '../../support/cli/answers.ts';
import { runAgainst } from '../../support/cli/run-command.ts';
import { refusal, type Script } from '../../support/cli/scripted-server.ts';

const FILE = '---\ntype: GREETING\nsyntax: FORMAT\ndescription: Says hello.\n---\nHello {user}!\n';
const DRAFT = { syntax: 'TEMPLATE_SYNTAX_FORMAT', content: 'Hello {user}!', description: 'Says hello.' };
const WARNING = { code: 3, subject: 'mood', message: 'variable mood is declared and not used' };

describe('Commands cover the services: platen template', () => {
  let folder: string;
  let file: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'platen-cli-'));
    file = join(folder, 'hello.md');
    await writeFile(file, FILE);
  });
  after(() => rm(folder, { recursive: true }));

  it('create sends the file', async () => {
    const { calls, ...outcome } = await runAgainst(
      { templates: { createTemplate: () => ({ template: TEMPLATE, seq: 9n, warnings: [WARNING] }) } },
      ['template', 'create', 'hello', '--tenant', 'acme', '--file', file, '--request-id', 'r-1'],
    );
    assert.deepEqual(calls[0]!.request, {
      tenant: 'acme',
      templateId: 'hello',
      type: 'PROMPT_TYPE_GREETING',
      draft: DRAFT,
      requestId: 'r-1',
    });
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: 'created template acme/hello (edit_version 2, draft_hash d4af7, seq 9)\n',
      stderr: 'warning: VARIABLE_UNUSED mood: variable mood is declared and not used\n',
    });
  });

  it('create takes bare content from standard input', async () => {
    const { calls } = await runAgainst(
      { templates: { createTemplate: () => ({ template: TEMPLATE, seq: 9n }) } },
      ['template', 'create', 'hello', '--type', 'FAREWELL', '--file', '-'],
      { stdin: 'Bye {user}!\n' },
    );
    assert.deepEqual(calls[0]!.request, {
      tenant: 'default',
      templateId: 'hello',
      type: 'PROMPT_TYPE_FAREWELL',
      draft: { content: 'Bye {user}!' },
    });
  });

  it('create needs a type', async () => {
    const outcome = await runAgainst({}, ['template', 'create', 'hello', '--file', '-'], { stdin: 'Bye\n' });
    assert.deepEqual([outcome.exitCode, outcome.stdout, outcome.stderr], [
      2,
      '',
      'error: a type is required: name it in the file (type: …) or with --type, one of ' +
        'SYSTEM_PROMPT, GREETING, FAREWELL, REJECTION, CLARIFICATION, HANDOFF\n',
    ]);
  });

  it('get prints the draft as a file has it, and the rest on standard error', async () => {
    const { calls, ...outcome } = await runAgainst(
      { templates: { getTemplate: () => ({ template: { ...TEMPLATE, archiveTime: at(7) } }) } },
      ['template', 'get', 'hello', '--tenant', 'acme'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', templateId: 'hello' });
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: FILE,
      stderr: `template        acme/hello
edit_version    2
draft_hash      d4af7
latest_version  1.0.0
created         2026-01-31T08:00:00.000Z
updated         2026-01-31T08:05:00.000Z by ${ACTOR}
archived        2026-01-31T08:07:00.000Z

`,
    });
  });

  it('list is a table', async () => {
    const archived = { ...TEMPLATE, templateId: 'old', latestVersion: '', archiveTime: at(7) };
    const { calls, ...outcome } = await runAgainst(
      { templates: { listTemplates: () => ({ templates: [TEMPLATE, archived] }) } },
      ['template', 'list', '--type', 'GREETING', '--archived', '--page-size', '5'],
    );
    assert.deepEqual(calls[0]!.request, {
      tenant: 'default',
      type: 'PROMPT_TYPE_GREETING',
      showArchived: true,
      pageSize: 5,
    });
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: `TEMPLATE  TYPE      LATEST  EDIT_VERSION  UPDATED                   BY
hello     GREETING  1.0.0   2             2026-01-31T08:05:00.000Z  ${ACTOR}
old       GREETING          2             2026-01-31T08:05:00.000Z  ${ACTOR}  archived
`,
      stderr: '',
    });
  });

  it('list without a type asks for any', async () => {
    const { calls, stdout } = await runAgainst({ templates: { listTemplates: () => ({}) } }, ['template', 'list']);
    assert.deepEqual(calls[0]!.request, { tenant: 'default' });
    assert.equal(stdout, 'none\n');
  });

  it('update replaces the draft', async () => {
    const { calls, ...outcome } = await runAgainst(
      { templates: { updateTemplate: () => ({ template: TEMPLATE, seq: 9n, warnings: [WARNING] }) } },
      ['template', 'update', 'hello', '--tenant', 'acme', '--file', file, '--edit-version', '1', '--request-id', 'r-2'],
    );
    assert.deepEqual(calls[0]!.request, {
      tenant: 'acme',
      templateId: 'hello',
      draft: DRAFT,
      editVersion: 1,
      requestId: 'r-2',
    });
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: 'updated template acme/hello (edit_version 2, draft_hash d4af7, seq 9)\n',
      stderr: 'warning: VARIABLE_UNUSED mood: variable mood is declared and not used\n',
    });
  });

  it('update says that a type never changes', async () => {
    const { stderr } = await runAgainst(
      { templates: { updateTemplate: () => ({ template: TEMPLATE, seq: 9n }) } },
      ['template', 'update', 'hello', '--file', '-', '--edit-version', '1'],
      { stdin: '---\ntype: HANDOFF\n---\nHi\n' },
    );
    assert.equal(stderr, 'warning: the file says HANDOFF, but a type never changes: it stays GREETING\n');
  });

  it('publish freezes the draft', async () => {
    const { calls, ...outcome } = await runAgainst(
      { templates: { publishTemplate: () => ({ version: TEMPLATE_VERSION, seq: 9n }) } },
      ['template', 'publish', 'hello', '--tenant', 'acme', '--version', '1.0.0', '--edit-version', '2'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', templateId: 'hello', version: '1.0.0', editVersion: 2 });
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: 'published template acme/hello@1.0.0 (document_hash d0c, seq 9)\n',
      stderr: '',
    });
  });

  it('versions is a table', async () => {
    const { calls, stdout } = await runAgainst(
      { templates: { listTemplateVersions: () => ({ versions: [TEMPLATE_VERSION] }) } },
      ['template', 'versions', 'hello', '--tenant', 'acme'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', templateId: 'hello' });
    assert.equal(
      stdout,
      `VERSION  EDIT_VERSION  DOCUMENT_HASH  PUBLISHED                 BY
1.0.0    2             d0c            2026-01-31T08:06:00.000Z  ${ACTOR}
`,
    );
  });

  it('show-version prints the content as a file has it, and the rest on standard error', async () => {
    const { calls, stdout, stderr } = await runAgainst(
      { templates: { getTemplateVersion: () => ({ version: TEMPLATE_VERSION }) } },
      ['template', 'show-version', 'hello', '1.0.0', '--tenant', 'acme'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', templateId: 'hello', version: '1.0.0' });
    assert.equal(stdout, FILE);
    assert.equal(
      stderr,
      `template       acme/hello@1.0.0
edit_version   2
document_hash  d0c
published      2026-01-31T08:06:00.000Z by ${ACTOR}

`,
    );
  });

  it('archive archives', async () => {
    const { calls, stdout } = await runAgainst(
      { templates: { deleteTemplate: () => ({ template: TEMPLATE, seq: 9n }) } },
      ['template', 'archive', 'hello', '--tenant', 'acme', '--edit-version', '2'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', templateId: 'hello', editVersion: 2 });
    assert.equal(stdout, 'archived template acme/hello (edit_version 2, draft_hash d4af7, seq 9)\n');
  });

  for (const [command, ...options] of [['update', '--file', '-'], ['publish', '--version', '1.1.0'], ['archive']]) {
    it(`${command} without --edit-version shows the current one and writes nothing`, async () => {
      const { calls, exitCode, stderr } = await runAgainst(
        { templates: { getTemplate: () => ({ template: TEMPLATE }) } },
        ['template', command!, 'hello', '--tenant', 'acme', ...options],
      );
      assert.equal(exitCode, 2);
      assert.deepEqual(calls, [{ method: 'GetTemplate', request: { tenant: 'acme', templateId: 'hello' } }]);
      const next = ['platen template', command, 'hello --tenant acme --edit-version 2', ...options].join(' ');
      assert.ok(stderr.includes(`The current one is 2, written by ${ACTOR}`), stderr);
      assert.ok(stderr.endsWith(`\n  ${next}\n`), stderr);
    });
  }
});

describe("A stale save shows the other side's changes: platen template update", () => {
  const stale = (): never => {
    throw refusal(Code.Aborted, 'STALE_EDIT_VERSION', 'edit_version is 4, not 2: bea wrote it', [], {
      edit_version: '4',
      update_actor: 'bea',
    });
  };
  const args = ['template', 'update', 'hello', '--tenant', 'acme', '--file', '-', '--edit-version', '2'];
  const document = (content: string): string => JSON.stringify({ content, syntax: 'FORMAT', type: 'GREETING' });
  const update = (audit: Script['audit']) =>
    runAgainst({ templates: { updateTemplate: stale }, audit: audit! }, args, { stdin: FILE });

  it('shows who wrote, when, and the difference from the draft that was begun with', async () => {
    const pages = new Map([
      [
        '',
        {
          changes: [
            { seq: 9n, time: at(9), actor: 'bea', action: 3, detail: { version: '1.0.0', edit_version: 4 } },
            { seq: 8n, time: at(8), actor: 'bea', action: 2, detail: { edit_version: 4 } },
            { seq: 7n, time: at(7), actor: 'carl', action: 2, detail: { edit_version: 3 } },
          ],
          nextPageToken: 'p2',
        },
      ],
      [
        'p2',
        {
          changes: [
            { seq: 4n, time: at(4), actor: ACTOR, action: 2, detail: { edit_version: 2 } },
            { seq: 3n, time: at(3), actor: ACTOR, action: 1, detail: { edit_version: 1 } },
          ],
          nextPageToken: 'p3',
        },
      ],
    ]);
    const documents = new Map([
      [4n, document('Hello {user}!\nBye.')],
      [8n, document('Dear {user}!\nBye.')],
    ]);
    const { calls, ...outcome } = await update({
      listChanges: ({ pageToken }) => pages.get(pageToken)!,
      getChange: ({ seq }) => ({ afterJson: documents.get(seq)! }),
    });
    assert.deepEqual(calls.slice(1, 3), [
      {
        method: 'ListChanges',
        request: { tenant: 'acme', entityKind: 'ENTITY_KIND_TEMPLATE', entityId: 'hello' },
      },
      {
        method: 'ListChanges',
        request: { tenant: 'acme', entityKind: 'ENTITY_KIND_TEMPLATE', entityId: 'hello', pageToken: 'p2' },
      },
    ]);
    assert.deepEqual(outcome, {
      exitCode: 1,
      stdout: '',
      stderr: `error: ABORTED STALE_EDIT_VERSION: edit_version is 4, not 2: bea wrote it
  edit_version: 4
  update_actor: bea
Saved in the meantime, by edit_version:
  4 by bea at 2026-01-31T08:08:00.000Z (change 8)
  3 by carl at 2026-01-31T08:07:00.000Z (change 7)
--- edit_version 2
+++ edit_version 4
@@ -1,6 +1,6 @@
 ---
 type: GREETING
 syntax: FORMAT
 ---
-Hello {user}!
+Dear {user}!
 Bye.
Nothing was saved. Merge these changes into yours, then run:
  platen template update hello --tenant acme --edit-version 4 --file -
`,
    });
  });

  it('says so if there never was a draft of that edit_version', async () => {
    const { stderr } = await update({
      listChanges: () => ({
        changes: [{ seq: 8n, time: at(8), actor: 'bea', action: 1, detail: { edit_version: 4 } }],
      }),
    });
    assert.ok(
      stderr.includes(
        'Saved in the meantime, by edit_version:\n' +
          '  4 by bea at 2026-01-31T08:08:00.000Z (change 8)\n' +
          'There is no draft of edit_version 2 to compare with.\n' +
          'Nothing was saved.',
      ),
      stderr,
    );
  });

  it('still shows the refusal if the change log cannot be read', async () => {
    const { stderr, exitCode } = await update({});
    assert.equal(exitCode, 1);
    assert.ok(stderr.startsWith('error: ABORTED STALE_EDIT_VERSION: '), stderr);
    assert.ok(stderr.includes('\nThe change log cannot be read to show what changed.\nNothing was saved.'), stderr);
  });

  it('other refusals are left as they are', async () => {
    const { stderr } = await runAgainst(
      {
        templates: {
          updateTemplate: () => {
            throw refusal(Code.NotFound, 'RESOURCE_NOT_FOUND', 'template acme/hello does not exist');
          },
        },
      },
      args,
      { stdin: FILE },
    );
    assert.equal(stderr, 'error: NOT_FOUND RESOURCE_NOT_FOUND: template acme/hello does not exist\n');
  });
});
