import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { ACTOR, at } from '../../support/cli/answers.ts';
import { runAgainst } from '../../support/cli/run-command.ts';
import { startScriptedServer } from '../../support/cli/scripted-server.ts';
import { addClientCommands, newProgram, runProgram } from '../../../src/cli/index.ts';

const CHANGE = {
  seq: 3n,
  time: at(8),
  actor: ACTOR,
  action: 2,
  tenant: 'acme',
  entityKind: 2,
  entityId: 'hello',
  afterHash: 'bbbb',
  detail: { edit_version: 4, note: 'a "b", c' },
  requestId: '=1+1',
  chainHash: 'cccc',
};

/** A list of five changes, two a page unless more are asked for. */
const FIVE = {
  listChanges: ({ pageSize, pageToken }: { pageSize: number; pageToken: string }) => {
    const size = Math.min(pageSize, 2);
    const start = Number(pageToken);
    const seqs = [5n, 4n, 3n, 2n, 1n].slice(start, start + size);
    return {
      changes: seqs.map((seq) => ({ ...CHANGE, seq })),
      nextPageToken: start + size < 5 ? String(start + size) : '',
    };
  },
};

const seqsOf = (jsonLines: string): string[] =>
  jsonLines
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { seq: string }).seq);

describe('The trail can be filtered and exported: platen audit changes and receipts', () => {
  it('changes are filtered by hash and time', async () => {
    const { calls } = await runAgainst(
      { audit: { listChanges: () => ({}) } },
      ['audit', 'changes', '--hash', 'bbbb', '--since', '2026-01-31', '--until', '2026-02-01'],
    );
    assert.deepEqual(calls[0]!.request, {
      hash: 'bbbb',
      startTime: '2026-01-31T00:00:00Z',
      endTime: '2026-02-01T00:00:00Z',
    });
  });

  it('receipts are filtered by bundle and by all of several labels', async () => {
    const { calls } = await runAgainst(
      { audit: { listReceipts: () => ({}) } },
      ['audit', 'receipts', '--bundle', 'welcome', '--label', 'service=chat', '--label', 'user=a=b'],
    );
    assert.deepEqual(calls[0]!.request, { bundleId: 'welcome', labels: { service: 'chat', user: 'a=b' } });
  });

  it('a label has one value', async () => {
    const outcome = await runAgainst({}, ['audit', 'receipts', '--label', 'a=1', '--label', 'a=2']);
    assert.deepEqual([outcome.exitCode, outcome.calls.length, outcome.stderr], [
      2,
      0,
      'error: --label a=… is given twice; a render has one value\n',
    ]);
  });

  it('JSON Lines hold every item of every page, a message a line', async () => {
    const { calls, stdout, stderr, exitCode } = await runAgainst(
      { audit: FIVE },
      ['audit', 'changes', '--tenant', 'acme', '--format', 'jsonl'],
    );
    assert.deepEqual([exitCode, stderr], [0, '']);
    assert.deepEqual(seqsOf(stdout), ['5', '4', '3', '2', '1']);
    assert.deepEqual(JSON.parse(stdout.split('\n')[2]!), {
      seq: '3',
      time: '2026-01-31T08:08:00Z',
      actor: ACTOR,
      action: 'CHANGE_ACTION_UPDATE',
      tenant: 'acme',
      entityKind: 'ENTITY_KIND_TEMPLATE',
      entityId: 'hello',
      afterHash: 'bbbb',
      detail: { edit_version: 4, note: 'a "b", c' },
      requestId: '=1+1',
      chainHash: 'cccc',
    });
    assert.deepEqual(
      calls.map(({ request }) => request),
      [
        { tenant: 'acme', pageSize: 1000 },
        { tenant: 'acme', pageSize: 1000, pageToken: '2' },
        { tenant: 'acme', pageSize: 1000, pageToken: '4' },
      ],
    );
  });

  it('--limit ends after so many, --page-size bounds a fetch, --page-token begins later', async () => {
    const args = ['audit', 'changes', '--format', 'jsonl'];
    const limited = await runAgainst({ audit: FIVE }, [...args, '--limit', '3']);
    assert.deepEqual([seqsOf(limited.stdout), limited.calls.length], [['5', '4', '3'], 2]);
    const small = await runAgainst({ audit: FIVE }, [...args, '--page-size', '1', '--page-token', '2']);
    assert.deepEqual([seqsOf(small.stdout), small.calls.length], [['3', '2', '1'], 3]);
    assert.deepEqual(small.calls[0]!.request, { pageSize: 1, pageToken: '2' });
  });

  it('CSV has a column for each field, and values exactly as they were recorded', async () => {
    const { stdout } = await runAgainst({ audit: FIVE }, ['audit', 'changes', '--format', 'csv', '--limit', '3']);
    const row = (seq: number): string =>
      `${seq},2026-01-31T08:08:00.000Z,${ACTOR},UPDATE,acme,TEMPLATE,hello,,bbbb,` +
      '"{""edit_version"":4,""note"":""a \\""b\\"", c""}",=1+1,,cccc\r\n';
    assert.equal(
      stdout,
      'seq,time,actor,action,tenant,entity_kind,entity_id,before_hash,after_hash,detail,request_id,trace_id,' +
        `chain_hash\r\n${row(5)}${row(4)}${row(3)}`,
    );
  });

  it('CSV of what has no detail leaves it empty', async () => {
    const listChanges = () => ({ changes: [{ ...CHANGE, detail: undefined }] });
    const { stdout } = await runAgainst({ audit: { listChanges } }, ['audit', 'changes', '--format', 'csv']);
    assert.match(stdout, /,bbbb,,=1\+1,,cccc\r\n$/);
  });

  it('CSV of receipts has labels as JSON, unset times empty, and quotes line ends', async () => {
    const receipts = [{ renderId: '0197', durationUs: 312n, labels: { a: 'b' }, capturePolicy: 2, caller: 'x\ry' }];
    const { stdout } = await runAgainst(
      { audit: { listReceipts: () => ({ receipts }) } },
      ['audit', 'receipts', '--format', 'csv'],
    );
    const [header, record] = stdout.split('\r\n');
    assert.ok(header!.startsWith('render_id,time,duration_us,requested_tenant,'), header);
    const values = Object.fromEntries(header!.split(',').map((name, i) => [name, record!.split(',')[i]]));
    assert.deepEqual(
      [values.render_id, values.time, values.duration_us, values.labels, values.capture_policy, values.caller],
      ['0197', '', '312', '"{""a"":""b""}"', 'VARIABLES', '"x\ry"'],
    );
  });

  it('of nothing, CSV is a header and JSON Lines are empty', async () => {
    const none = { audit: { listReceipts: () => ({}) } };
    assert.match((await runAgainst(none, ['audit', 'receipts', '--format', 'csv'])).stdout, /^render_id,.*\r\n$/);
    assert.equal((await runAgainst(none, ['audit', 'receipts', '--format', 'jsonl'])).stdout, '');
    assert.equal((await runAgainst(none, ['audit', 'receipts', '--all'])).stdout, 'none\n');
  });

  it('--all prints all pages of a table', async () => {
    const { stdout, stderr } = await runAgainst({ audit: FIVE }, ['audit', 'changes', '--all']);
    assert.deepEqual(stdout.match(/^\w+/gm), ['SEQ', '5', '4', '3', '2', '1']);
    assert.equal(stderr, '');
  });

  it('--json is one document and does not go with what prints many', async () => {
    for (const words of [['--format', 'jsonl'], ['--all'], ['--limit', '1']]) {
      const { exitCode, stderr } = await runAgainst({}, ['audit', 'changes', '--json', ...words]);
      assert.equal(exitCode, 2);
      assert.match(stderr, /cannot be used with option '--json'/);
    }
  });

  it('a page is fetched only when the one before it has been taken', async () => {
    const server = await startScriptedServer({ audit: FIVE });
    try {
      const stdout = new PassThrough({ highWaterMark: 1 });
      const terminal = { stdin: process.stdin, stdout, stderr: process.stderr, env: { PLATEN_SERVER: server.address } };
      const program = newProgram(terminal);
      addClientCommands(program, terminal);
      const done = runProgram(program, ['audit', 'changes', '--format', 'jsonl', '--page-size', '1'], terminal);
      // Two pages fill the pipe: one on its way to the reader, one behind it.
      await once(stdout, 'readable');
      const seen: number[] = [];
      const lines: string[] = [];
      while (lines.length < 5) {
        const chunk = (stdout.read() as Buffer | null) ?? (await once(stdout, 'readable'), stdout.read() as Buffer);
        if (chunk === null) continue;
        lines.push(...String(chunk).trimEnd().split('\n'));
        seen.push(server.calls.length - lines.length);
      }
      await done;
      assert.deepEqual(seqsOf(lines.join('\n')), ['5', '4', '3', '2', '1']);
      assert.ok(Math.max(...seen) <= 2, String(seen));
    } finally {
      await server.close();
    }
  });

  it('a reader that closes its pipe ends it quietly', async () => {
    const stdout = Object.assign(new PassThrough(), {
      write: (_text: string, done: (error: Error) => void) => {
        done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
        return false;
      },
    });
    const outcome = await runAgainst({ audit: FIVE }, ['audit', 'changes', '--format', 'jsonl'], { stdout });
    assert.deepEqual([outcome.exitCode, outcome.stderr, outcome.calls.length], [0, '', 1]);
  });
});
