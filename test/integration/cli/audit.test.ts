import assert from 'node:assert/strict';
import { ACTOR, at } from '../../support/cli/answers.ts';
import { runAgainst, runCommand } from '../../support/cli/run-command.ts';
import { toValue } from '../../../src/cli/value.ts';

const CHANGE = {
  seq: 8n,
  time: at(8),
  actor: ACTOR,
  action: 2,
  tenant: 'acme',
  entityKind: 2,
  entityId: 'hello',
  beforeHash: 'aaaa',
  afterHash: 'bbbb',
  detail: { edit_version: 4 },
  requestId: 'r-1',
  chainHash: 'cccc',
};

const RECEIPT = {
  renderId: '0197-receipt',
  time: at(8),
  durationUs: 312n,
  requestedTenant: 'acme',
  requestedType: 2,
  tenant: 'default',
  bundleId: 'welcome',
  version: '1.0.0',
  channel: 'production',
  revision: 3,
  seq: 40n,
  source: 4,
  renderedHash: '0123456789abcdef',
  bundleHash: 'bbbb',
  constraintsHash: 'cccc',
  variablesHash: 'dddd',
  placeholdersHash: 'eeee',
  messagesHash: 'ffff',
  rendererVersion: 1,
  caller: ACTOR,
  labels: { service: 'chat' },
  receiptHash: '9999',
  batch: 2n,
};

describe('Commands cover the services: platen audit', () => {
  it('changes is a table', async () => {
    const changes = [
      { ...CHANGE, seq: 9n, action: 5, entityKind: 3, entityId: 'welcome', detail: { channel: 'beta', targets: [1] } },
      { ...CHANGE, action: 1, entityKind: 1, entityId: 'acme', detail: undefined },
    ];
    const { calls, ...outcome } = await runAgainst(
      { audit: { listChanges: () => ({ changes, nextPageToken: 'n' }) } },
      ['audit', 'changes', '--tenant', 'acme', '--kind', 'BUNDLE', '--id', 'welcome', '--action', 'RELEASE']
        .concat(['--actor', 'bea', '--page-size', '2']),
    );
    assert.deepEqual(calls[0]!.request, {
      tenant: 'acme',
      entityKind: 'ENTITY_KIND_BUNDLE',
      entityId: 'welcome',
      action: 'CHANGE_ACTION_RELEASE',
      actor: 'bea',
      pageSize: 2,
    });
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: `SEQ  TIME                      ACTION   WHAT                 DETAIL        BY
9    2026-01-31T08:08:00.000Z  RELEASE  bundle acme/welcome  channel=beta  ${ACTOR}
8    2026-01-31T08:08:00.000Z  CREATE   tenant acme                        ${ACTOR}
`,
      stderr: 'more: repeat with --page-token n\n',
    });
  });

  it('changes without filters asks for all', async () => {
    const { calls, stdout } = await runAgainst({ audit: { listChanges: () => ({}) } }, ['audit', 'changes']);
    assert.deepEqual(calls[0]!.request, {});
    assert.equal(stdout, 'none\n');
  });

  it('change shows what it changed', async () => {
    const response = {
      change: CHANGE,
      beforeJson: '{"content":"Hi","syntax":"FORMAT","type":"GREETING"}',
      afterJson: '{"content":"Hello","syntax":"FORMAT","type":"GREETING"}',
    };
    const { calls, stdout } = await runAgainst({ audit: { getChange: () => response } }, ['audit', 'change', '8']);
    assert.deepEqual(calls[0]!.request, { seq: '8' });
    assert.equal(
      stdout,
      `seq          8
time         2026-01-31T08:08:00.000Z
actor        ${ACTOR}
action       UPDATE
what         template acme/hello
detail       edit_version=4
before_hash  aaaa
after_hash   bbbb
request_id   r-1
chain_hash   cccc

--- before
+++ after
@@ -1,5 +1,5 @@
 ---
 type: GREETING
 syntax: FORMAT
 ---
-Hi
+Hello
`,
    );
  });

  it('change of a pointer shows all of its detail, and no documents', async () => {
    const change = { ...CHANGE, action: 5, detail: { channel: 'beta', targets: [{ version: '1.0.0' }] } };
    const { stdout } = await runAgainst({ audit: { getChange: () => ({ change }) } }, ['audit', 'change', '8']);
    assert.match(stdout, /^detail +channel=beta targets=\[\{"version":"1\.0\.0"\}\]$/m);
    assert.ok(stdout.endsWith('chain_hash   cccc\n'), stdout);
  });

  it('receipts is a table', async () => {
    const fallback = { ...RECEIPT, renderId: '0197-other', tenant: '', bundleId: '', version: '', source: 1 };
    const { calls, stdout } = await runAgainst(
      { audit: { listReceipts: () => ({ receipts: [RECEIPT, fallback] }) } },
      ['audit', 'receipts', '--tenant', 'acme', '--bundle-hash', 'b', '--personality-hash', 'p', '--caller', 'c']
        .concat(['--request-id', 'r', '--since', '2026-01-31', '--until', '2026-01-31T09:00:00+01:00']),
    );
    assert.deepEqual(calls[0]!.request, {
      tenant: 'acme',
      bundleHash: 'b',
      personalityHash: 'p',
      caller: 'c',
      requestId: 'r',
      startTime: '2026-01-31T00:00:00Z',
      endTime: '2026-01-31T08:00:00Z',
    });
    assert.equal(
      stdout,
      `RECEIPT       TIME                      TENANT  SOURCE     BUNDLE                 RENDERED      CALLER
0197-receipt  2026-01-31T08:08:00.000Z  acme    INHERITED  default/welcome@1.0.0  0123456789ab  ${ACTOR}
0197-other    2026-01-31T08:08:00.000Z  acme    FALLBACK   -                      0123456789ab  ${ACTOR}
`,
    );
  });

  it('receipts without filters asks for all', async () => {
    const { calls } = await runAgainst({ audit: { listReceipts: () => ({}) } }, ['audit', 'receipts']);
    assert.deepEqual(calls[0]!.request, {});
  });

  it('receipts refuses what is no time', async () => {
    const { exitCode, stderr } = await runCommand(['audit', 'receipts', '--since', 'yesterday']);
    assert.equal(exitCode, 2);
    assert.match(stderr, /'yesterday' is invalid\. It must be a time, as 2026-01-31T08:00:00Z\./);
  });

  describe('receipt', () => {
    const head = `receipt            0197-receipt
time               2026-01-31T08:08:00.000Z
duration           312 µs
caller             ${ACTOR}
asked by           acme
asked for          type GREETING
source             INHERITED
bundle             default/welcome@1.0.0
channel            production, revision 3
seq                40
rendered_hash      0123456789abcdef
bundle_hash        bbbb
constraints_hash   cccc
variables_hash     dddd
placeholders_hash  eeee
messages_hash      ffff
renderer_version   1
label              service=chat
receipt_hash       9999
batch              2
`;

    it('shows what was captured', async () => {
      const inputs = {
        variables: { user: toValue('Ann') },
        placeholders: { history: { messages: [{ role: 2, content: 'Hi' }] } },
        fallbackText: 'Sorry.',
      };
      const { calls, stdout } = await runAgainst(
        { audit: { getReceipt: () => ({ receipt: RECEIPT, inputs }) } },
        ['audit', 'receipt', '0197-receipt'],
      );
      assert.deepEqual(calls[0]!.request, { renderId: '0197-receipt' });
      assert.equal(
        stdout,
        `${head}
variables:
  user: Ann

placeholder history
--- USER ---
Hi

fallback text
Sorry.
`,
      );
    });

    it('says that nothing was captured', async () => {
      const { stdout } = await runAgainst(
        { audit: { getReceipt: () => ({ receipt: RECEIPT }) } },
        ['audit', 'receipt', '0197-receipt'],
      );
      assert.equal(stdout, `${head}\nNo values were captured, or they were erased.\n`);
    });

    it('names the bundle that was asked for', async () => {
      const requested = { requestedType: 0, requestedBundleId: 'welcome', requestedVersion: '1.0.0' };
      const receipt = { ...RECEIPT, ...requested, channel: '' };
      const { stdout } = await runAgainst(
        { audit: { getReceipt: () => ({ receipt }) } },
        ['audit', 'receipt', '0197-receipt'],
      );
      assert.match(stdout, /^asked for +bundle welcome@1\.0\.0$/m);
      assert.doesNotMatch(stdout, /^channel/m);
    });
  });
});

