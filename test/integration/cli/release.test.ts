import assert from 'node:assert/strict';
import { ACTOR, at } from '../../support/cli/answers.ts';
import { runAgainst } from '../../support/cli/run-command.ts';

const RELEASE = {
  tenant: 'acme',
  bundleId: 'welcome',
  channel: 'production',
  revision: 3,
  kind: 1,
  targets: [{ version: '1.1.0', bundleHash: 'b00d1e', weight: 100 }],
  seq: 9n,
  createTime: at(1),
  createActor: ACTOR,
};

describe('Commands cover the services: platen release', () => {
  it('set points a channel at a version', async () => {
    const { calls, ...outcome } = await runAgainst(
      { bundles: { releaseBundle: () => ({ release: RELEASE, seq: 9n }) } },
      ['release', 'set', 'welcome', '1.1.0', '--tenant', 'acme', '--expected-revision', '2', '--request-id', 'r'],
    );
    assert.deepEqual(calls[0]!.request, {
      tenant: 'acme',
      bundleId: 'welcome',
      channel: 'production',
      version: '1.1.0',
      expectedRevision: 2,
      requestId: 'r',
    });
    assert.deepEqual(outcome, {
      exitCode: 0,
      stdout: 'released acme/welcome@1.1.0 on production (revision 3, seq 9)\n',
      stderr: '',
    });
  });

  it('withdraw takes a channel out of service', async () => {
    const release = { ...RELEASE, channel: 'beta', kind: 3, targets: [] };
    const { calls, stdout } = await runAgainst(
      { bundles: { releaseBundle: () => ({ release, seq: 9n }) } },
      ['release', 'withdraw', 'welcome', '--tenant', 'acme', '--channel', 'beta'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', bundleId: 'welcome', channel: 'beta', withdraw: true });
    assert.equal(stdout, 'withdrew acme/welcome on beta (revision 3, seq 9)\n');
  });

  it('rollback goes to the version before', async () => {
    const { calls, stdout } = await runAgainst(
      { bundles: { rollbackBundle: () => ({ release: { ...RELEASE, kind: 2 }, seq: 9n }) } },
      ['release', 'rollback', 'welcome', '--tenant', 'acme'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', bundleId: 'welcome', channel: 'production' });
    assert.equal(stdout, 'rolled back to acme/welcome@1.1.0 on production (revision 3, seq 9)\n');
  });

  it('rollback can name the version', async () => {
    const { calls } = await runAgainst(
      { bundles: { rollbackBundle: () => ({ release: RELEASE, seq: 9n }) } },
      ['release', 'rollback', 'welcome', '1.0.0', '--expected-revision', '2'],
    );
    assert.deepEqual(calls[0]!.request, {
      tenant: 'default',
      bundleId: 'welcome',
      channel: 'production',
      version: '1.0.0',
      expectedRevision: 2,
    });
  });

  it('list is a table', async () => {
    const releases = [{ ...RELEASE, revision: 4, kind: 3, targets: [] }, RELEASE];
    const { calls, stdout } = await runAgainst(
      { bundles: { listReleases: () => ({ releases }) } },
      ['release', 'list', 'welcome', '--tenant', 'acme', '--channel', 'production'],
    );
    assert.deepEqual(calls[0]!.request, { tenant: 'acme', bundleId: 'welcome', channel: 'production' });
    assert.equal(
      stdout,
      `CHANNEL     REVISION  KIND      VERSION  SEQ  TIME                      BY
production  4         WITHDRAW  -        9    2026-01-31T08:01:00.000Z  ${ACTOR}
production  3         RELEASE   1.1.0    9    2026-01-31T08:01:00.000Z  ${ACTOR}
`,
    );
  });
});
