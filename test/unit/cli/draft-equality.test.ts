import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { TenantSchema } from '../../../gen/platen/v1/resources_pb.js';
import { sameBundleDraft, sameTemplateDraft, sameTenant } from '../../../src/cli/draft-equality.ts';
import { parseBundleFile, parseTemplateFile, parseTenantFile } from '../../../src/cli/files.ts';
import { toValues } from '../../../src/cli/value.ts';

const template = (text: string) => parseTemplateFile({ name: 'x', text }).draft;
const bundle = (text: string) => parseBundleFile({ name: 'x', text }).draft;
const tenant = (text: string) => parseTenantFile({ name: 'x', text });

describe('The demo ends with a rendered prompt: what counts as unchanged', () => {
  it('templates that differ only as the server normalizes', () => {
    const a =
      '---\nvariables: [{ name: b, description: " B. " }, { name: a, type: ENUM, enum_values: [y, x] }]\n---\n' +
      'cafe\u0301 {a} {b}\r\nx';
    const b =
      '---\nsyntax: FORMAT\n' +
      'variables: [{ name: a, type: ENUM, enum_values: [x, y] }, { name: b, description: B. }]\n---\n' +
      'caf\u00e9 {a} {b}\nx';
    assert.ok(sameTemplateDraft(template(a), template(b)));
    assert.ok(!sameTemplateDraft(template('a'), template('b')));
    assert.ok(!sameTemplateDraft(template('a'), template('---\nsyntax: LITERAL\n---\na')));
  });

  it('no templates that differ in syntax or in what is untrusted', () => {
    const text = '---\nsyntax: LIQUID\nvariables: [{ name: a, untrusted: true }]\n---\n{{ a }}';
    assert.ok(sameTemplateDraft(template(text), template(`${text}\n`)));
    assert.ok(!sameTemplateDraft(template(text), template(text.replace('untrusted: true', 'untrusted: false'))));
    assert.ok(!sameTemplateDraft(template(text), template(text.replace('LIQUID', 'LITERAL'))));
  });

  it('bundles that differ only as the server normalizes', () => {
    const a = `constraints:
  - { id: b, severity: ERROR, instruction: " Be short. ", max_chars: 5 }
  - { id: a, severity: ERROR, forbidden_phrases: [" y ", x, x] }
model_config: { a: 1, b: 2 }
`;
    const b = `constraints:
  - { id: a, severity: ERROR, forbidden_phrases: [x, y] }
  - { id: b, severity: ERROR, instruction: Be short., max_chars: 5 }
model_config: { b: 2, a: 1 }
`;
    assert.ok(sameBundleDraft(bundle(a), bundle(b)));
    assert.ok(!sameBundleDraft(bundle(a), bundle('model_config: { b: 2, a: 1 }')));
    const required = 'constraints: [{ id: a, severity: ERROR, required_phrases: [x, y] }]';
    assert.ok(sameBundleDraft(bundle(required), bundle(required.replace('x, y', 'y, x'))));
  });

  it('tenants with the same parent, name, variables, policy and retention', () => {
    const file = tenant('display_name: Acme\nvariables: { a: 1 }\n');
    const held = create(TenantSchema, {
      tenant: 'acme',
      parent: 'default',
      displayName: 'Acme',
      capturePolicy: 2,
      variables: toValues({ a: 1 }),
    });
    assert.ok(sameTenant(held, file));
    assert.ok(!sameTenant({ ...held, displayName: 'Other' }, file));
    assert.ok(!sameTenant({ ...held, capturePolicy: 1 }, file));
    assert.ok(!sameTenant({ ...held, receiptRetentionDays: 90 }, file));
    assert.ok(!sameTenant({ ...held, variables: {} }, file));
    assert.ok(!sameTenant({ ...held, parent: 'other' }, file));
  });

  it('the root, which has no parent', () => {
    const held = create(TenantSchema, { tenant: 'default', displayName: 'Root', capturePolicy: 2 });
    assert.ok(sameTenant(held, tenant('display_name: Root')));
    assert.ok(!sameTenant(held, tenant('display_name: Root\nparent: acme')));
  });
});
