import assert from 'node:assert/strict';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import {
  RenderSource,
  RouteFinding,
  type ExplainRouteResponseSchema,
} from '../../../gen/platen/v1/render_service_pb.js';
import { at } from '../../support/cli/answers.ts';
import { runAgainst, runCommand } from '../../support/cli/run-command.ts';
import { refusal } from '../../support/cli/scripted-server.ts';

type Response = MessageInitShape<typeof ExplainRouteResponseSchema>;

const NOTHING: Response = {
  seq: 812n,
  chainHash: 'c812',
  verifiedTime: at(0),
  source: RenderSource.FALLBACK,
  channel: 'production',
};

const FOUND: Response = {
  ...NOTHING,
  source: RenderSource.INHERITED,
  tenant: 'acme',
  bundleId: 'hello',
  version: '1.2.0',
  bundleHash: 'b00d1e',
  revision: 3,
  steps: [
    { tenant: 'acme-kids', finding: RouteFinding.NOT_ACTIVATED },
    { tenant: 'acme', finding: RouteFinding.ACTIVATED, bundleId: 'hello' },
    { tenant: 'acme-kids', finding: RouteFinding.NO_BUNDLE, bundleId: 'hello' },
    { tenant: 'acme', finding: RouteFinding.ANSWERS, bundleId: 'hello', revision: 3 },
  ],
};

/** Without how long ago it was, which depends on when the test runs. */
function timeless(text: string): string {
  return text.replace(/[0-9]+ min ago/, '… ago');
}

function explain(response: Response, ...options: readonly string[]) {
  return runAgainst({ renders: { explainRoute: () => response } }, ['route', 'explain', ...options]);
}

describe('A route can be explained', () => {
  describe('platen route explain', () => {
    it('tells by type which release answers, and every place on the way to it', async () => {
      const { calls, exitCode, stdout, stderr } = await explain(FOUND, '--tenant', 'acme-kids', '--type', 'GREETING');
      assert.deepEqual(calls[0]!.request, {
        tenant: 'acme-kids',
        type: 'PROMPT_TYPE_GREETING',
        channel: 'production',
      });
      assert.deepEqual([exitCode, stderr], [0, '']);
      assert.equal(
        timeless(stdout),
        `acme/hello@1.2.0 answers on production (revision 3)
source    INHERITED
seq       812
verified  … ago, at 2026-01-31T08:00:00.000Z

TENANT     FINDING
acme-kids  activates nothing for GREETING
acme       activates hello for GREETING
acme-kids  has no bundle hello
acme       has hello: revision 3 answers: 1.2.0
`,
      );
    });

    it('says by bundle why nothing answers, and what a render does then', async () => {
      const steps = [
        { tenant: 'acme-kids', finding: RouteFinding.ARCHIVED, bundleId: 'hello', revision: 2 },
        { tenant: 'acme', finding: RouteFinding.WITHDRAWN, bundleId: 'hello', revision: 4 },
        { tenant: 'default', finding: RouteFinding.NOT_RELEASED, bundleId: 'hello' },
      ];
      const options = ['--tenant', 'acme-kids', '--bundle', 'hello', '--channel', 'beta'];
      const { calls, exitCode, stdout } = await explain({ ...NOTHING, channel: 'beta', steps }, ...options);
      assert.deepEqual(calls[0]!.request, { tenant: 'acme-kids', bundleId: 'hello', channel: 'beta' });
      assert.equal(exitCode, 0);
      assert.equal(
        timeless(stdout),
        `nothing answers on beta: a render takes its fallback_text; without one it fails with NOT_FOUND
source    FALLBACK
seq       812
verified  … ago, at 2026-01-31T08:00:00.000Z

TENANT     FINDING
acme-kids  has hello, but archived
acme       has hello, but withdrawn at revision 4
default    has hello, but nothing released on beta
`,
      );
    });

    it('says by type why nothing answers', async () => {
      const steps = [
        { tenant: 'nobody', finding: RouteFinding.TENANT_UNKNOWN },
        { tenant: 'default', finding: RouteFinding.ACTIVATED, bundleId: 'bye' },
        { tenant: 'default', finding: RouteFinding.OTHER_TYPE, bundleId: 'bye', revision: 1 },
      ];
      const { stdout } = await explain({ ...NOTHING, steps }, '--tenant', 'nobody', '--type', 'FAREWELL');
      const [first, , , , , , ...rows] = stdout.trimEnd().split('\n');
      assert.equal(
        first,
        'nothing answers on production: a render takes its fallback_text; ' +
          'without one it takes the built-in default for FAREWELL',
      );
      assert.deepEqual(rows, [
        'nobody   does not exist: going on as for default',
        'default  activates bye for FAREWELL',
        'default  has bye, but of another type than FAREWELL',
      ]);
    });

    it('an unknown tenant is the end of a render by bundle', async () => {
      const steps = [{ tenant: 'nobody', finding: RouteFinding.TENANT_UNKNOWN }];
      const { stdout } = await explain({ ...NOTHING, steps }, '--tenant', 'nobody', '--bundle', 'hello');
      assert.match(stdout, /^nobody {2}does not exist$/m);
    });

    it('warns that the server could not verify its pointers lately', async () => {
      const { stdout } = await explain({ ...FOUND, source: RenderSource.STALE }, '--bundle', 'hello');
      assert.match(stdout, /^source +STALE: not verified lately, the release may have moved$/m);
    });

    it('tells in seconds how long ago they were verified, if it is not long, and never that they will be', async () => {
      const recent = await explain({ ...FOUND, verifiedTime: timestampFromMs(Date.now()) }, '--bundle', 'hello');
      assert.match(recent.stdout, /^verified +[0-9]+\.[0-9] s ago, at 20/m);
      const ahead = { ...FOUND, verifiedTime: timestampFromMs(Date.now() + 600_000) };
      assert.match((await explain(ahead, '--bundle', 'hello')).stdout, /^verified +0\.0 s ago, at 20/m);
    });

    it('shows what a newer server finds by its number', async () => {
      const steps = [{ tenant: 'acme', finding: 42 as RouteFinding, bundleId: 'hello' }];
      assert.match((await explain({ ...NOTHING, steps }, '--bundle', 'hello')).stdout, /^acme +42 hello$/m);
    });

    it('--json prints the whole response', async () => {
      const { stdout } = await explain(FOUND, '--bundle', 'hello', '--json');
      const response = JSON.parse(stdout) as Record<string, unknown>;
      assert.equal(response['chainHash'], 'c812');
      assert.equal(response['bundleHash'], 'b00d1e');
    });

    it('takes exactly one of --bundle and --type', async () => {
      for (const options of [[], ['--bundle', 'hello', '--type', 'GREETING']]) {
        assert.deepEqual(await runCommand(['route', 'explain', ...options]), {
          exitCode: 2,
          stdout: '',
          stderr: 'error: name either --bundle or --type\n',
        });
      }
    });

    it('fails as other commands do if the server refuses', async () => {
      const explainRoute = () => {
        throw refusal(Code.Unavailable, 'DATABASE_UNAVAILABLE', 'no pointers are loaded yet');
      };
      const { calls, ...outcome } = await runAgainst({ renders: { explainRoute } }, [
        'route', 'explain', '--type', 'GREETING',
      ]);
      assert.equal(calls.length, 1);
      assert.deepEqual(outcome, {
        exitCode: 1,
        stdout: '',
        stderr: 'error: UNAVAILABLE DATABASE_UNAVAILABLE: no pointers are loaded yet\n',
      });
    });
  });
});
