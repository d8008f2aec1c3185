import assert from 'node:assert/strict';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import type { ReplayReceiptsResponseSchema } from '../../../gen/platen/v1/audit_service_pb.js';
import { ACTOR, at } from '../../support/cli/answers.ts';
import { runAgainst, runCommand } from '../../support/cli/run-command.ts';
import type { Script } from '../../support/cli/scripted-server.ts';
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
  rendererVersion: 2,
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

  it('changes of receipts name no one of them', async () => {
    const change = { ...CHANGE, action: 10, tenant: 'acme', entityKind: 5, entityId: '', detail: { erased: 12 } };
    const listChanges = () => ({ changes: [change] });
    const { stdout } = await runAgainst({ audit: { listChanges } }, ['audit', 'changes']);
    assert.match(stdout, /^8 .* ERASE +receipt acme +erased=12 /m);
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
    for (const time of ['yesterday', '5', '2026-1-5 10:00', '2026-02-30', '2026-01-31T08:00:00']) {
      const { exitCode, stderr } = await runCommand(['audit', 'receipts', '--since', time]);
      assert.equal(exitCode, 2, time);
      assert.ok(stderr.includes(`'${time}' is invalid. It must be a time, as 2026-01-31 or 2026-01-31T08:00:00Z.`));
    }
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
renderer_version   2
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

    for (const [policy, name, text] of [
      [1, 'FULL', 'The values that were captured were erased.'],
      [2, 'VARIABLES', 'The values that were captured were erased.'],
      [3, 'HASH_ONLY', 'No values were captured.'],
    ] as const) {
      it(`tells erased values from values that were never kept: ${name}`, async () => {
        const { stdout } = await runAgainst(
          { audit: { getReceipt: () => ({ receipt: { ...RECEIPT, capturePolicy: policy } }) } },
          ['audit', 'receipt', '0197-receipt'],
        );
        assert.match(stdout, new RegExp(`^capture_policy +${name}$`, 'm'));
        assert.ok(stdout.endsWith(`\n\n${text}\n`), stdout);
      });
    }

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

describe('Ranges of receipts are replayed: platen audit replay', () => {
  const args = ['audit', 'replay', '--since', '2026-01-31', '--bundle', 'welcome'];
  const MISMATCHED = { renderId: '0197-a', outcome: 2, expectedHash: 'aaaa', actualHash: 'bbbb', rendererVersion: 2 };
  const MISSING = { renderId: '0197-b', outcome: 3, missingInputs: ['variables', 'placeholders'] };
  const UNKNOWN = { renderId: '0197-c', outcome: 4, expectedHash: 'aaaa', rendererVersion: 9 };
  const answering = (...messages: MessageInitShape<typeof ReplayReceiptsResponseSchema>[]): Script => ({
    audit: {
      async *replayReceipts() {
        yield* messages;
      },
    },
  });

  it('takes the filters of receipts', async () => {
    const { calls } = await runAgainst(
      answering({ total: 1n, replayed: 1n, matched: 1n }),
      [...args, '--until', '2026-02-01', '--tenant', 'acme', '--bundle-hash', 'h', '--personality-hash', 'p']
        .concat(['--caller', 'c', '--label', 'service=chat']),
    );
    assert.deepEqual(calls[0], {
      method: 'ReplayReceipts',
      request: {
        tenant: 'acme',
        bundleId: 'welcome',
        bundleHash: 'h',
        personalityHash: 'p',
        caller: 'c',
        labels: { service: 'chat' },
        startTime: '2026-01-31T00:00:00Z',
        endTime: '2026-02-01T00:00:00Z',
      },
    });
  });

  it('names what did not match as it comes, and sums up', async () => {
    const counts = { total: 10n, replayed: 10n, matched: 7n, mismatched: 1n, inputMissing: 1n, rendererUnknown: 1n };
    const { calls, ...outcome } = await runAgainst(
      answering(
        { total: 10n, replayed: 4n, matched: 3n, mismatched: 1n, deviations: [MISMATCHED] },
        { ...counts, deviations: [MISSING, UNKNOWN] },
      ),
      args,
    );
    assert.equal(calls.length, 1);
    assert.deepEqual(outcome, {
      exitCode: 1,
      stdout: `0197-a MISMATCH expected aaaa actual bbbb
0197-b INPUT_MISSING variables placeholders
0197-c RENDERER_UNKNOWN renderer_version 9
replayed          10
matched           7
mismatched        1
input_missing     1
renderer_unknown  1
`,
      stderr: '',
    });
  });

  for (const [what, exitCode, counts] of [
    ['all matched', 0, { matched: 3n }],
    ['any mismatched', 1, { mismatched: 1n, inputMissing: 1n, rendererUnknown: 1n }],
    ['inputs are missing', 3, { matched: 1n, inputMissing: 1n, rendererUnknown: 1n }],
    ['a renderer is unknown', 4, { matched: 2n, rendererUnknown: 1n }],
  ] as const) {
    it(`ends with ${exitCode} if ${what}`, async () => {
      const outcome = await runAgainst(answering({ total: 3n, replayed: 3n, ...counts }), args);
      assert.equal(outcome.exitCode, exitCode);
    });
  }

  it('says that there was nothing to replay', async () => {
    const { exitCode, stderr } = await runAgainst(answering({}), args);
    assert.deepEqual([exitCode, stderr], [0, 'no receipt is like that: nothing was replayed\n']);
  });

  it('says that not all are named', async () => {
    const last = { total: 2_000n, replayed: 2_000n, mismatched: 2_000n, deviations: [MISMATCHED] };
    const { stderr } = await runAgainst(answering(last), args);
    assert.equal(stderr, 'Not all that did not match are named: only the first of each outcome.\n');
  });

  it('a person sees a bar, and lines that make it way', async () => {
    const message = { total: 4n, replayed: 1n, mismatched: 1n, deviations: [MISMATCHED] };
    const { stdout, stderr } = await runAgainst(answering(message), args, { interactive: true });
    assert.match(stderr, /replaying \[=+-+\] 25% 1\/4/);
    assert.match(stdout, /^0197-a MISMATCH/);
  });

  it('--json prints the last message with all that did not match', async () => {
    const { stdout, exitCode } = await runAgainst(
      answering(
        { total: 2n, replayed: 1n, mismatched: 1n, deviations: [MISMATCHED] },
        { total: 2n, replayed: 2n, mismatched: 1n, inputMissing: 1n, deviations: [MISSING] },
      ),
      [...args, '--json'],
    );
    assert.equal(exitCode, 1);
    const { deviations, ...counts } = JSON.parse(stdout) as { deviations: { renderId: string }[] };
    assert.deepEqual(counts, { total: '2', replayed: '2', mismatched: '1', inputMissing: '1' });
    assert.deepEqual(deviations.map(({ renderId }) => renderId), ['0197-a', '0197-b']);
  });

  it('may take an hour', async () => {
    let timeout: number | undefined;
    const script: Script = {
      audit: {
        async *replayReceipts(_request: unknown, context: HandlerContext) {
          timeout = context.timeoutMs();
          yield { total: 1n };
        },
      },
    };
    await runAgainst(script, args);
    assert.ok(timeout! > 3_500_000, String(timeout));
  });

  for (const [words, message] of [
    [[], 'error: which receipts? Name one by its render_id, or many with --since, --bundle and the like\n'],
    [['--tenant', 'acme', '--var', 'a=1'], 'error: --var gives values to one render: name its render_id\n'],
    [['0197', '--since', '2026-01-31'], 'error: --since names many receipts: it does not go with a render_id\n'],
  ] as const) {
    it(`platen audit replay ${words.join(' ')} is a wrong command line`, async () => {
      const { exitCode, stderr, calls } = await runAgainst({}, ['audit', 'replay', ...words]);
      assert.deepEqual([exitCode, stderr, calls.length], [2, message, 0]);
    });
  }
});

describe('Captured values can be erased: platen audit erase', () => {
  const args = ['audit', 'erase', '--label', 'user=u-1', '--caller', 'c', '--since', '2026-01-31'];
  const erasing = { audit: { eraseInputs: () => ({ erased: 12n, seq: 30n }) } };

  it('--yes erases at once', async () => {
    const { calls, ...outcome } = await runAgainst(
      erasing,
      [...args, '--until', '2026-02-01', '--tenant', 'acme', '--request-id', 'r-1', '--yes'],
    );
    assert.deepEqual(calls[0], {
      method: 'EraseInputs',
      request: {
        tenant: 'acme',
        caller: 'c',
        labels: { user: 'u-1' },
        startTime: '2026-01-31T00:00:00Z',
        endTime: '2026-02-01T00:00:00Z',
        requestId: 'r-1',
      },
    });
    assert.deepEqual(outcome, { exitCode: 0, stdout: 'erased the values of 12 renders (seq 30)\n', stderr: '' });
  });

  it('no label is lost, whatever its name, so that no more is erased than was named', async () => {
    const labels = ['--label', '__proto__=x', '--label', 'constructor=y'];
    const { calls } = await runAgainst(erasing, ['audit', 'erase', ...labels, '--since', '2026-01-31', '--yes']);
    const request = calls[0]!.request as { labels: object };
    assert.deepEqual(Object.entries(request.labels), [['__proto__', 'x'], ['constructor', 'y']]);
  });

  for (const answer of ['y\n', 'Yes\n']) {
    it(`asks a person, and erases on ${JSON.stringify(answer)}`, async () => {
      const circumstances = { interactive: true, stdin: answer };
      const { calls, ...outcome } = await runAgainst(erasing, [...args, '--tenant', 'acme'], circumstances);
      assert.equal(calls.length, 1);
      assert.deepEqual(outcome, {
        exitCode: 0,
        stdout: 'erased the values of 12 renders (seq 30)\n',
        stderr:
          'Erases for ever the values that were captured of all renders with label user=u-1, of caller c, ' +
          'of tenant acme, from 2026-01-31T00:00:00.000Z on, up to now.\nGo on? [y/N] ',
      });
    });
  }

  for (const answer of ['\n', 'no\n', 'yesterday\n', 'y e s', '']) {
    it(`erases nothing on ${JSON.stringify(answer)}`, async () => {
      const { calls, exitCode, stdout, stderr } = await runAgainst(
        erasing,
        ['audit', 'erase', '--until', '2026-01-31'],
        { interactive: true, stdin: answer },
      );
      assert.deepEqual([calls.length, exitCode, stdout], [0, 1, '']);
      assert.equal(
        stderr,
        'Erases for ever the values that were captured of all renders before 2026-01-31T00:00:00.000Z.\n' +
          'Go on? [y/N] Nothing was erased.\n',
      );
    });
  }

  it('without a terminal somebody has to say --yes', async () => {
    const { calls, exitCode, stderr } = await runAgainst(erasing, args, { stdin: 'y\n' });
    assert.deepEqual([calls.length, exitCode], [0, 2]);
    assert.equal(stderr, 'error: nobody is there to be asked; --yes says that it is meant\n');
  });

  it('needs more than a tenant', async () => {
    const { calls, exitCode, stderr } = await runAgainst(erasing, ['audit', 'erase', '--tenant', 'acme', '--yes']);
    assert.deepEqual([calls.length, exitCode], [0, 2]);
    assert.equal(stderr, 'error: which renders? Name them with --label, --caller, --since or --until\n');
  });

  it('may take an hour', async () => {
    let timeout: number | undefined;
    const eraseInputs = (_request: unknown, context: HandlerContext) => {
      timeout = context.timeoutMs();
      return { erased: 1n };
    };
    await runAgainst({ audit: { eraseInputs } }, [...args, '--yes']);
    assert.ok(timeout! > 3_500_000, String(timeout));
  });
});
