import assert from 'node:assert/strict';
import { RenderView } from '../../../gen/platen/v1/render_service_pb.js';
import { PromptType, Role, Severity, VariableType } from '../../../gen/platen/v1/resources_pb.js';
import type { JsonObject } from '../../../src/domain/json.ts';
import { valuesOf } from '../../../src/rpc/mapping/struct.ts';
import { Brand, type BundleInit, freshId, placeholder, section } from '../../support/authoring.ts';
import { canonical, canonicalHash, messagesHash, sha256 } from '../../support/independent-hash.ts';
import { failure, Platen } from '../../support/platen.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { byBundle, byType, type RenderInit, retryDelay, spoken } from '../../support/rendering.ts';

/** The server's own bound holds, 5 s. */
const NO_DEADLINE = 0;

describe('what a render answers', () => {
  let database: TestDatabase;
  let one: Platen;
  let other: Platen;

  before(async () => {
    database = await createDatabase();
    [one, other] = await Promise.all([Platen.start(database), Platen.start(database)]);
  });
  after(async () => {
    await Promise.all([one.stop(), other.stop()]);
    await database.drop();
  });

  function render(request: RenderInit) {
    return one.clients.renders.render(request);
  }

  /** A bundle with a part of every kind. */
  async function rich(brand: Brand): Promise<BundleInit> {
    const personality = await brand.template('You are {agent}.');
    const rules = await brand.template({
      content: 'Be {tone}, {{always}}.',
      allowLiteralBraces: true,
      variables: [{ name: 'tone', type: VariableType.ENUM, required: true, enumValues: ['warm', 'brisk'] }],
    });
    const note = await brand.template({
      content: '{note}',
      variables: [{ name: 'note', type: VariableType.STRING, description: 'may be left out' }],
    });
    const question = await brand.template('What can I do for {name}?');
    return {
      personality: { templateId: personality, version: '^1' },
      sections: [
        section(question, Role.ASSISTANT),
        section(rules),
        section(note, Role.USER),
        placeholder('history'),
      ],
      constraints: [
        { id: 'short', severity: Severity.ERROR, rule: { case: 'maxWords', value: 80 } },
        {
          id: 'no-promises',
          severity: Severity.WARNING,
          rule: { case: 'forbiddenPhrases', value: { phrases: ['guaranteed', ' always '] } },
        },
      ],
      modelConfig: { temperature: 0.2, model: 'fast', stop: ['\n\n'] },
      description: 'in no hash',
    };
  }

  const given = { agent: 'Pia', tone: 'warm', name: 'Ada' };
  const variables = valuesOf(given);
  const history = {
    messages: [
      { role: Role.USER, content: 'My card\r\nis gone' },
      { role: Role.TOOL, content: '{"blocked":true}' },
    ],
  };
  const expected = [
    'SYSTEM: You are Pia.\n\nBe warm, {always}.\n\nYour answer must follow these rules:\n' +
      '- Should not contain any of these phrases: "always", "guaranteed".\n- Must be at most 80 words long.',
    'ASSISTANT: What can I do for Ada?',
    'USER: My card\r\nis gone',
    'TOOL: {"blocked":true}',
  ];

  describe('A render request names exactly one target', () => {
    it('none is refused', async () => {
      assert.deepEqual((await failure(render({}))).violations, ['target REQUIRED']);
    });

    it('no type is refused', async () => {
      assert.deepEqual((await failure(render({ target: byType(PromptType.UNSPECIFIED) }))).violations, [
        'type UNSPECIFIED',
      ]);
    });

    it('two are no message', async () => {
      const { status, body } = await one.json('RenderService/Render', { type: 'PROMPT_TYPE_GREETING', bundle: {} });
      assert.equal(status, 400);
      assert.equal(body['code'], 'invalid_argument');
    });
  });

  describe('The view decides how much of the answer is filled', () => {
    let tenant: string;
    let bundleId: string;

    before(async () => {
      const brand = await Brand.create(one.clients);
      tenant = brand.tenant;
      ({ bundleId } = await brand.bundle({ draft: await rich(brand) }));
    });

    function view(name: RenderView, values: JsonObject = given) {
      const target = byBundle(bundleId);
      return render({ tenant, target, variables: valuesOf(values), placeholders: { history }, view: name });
    }

    for (const name of [RenderView.UNSPECIFIED, RenderView.TEXT]) {
      it(`${RenderView[name]}: the text`, async () => {
        const answer = await view(name);
        assert.equal(answer.text, expected.map((line) => line.slice(line.indexOf(' ') + 1)).join('\n\n'));
        assert.deepEqual(answer.messages, []);
        assert.deepEqual(answer.constraints, []);
      });
    }

    it('MESSAGES: the messages', async () => {
      const answer = await view(RenderView.MESSAGES);
      assert.equal(answer.text, '');
      assert.deepEqual(spoken(answer.messages), expected);
      assert.deepEqual(answer.constraints, []);
      assert.notEqual(answer.renderedHash, sha256(''));
    });

    it('FULL: text, messages and the normalized constraints', async () => {
      const answer = await view(RenderView.FULL);
      assert.ok(answer.text.startsWith('You are Pia.'));
      assert.deepEqual(spoken(answer.messages), expected);
      assert.deepEqual(
        answer.constraints.map(({ id, severity, instruction }) => ({ id, severity, instruction })),
        [
          { id: 'no-promises', severity: Severity.WARNING, instruction: '' },
          { id: 'short', severity: Severity.ERROR, instruction: '' },
        ],
      );
      const { rule } = answer.constraints[0]!;
      assert.deepEqual(rule.case === 'forbiddenPhrases' && rule.value.phrases, ['always', 'guaranteed']);
    });

    it('model_config and warnings come with every view', async () => {
      for (const name of [RenderView.TEXT, RenderView.MESSAGES, RenderView.FULL]) {
        const answer = await view(name, { ...given, extra: 1 });
        assert.deepEqual(answer.modelConfig, { temperature: 0.2, model: 'fast', stop: ['\n\n'] });
        assert.equal(answer.warnings.length, 1);
      }
    });
  });

  describe('An answer carries what identifies it', () => {
    it('a UUIDv7 of its own, what answered, and the change that the replica had applied', async () => {
      const brand = await Brand.create(one.clients);
      const { bundleId, bundleHash, seq } = await brand.bundle({ draft: 'hello' });
      const from = Date.now();
      const answers = [];
      for (let count = 0; count < 2; count += 1) {
        answers.push(await render({ tenant: brand.tenant, target: byBundle(bundleId) }));
      }
      const [first, second] = answers as [(typeof answers)[0], (typeof answers)[0]];
      assert.match(first.renderId, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      assert.ok(Number.parseInt(first.renderId.replace('-', '').slice(0, 12), 16) >= from);
      assert.notEqual(first.renderId, second.renderId);
      assert.equal(first.bundleHash, bundleHash);
      assert.ok(first.seq >= seq);
      assert.deepEqual({ ...first, renderId: '' }, { ...second, renderId: '' });
    });

    it('without settings and personality there are none', async () => {
      const brand = await Brand.create(one.clients);
      const { bundleId } = await brand.bundle({ draft: 'hello' });
      const answer = await render({ tenant: brand.tenant, target: byBundle(bundleId) });
      assert.equal(answer.modelConfig, undefined);
      assert.equal(answer.personalityHash, '');
    });
  });

  describe('A render waits for the change it must see', () => {
    it('a publish on one replica is seen on the other', async () => {
      const brand = await Brand.create(one.clients);
      const bundleId = freshId('bundle');
      for (let patch = 0; patch < 10; patch += 1) {
        const { seq } = await brand.bundle({ id: bundleId, draft: `patch ${patch}`, version: `1.0.${patch}` });
        const request = { tenant: brand.tenant, target: byBundle(bundleId), minSeq: seq };
        const answer = await other.clients.renders.render(request);
        assert.equal(answer.text, `patch ${patch}`);
        assert.ok(answer.seq >= seq);
      }
    });

    it('also when it comes later', async () => {
      const brand = await Brand.create(one.clients);
      const { bundleId, seq } = await brand.bundle({ draft: 'before' });
      const minSeq = seq + 1n;
      const waiting = other.clients.renders.render({ tenant: brand.tenant, target: byBundle(bundleId), minSeq });
      await one.clients.bundles.activateBundle({ tenant: brand.tenant, type: PromptType.SYSTEM_PROMPT, bundleId });
      assert.ok((await waiting).seq >= minSeq);
    });

    it('one that does not come in time is unavailable, whatever could stand in', async () => {
      const brand = await Brand.create(one.clients);
      const { bundleId, seq } = await brand.bundle({ draft: 'hello' });
      const minSeq = seq + 1_000_000n;
      const request = { tenant: brand.tenant, target: byBundle(bundleId), minSeq, fallbackText: 'not this' };
      const call = one.clients.renders.render(request, { timeoutMs: NO_DEADLINE });
      const { code, reason, metadata } = await failure(call);
      assert.deepEqual([code, reason], ['Unavailable', 'SEQ_NOT_APPLIED']);
      assert.equal(metadata['min_seq'], String(minSeq));
      assert.ok(BigInt(metadata['applied_seq']!) >= seq);
      assert.equal(await retryDelay(call), 1_000);
    });
  });

  describe('Each input has its own hash', () => {
    it('recomputed from the answer, the published snapshot and what was sent', async () => {
      const brand = await Brand.create(one.clients);
      const { tenant } = brand;
      const { bundleId, version } = await brand.bundle({ draft: await rich(brand) });
      const sent = { variables, placeholders: { history } };
      const answer = await render({ tenant, target: byBundle(bundleId), ...sent, view: RenderView.FULL });
      const { version: published } = await one.clients.bundles.getBundleVersion({ tenant, bundleId, version });
      const { receipt } = await one.clients.audit.getReceipt({ renderId: answer.renderId });
      const snapshot = JSON.parse(published!.canonicalJson) as Record<string, unknown>;
      const plain = (messages: readonly { role: Role; content: string }[]) =>
        messages.map(({ role, content }) => ({ role: Role[role], content }));

      assert.equal(canonical(snapshot), published!.canonicalJson);
      assert.equal(answer.bundleHash, sha256(published!.canonicalJson));
      assert.equal(answer.personalityHash, canonicalHash(snapshot['personality']));
      assert.equal(receipt!.constraintsHash, canonicalHash(snapshot['constraints']));
      assert.equal(answer.variablesHash, canonicalHash({ name: 'Ada', tone: 'warm', agent: 'Pia' }));
      assert.equal(receipt!.placeholdersHash, canonicalHash({ history: plain(history.messages) }));
      assert.equal(answer.renderedHash, sha256(answer.text));
      assert.equal(receipt!.messagesHash, messagesHash(plain(answer.messages)));
    });

    it('of nothing as of the empty object and list', async () => {
      const brand = await Brand.create(one.clients);
      const { bundleId } = await brand.bundle({ draft: 'hello' });
      const { renderId, variablesHash } = await render({ tenant: brand.tenant, target: byBundle(bundleId) });
      const { receipt } = await one.clients.audit.getReceipt({ renderId });
      assert.equal(variablesHash, canonicalHash({}));
      assert.equal(receipt!.placeholdersHash, canonicalHash({}));
      assert.equal(receipt!.constraintsHash, canonicalHash([]));
    });
  });

  describe('Equal content has equal bundle hashes', () => {
    it('whatever it is called, whoever owns it, whatever its version', async () => {
      const [brand, sibling] = await Promise.all([Brand.create(one.clients), Brand.create(one.clients)]);
      const first = await brand.bundle({ draft: await rich(brand), version: '1.0.0' });
      const second = await sibling.bundle({ draft: await rich(sibling), version: '7.1.0', type: PromptType.GREETING });
      assert.notEqual(first.bundleId, second.bundleId);
      assert.equal(first.bundleHash, second.bundleHash);
    });
  });

  describe('Assembly is deterministic', () => {
    it('two replicas answer the same bytes and hashes', async () => {
      const brand = await Brand.create(one.clients);
      const { bundleId, seq } = await brand.bundle({ draft: await rich(brand) });
      const request = {
        tenant: brand.tenant,
        target: byBundle(bundleId),
        variables,
        placeholders: { history },
        minSeq: seq,
        view: RenderView.FULL,
      };
      const [here, there] = await Promise.all([render(request), other.clients.renders.render(request)]);
      assert.deepEqual({ ...here, renderId: '', seq: 0n }, { ...there, renderId: '', seq: 0n });
    });
  });

  describe('A hit touches no store', () => {
    async function counts() {
      const count = async (name: string, labels = '') => (await one.metric(name, labels)) ?? 0;
      return {
        queries: await count('prompt_db_query_seconds_count'),
        hits: await count('bundle_cache_hits_total', 'level="l1",kind="document"'),
        misses: await count('bundle_cache_misses_total', 'level="l1",kind="document"'),
        renders: await count('prompt_render_latency_seconds_count'),
      };
    }

    async function cost(request: RenderInit) {
      const before = await counts();
      await render(request);
      const after = await counts();
      return {
        queries: after.queries - before.queries,
        hits: after.hits - before.hits,
        misses: after.misses - before.misses,
        renders: after.renders - before.renders,
      };
    }

    it('the database sees the receipt and nothing else', async () => {
      const brand = await Brand.create(one.clients);
      const { tenant } = brand;
      const released = await brand.bundle({ draft: 'released', activate: true });
      const published = await brand.bundle({ draft: 'published, not released', channel: '' });
      await render({ tenant, target: byBundle('no-such'), fallbackText: 'warms up the receipts' });
      const receipt = await cost({ tenant, target: byBundle('no-such'), fallbackText: 'reads no document' });
      assert.deepEqual({ ...receipt, queries: 0 }, { queries: 0, hits: 0, misses: 0, renders: 1 });

      const { queries } = receipt;
      const hit = { queries, hits: 1, misses: 0, renders: 1 };
      await render({ tenant, target: byBundle(released.bundleId) });
      assert.deepEqual(await cost({ tenant, target: byBundle(released.bundleId) }), hit);
      assert.deepEqual(await cost({ tenant, target: byType(PromptType.SYSTEM_PROMPT) }), hit);

      const exact = { tenant, target: byBundle(published.bundleId, { version: '1.0.0' }) };
      assert.deepEqual(await cost(exact), { queries: queries + 2, hits: 0, misses: 1, renders: 1 });
      assert.deepEqual(await cost(exact), hit);
    });
  });
});
