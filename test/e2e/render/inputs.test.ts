import assert from 'node:assert/strict';
import { RenderView } from '../../../gen/platen/v1/render_service_pb.js';
import { PromptType, Role, VariableType } from '../../../gen/platen/v1/resources_pb.js';
import type { Json, JsonObject } from '../../../src/domain/json.ts';
import { valuesOf } from '../../../src/rpc/mapping/struct.ts';
import { Brand, freshId, placeholder, section, type VariableInit } from '../../support/authoring.ts';
import { canonicalHash } from '../../support/independent-hash.ts';
import { failure, Platen } from '../../support/platen.ts';
import { byBundle, byType, type RenderInit, spoken, warned } from '../../support/rendering.ts';

const KIB = 1024;
const MIB = KIB * KIB;

describe('what a render is given', () => {
  let platen: Platen;

  before(async () => {
    platen = await Platen.start();
  });
  after(() => platen.stop());

  function render(request: RenderInit) {
    return platen.clients.renders.render(request);
  }

  /** A bundle of one template with these declarations. */
  async function bundleOf(brand: Brand, content: string, variables: VariableInit[] = []) {
    const templateId = await brand.template({ content, variables });
    return brand.bundle({ draft: { sections: [section(templateId)] } });
  }

  /** What a new brand's bundle of this content renders to. */
  async function rendered(content: string, values: JsonObject, variables: VariableInit[] = []) {
    const brand = await Brand.create(platen.clients);
    const { bundleId } = await bundleOf(brand, content, variables);
    return render({ tenant: brand.tenant, target: byBundle(bundleId), variables: valuesOf(values) });
  }

  describe('Every missing or ill-typed variable is named', () => {
    const variables: VariableInit[] = [
      { name: 'name', type: VariableType.STRING, required: true },
      { name: 'code', type: VariableType.STRING, pattern: '[A-Z]{3}' },
      { name: 'note', type: VariableType.STRING, maxLength: 5 },
      { name: 'count', type: VariableType.INTEGER },
      { name: 'price', type: VariableType.NUMBER },
      { name: 'vip', type: VariableType.BOOLEAN },
      { name: 'mood', type: VariableType.ENUM, enumValues: ['calm', 'glad'] },
      { name: 'items', type: VariableType.LIST },
      { name: 'order', type: VariableType.OBJECT },
      { name: 'city', type: VariableType.STRING, required: true },
    ];
    const content = '{name}{code}{note}{count}{price}{vip}{mood}{items}{order}{city}';
    const wrong = valuesOf({
      code: 'ABCD',
      note: 'too long',
      count: 1.5,
      price: '9',
      vip: 'yes',
      mood: 'sad',
      items: {},
      order: [],
    });
    const refusals = [
      'variables.city MISSING',
      'variables.code WRONG_TYPE',
      'variables.count WRONG_TYPE',
      'variables.items WRONG_TYPE',
      'variables.mood WRONG_TYPE',
      'variables.name MISSING',
      'variables.note WRONG_TYPE',
      'variables.order WRONG_TYPE',
      'variables.price WRONG_TYPE',
      'variables.vip WRONG_TYPE',
    ];

    it('by bundle, with what would be right and not with the value', async () => {
      const brand = await Brand.create(platen.clients);
      const { bundleId } = await bundleOf(brand, content, variables);
      const before = (await platen.metric('render_errors_total', 'code="INVALID_ARGUMENT"')) ?? 0;
      const call = render({ tenant: brand.tenant, target: byBundle(bundleId), variables: wrong });
      const { code, reason, violations, descriptions } = await failure(call);
      assert.deepEqual([code, reason], ['InvalidArgument', 'VARIABLES_INVALID']);
      assert.deepEqual(violations, refusals);
      assert.match(descriptions['variables.mood']!, /calm.*glad/);
      assert.match(descriptions['variables.note']!, /at most 5 characters/);
      assert.match(descriptions['variables.code']!, /\[A-Z\]\{3\}/);
      assert.doesNotMatch(Object.values(descriptions).join(), /too long|sad|ABCD/);
      assert.equal(await platen.metric('render_errors_total', 'code="INVALID_ARGUMENT"'), before + 1);
    });

    it('by type as well, the fallback text notwithstanding', async () => {
      const brand = await Brand.create(platen.clients);
      const type = PromptType.SYSTEM_PROMPT;
      const templateId = await brand.template({ content, variables });
      await brand.bundle({ draft: { sections: [section(templateId)] }, type, activate: true });
      const fallbackText = 'sorry';
      const call = render({ tenant: brand.tenant, target: byType(type), variables: wrong, fallbackText });
      assert.deepEqual((await failure(call)).violations, refusals);
    });

    it("an ancestor's value that does not fit", async () => {
      const brand = await Brand.create(platen.clients, { variables: { count: 'many' } });
      const { bundleId } = await bundleOf(brand, '{count}', [{ name: 'count', type: VariableType.INTEGER }]);
      const child = await brand.child();
      const failed = await failure(render({ tenant: child.tenant, target: byBundle(bundleId) }));
      assert.deepEqual(failed.violations, ['variables.count WRONG_TYPE']);
      assert.match(failed.descriptions['variables.count']!, /tenant's value/);
    });

    it('and a refused render leaves no receipt', async () => {
      const brand = await Brand.create(platen.clients);
      const { bundleId } = await bundleOf(brand, '{name}');
      await failure(render({ tenant: brand.tenant, target: byBundle(bundleId) }));
      assert.deepEqual((await platen.clients.audit.listReceipts({ tenant: brand.tenant })).receipts, []);
    });
  });

  describe('Undeclared templates infer required strings', () => {
    it('each placeholder is required and a string', async () => {
      const failed = await failure(rendered('{one} {two} {three}', { two: 2, three: '3' }));
      assert.deepEqual(failed.violations, ['variables.one MISSING', 'variables.two WRONG_TYPE']);
    });
  });

  describe('Null counts as missing', () => {
    it('a required variable', async () => {
      const failed = await failure(rendered('{name}', { name: null }));
      assert.deepEqual(failed.violations, ['variables.name MISSING']);
    });

    it('a variable with a default has its default', async () => {
      const variables = [{ name: 'tone', type: VariableType.STRING, default: valuesOf({ v: 'warm' })['v']! }];
      const answer = await rendered('{tone}', { tone: null }, variables);
      assert.equal(answer.text, 'warm');
      assert.equal(answer.variablesHash, canonicalHash({ tone: 'warm' }));
    });

    it("in a request the tenant's value stands, in a tenant the ancestor's", async () => {
      const brand = await Brand.create(platen.clients, { variables: { hotline: '110' } });
      const child = await brand.child({ variables: { hotline: null } });
      const { bundleId } = await bundleOf(brand, '{hotline}');
      const variables = valuesOf({ hotline: null });
      assert.equal((await render({ tenant: child.tenant, target: byBundle(bundleId), variables })).text, '110');
    });

    it('an undeclared one is not warned of', async () => {
      const answer = await rendered('hello', { name: null });
      assert.deepEqual(answer.warnings, []);
      const fallback = await render({
        target: byBundle('no-such'),
        variables: valuesOf({ name: null }),
        fallbackText: 'sorry',
      });
      assert.deepEqual(warned(fallback.warnings), ['FALLBACK_USED no-such']);
    });
  });

  describe('The nearest value wins', () => {
    it('declared default, then tenants from far to near, then the request', async () => {
      const type = VariableType.STRING;
      const brand = await Brand.create(platen.clients, { variables: { b: 'brand', c: 'brand', d: 'brand' } });
      const child = await brand.child({ variables: { c: 'child', d: 'child', unused: 'x' } });
      const variables = ['a', 'b', 'c', 'd'].map((name) => ({
        name,
        type,
        default: { kind: { case: 'stringValue' as const, value: 'default' } },
      }));
      const { bundleId } = await bundleOf(brand, '{a} {b} {c} {d}', variables);
      const request = { tenant: child.tenant, target: byBundle(bundleId), variables: valuesOf({ d: 'request' }) };
      const answer = await render(request);
      assert.equal(answer.text, 'default brand child request');
      const merged = { a: 'default', b: 'brand', c: 'child', d: 'request' };
      assert.equal(answer.variablesHash, canonicalHash(merged));
      assert.deepEqual(answer.warnings, []);
    });
  });

  describe('Tenant variables are inherited', () => {
    it("an inherited bundle gets the variables of the tenant that asks, as they are now", async () => {
      const brand = await Brand.create(platen.clients, { variables: { brand_name: 'Base' } });
      const child = await brand.child();
      const { bundleId } = await bundleOf(brand, 'Welcome to {brand_name}');
      const ask = async () => (await render({ tenant: child.tenant, target: byBundle(bundleId) })).text;
      assert.equal(await ask(), 'Welcome to Base');
      await platen.clients.tenants.updateTenant({
        tenant: child.tenant,
        parent: brand.tenant,
        variables: valuesOf({ brand_name: 'Child' }),
        editVersion: 1,
      });
      assert.equal(await ask(), 'Welcome to Child');
    });
  });

  describe('An optional variable renders empty', () => {
    it('and is not hashed', async () => {
      const variables = [
        { name: 'name', type: VariableType.STRING },
        { name: 'items', type: VariableType.LIST },
      ];
      const answer = await rendered('Hello{name}!{items}', {}, variables);
      assert.equal(answer.text, 'Hello!');
      assert.equal(answer.variablesHash, canonicalHash({}));
    });
  });

  describe('Undeclared values are left out with a warning', () => {
    it('of the merge and of the hash', async () => {
      const answer = await rendered('Hello {name}', { name: 'Ada', zip: '1', age: 3 });
      assert.equal(answer.text, 'Hello Ada');
      assert.equal(answer.variablesHash, canonicalHash({ name: 'Ada' }));
      assert.deepEqual(warned(answer.warnings), ['VARIABLE_UNDECLARED age', 'VARIABLE_UNDECLARED zip']);
    });

    it('and so are messages for a placeholder that the bundle does not have', async () => {
      const brand = await Brand.create(platen.clients);
      const templateId = await brand.template('Hi');
      const { bundleId } = await brand.bundle({ draft: { sections: [section(templateId), placeholder('history')] } });
      const said = { messages: [{ role: Role.USER, content: 'Hey' }] };
      const placeholders = { history: said, memory: said, nothing: { messages: [] } };
      const answer = await render({
        tenant: brand.tenant,
        target: byBundle(bundleId),
        placeholders,
        view: RenderView.MESSAGES,
      });
      assert.deepEqual(spoken(answer.messages), ['SYSTEM: Hi', 'USER: Hey']);
      assert.deepEqual(warned(answer.warnings), ['PLACEHOLDER_UNKNOWN memory']);
    });

    it('a fallback declares none', async () => {
      const placeholders = { history: { messages: [{ role: Role.USER, content: 'Hey' }] } };
      const answer = await render({
        target: byBundle('no-such'),
        variables: valuesOf({ name: 'Ada' }),
        placeholders,
        fallbackText: 'sorry',
      });
      assert.deepEqual(warned(answer.warnings), [
        'FALLBACK_USED no-such',
        'VARIABLE_UNDECLARED name',
        'PLACEHOLDER_UNKNOWN history',
      ]);
      assert.equal(answer.variablesHash, canonicalHash({}));
    });
  });

  describe('Values are inserted verbatim', () => {
    it('and never parsed again', async () => {
      const value = '{two} {{x}} { } \r\n\t e\u0301 \u{1F600} $& \\1 %s';
      const answer = await rendered('<{one}|{two}>', { one: value, two: '{one}' });
      assert.equal(answer.text, `<${value}|{one}>`);
    });

    it('beside literal braces', async () => {
      assert.equal((await rendered('{{"name": "{name}"}}', { name: 'Ada' })).text, '{"name": "Ada"}');
    });

    it('messages of a placeholder as well', async () => {
      const brand = await Brand.create(platen.clients);
      const templateId = await brand.template('Hi {name}');
      const sections = [placeholder('history'), section(templateId, Role.USER)];
      const { bundleId } = await brand.bundle({ draft: { sections } });
      const messages = [
        { role: Role.ASSISTANT, content: 'Who is {name}?\r\n' },
        { role: Role.TOOL, content: '{"a": 1}' },
      ];
      const answer = await render({
        tenant: brand.tenant,
        target: byBundle(bundleId),
        variables: valuesOf({ name: '{Ada}' }),
        placeholders: { history: { messages } },
        view: RenderView.FULL,
      });
      assert.deepEqual(spoken(answer.messages), [
        'ASSISTANT: Who is {name}?\r\n',
        'TOOL: {"a": 1}',
        'USER: Hi {Ada}',
      ]);
      assert.equal(answer.text, 'Who is {name}?\r\n\n\n{"a": 1}\n\nHi {Ada}');
    });
  });

  describe('Values have one text form', () => {
    const variables = [
      { name: 'i', type: VariableType.INTEGER },
      { name: 'n', type: VariableType.NUMBER },
      { name: 'b', type: VariableType.BOOLEAN },
      { name: 'l', type: VariableType.LIST },
      { name: 'o', type: VariableType.OBJECT },
    ];
    const content = '{i}|{n}|{b}|{l}|{o}';

    it('numbers by Number::toString, lists and objects as RFC 8785', async () => {
      const object = { z: 1, a: { '\u20ac': true, A: -0 } };
      const values = { i: -0, n: 1e21, b: false, l: [1, '€', null, [0.1]], o: object };
      const answer = await rendered(content, values, variables);
      assert.equal(answer.text, '0|1e+21|false|[1,"€",null,[0.1]]|{"a":{"A":0,"€":true},"z":1}');
    });

    it('the largest whole number, and no larger one', async () => {
      assert.equal((await rendered('{i}', { i: 2 ** 53 - 1 }, variables.slice(0, 1))).text, '9007199254740991');
      const failed = await failure(rendered('{i}', { i: 2 ** 53 }, variables.slice(0, 1)));
      assert.deepEqual(failed.violations, ['variables.i WRONG_TYPE']);
    });
  });

  describe('Variables are bounded in total', () => {
    const overhead = '{"text":""}'.length;

    it('256 KiB of canonical JSON, and no byte more', async () => {
      const most = 256 * KIB - overhead;
      const answer = await rendered('{text}', { text: 'x'.repeat(most) });
      assert.equal(answer.text.length, most);
      const failed = await failure(rendered('{text}', { text: 'x'.repeat(most + 1) }));
      assert.equal(failed.reason, 'INVALID_INPUT');
      assert.deepEqual(failed.violations, ['variables TOO_LARGE']);
    });

    it('10,000 of them, with finite numbers', async () => {
      const most = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`${index}th`, '']));
      assert.equal((await rendered('hi', most)).text, 'hi');
      assert.deepEqual((await failure(rendered('hi', { ...most, more: '' }))).violations, ['variables TOO_MANY']);
      const odd = { ok: [Number.NaN], fine: { deep: Number.POSITIVE_INFINITY } };
      assert.deepEqual((await failure(rendered('hi', odd))).violations, [
        'variables.fine.deep NOT_FINITE',
        'variables.ok[0] NOT_FINITE',
      ]);
    });

    it('64 levels each', async () => {
      const lists = (levels: number) => JSON.parse('['.repeat(levels) + ']'.repeat(levels)) as Json;
      const variables = [{ name: 'deep', type: VariableType.LIST }];
      assert.equal((await rendered('{deep}', { deep: lists(64) }, variables)).text.length, 128);
      const failed = await failure(rendered('{deep}', { deep: lists(65) }, variables));
      assert.deepEqual(failed.violations, [`variables.deep${'[0]'.repeat(64)} TOO_LARGE`]);
    });

    it('256 KiB with what the tenant and the defaults give', async () => {
      const brand = await Brand.create(platen.clients);
      const half = 'x'.repeat(128 * KIB);
      const { tenant } = brand;
      await platen.clients.tenants.updateTenant({ tenant, variables: valuesOf({ name: half }), editVersion: 1 });
      const { bundleId } = await bundleOf(brand, '{name}{text}', [
        { name: 'name', type: VariableType.STRING },
        { name: 'text', type: VariableType.STRING },
      ]);
      const ask = (text: string) => render({ tenant, target: byBundle(bundleId), variables: valuesOf({ text }) });
      const most = 128 * KIB - '{"name":"","text":""}'.length;
      assert.equal((await ask('x'.repeat(most))).text.length, half.length + most);
      const failed = await failure(ask('x'.repeat(most + 1)));
      assert.equal(failed.reason, 'VARIABLES_INVALID');
      assert.deepEqual(failed.violations, ['variables TOO_LARGE']);
    });
  });

  describe('Placeholders are bounded in number', () => {
    const said = { role: Role.USER, content: '' };

    it('64 of them, with 10,000 messages in all', async () => {
      const { tenant } = await Brand.create(platen.clients);
      const target = byType(PromptType.GREETING);
      const names = Array.from({ length: 65 }, (_, index) => `p${index}`);
      const ask = (count: number, messages: number) => {
        const list = { messages: Array.from({ length: messages }, () => said) };
        const placeholders = Object.fromEntries(names.slice(0, count).map((name) => [name, list]));
        return render({ tenant, target, placeholders });
      };
      assert.equal((await ask(64, 1)).warnings.length, 65);
      assert.deepEqual((await failure(ask(65, 1))).violations, ['placeholders TOO_MANY']);
      assert.ok((await ask(10, 1_000)).text);
      assert.deepEqual((await failure(ask(11, 1_000))).violations, ['placeholders TOO_MANY']);
    });
  });

  describe('Rendered text is bounded', () => {
    it('1 MiB of UTF-8, and no byte more', async () => {
      const text = 'x'.repeat(256 * KIB - '{"text":""}'.length);
      const rest = MIB - 4 * text.length;
      const answer = await rendered(`{text}{text}{text}{text}${'.'.repeat(rest)}`, { text });
      assert.equal(Buffer.byteLength(answer.text), MIB);
      const over = `{text}{text}{text}{text}${'.'.repeat(rest - 1)}é`;
      const { code, reason, metadata } = await failure(rendered(over, { text }));
      assert.deepEqual([code, reason], ['InvalidArgument', 'RENDERED_TOO_LARGE']);
      assert.deepEqual(metadata, { max_bytes: String(MIB) });
    });

    it('chat history counts', async () => {
      const brand = await Brand.create(platen.clients);
      const templateId = await brand.template('Hi');
      const { bundleId } = await brand.bundle({ draft: { sections: [section(templateId), placeholder('history')] } });
      const messages = [{ role: Role.USER, content: 'x'.repeat(MIB) }];
      const placeholders = { history: { messages } };
      const failed = await failure(render({ tenant: brand.tenant, target: byBundle(bundleId), placeholders }));
      assert.equal(failed.reason, 'RENDERED_TOO_LARGE');
    });
  });

  describe('Every violation is reported at once', () => {
    it('of a render', async () => {
      const labels = Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`l${index}`, '']));
      const history = { messages: [{ role: Role.USER, content: 'x'.repeat(MIB) }, { role: 9 as Role, content: 'x' }] };
      const failed = await failure(
        render({
          tenant: 't'.repeat(129),
          target: byBundle('', { version: '1.0' }),
          channel: 'c'.repeat(129),
          variables: valuesOf({ a: Number.NaN }),
          placeholders: { history },
          minSeq: -1n,
          requestId: 'r'.repeat(129),
          labels: { ['k'.repeat(129)]: '', v: 'v'.repeat(129), ...labels },
          fallbackText: 'x'.repeat(MIB + 1),
          view: 9 as RenderView,
        }),
      );
      assert.equal(failed.code, 'InvalidArgument');
      assert.equal(failed.reason, 'INVALID_INPUT');
      assert.deepEqual(failed.violations, [
        'bundle.bundle_id REQUIRED',
        'bundle.version BAD_FORMAT',
        'channel TOO_LONG',
        'fallback_text TOO_LARGE',
        `labels.${'k'.repeat(128)} TOO_LONG`,
        'labels TOO_MANY',
        'labels.v TOO_LONG',
        'min_seq OUT_OF_RANGE',
        'placeholders TOO_LARGE',
        'placeholders.history.messages[1].role OUT_OF_RANGE',
        'request_id TOO_LONG',
        'tenant TOO_LONG',
        'variables.a NOT_FINITE',
        'view OUT_OF_RANGE',
      ].toSorted());
    });

    it('names that are too long for any id are refused, not looked up', async () => {
      const long = 'x'.repeat(129);
      const named = await failure(render({ target: byBundle(long, { channel: long }) }));
      assert.deepEqual(named.violations, ['bundle.bundle_id TOO_LONG', 'bundle.channel TOO_LONG']);
    });

    it('the bounds themselves are allowed', async () => {
      const target = freshId('missing');
      const labels = Object.fromEntries(
        Array.from({ length: 16 }, (_, index) => [`${index}`.padEnd(128, 'k'), 'é'.repeat(128)]),
      );
      const answer = await render({
        tenant: '\u{1F600}'.repeat(128),
        target: byBundle(target, { channel: 'c'.repeat(128) }),
        placeholders: { p: { messages: [{ role: Role.USER, content: 'x'.repeat(MIB) }] } },
        requestId: '\u{1F600}'.repeat(128),
        labels,
        fallbackText: 'é'.repeat(MIB / 2),
      });
      assert.equal(Buffer.byteLength(answer.text), MIB);
      assert.deepEqual(warned(answer.warnings), [
        `TENANT_UNKNOWN ${'\u{1F600}'.repeat(128)}`,
        `FALLBACK_USED ${target}`,
        'PLACEHOLDER_UNKNOWN p',
      ]);
      const { receipt } = await platen.clients.audit.getReceipt({ renderId: answer.renderId });
      assert.deepEqual(receipt!.labels, labels);
    });
  });
});
