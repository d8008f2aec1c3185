import assert from 'node:assert/strict';
import { Code } from '@connectrpc/connect';
import { ACTOR, TENANT, at } from '../../support/cli/answers.ts';
import { runAgainst } from '../../support/cli/run-command.ts';
import { refusal } from '../../support/cli/scripted-server.ts';

const FILE =
  'display_name: Acme\nparent: default\ncapture_policy: FULL\nreceipt_retention_days: 30\n' +
  'variables: { tone: warm, zip: "0123" }\n';

describe('Commands cover the services: platen tenant', () => {
  it('create takes flags', async () => {
    const { calls, ...outcome } = await runAgainst(
      { tenants: { createTenant: () => ({ tenant: { ...TENANT, editVersion: 1 }, seq: 9n }) } },
      ['tenant', 'create', 'acme', '--parent', 'group', '--display-name', 'Acme', '--var', 'tone=warm']
        .concat(['--var', 'n=[1]', '--capture', 'HASH_ONLY', '--receipt-retention-days', '90', '--request-id', 'r-1']),
    );
    assert.deepEqual(outcome, { exitCode: 0, stdout: 'created tenant acme (edit_version 1, seq 9)\n', stderr: '' });
    assert.deepEqual(calls[0]!.request, {
      tenant: 'acme',
      parent: 'group',
      displayName: 'Acme',
      variables: { tone: 'warm', n: [1] },
      capturePolicy: 'CAPTURE_POLICY_HASH_ONLY',
      receiptRetentionDays: 90,
      requestId: 'r-1',
    });
  });

  it('create takes a file, and flags on top of it', async () => {
    const { calls, exitCode } = await runAgainst(
      { tenants: { createTenant: () => ({ tenant: TENANT, seq: 9n }) } },
      ['tenant', 'create', 'acme', '--file', '-', '--display-name', 'Acme Inc', '--var', 'tone=cool'],
      { stdin: FILE },
    );
    assert.equal(exitCode, 0);
    assert.deepEqual(calls[0]!.request, {
      tenant: 'acme',
      parent: 'default',
      displayName: 'Acme Inc',
      variables: { tone: 'cool', zip: '0123' },
      capturePolicy: 'CAPTURE_POLICY_FULL',
      receiptRetentionDays: 30,
    });
  });

  it('get prints the tenant as a file has it, and the rest on standard error', async () => {
    const { calls, ...outcome } = await runAgainst(
      { tenants: { getTenant: () => ({ tenant: TENANT }) } },
      ['tenant', 'get', 'acme'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme' });
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: 'display_name: Acme\nparent: default\ncapture_policy: VARIABLES\nvariables:\n  tone: warm\n',
      stderr: `tenant         acme
edit_version   3
document_hash  d0c
created        2026-01-31T08:00:00.000Z
updated        2026-01-31T08:05:00.000Z by ${ACTOR}

`,
    });
  });

  it('get prints for how long receipts are kept', async () => {
    const { stdout } = await runAgainst(
      { tenants: { getTenant: () => ({ tenant: { ...TENANT, receiptRetentionDays: 90 } }) } },
      ['tenant', 'get', 'acme'],
    );
    assert.match(stdout, /^receipt_retention_days: 90$/m);
  });

  it('get without an id asks for the root', async () => {
    const { calls } = await runAgainst({ tenants: { getTenant: () => ({ tenant: TENANT }) } }, ['tenant', 'get']);
    assert.deepEqual(calls[0]!.request, {});
  });

  it('list is a table, a page at a time', async () => {
    const root = { tenant: 'default', parent: '', displayName: '', capturePolicy: 1, receiptRetentionDays: 90 };
    const tenants = [TENANT, { ...TENANT, ...root }];
    const { calls, ...outcome } = await runAgainst(
      { tenants: { listTenants: () => ({ tenants, nextPageToken: 'abc=' }) } },
      ['tenant', 'list', '--page-size', '2', '--page-token', 'xyz'],
    );
    assert.deepEqual(calls[0]!.request, { pageSize: 2, pageToken: 'xyz' });
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: `TENANT   PARENT   NAME  CAPTURE    RETENTION_DAYS  EDIT_VERSION  UPDATED                   BY
acme     default  Acme  VARIABLES                  3             2026-01-31T08:05:00.000Z  ${ACTOR}
default                 FULL       90              3             2026-01-31T08:05:00.000Z  ${ACTOR}
`,
      stderr: 'more: repeat with --page-token abc=\n',
    });
  });

  describe('update', () => {
    const tenants = {
      getTenant: () => ({ tenant: TENANT }),
      updateTenant: () => ({ tenant: { ...TENANT, editVersion: 4 }, seq: 10n }),
    };

    it('with flags changes what they name and keeps the rest', async () => {
      const { calls, ...outcome } = await runAgainst({ tenants }, [
        'tenant', 'update', 'acme', '--var', 'zip="0123"', '--edit-version', '3',
      ]);
      assert.deepEqual(outcome, { exitCode: 0, stdout: 'updated tenant acme (edit_version 4, seq 10)\n', stderr: '' });
      assert.deepEqual(calls[1], {
        method: 'UpdateTenant',
        request: {
          tenant: 'acme',
          parent: 'default',
          displayName: 'Acme',
          variables: { tone: 'warm', zip: '0123' },
          capturePolicy: 'CAPTURE_POLICY_VARIABLES',
          editVersion: 3,
        },
      });
    });

    it('with a file replaces everything', async () => {
      const args = ['tenant', 'update', 'acme', '--file', '-', '--edit-version', '3'];
      const { calls } = await runAgainst({ tenants }, args, { stdin: 'display_name: Acme\n' });
      assert.deepEqual(calls, [
        { method: 'UpdateTenant', request: { tenant: 'acme', displayName: 'Acme', editVersion: 3 } },
      ]);
    });

    it('without --edit-version says why it is needed and what the current one is', async () => {
      const { calls, ...outcome } = await runAgainst({ tenants }, ['tenant', 'update', 'acme', '--var', 'tone=cool']);
      assert.deepEqual(calls.map(({ method }) => method), ['GetTenant']);
      assert.deepEqual(outcome, {
        exitCode: 2,
        stdout: '',
        stderr:
          'error: --edit-version is required: it says which draft you have seen, so that no edit of somebody else is ' +
          'overwritten, published or archived unseen.\n' +
          `The current one is 3, written by ${ACTOR} at 2026-01-31T08:05:00.000Z. If that is the one, run:\n` +
          '  platen tenant update acme --var tone=cool --edit-version 3\n',
      });
    });

    it('that is stale shows what a colleague changed', async () => {
      const documents = new Map([
        [4n, '{"capture_policy":"VARIABLES","display_name":"Acme","variables":{"tone":"warm"}}'],
        [7n, '{"capture_policy":"VARIABLES","display_name":"Acme","variables":{"tone":"cool"}}'],
      ]);
      const { calls, ...outcome } = await runAgainst(
        {
          tenants: {
            ...tenants,
            updateTenant: () => {
              throw refusal(Code.Aborted, 'STALE_EDIT_VERSION', 'edit_version is 3, not 2', [], { edit_version: '3' });
            },
          },
          audit: {
            listChanges: () => ({
              changes: [
                { seq: 7n, time: at(5), actor: 'bea', action: 2, detail: { edit_version: 3 } },
                { seq: 4n, time: at(1), actor: ACTOR, action: 2, detail: { edit_version: 2 } },
              ],
            }),
            getChange: ({ seq }) => ({ afterJson: documents.get(seq)! }),
          },
        },
        ['tenant', 'update', 'acme', '--file', '-', '--edit-version', '2'],
        { stdin: FILE },
      );
      assert.deepEqual(calls[1], {
        method: 'ListChanges',
        request: { tenant: 'acme', entityKind: 'ENTITY_KIND_TENANT', entityId: 'acme' },
      });
      assert.deepEqual(outcome, {
        exitCode: 1,
        stdout: '',
        stderr: `error: ABORTED STALE_EDIT_VERSION: edit_version is 3, not 2
  edit_version: 3
Saved in the meantime, by edit_version:
  3 by bea at 2026-01-31T08:05:00.000Z (change 7)
--- edit_version 2
+++ edit_version 3
@@ -1,4 +1,4 @@
 display_name: Acme
 capture_policy: VARIABLES
 variables:
-  tone: warm
+  tone: cool
Nothing was saved. Merge these changes into yours, then run:
  platen tenant update acme --file - --edit-version 3
`,
      });
    });
  });
});
