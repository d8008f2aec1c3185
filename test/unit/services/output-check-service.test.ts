import assert from 'node:assert/strict';
import { compileBundle, type CompiledBundle } from '../../../src/domain/assembly.ts';
import { type Document, documentOf, sha256 } from '../../../src/domain/document.ts';
import { Unavailable, WorkTooLong } from '../../../src/domain/errors.ts';
import { MAX_OUTPUT_BYTES } from '../../../src/domain/limits.ts';
import type { OutputJudgement } from '../../../src/domain/output-check.ts';
import { RouteMap } from '../../../src/domain/route-map.ts';
import { tenantDocument } from '../../../src/domain/tenant.ts';
import type { OutputChecks, WorkCall } from '../../../src/services/bounded-work.ts';
import { OutputCheckService, type OutputCheckInput } from '../../../src/services/output-check-service.ts';
import type { CompiledBundles, PinnedVersions } from '../../../src/services/render-ports.ts';
import { refusal } from '../../support/handler-call.ts';

const CALL: WorkCall = { deadline: 1_800_000_000_000, signal: new AbortController().signal };
const AWAY = new Unavailable('DATABASE_UNAVAILABLE', 'the database is away', 1_000);
const CONSTRAINTS = [
  { id: 'len', severity: 'ERROR', max_chars: 100 },
  { id: 'words', severity: 'WARNING', instruction: 'Promise nothing.', forbidden_phrases: ['guarantee'] },
];
const BOUND = compileBundle(documentOf({ sections: [], constraints: CONSTRAINTS }));
const FREE = compileBundle(documentOf({ sections: [] }));
const JUDGEMENT: OutputJudgement = {
  passed: false,
  violations: [{ constraintId: 'len', severity: 'ERROR', message: 'too long', place: undefined, jsonPointer: '' }],
  total: 7,
};

function tenant(id: string, parent: string) {
  const draft = { parent, displayName: '', variables: {}, capturePolicy: 'HASH_ONLY' as const };
  return { tenant: id, document: tenantDocument(draft).text };
}

/** `acme` inherits from `default`, which has three versions of a bundle and an archived bundle. */
function routeMap(): RouteMap {
  const bundle = { tenant: 'default', type: 'GREETING', versions: 3 } as const;
  return new RouteMap({
    seq: 7,
    chainHash: '',
    tenants: [tenant('default', ''), tenant('acme', 'default')],
    bundles: [
      { ...bundle, bundleId: 'hello', archived: false },
      { ...bundle, bundleId: 'old', archived: true },
    ],
    channels: [],
    activations: [],
  });
}

/** Answers every output with the same judgement, and remembers what it was asked. */
class FakeChecks implements OutputChecks {
  readonly asked: { call: WorkCall; constraints: Document; output: string }[] = [];

  judge(call: WorkCall, constraints: Document, output: string): Promise<OutputJudgement> {
    this.asked.push({ call, constraints, output });
    return Promise.resolve(JUDGEMENT);
  }
}

/** 1.0.0 has constraints, 2.0.0 has none; both are held. */
const HELD: CompiledBundles = { get: (hash) => (hash === BOUND.bundleHash ? BOUND : FREE) };
const VERSIONS: PinnedVersions = {
  find: ([first], _id, version) => {
    const bundle = { '1.0.0': BOUND, '2.0.0': FREE }[version];
    return Promise.resolve(first && bundle && { tenant: first.tenant, bundleHash: bundle.bundleHash });
  },
};

const ASKED: OutputCheckInput = { tenant: 'acme', bundleId: 'hello', version: '1.0.0', output: 'Hi' };

interface Parts {
  readonly map?: RouteMap | undefined;
  readonly bundles?: CompiledBundles;
  readonly versions?: PinnedVersions;
  readonly checks?: OutputChecks;
}

function service(given: Parts = {}) {
  const checks = new FakeChecks();
  const { map: loaded, ...parts } = { map: routeMap(), ...given };
  const outputs = new OutputCheckService({ routes: { loaded }, bundles: HELD, versions: VERSIONS, checks, ...parts });
  return { checks, check: (input: Partial<OutputCheckInput> = {}) => outputs.check(CALL, { ...ASKED, ...input }) };
}

