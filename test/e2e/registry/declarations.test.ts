import assert from 'node:assert/strict';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { PromptType, VariableType, WarningCode, type VariableSchema } from '../../../gen/platen/v1/resources_pb.js';
import { Brand, refused, section } from '../../support/brand.ts';
import { failure, Platen } from '../../support/platen.ts';

type VariableInit = MessageInitShape<typeof VariableSchema>;

const { STRING, INTEGER, NUMBER, BOOLEAN, ENUM, LIST, OBJECT } = VariableType;

const text = (value: string) => ({ kind: { case: 'stringValue', value } }) as const;
const number = (value: number) => ({ kind: { case: 'numberValue', value } }) as const;

describe('the registry of declarations', () => {
  let platen: Platen;
  let brand: Brand;

  before(async () => {
    platen = await Platen.start();
  });
  after(() => platen.stop());

  beforeEach(async () => {
    brand = await Brand.create(platen);
  });

  /** Saves a template that declares these variables and reads them all, unless other content is given. */
  function save(variables: readonly VariableInit[], content = variables.map(({ name }) => `{${name}}`).join(' ')) {
    const draft = { content, variables: [...variables] };
    const named = { tenant: brand.tenant, templateId: 'declares' };
    return platen.clients.templates.createTemplate({ ...named, type: PromptType.GREETING, draft });
  }

  async function violationsOf(variables: readonly VariableInit[], content?: string): Promise<readonly string[]> {
    return (await refused(platen, () => save(variables, content))).violations;
  }

  describe('Undeclared templates infer required strings', () => {
    it('and an explicit declaration of the same name wins', async () => {
      await brand.template('inferred', 'Hi {user}', '1.0.0');
      await brand.template('declared', { content: '{user}!', variables: [{ name: 'user', type: STRING }] }, '1.0.0');
      const variables: string[] = [];
      for (const sections of [['inferred'], ['inferred', 'declared'], ['declared', 'inferred']]) {
        await brand.bundle(sections.join('-'), { sections: sections.map((id) => section(id)) }, '1.0.0');
        const { canonicalJson } = await brand.bundleVersion(sections.join('-'), '1.0.0');
        variables.push(JSON.stringify(JSON.parse(canonicalJson).variables));
      }
      assert.deepEqual(variables, [
        '{"user":{"required":true,"type":"STRING"}}',
        '{"user":{"type":"STRING"}}',
        '{"user":{"type":"STRING"}}',
      ]);
    });
  });

  describe('An undeclared placeholder is refused', () => {
    it('each one, by name', async () => {
      const content = 'Hi {usr}, {user}, {tone}';
      const refusal = await refused(platen, () => save([{ name: 'user', type: STRING }], content));
      const unknown = 'draft.content UNKNOWN_PLACEHOLDER';
      assert.deepEqual(refusal.violations, [unknown, unknown]);
      assert.match(refusal.message, /\{usr\}.*\{tone\}/s);
    });
  });

  describe('An unused declaration is a warning', () => {
    it('when it is created, and each time it is saved', async () => {
      const variables = [{ name: 'user', type: STRING }, { name: 'tone', type: STRING }];
      const created = await save(variables, 'Hi {user}');
      const draft = { content: 'Hi', variables };
      const updated = await platen.clients.templates.updateTemplate({
        tenant: brand.tenant,
        templateId: 'declares',
        draft,
        editVersion: 1,
      });
      const subjects = [created, updated].map(({ warnings }) =>
        warnings.map((warning) => [warning.code, warning.subject]),
      );
      const { VARIABLE_UNUSED } = WarningCode;
      assert.deepEqual(subjects, [
        [[VARIABLE_UNUSED, 'tone']],
        [[VARIABLE_UNUSED, 'tone'], [VARIABLE_UNUSED, 'user']],
      ]);
    });
  });

  describe('A declaration must be consistent', () => {
    it('one of each type is taken, with its rules and its default', async () => {
      const { template } = await save([
        { name: 's', type: STRING, maxLength: 10, pattern: '[a-z]+', default: text('abc') },
        { name: 'i', type: INTEGER, default: number(7) },
        { name: 'n', type: NUMBER, default: number(0.5) },
        { name: 'b', type: BOOLEAN, default: { kind: { case: 'boolValue', value: true } } },
        { name: 'e', type: ENUM, enumValues: ['pro', 'free'], default: text('free') },
        { name: 'l', type: LIST, default: { kind: { case: 'listValue', value: { values: [text('x')] } } } },
        { name: 'o', type: OBJECT, required: true, description: 'Whatever it is' },
      ]);
      const stored = template!.draft!.variables;
      assert.deepEqual(stored.map(({ name }) => name), ['b', 'e', 'i', 'l', 'n', 'o', 's']);
      assert.deepEqual(stored[1]?.enumValues, ['free', 'pro']);
      assert.deepEqual([stored[6]?.maxLength, stored[6]?.pattern], [10, '[a-z]+']);
      assert.deepEqual([stored[5]?.required, stored[5]?.description], [true, 'Whatever it is']);
    });

    it('mistakes of four kinds are said at once', async () => {
      const violations = await violationsOf([
        { name: 'a', type: INTEGER, maxLength: 3 },
        { name: 'b', type: ENUM },
        { name: 'c', type: STRING, maxLength: 3, default: text('abcd') },
        { name: 'd', type: STRING, required: true, default: text('x') },
      ]);
      assert.deepEqual(violations, [
        'draft.variables[0].max_length NOT_APPLICABLE',
        'draft.variables[1].enum_values REQUIRED',
        'draft.variables[2].default WRONG_TYPE',
        'draft.variables[3].default CONTRADICTION',
      ]);
    });

    it('a pattern must compile as RE2', async () => {
      const patterns = ['(a', '(a)\\1'].map((pattern, index) => ({ name: `p${index}`, type: STRING, pattern }));
      assert.deepEqual(await violationsOf(patterns), [
        'draft.variables[0].pattern DOES_NOT_COMPILE',
        'draft.variables[1].pattern DOES_NOT_COMPILE',
      ]);
    });

    it('every rule is for its type only, and has its bounds', async () => {
      const violations = await violationsOf([
        { name: 'a', type: LIST, pattern: 'x' },
        { name: 'b', type: BOOLEAN, enumValues: ['x'] },
        { name: 'c', type: STRING, maxLength: 262_145 },
        { name: 'd', type: ENUM, enumValues: ['x', 'x', 'y'.repeat(201)] },
        { name: 'e', type: STRING, description: 'x'.repeat(1_001) },
      ]);
      assert.deepEqual(violations, [
        'draft.variables[0].pattern NOT_APPLICABLE',
        'draft.variables[1].enum_values NOT_APPLICABLE',
        'draft.variables[2].max_length OUT_OF_RANGE',
        'draft.variables[3].enum_values[1] DUPLICATE',
        'draft.variables[3].enum_values[2] TOO_LONG',
        'draft.variables[4].description TOO_LONG',
      ]);
    });

    it('names follow the grammar, once each, and have a type', async () => {
      const violations = await violationsOf(
        [
          { name: 'User', type: STRING },
          { name: '', type: STRING },
          { name: 'twice', type: STRING },
          { name: 'twice', type: STRING },
          { name: 'typeless' },
        ],
        'Hi',
      );
      assert.deepEqual(violations, [
        'draft.variables[0].name BAD_FORMAT',
        'draft.variables[1].name REQUIRED',
        'draft.variables[3].name DUPLICATE',
        'draft.variables[4].type UNSPECIFIED',
      ]);
    });

    it('at most 128 are taken', async () => {
      const variables = Array.from({ length: 129 }, (_, index) => ({ name: `v${index}`, type: STRING }));
      assert.deepEqual(await violationsOf(variables), ['draft.variables TOO_MANY']);
      assert.equal((await save(variables.slice(1))).template?.draft?.variables.length, 128);
    });
  });

  describe('Conflicting declarations are refused', () => {
    beforeEach(async () => {
      const age = (type: VariableType, description = '') => ({
        content: '{age}',
        variables: [{ name: 'age', type, description }],
      });
      await brand.template('whole', age(INTEGER), '1.0.0');
      await brand.template('written', age(STRING), '1.0.0');
      await brand.template('described', age(INTEGER, 'In years'), '1.0.0');
    });

    it('when the bundle is published, naming the variable and both templates', async () => {
      await brand.bundle('chat', { sections: [section('whole'), section('written')] });
      const { violations, message } = await refused(platen, () => brand.publishBundle('chat', '1.0.0'));
      assert.match(violations.join(), /^draft\.sections\[1\]\.template[a-z.]* CONFLICT$/);
      assert.match(message, /age.*written.*whole/s);
      assert.equal((await failure(brand.bundleVersion('chat', '1.0.0'))).code, 'NotFound');
    });

    it('together with whatever else keeps the bundle from being published', async () => {
      await brand.template('gone', 'Hello', '1.0.0');
      const sections = [section('whole'), section('gone', '^7'), section('written')];
      await brand.bundle('chat', { sections });
      const { violations } = await refused(platen, () => brand.publishBundle('chat', 'v1', { channel: 'No!' }));
      assert.deepEqual(violations, [
        'channel BAD_FORMAT',
        'draft.sections[1].template.template.version UNRESOLVED',
        'draft.sections[2].template.template CONFLICT',
        'version BAD_FORMAT',
      ]);
    });

    it('those that differ in their description only are taken', async () => {
      await brand.bundle('chat', { sections: [section('whole'), section('described')] }, '1.0.0');
      assert.equal((await brand.bundleVersion('chat', '1.0.0')).pins.length, 2);
    });
  });
});
