import assert from 'node:assert/strict';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type PreviewRequestSchema, RenderView, TokenEncoding } from '../../../gen/platen/v1/render_service_pb.js';
import { PromptType, Role, Severity, TemplateSyntax, VariableType } from '../../../gen/platen/v1/resources_pb.js';
import { valuesOf } from '../../../src/rpc/mapping/struct.ts';
import { Brand, freshId, placeholder, section, type TemplateInit } from '../../support/authoring.ts';
import { canonicalHash, sha256 } from '../../support/independent-hash.ts';
import { failure, Platen } from '../../support/platen.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { byBundle, spoken, warned } from '../../support/rendering.ts';

type PreviewInit = MessageInitShape<typeof PreviewRequestSchema>;

const TYPE = PromptType.GREETING;

describe('what a preview shows', () => {
  let database: TestDatabase;
  let platen: Platen;

  before(async () => {
    database = await createDatabase();
    platen = await Platen.start(database);
  });
  after(async () => {
    await platen.stop();
    await database.drop();
  });

  function preview(request: PreviewInit) {
    return platen.clients.renders.preview(request);
  }

  /** A preview of unsaved template content. */
  function previewOf(draft: TemplateInit, rest: Omit<PreviewInit, 'subject' | '$typeName'> = {}) {
    return preview({ ...rest, subject: { case: 'templateContent', value: draft } });
  }

  describe('Preview renders drafts, versions and unsaved content', () => {
    it('the draft of a bundle, its ranges resolved as of now', async () => {
      const brand = await Brand.create(platen.clients);
      const { tenant } = brand;
      const templateId = await brand.template('one');
      const bundleId = freshId('bundle');
      const draft = { sections: [section(templateId)] };
      await platen.clients.bundles.createBundle({ tenant, bundleId, type: TYPE, draft });
      const subject = { case: 'bundleDraft', value: bundleId } as const;
      const first = await preview({ tenant, subject });
      assert.equal(first.text, 'one');
      assert.deepEqual(first.pins.map((pin) => `${pin.tenant}/${pin.templateId}@${pin.version}`), [
        `${tenant}/${templateId}@1.0.0`,
      ]);
      const next = { tenant, templateId, draft: { content: 'two' }, editVersion: 1 };
      await platen.clients.templates.updateTemplate(next);
      await platen.clients.templates.publishTemplate({ tenant, templateId, version: '1.1.0', editVersion: 2 });
      const second = await preview({ tenant, subject });
      assert.equal(second.text, 'two');
      assert.deepEqual(second.pins.map((pin) => pin.version), ['1.1.0']);
    });

    it("a bundle's version, the nearest ancestor's included, with what a render says", async () => {
      const brand = await Brand.create(platen.clients, { variables: { name: 'Ada' } });
      const child = await brand.child();
      const personality = await brand.template('You are kind.');
      const body = await brand.template('Greet {name}.');
      const { bundleId, version } = await brand.bundle({
        type: TYPE,
        draft: {
          personality: { templateId: personality, version: '1.0.0' },
          sections: [section(body), placeholder('history')],
          constraints: [{ id: 'short', severity: Severity.ERROR, rule: { case: 'maxChars', value: 80 } }],
        },
      });
      const { tenant } = child;
      const placeholders = { history: { messages: [{ role: Role.USER, content: 'hello there' }] } };
      const shown = await preview({
        tenant,
        subject: { case: 'bundleVersion', value: { id: bundleId, version } },
        placeholders,
      });
      const answer = await platen.clients.renders.render({
        tenant,
        target: byBundle(bundleId, { version }),
        placeholders,
        view: RenderView.FULL,
      });
      const { receipt } = await platen.clients.audit.getReceipt({ renderId: answer.renderId });
      assert.equal(shown.renderable, true);
      assert.equal(shown.text, answer.text);
      assert.deepEqual(shown.messages, answer.messages);
      for (const hash of [
        'renderedHash',
        'bundleHash',
        'personalityHash',
        'constraintsHash',
        'variablesHash',
        'placeholdersHash',
        'messagesHash',
      ] as const) {
        assert.equal(shown[hash], receipt![hash], hash);
      }
      assert.deepEqual(shown.pins.map((pin) => [pin.tenant, pin.templateId, pin.version]), [
        [brand.tenant, personality, '1.0.0'],
        [brand.tenant, body, '1.0.0'],
      ]);
    });

    it('a bundle that is not saved', async () => {
      const brand = await Brand.create(platen.clients);
      const child = await brand.child();
      const templateId = await brand.template('Greet {name}.');
      const draft = { sections: [section(templateId, Role.USER)], modelConfig: { temperature: 1 } };
      const shown = await preview({
        tenant: child.tenant,
        subject: { case: 'bundleContent', value: { type: TYPE, draft } },
        variables: valuesOf({ name: 'Ada' }),
      });
      assert.deepEqual(spoken(shown.messages), ['USER: Greet Ada.']);
      const { bundleHash } = await child.bundle({ type: TYPE, draft });
      assert.equal(shown.bundleHash, bundleHash);
    });

    it("a template's draft", async () => {
      const brand = await Brand.create(platen.clients);
      const { tenant } = brand;
      const templateId = await brand.template('published');
      const change = { tenant, templateId, draft: { content: 'drafted for {name}' }, editVersion: 1 };
      await platen.clients.templates.updateTemplate(change);
      const variables = valuesOf({ name: 'Ada' });
      const shown = await preview({ tenant, subject: { case: 'templateDraft', value: templateId }, variables });
      assert.deepEqual(spoken(shown.messages), ['SYSTEM: drafted for Ada']);
      assert.deepEqual(shown.pins, []);
    });

    it("a template's version, the nearest ancestor's included", async () => {
      const brand = await Brand.create(platen.clients);
      const child = await brand.child();
      const templateId = await brand.template('published');
      const subject = { case: 'templateVersion', value: { id: templateId, version: '1.0.0' } } as const;
      assert.equal((await preview({ tenant: child.tenant, subject })).text, 'published');
    });

    it('a template that is not saved, as the only SYSTEM section', async () => {
      const shown = await previewOf({ syntax: TemplateSyntax.LITERAL, content: 'as {it} is\r\n' });
      assert.deepEqual(spoken(shown.messages), ['SYSTEM: as {it} is\n']);
      const snapshot = { sections: [{ role: 'SYSTEM', syntax: 'LITERAL', content: 'as {it} is\n' }] };
      assert.equal(shown.bundleHash, canonicalHash(snapshot));
      assert.equal(shown.renderedHash, sha256(shown.text));
      assert.equal(shown.personalityHash, '');
      assert.equal(shown.constraintsHash, canonicalHash([]));
    });
  });

  describe('Preview reports instead of failing', () => {
    const variables = [
      { name: 'name', type: VariableType.STRING, required: true },
      { name: 'city', type: VariableType.STRING, required: true },
      { name: 'count', type: VariableType.INTEGER },
      { name: 'mood', type: VariableType.ENUM, enumValues: ['calm', 'glad'] },
      { name: 'unread', type: VariableType.STRING },
    ];
    const content = '{name} of {city}: {count} {mood}';

    it('missing, unused and invalid variables, which stand in the text as {name}', async () => {
      const values = valuesOf({ name: 'Ada', count: 'many', mood: 'sad', zip: '1' });
      const shown = await previewOf({ content, variables }, { variables: values });
      assert.equal(shown.text, 'Ada of {city}: {count} {mood}');
      assert.equal(shown.renderable, false);
      assert.deepEqual(shown.missingVariables, ['city']);
      assert.deepEqual(shown.unusedVariables, ['unread', 'zip']);
      assert.deepEqual(shown.invalidVariables.map(({ name }) => name), ['count', 'mood']);
      assert.match(shown.invalidVariables[1]!.message, /calm.*glad/);
      assert.deepEqual([shown.renderedHash, shown.variablesHash, shown.messagesHash], ['', '', '']);
      assert.match(shown.bundleHash, /^[0-9a-f]{64}$/);
    });

    it('with good values it could be rendered', async () => {
      const values = valuesOf({ name: 'Ada', city: 'Ulm', count: 2 });
      const shown = await previewOf({ content, variables }, { variables: values });
      assert.equal(shown.text, 'Ada of Ulm: 2 ');
      assert.equal(shown.renderable, true);
      assert.equal(shown.variablesHash, canonicalHash({ name: 'Ada', city: 'Ulm', count: 2 }));
      assert.deepEqual([shown.missingVariables, shown.invalidVariables], [[], []]);
    });

    it('what the values come to together', async () => {
      const half = 'x'.repeat(128 * 1024);
      const text = { name: 'text', type: VariableType.STRING };
      const shown = await previewOf(
        { content: '{name}{text}', variables: [{ name: 'name', type: VariableType.STRING }, text] },
        { variables: valuesOf({ name: half }), tenantVariables: valuesOf({ text: half }) },
      );
      assert.equal(shown.text, half + half);
      assert.deepEqual([shown.renderable, shown.variablesHash], [false, '']);
      assert.deepEqual(shown.invalidVariables.map(({ name }) => name), ['']);
      assert.match(shown.invalidVariables[0]!.message, /at most 262144 are allowed$/);
    });

    it('tenant variables may be overridden, and taken away', async () => {
      const brand = await Brand.create(platen.clients, { variables: { brand_name: 'Base', hotline: '110' } });
      const { tenant } = await brand.child({ variables: { brand_name: 'Child' } });
      const draft = { content: '{brand_name} {hotline}' };
      assert.equal((await previewOf(draft, { tenant })).text, 'Child 110');
      const tenantVariables = valuesOf({ brand_name: 'Next', hotline: null });
      const shown = await previewOf(draft, { tenant, tenantVariables });
      assert.equal(shown.text, 'Next {hotline}');
      assert.deepEqual(shown.missingVariables, ['hotline']);
      const request = valuesOf({ brand_name: 'Asked', hotline: '112' });
      assert.equal((await previewOf(draft, { tenant, tenantVariables, variables: request })).text, 'Asked 112');
    });

    it('warnings: sections that render to nothing, placeholders that the bundle does not have', async () => {
      const brand = await Brand.create(platen.clients);
      const note = { name: 'note', type: VariableType.STRING };
      const empty = await brand.template({ content: '{note}', variables: [note] });
      const body = await brand.template('Hi');
      const said = { messages: [{ role: Role.USER, content: 'x' }] };
      const draft = { sections: [section(empty), placeholder('history'), section(body), section(empty, Role.USER)] };
      const shown = await preview({
        tenant: brand.tenant,
        subject: { case: 'bundleContent', value: { type: TYPE, draft } },
        placeholders: { history: said, memory: said },
      });
      assert.deepEqual(warned(shown.warnings), [
        'TYPE_MISSING GREETING',
        'SECTION_EMPTY sections[0]',
        'SECTION_EMPTY sections[3]',
        'PLACEHOLDER_UNKNOWN memory',
      ]);
      assert.deepEqual(spoken(shown.messages), ['SYSTEM: Hi', 'USER: x']);
    });

    it('length in characters and words of the text', async () => {
      const sample = valuesOf({ name: 'e\u0301' });
      const shown = await previewOf({ content: ' na\u0308chste  {name}\n\u{1F600} ' }, { variables: sample });
      assert.equal(shown.characters, 14);
      assert.equal(shown.words, 3);
    });
  });

  describe('Preview counts tokens', () => {
    const variables = valuesOf({ name: 'antidisestablishmentarianism' });

    it('of the text and of each message, in o200k_base unless told otherwise', async () => {
      const brand = await Brand.create(platen.clients);
      const templateId = await brand.template('{name}');
      const draft = { sections: [section(templateId), placeholder('history')] };
      const shown = await preview({
        tenant: brand.tenant,
        subject: { case: 'bundleContent', value: { type: PromptType.SYSTEM_PROMPT, draft } },
        variables,
        placeholders: { history: { messages: [{ role: Role.USER, content: 'お誕生日おめでとう' }] } },
      });
      const { encoding, text, messages } = shown.tokens!;
      assert.equal(encoding, TokenEncoding.O200K_BASE);
      assert.deepEqual([text, messages], [15, [6, 8]]);
      assert.deepEqual(shown.warnings, []);
    });

    it('against a budget, in another encoding', async () => {
      const tokenEncoding = TokenEncoding.CL100K_BASE;
      const draft = { content: 'お誕生日おめでとう' };
      const kept = await previewOf(draft, { tokenEncoding, tokenBudget: 9 });
      assert.deepEqual([kept.tokens!.encoding, kept.tokens!.text, kept.warnings], [tokenEncoding, 9, []]);
      const exceeded = await previewOf(draft, { tokenEncoding, tokenBudget: 8 });
      assert.deepEqual(warned(exceeded.warnings), ['TOKEN_BUDGET_EXCEEDED 9']);
    });

    it('what looks like a special token is text', async () => {
      const shown = await previewOf({ content: '<|endoftext|>' });
      assert.ok(shown.tokens!.text > 2);
    });

    it('a text whose tokens take too long to count is previewed without them', async () => {
      const shown = await previewOf({ content: '{name}' }, { variables: valuesOf({ name: 'a'.repeat(250_000) }) });
      assert.equal(shown.characters, 250_000);
      assert.equal(shown.tokens, undefined);
      assert.deepEqual(warned(shown.warnings), ['TOKENS_NOT_COUNTED O200K_BASE']);
    });

    it('a budget below nothing and an unknown encoding are refused', async () => {
      const failed = await failure(
        previewOf({ content: 'Hi' }, { tokenBudget: -1, tokenEncoding: 9 as TokenEncoding }),
      );
      assert.deepEqual(failed.violations, ['token_budget OUT_OF_RANGE', 'token_encoding OUT_OF_RANGE']);
    });
  });

  describe('Preview warns of what reads wrong', () => {
    const rule = 'Answer in one short paragraph.';

    it('an instruction that a template and a constraint give', async () => {
      const brand = await Brand.create(platen.clients);
      const templateId = await brand.template(`You are kind. ${rule}`);
      const draft = {
        sections: [section(templateId)],
        constraints: [
          {
            id: 'short',
            severity: Severity.WARNING,
            instruction: rule,
            rule: { case: 'maxWords' as const, value: 80 },
          },
        ],
      };
      const subject = { case: 'bundleContent', value: { type: PromptType.SYSTEM_PROMPT, draft } } as const;
      const shown = await preview({ tenant: brand.tenant, subject });
      assert.deepEqual(warned(shown.warnings), [`INSTRUCTION_REPEATED ${rule}`]);
    });

    it('a bundle, published or not, that holds no template of its own type', async () => {
      const brand = await Brand.create(platen.clients);
      const { tenant } = brand;
      const { bundleId, version } = await brand.bundle({ type: TYPE, draft: 'Hello' });
      for (const subject of [
        { case: 'bundleDraft', value: bundleId },
        { case: 'bundleVersion', value: { id: bundleId, version } },
      ] as const) {
        assert.deepEqual(warned((await preview({ tenant, subject })).warnings), ['TYPE_MISSING GREETING']);
      }
    });
  });

  describe('Preview shows untrusted values', () => {
    const note = { name: 'note', type: VariableType.STRING, untrusted: true };
    const draft = { content: 'They wrote: {note}', variables: [note] };

    it('as they stand in the text, and how much was removed of them', async () => {
      const shown = await previewOf(draft, { variables: valuesOf({ note: 'a\u202e</untrusted> & b' }) });
      const rendered = '<untrusted name="note">a&lt;/untrusted&gt; &amp; b</untrusted>';
      assert.equal(shown.text, `They wrote: ${rendered}`);
      const [variable] = shown.untrustedVariables;
      assert.deepEqual([variable!.name, variable!.rendered, variable!.removedCharacters], ['note', rendered, 1]);
    });

    it('those without a value too', async () => {
      const shown = await previewOf(draft);
      assert.deepEqual(shown.untrustedVariables.map(({ name, rendered }) => [name, rendered]), [['note', '']]);
    });
  });

  describe('Preview leaves no trace', () => {
    async function rows() {
      const tables = ['receipt', 'receipt_payload', 'change', 'document', 'template', 'bundle'];
      const counts = tables.map((table) => `(select count(*)::int from ${table}) as ${table}`);
      return asOwner(database, `select ${counts.join(', ')}`);
    }

    it('no receipt, no change, no document', async () => {
      const brand = await Brand.create(platen.clients);
      const { tenant } = brand;
      const before = await rows();
      await previewOf({ content: 'nobody ever publishes this' }, { tenant });
      const subject = { case: 'bundleContent', value: { type: TYPE, draft: {} } } as const;
      await failure(preview({ tenant, subject }));
      assert.deepEqual(await rows(), before);
    });
  });

  describe('Every violation is reported at once', () => {
    it('of a preview without a subject', async () => {
      const failed = await failure(
        preview({
          variables: valuesOf({ a: Number.NaN }),
          tenantVariables: valuesOf({ b: Number.NaN }),
          placeholders: { p: { messages: [{ role: Role.UNSPECIFIED, content: 'x'.repeat(1024 * 1024 + 1) }] } },
        }),
      );
      assert.equal(failed.code, 'InvalidArgument');
      assert.deepEqual(failed.violations, [
        'placeholders TOO_LARGE',
        'placeholders.p.messages[0].role UNSPECIFIED',
        'subject REQUIRED',
        'tenant_variables.b NOT_FINITE',
        'variables.a NOT_FINITE',
      ]);
    });

    it('of unsaved template content', async () => {
      const failed = await failure(
        previewOf(
          { content: 'a } and {{name}}', variables: [{ name: 'X' }] },
          { variables: valuesOf({ a: Number.NaN }) },
        ),
      );
      assert.deepEqual(failed.violations, [
        'template_content.content DOUBLE_BRACE',
        'template_content.content LONE_BRACE',
        'template_content.variables[0].name BAD_FORMAT',
        'template_content.variables[0].type UNSPECIFIED',
        'variables.a NOT_FINITE',
      ]);
    });

    it('of an unsaved bundle without type and draft', async () => {
      const failed = await failure(preview({ subject: { case: 'bundleContent', value: {} } }));
      assert.deepEqual(failed.violations, ['bundle_content.draft REQUIRED', 'bundle_content.type UNSPECIFIED']);
    });

    it('of an unsaved bundle', async () => {
      const draft = {
        personality: { templateId: 'no-such', version: '^1' },
        sections: [section('no-such-either'), placeholder('P'), { part: { case: undefined } }],
        constraints: [{ id: 'c', severity: Severity.ERROR, rule: { case: 'maxChars' as const, value: 0 } }],
      };
      const failed = await failure(preview({ subject: { case: 'bundleContent', value: { draft } } }));
      assert.deepEqual(failed.violations, [
        'bundle_content.draft.constraints[0].max_chars OUT_OF_RANGE',
        'bundle_content.draft.personality.version UNRESOLVED',
        'bundle_content.draft.sections[0].template.template.version UNRESOLVED',
        'bundle_content.draft.sections[1].placeholder BAD_FORMAT',
        'bundle_content.draft.sections[2] REQUIRED',
        'bundle_content.type UNSPECIFIED',
      ]);
    });

    it('of an unsaved bundle whose templates do not go together', async () => {
      const brand = await Brand.create(platen.clients);
      const [one, two] = await Promise.all(
        [VariableType.STRING, VariableType.INTEGER].map((type) =>
          brand.template({ content: '{n}', variables: [{ name: 'n', type }] }),
        ),
      );
      const draft = { sections: [section(one!), section(two!)] };
      const subject = { case: 'bundleContent', value: { type: TYPE, draft } } as const;
      const failed = await failure(preview({ tenant: brand.tenant, subject }));
      assert.deepEqual(failed.violations, ['bundle_content.draft.sections[1].template.template CONFLICT']);
    });
  });

  describe('Unknown names are not found', () => {
    const version = '1.0.0';

    it('an unknown tenant has no preview', async () => {
      const failed = await failure(previewOf({ content: 'hi' }, { tenant: 'nobody' }));
      assert.deepEqual([failed.code, failed.resource], ['NotFound', 'tenant nobody']);
    });

    for (const [subject, resource] of [
      [{ case: 'bundleDraft', value: 'none' }, 'bundle default/none'],
      [{ case: 'bundleVersion', value: { id: 'none', version } }, 'bundle_version default/none@1.0.0'],
      [{ case: 'templateDraft', value: 'none' }, 'template default/none'],
      [{ case: 'templateVersion', value: { id: 'none', version } }, 'template_version default/none@1.0.0'],
    ] as const) {
      it(subject.case, async () => {
        const failed = await failure(preview({ subject }));
        assert.deepEqual([failed.code, failed.resource], ['NotFound', resource]);
      });
    }

    it("a version of a bundle that was archived, an ancestor's of the same name shows instead", async () => {
      const brand = await Brand.create(platen.clients);
      const child = await brand.child();
      const { tenant } = child;
      const { bundleId } = await brand.bundle({ draft: 'inherited' });
      await child.bundle({ id: bundleId, draft: 'own', channel: '' });
      const subject = { case: 'bundleVersion', value: { id: bundleId, version } } as const;
      assert.equal((await preview({ tenant, subject })).text, 'own');
      await platen.clients.bundles.deleteBundle({ tenant, bundleId, editVersion: 1 });
      assert.equal((await preview({ tenant, subject })).text, 'inherited');
    });
  });
});
