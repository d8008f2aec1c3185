import assert from 'node:assert/strict';
import { Code } from '@connectrpc/connect';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runAgainst, runCommand } from '../../support/cli/run-command.ts';
import { refusal } from '../../support/cli/scripted-server.ts';

const ORIGIN = { tenant: 'default', bundleHash: 'b00d1e', constraintsHash: 'c057' };
const FAILED = {
  ...ORIGIN,
  passed: false,
  violations: [
    {
      constraintId: 'len',
      severity: 1,
      message: 'has 120 characters; at most 100 are allowed',
      place: { offset: 100, length: 20, excerpt: 'and so\non' },
    },
    {
      constraintId: 'schema',
      severity: 1,
      message: 'must be a number',
      place: { offset: 14, length: 5, excerpt: '"two"' },
      jsonPointer: '/items/1',
    },
    { constraintId: 'thanks', severity: 2, message: 'does not hold "thanks"' },
  ],
  violationCount: 3,
};
const PASSED = { ...ORIGIN, passed: true };
const ARGS = ['bundle', 'check', 'welcome', '--version', '1.2.0'];

describe('Commands cover the services: platen bundle check', () => {
  it('prints every breach, and ends with 1', async () => {
    const { calls, ...outcome } = await runAgainst(
      { renders: { checkOutput: () => FAILED } },
      [...ARGS, '--tenant', 'acme'],
      { stdin: 'Dear all,\n…\n' },
    );
    assert.deepEqual(calls, [
      {
        method: 'CheckOutput',
        request: { tenant: 'acme', bundleId: 'welcome', version: '1.2.0', output: 'Dear all,\n…\n' },
      },
    ]);
    assert.equal(
      outcome.stdout,
      `SEVERITY  CONSTRAINT  OFFSET       MESSAGE                                      EXCERPT
ERROR     len         100          has 120 characters; at most 100 are allowed  and so on
ERROR     schema      14 /items/1  must be a number                             "two"
WARNING   thanks      -            does not hold "thanks"
`,
    );
    assert.equal(
      outcome.stderr,
      `passed            no
violations        3
bundle            default/welcome@1.2.0
bundle_hash       b00d1e
constraints_hash  c057
`,
    );
    assert.equal(outcome.exitCode, 1);
  });

  it('tells how many breaches are not listed', async () => {
    const { stderr } = await runAgainst({ renders: { checkOutput: () => ({ ...FAILED, violationCount: 12 }) } }, ARGS);
    assert.match(stderr, /^violations +12, 9 of them not listed$/m);
  });

  it('ends with 0 if the answer passes, breaches of WARNING or none', async () => {
    const warned = { ...FAILED, passed: true };
    assert.equal((await runAgainst({ renders: { checkOutput: () => warned } }, ARGS)).exitCode, 0);
    const { exitCode, stdout, stderr } = await runAgainst({ renders: { checkOutput: () => PASSED } }, ARGS);
    assert.deepEqual([exitCode, stdout], [0, 'none\n']);
    assert.match(stderr, /^passed +yes\nviolations +0$/m);
  });

  it('takes the answer from a file, as it is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'platen-cli-'));
    try {
      const path = join(folder, 'answer.txt');
      await writeFile(path, '\uFEFFHi\r\n');
      const { calls } = await runAgainst({ renders: { checkOutput: () => PASSED } }, [...ARGS, '--file', path]);
      assert.deepEqual(calls[0]!.request, {
        tenant: 'default',
        bundleId: 'welcome',
        version: '1.2.0',
        output: '\uFEFFHi\r\n',
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('--json prints the response, and ends with the same code', async () => {
    const failing = { renders: { checkOutput: () => FAILED } };
    const { stdout, stderr, exitCode } = await runAgainst(failing, [...ARGS, '--json']);
    assert.deepEqual(JSON.parse(stdout), {
      tenant: 'default',
      bundleHash: 'b00d1e',
      constraintsHash: 'c057',
      violations: [
        { ...FAILED.violations[0], severity: 'SEVERITY_ERROR' },
        { ...FAILED.violations[1], severity: 'SEVERITY_ERROR' },
        { ...FAILED.violations[2], severity: 'SEVERITY_WARNING' },
      ],
      violationCount: 3,
    });
    assert.deepEqual([stderr, exitCode], ['', 1]);
  });

  it('says why an answer could not be judged', async () => {
    const message = 'check_output was ended after 2000 ms';
    const limits = { work: 'check_output', limit_ms: '2000' };
    const tooLong = (): never => {
      throw refusal(Code.ResourceExhausted, 'WORK_TOO_LONG', message, [], limits);
    };
    const { stderr } = await runAgainst({ renders: { checkOutput: tooLong } }, ARGS);
    assert.equal(stderr, `\
error: RESOURCE_EXHAUSTED WORK_TOO_LONG: check_output was ended after 2000 ms
  work: check_output
  limit_ms: 2000
`);
  });

  it('needs a version, and says what its exit codes mean', async () => {
    const { exitCode, stderr } = await runCommand(['bundle', 'check', 'welcome']);
    assert.equal(exitCode, 2);
    assert.match(stderr, /required option '--version <semver>' not specified/);
    const { stdout } = await runCommand(['bundle', 'check', '--help']);
    assert.match(stdout, /Exit code: 0 if the answer passes, 1 if not/);
  });
});