describe('CheckOutput enforces the constraints', () => {
  it('of the version that is named, found as a render finds it: inherited here', async () => {
    const { checks, check } = service();
    assert.deepEqual(await check({ output: 'I guarantee it' }), {
      passed: false,
      violations: JUDGEMENT.violations,
      violationCount: 7,
      tenant: 'default',
      bundleHash: BOUND.bundleHash,
      constraintsHash: BOUND.constraintsHash,
    });
    const [{ call, constraints, output } = assert.fail()] = checks.asked;
    assert.equal(call, CALL);
    assert.equal(output, 'I guarantee it');
    assert.equal(constraints.hash, BOUND.constraintsHash);
    assert.equal(sha256(constraints.text), constraints.hash);
    assert.deepEqual(JSON.parse(constraints.text), CONSTRAINTS);
  });

  it('and writes the constraints of a bundle once, as long as the bundle is held', async () => {
    const { checks, check } = service();
    await check();
    await check({ tenant: 'default' });
    const [first, second] = checks.asked.map(({ constraints }) => constraints);
    assert.equal(first, second);
  });

  it('an output passes at once where there are none', async () => {
    const { checks, check } = service();
    const { passed, violations, violationCount, constraintsHash } = await check({ version: '2.0.0' });
    assert.deepEqual([passed, violations, violationCount], [true, [], 0]);
    assert.equal(constraintsHash, sha256('[]'));
    assert.deepEqual(checks.asked, []);
  });

  it('an empty output is judged, and one of 1 MiB', async () => {
    const { checks, check } = service();
    for (const output of ['', 'é'.repeat(MAX_OUTPUT_BYTES / 2)]) await check({ output });
    assert.deepEqual(checks.asked.map(({ output }) => output.length), [0, MAX_OUTPUT_BYTES / 2]);
  });

  it('refuses what breaks the bounds, all at once', async () => {
    const { checks, check } = service();
    const output = `${'é'.repeat(MAX_OUTPUT_BYTES / 2)}!`;
    const wrong = { tenant: 'x'.repeat(129), bundleId: '', version: 'v1', output };
    assert.deepEqual(await refusal(check(wrong)), [
      'tenant TOO_LONG',
      'bundle_id REQUIRED',
      'version BAD_FORMAT',
      'output TOO_LARGE',
    ]);
    assert.deepEqual(await refusal(check({ bundleId: 'x'.repeat(129), version: '' })), [
      'bundle_id TOO_LONG',
      'version REQUIRED',
    ]);
    assert.deepEqual(checks.asked, []);
  });

  it('names what it does not find, as a render does', async () => {
    const { check } = service();
    const hint = 'does not exist; neither the tenant nor an ancestor published it';
    const unknown: [Partial<OutputCheckInput>, string][] = [
      [{ tenant: 'nobody' }, 'tenant nobody does not exist'],
      [{ bundleId: 'none' }, `bundle_version acme/none@1.0.0 ${hint}`],
      [{ bundleId: 'Not an id' }, `bundle_version acme/Not an id@1.0.0 ${hint}`],
      [{ bundleId: 'old' }, `bundle_version acme/old@1.0.0 ${hint}`],
      [{ version: '9.9.9' }, `bundle_version acme/hello@9.9.9 ${hint}`],
    ];
    for (const [input, message] of unknown) await assert.rejects(check(input), { name: 'NotFound', message });
  });

  it('is unavailable before the pointers are loaded, and for what is not held while the database is away', async () => {
    await assert.rejects(service({ map: undefined }).check(), {
      reason: 'DATABASE_UNAVAILABLE',
      message: 'no pointers are loaded yet',
    });
    await assert.rejects(service({ versions: { find: () => Promise.reject(AWAY) } }).check(), AWAY);
    const notHeld = { get: (): Promise<CompiledBundle> => Promise.reject(AWAY) };
    await assert.rejects(service({ bundles: notHeld }).check(), AWAY);
  });

  it('tells when the judging was ended', async () => {
    const tooLong = new WorkTooLong('check_output', 2_000);
    await assert.rejects(service({ checks: { judge: () => Promise.reject(tooLong) } }).check(), tooLong);
  });
});
