import assert from 'node:assert/strict';
import { fromJson, type JsonValue, type MessageInitShape } from '@bufbuild/protobuf';
import {
  CheckOutputResponseSchema,
  type CheckOutputRequestSchema,
  type CheckOutputResponse,
} from '../../../gen/platen/v1/render_service_pb.js';
import { Severity, type ConstraintSchema } from '../../../gen/platen/v1/resources_pb.js';
import { sha256 } from '../../../src/domain/document.ts';
import { MAX_OUTPUT_BYTES } from '../../../src/domain/limits.ts';
import { Brand, type Published, section } from '../../support/authoring.ts';
import { DatabaseProxy } from '../../support/database-proxy.ts';
import { failure, Platen } from '../../support/platen.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { byBundle } from '../../support/rendering.ts';

type ConstraintInit = MessageInitShape<typeof ConstraintSchema>;
type RuleInit = NonNullable<ConstraintInit['rule']>;
type CheckInit = MessageInitShape<typeof CheckOutputRequestSchema>;

const { ERROR, WARNING } = Severity;
const forbidden = (...phrases: string[]) => ({ case: 'forbiddenPhrases' as const, value: { phrases } });
const required = (...phrases: string[]) => ({ case: 'requiredPhrases' as const, value: { phrases } });
const MAX_100 = rule('len', { case: 'maxChars', value: 100 });

/** A pattern that looks at the whole rest of this output for each of its matches: hours of work in all. */
const ENDLESS = { pattern: 'a.*b|a', output: 'a'.repeat(500_000) };
/** A pattern with very many states, and an output that leads through them and never matches. */
const HOSTILE = { pattern: '(?:a|b|ab){1,200}(?:c|d)', output: 'ab'.repeat(250_000) };

/** A constraint of severity ERROR, unless told otherwise. */
function rule(id: string, rule: RuleInit, severity = ERROR): ConstraintInit {
  return { id, severity, rule };
}

/** Publishes a bundle, or the next version of one. */
async function publish(brand: Brand, constraints: ConstraintInit[], plan: { id?: string; version?: string } = {}) {
  const sections = [section(await brand.template('Hello'))];
  return brand.bundle({ draft: { sections, constraints }, ...plan });
}

/** Breaches as `SEVERITY constraint offset "excerpt"`. */
function breaches({ violations }: CheckOutputResponse): string[] {
  return violations.map(({ severity, constraintId, place }) =>
    [Severity[severity], constraintId, ...(place ? [place.offset, JSON.stringify(place.excerpt)] : [])].join(' '),
  );
}