describe('Replay tells match from mismatch: platen audit replay', () => {
  const args = ['audit', 'replay', '0197-receipt'];

  it('MATCH ends with 0', async () => {
    const response = { outcome: 1, expectedHash: 'aaaa', actualHash: 'aaaa', text: 'Hi' };
    const { calls, ...outcome } = await runAgainst({ audit: { replay: () => response } }, args);
    assert.deepEqual(calls[0]!.request, { renderId: '0197-receipt' });
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: 'outcome        MATCH\nexpected_hash  aaaa\nactual_hash    aaaa\n',
      stderr: '',
    });
  });

  it('MISMATCH ends with 1', async () => {
    const response = { outcome: 2, expectedHash: 'aaaa', actualHash: 'bbbb' };
    const { exitCode, stdout } = await runAgainst({ audit: { replay: () => response } }, args);
    assert.equal(exitCode, 1);
    assert.equal(stdout, 'outcome        MISMATCH\nexpected_hash  aaaa\nactual_hash    bbbb\n');
  });

  it('INPUT_MISSING ends with 3, with --json too', async () => {
    const response = { outcome: 3, expectedHash: 'aaaa', missingInputs: ['variables', 'placeholders'] };
    const { exitCode, stdout } = await runAgainst({ audit: { replay: () => response } }, args);
    assert.equal(exitCode, 3);
    assert.equal(stdout, 'outcome        INPUT_MISSING\nexpected_hash  aaaa\nmissing        variables placeholders\n');
    assert.equal((await runAgainst({ audit: { replay: () => response } }, [...args, '--json'])).exitCode, 3);
  });

  it('sends values that were not captured', async () => {
    const { calls } = await runAgainst(
      { audit: { replay: () => ({ outcome: 1 }) } },
      [...args, '--file', '-', '--var', 'b=2'],
      { stdin: 'variables: { a: 1 }\nplaceholders: { history: [{ role: USER, content: Hi }] }\nfallback_text: No.\n' },
    );
    assert.deepEqual(calls[0]!.request, {
      renderId: '0197-receipt',
      inputs: {
        variables: { a: 1, b: 2 },
        placeholders: { history: { messages: [{ role: 'ROLE_USER', content: 'Hi' }] } },
        fallbackText: 'No.',
      },
    });
  });

  it('sends a fallback text alone', async () => {
    const replayed = { audit: { replay: () => ({ outcome: 1 }) } };
    const { calls } = await runAgainst(replayed, [...args, '--fallback-text', 'Sorry.']);
    assert.deepEqual(calls[0]!.request, { renderId: '0197-receipt', inputs: { fallbackText: 'Sorry.' } });
  });
});
