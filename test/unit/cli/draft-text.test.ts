import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { create, equals } from '@bufbuild/protobuf';
import fc from 'fast-check';
import {
  BundleDraftSchema,
  TemplateDraftSchema,
  TenantSchema,
  type Constraint,
} from '../../../gen/platen/v1/resources_pb.js';
import { bundleText, constraintsText, documentText, templateText, tenantText } from '../../../src/cli/draft-text.ts';
import { parseBundleFile, parseTemplateFile, parseTenantFile } from '../../../src/cli/files.ts';
import { toValues } from '../../../src/cli/value.ts';

const EXAMPLES = 'examples/brands';

async function examples(folder: string): Promise<{ name: string; text: string }[]> {
  const names = (await readdir(EXAMPLES, { recursive: true })).filter((name) => name.includes(`/${folder}/`));
  return Promise.all(
    names.map(async (name) => ({ name, text: await readFile(`${EXAMPLES}/${name}`, 'utf8') })),
  );
}

describe('Commands cover the services: drafts as text', () => {
  it('every example template reads back as it was written', async () => {
    const files = await examples('templates');
    assert.ok(files.length > 10);
    for (const file of files) {
      const { type, draft } = parseTemplateFile(file);
      const again = parseTemplateFile({ name: file.name, text: templateText(type, draft) });
      assert.ok(equals(TemplateDraftSchema, again.draft, draft), file.name);
      assert.equal(again.type, type);
    }
  });

  it('every example bundle reads back as it was written', async () => {
    const files = await examples('bundles');
    assert.ok(files.length > 5);
    for (const file of files) {
      const { type, draft } = parseBundleFile(file);
      const again = parseBundleFile({ name: file.name, text: bundleText(type, draft) });
      assert.ok(equals(BundleDraftSchema, again.draft, draft), file.name);
    }
  });

  it('a template is front matter and content', () => {
    const text = `---
type: GREETING
syntax: LITERAL
description: Hi.
allow_literal_braces: true
variables:
  - name: a
    type: STRING
    required: true
    description: An a.
    max_length: 5
    pattern: "[a]+"
  - name: b
    type: ENUM
    default: x
    enum_values:
      - x
---
Hello
`;
    const { type, draft } = parseTemplateFile({ name: 'x', text });
    assert.equal(templateText(type, draft), text);
  });

  it('a template may be LIQUID and have variables that are untrusted', () => {
    const text = `---
type: GREETING
syntax: LIQUID
variables:
  - name: note
    type: STRING
    required: true
    untrusted: true
    description: What they wrote.
---
{{ note }}
`;
    const { type, draft } = parseTemplateFile({ name: 'x', text });
    assert.equal(templateText(type, draft), text);
  });

  it('a bundle without parts is its type and an empty list', () => {
    const { type, draft } = parseBundleFile({ name: 'x', text: 'type: HANDOFF\n' });
    assert.equal(bundleText(type, draft), 'type: HANDOFF\nsections: []\n');
  });

  it('any text of a tenant reads back as it is', () => {
    const marks = ['\r', '\n', '\r\n', ' ', '\t', '---', '- ', '#', ': ', 'a', '"', "'", '|', '\uFEFF', '\u2028'];
    const part = fc.constantFrom(...marks);
    const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.array(part).map((parts) => parts.join('')));
    const value = fc.oneof(text, fc.array(text), fc.dictionary(text, text, { noNullPrototype: true }));
    fc.assert(
      fc.property(text, value, (displayName, held) => {
        const tenant = create(TenantSchema, { displayName, variables: toValues({ held }) });
        const again = parseTenantFile({ name: 'x', text: tenantText(tenant) });
        assert.deepEqual([again.displayName, again.variables], [displayName, { held }]);
      }),
    );
  });

  it('constraints are of every kind', () => {
    const text = `constraints:
  - id: a
    severity: ERROR
    instruction: Short.
    max_chars: 10
  - id: b
    severity: WARNING
    min_chars: 1
  - id: c
    severity: ERROR
    max_words: 5
  - id: d
    severity: ERROR
    required_phrases:
      - x
  - id: e
    severity: ERROR
    forbidden_phrases:
      - z
  - id: f
    severity: ERROR
    required_pattern: a+
  - id: g
    severity: ERROR
    forbidden_pattern: b+
  - id: h
    severity: ERROR
    json_schema:
      type: object
`;
    const { draft } = parseBundleFile({ name: 'x', text });
    assert.equal(constraintsText(draft.constraints), text);
    assert.equal(constraintsText([]), '');
  });

  it('a constraint of a kind that this client does not know is shown without its rule', () => {
    const unknown = { id: 'a', severity: 1, instruction: '', rule: { case: undefined } } as Constraint;
    assert.equal(constraintsText([unknown]), 'constraints:\n  - id: a\n    severity: ERROR\n');
  });

  describe('a document of the change log', () => {
    it('of a template is front matter and content, in the order of files', () => {
      const json = '{"content":"Hello {a}","description":"Hi.","syntax":"FORMAT","type":"GREETING",' +
        '"variables":[{"name":"a","required":true,"type":"STRING"}]}';
      assert.equal(
        documentText(json),
        '---\ntype: GREETING\nsyntax: FORMAT\ndescription: Hi.\nvariables:\n' +
          '  - name: a\n    type: STRING\n    required: true\n---\nHello {a}\n',
      );
    });

    it('of a template shows what is untrusted where files do', () => {
      const json = '{"content":"{{ a }}","syntax":"LIQUID","type":"GREETING",' +
        '"variables":[{"default":[],"max_length":9,"name":"a","type":"LIST","untrusted":true}]}';
      assert.equal(
        documentText(json),
        '---\ntype: GREETING\nsyntax: LIQUID\nvariables:\n' +
          '  - name: a\n    type: LIST\n    untrusted: true\n    default: []\n    max_length: 9\n---\n{{ a }}\n',
      );
    });

    it('of a bundle names templates as files do', () => {
      const json = '{"personality":{"template_id":"voice","version":"^1"},' +
        '"sections":[{"role":"SYSTEM","template_id":"scope","version":"1.0.0"},{"placeholder":"history"}],' +
        '"type":"GREETING"}';
      assert.equal(
        documentText(json),
        'type: GREETING\npersonality:\n  template: voice\n  version: ^1\nsections:\n' +
          '  - template: scope\n    version: 1.0.0\n    role: SYSTEM\n  - placeholder: history\n',
      );
    });

    it('of a bundle leaves names in settings and schemas as they are', () => {
      const text = documentText(
        '{"constraints":[{"id":"a","json_schema":{"template_id":{}},"severity":"ERROR"}],' +
          '"model_config":{"template_id":"x"},"sections":[],"type":"GREETING"}',
      );
      const { draft } = parseBundleFile({ name: 'x', text });
      assert.deepEqual(draft.modelConfig, { template_id: 'x' });
      assert.deepEqual(draft.constraints[0]!.rule.value, { template_id: {} });
    });

    it('of a tenant is YAML', () => {
      const json =
        '{"capture_policy":"FULL","display_name":"Acme","parent":"default","receipt_retention_days":90,' +
        '"variables":{"a":null}}';
      assert.equal(
        documentText(json),
        'display_name: Acme\nparent: default\ncapture_policy: FULL\nreceipt_retention_days: 90\n' +
          'variables:\n  a: null\n',
      );
    });

    it('may be absent', () => {
      assert.equal(documentText(''), '');
    });
  });
});