describe('CheckOutput enforces the constraints', () => {
  let platen: Platen;
  let brand: Brand;

  before(async () => {
    platen = await Platen.start();
    brand = await Brand.create(platen.clients);
  });
  after(() => platen.stop());

  function check(request: CheckInit): Promise<CheckOutputResponse> {
    return platen.clients.renders.checkOutput({ tenant: brand.tenant, version: '1.0.0', ...request });
  }

  /** The same over the other port. */
  async function checkByJson(request: { bundleId: string; output: string }) {
    const { status, body } = await platen.json('RenderService/CheckOutput', {
      tenant: brand.tenant,
      version: '1.0.0',
      ...request,
    });
    return { status, body };
  }

  it('too long and a forbidden phrase, on both ports', async () => {
    const words = rule('words', forbidden('guarantee'), WARNING);
    const { bundleId, bundleHash } = await publish(brand, [MAX_100, words]);
    const output = `I guarantee it. ${'x'.repeat(104)}`;
    const answer = await check({ bundleId, output });
    assert.deepEqual(answer.violations.map(({ constraintId, severity }) => [constraintId, severity]), [
      ['len', ERROR],
      ['words', WARNING],
    ]);
    assert.deepEqual(breaches(answer)[1], 'WARNING words 2 "guarantee"');
    assert.deepEqual([answer.passed, answer.violationCount, answer.tenant], [false, 2, brand.tenant]);
    assert.equal(answer.bundleHash, bundleHash);
    const { version } = await platen.clients.bundles.getBundleVersion({ ...brand, bundleId, version: '1.0.0' });
    assert.equal(answer.constraintsHash, version!.constraintsHash);

    const { status, body } = await checkByJson({ bundleId, output });
    assert.equal(status, 200);
    assert.deepEqual(fromJson(CheckOutputResponseSchema, body as JsonValue), answer);
  });

  it('an output passes unless it breaks one of severity ERROR', async () => {
    const { bundleId } = await publish(brand, [MAX_100, rule('words', forbidden('guarantee'), WARNING)]);
    const warned = await check({ bundleId, output: 'I guarantee it.' });
    assert.deepEqual([warned.passed, breaches(warned)], [true, ['WARNING words 2 "guarantee"']]);
    const { passed, violations, violationCount } = await check({ bundleId, output: 'It is likely.' });
    assert.deepEqual([passed, violations, violationCount], [true, [], 0]);
  });

  it('every kind of rule, places in characters after NFC', async () => {
    const { bundleId } = await publish(brand, [
      rule('max-chars', { case: 'maxChars', value: 30 }),
      rule('max-words', { case: 'maxWords', value: 3 }),
      rule('pattern-absent', { case: 'forbiddenPattern', value: 'caf.s' }),
      rule('pattern-there', { case: 'requiredPattern', value: '^\\d' }),
      rule('phrase-absent', forbidden('cafés')),
      rule('phrase-there', required('thanks')),
      rule('schema', { case: 'jsonSchema', value: { type: 'object' } }),
    ]);
    const answer = await check({ bundleId, output: '🙂 e\u0301 cafe\u0301s, and so on and so on and so on' });
    assert.deepEqual([...new Set(answer.violations.map(({ constraintId }) => constraintId))], [
      'max-chars',
      'max-words',
      'pattern-absent',
      'pattern-there',
      'phrase-absent',
      'phrase-there',
      'schema',
    ]);
    for (const id of ['pattern-absent', 'phrase-absent']) {
      const { place } = answer.violations.find(({ constraintId }) => constraintId === id)!;
      assert.deepEqual([place?.offset, place?.length, place?.excerpt], [4, 5, 'cafés']);
    }
  });

  it('too short an output', async () => {
    const { bundleId } = await publish(brand, [rule('len', { case: 'minChars', value: 4 })]);
    for (const [output, passed] of [['cafe\u0301', true], ['e\u0301te\u0301', false]] as const) {
      assert.equal((await check({ bundleId, output })).passed, passed);
    }
  });

  it('a schema tells where in the JSON', async () => {
    const value = { type: 'object', properties: { items: { items: { type: 'number' } } } };
    const { bundleId } = await publish(brand, [rule('schema', { case: 'jsonSchema', value })]);
    const { violations } = await check({ bundleId, output: '{"items": [1, "two"]}' });
    assert.deepEqual(violations.map(({ jsonPointer }) => jsonPointer), ['/items/1']);
    assert.equal((await check({ bundleId, output: '{"items": [1, 2]}' })).passed, true);
  });

  it('at most 100 breaches of a constraint are listed, and all are counted', async () => {
    const { bundleId } = await publish(brand, [rule('words', forbidden('no'))]);
    const { violations, violationCount } = await check({ bundleId, output: 'no '.repeat(250) });
    assert.deepEqual([violations.length, violationCount], [100, 250]);
  });

  it('of exactly the version that is named', async () => {
    const { bundleId } = await publish(brand, [MAX_100]);
    await publish(brand, [], { id: bundleId, version: '2.0.0' });
    const output = 'x'.repeat(101);
    assert.equal((await check({ bundleId, output })).passed, false);
    const free = await check({ bundleId, version: '2.0.0', output });
    assert.deepEqual([free.passed, free.constraintsHash], [true, sha256('[]')]);
  });

  it('an inherited version, unless the tenant has one of its own', async () => {
    const { bundleId, bundleHash } = await publish(brand, [MAX_100]);
    const child = await brand.child();
    const ask = () => check({ tenant: child.tenant, bundleId, output: 'x'.repeat(101) });
    const inherited = await ask();
    assert.deepEqual([inherited.passed, inherited.tenant, inherited.bundleHash], [false, brand.tenant, bundleHash]);
    await publish(child, [], { id: bundleId });
    const own = await ask();
    assert.deepEqual([own.passed, own.tenant], [true, child.tenant]);
  });

  it('an empty tenant is the root', async () => {
    const { bundleId } = await publish(new Brand(platen.clients, 'default'), [MAX_100]);
    assert.equal((await check({ tenant: '', bundleId, output: 'Hi' })).tenant, 'default');
  });

  it('what does not exist is not found', async () => {
    const { bundleId } = await publish(brand, [MAX_100]);
    const { tenant } = brand;
    const unknown: [CheckInit, string][] = [
      [{ tenant: 'nobody', bundleId }, 'tenant nobody'],
      [{ bundleId: 'none' }, `bundle_version ${tenant}/none@1.0.0`],
      [{ bundleId, version: '9.9.9' }, `bundle_version ${tenant}/${bundleId}@9.9.9`],
    ];
    for (const [request, resource] of unknown) {
      const failed = await failure(check(request));
      assert.deepEqual([failed.code, failed.reason, failed.resource], ['NotFound', 'RESOURCE_NOT_FOUND', resource]);
    }
  });

  it('what is missing or wrong in a request is named, all at once', async () => {
    const { code, violations } = await failure(check({ tenant: 'x'.repeat(129), version: '1.0' }));
    assert.equal(code, 'InvalidArgument');
    assert.deepEqual(violations, ['bundle_id REQUIRED', 'tenant TOO_LONG', 'version BAD_FORMAT']);
    assert.deepEqual((await failure(check({ bundleId: 'chat', output: 'a\0b' }))).violations, ['output NUL']);
  });

  it('an output of 1 MiB is taken, and not a byte more; an empty one is judged', async () => {
    const { bundleId } = await publish(brand, [rule('thanks', required('é!'))]);
    const full = `${'é'.repeat(MAX_OUTPUT_BYTES / 2 - 1)}é`;
    assert.equal(Buffer.byteLength(full), MAX_OUTPUT_BYTES);
    assert.equal((await check({ bundleId, output: full })).passed, false);
    const { code, violations } = await failure(check({ bundleId, output: `${full}!` }));
    assert.deepEqual([code, violations], ['InvalidArgument', ['output TOO_LARGE']]);
    assert.equal((await checkByJson({ bundleId, output: full })).status, 200);
    assert.equal((await checkByJson({ bundleId, output: `${full}!` })).status, 400);
    assert.deepEqual(breaches(await check({ bundleId, output: '' })), ['ERROR thanks']);
  });

  it('nothing is written', async () => {
    const { bundleId } = await publish(brand, [MAX_100]);
    const { tenant } = brand;
    const state = async () => [
      (await platen.clients.audit.listChanges({ tenant, pageSize: 1 })).changes[0]!.seq,
      (await platen.clients.audit.listReceipts({ tenant })).receipts.length,
    ];
    const before = await state();
    await check({ bundleId, output: 'x'.repeat(101) });
    assert.deepEqual(await state(), before);
  });

  describe('what takes too long is ended', () => {
    let endless: string;
    const ask = (timeoutMs = 0) =>
      platen.clients.renders.checkOutput(
        { tenant: brand.tenant, bundleId: endless, version: '1.0.0', output: ENDLESS.output },
        timeoutMs === 0 ? {} : { timeoutMs },
      );

    before(async () => {
      const absent = rule('endless', { case: 'forbiddenPattern', value: ENDLESS.pattern });
      endless = (await publish(brand, [absent])).bundleId;
    });

    it('and says so on both ports, as RESOURCE_EXHAUSTED without a word of trying again', async () => {
      const { code, reason, metadata, retry } = await failure(ask());
      assert.deepEqual([code, reason, retry], ['ResourceExhausted', 'WORK_TOO_LONG', false]);
      assert.deepEqual(metadata, { work: 'check_output', limit_ms: '2000' });
      const { status, body } = await checkByJson({ bundleId: endless, output: ENDLESS.output });
      const [info, ...others] = body['details'] as { type: string; debug: { reason: string } }[];
      assert.deepEqual([status, body['code'], others], [429, 'resource_exhausted', []]);
      assert.deepEqual([info!.type, info!.debug.reason], ['google.rpc.ErrorInfo', 'WORK_TOO_LONG']);
    });

    it('while renders and other checks go on', async () => {
      const { bundleId } = await publish(brand, [MAX_100]);
      let ended = false;
      const judging = failure(ask()).finally(() => (ended = true));
      const { text } = await platen.clients.renders.render({ tenant: brand.tenant, target: byBundle(bundleId) });
      const { passed } = await check({ bundleId, output: 'Hi' });
      assert.deepEqual([text.startsWith('Hello'), passed, ended], [true, true, false]);
      await judging;
      assert.equal((await check({ bundleId, output: 'Hi' })).passed, true);
    });

    it("or at the caller's deadline, if that is sooner", async () => {
      assert.equal((await failure(ask(300))).code, 'DeadlineExceeded');
    });

    it('and a hostile pattern is judged, or ended, while renders go on', async () => {
      const absent = rule('hostile', { case: 'forbiddenPattern', value: HOSTILE.pattern });
      const { bundleId } = await publish(brand, [absent]);
      const judging = check({ bundleId, output: HOSTILE.output }).then(
        ({ passed }) => (passed ? 'passed' : 'failed'),
        (error: unknown) => failure(Promise.reject(error)).then(({ reason }) => reason),
      );
      const { text } = await platen.clients.renders.render({ tenant: brand.tenant, target: byBundle(bundleId) });
      assert.ok(text.startsWith('Hello'));
      assert.ok(['passed', 'WORK_TOO_LONG'].includes(await judging));
    });
  });
});

describe('CheckOutput while the database is away', () => {
  let database: TestDatabase;
  let proxy: DatabaseProxy;
  let platen: Platen;
  let brand: Brand;

  before(async () => {
    database = await createDatabase();
    proxy = await DatabaseProxy.start(database);
    platen = await Platen.start({ ...database, serverUrl: proxy.url });
    brand = await Brand.create(platen.clients);
  });
  after(async () => {
    await platen.stop();
    await proxy.stop();
    await database.drop();
  });

  it('enforces the constraints of what is held; what is not held is unavailable', async () => {
    const [held, unheld] = [await publish(brand, [MAX_100]), await publish(brand, [MAX_100])];
    const check = ({ bundleId }: Published) => {
      const asked = { tenant: brand.tenant, bundleId, version: '1.0.0', output: 'x'.repeat(101) };
      return platen.clients.renders.checkOutput(asked);
    };
    const answer = await check(held);
    proxy.cut();
    assert.deepEqual(await check(held), answer);
    const { code, reason, retry } = await failure(check(unheld));
    assert.deepEqual([code, reason, retry], ['Unavailable', 'DATABASE_UNAVAILABLE', true]);
  });
});
