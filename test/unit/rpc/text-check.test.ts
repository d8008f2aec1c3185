import assert from 'node:assert/strict';
import { type DescMessage, type JsonValue, type MessageInitShape, create, fromJson } from '@bufbuild/protobuf';
import { DescriptorProtoSchema, ValueSchema, isWrapperDesc } from '@bufbuild/protobuf/wkt';
import { file_platen_v1_audit_service } from '../../../gen/platen/v1/audit_service_pb.js';
import { BundleService, CreateBundleRequestSchema } from '../../../gen/platen/v1/bundle_service_pb.js';
import { PreviewRequestSchema, RenderRequestSchema, RenderService } from '../../../gen/platen/v1/render_service_pb.js';
import { CreateTemplateRequestSchema, TemplateService } from '../../../gen/platen/v1/template_service_pb.js';
import { CreateTenantRequestSchema, TenantService } from '../../../gen/platen/v1/tenant_service_pb.js';
import { MAX_VIOLATIONS } from '../../../src/domain/limits.ts';
import { DECODE_OPTIONS } from '../../../src/rpc/limits.ts';
import { compileTextCheck } from '../../../src/rpc/text-check.ts';

const NUL = 'a\0b';
const LONE = 'a\ud800b';

/** What is found in a message, as `field: reason`. */
function check<D extends DescMessage>(desc: D, init: MessageInitShape<D>): string[] {
  return compileTextCheck(desc)(create(desc, init)).map(({ field, reason }) => `${field}: ${reason}`);
}

function value(json: JsonValue) {
  return fromJson(ValueSchema, json, DECODE_OPTIONS);
}

/** A value of so many lists around nothing. */
function nested(depth: number): JsonValue {
  return JSON.parse('['.repeat(depth) + ']'.repeat(depth));
}

describe('Combining marks come in bounded runs', () => {
  const ACUTE = '\u0301';
  /** Takes two UTF-16 code units. */
  const STEM = '\u{1D165}';

  function runOf(mark: string, count: number, before = 0, after = ''): string[] {
    return check(RenderRequestSchema, { tenant: 'a'.repeat(before) + mark.repeat(count) + after });
  }

  it('takes text of any script, and text that is overloaded in jest', () => {
    const jest = [...'overloaded'].map((letter) => letter + ACUTE.repeat(100)).join('');
    const texts = ['Ünïcödé', 'กำลัง', 'हिन्दी', 'tiếng Việt', '👨‍👩‍👧', 'מְנֻקָּד', jest];
    const long = value(texts.map((text) => text.repeat(100)));
    assert.deepEqual(check(RenderRequestSchema, { variables: { long } }), []);
  });

  it('takes 128 in a row and refuses 129, wherever they stand', () => {
    for (const mark of [ACUTE, STEM]) {
      for (let before = 0; before <= 130; before += 1) {
        assert.deepEqual(runOf(mark, 128, before, 'end'), [], `${mark.length} ${before}`);
        assert.deepEqual(runOf(mark, 129, before, 'end'), ['tenant: TOO_COMPLEX'], `${mark.length} ${before}`);
        assert.deepEqual(runOf(mark, 129, before), ['tenant: TOO_COMPLEX'], `${mark.length} ${before}`);
      }
    }
  });

  it('names the string, and the bound', () => {
    const message = create(RenderRequestSchema, { variables: { note: value({ a: ['b', ACUTE.repeat(5_000)] }) } });
    assert.deepEqual(compileTextCheck(RenderRequestSchema)(message), [
      {
        field: 'variables.note.a[1]',
        reason: 'TOO_COMPLEX',
        description: 'more than 128 combining marks in a row are not allowed',
      },
    ]);
  });

  it('refuses as many as a request can hold', () => {
    assert.deepEqual(runOf(ACUTE, 2_000_000), ['tenant: TOO_COMPLEX']);
  });
});

describe('NUL is refused in every string', () => {
  it('finds nothing in well-formed text, astral characters included', () => {
    const found = check(RenderRequestSchema, {
      tenant: 'acmé 😀',
      target: { case: 'bundle', value: { bundleId: 'b', selector: { case: 'version', value: '1.0.0' } } },
      variables: { a: value({ b: ['c', 1, true, null] }) },
      placeholders: { history: { messages: [{ content: 'hi' }] } },
    });
    assert.deepEqual(found, []);
  });

  it('names plain fields', () => {
    assert.deepEqual(check(RenderRequestSchema, { tenant: NUL, fallbackText: LONE }), [
      'tenant: NUL',
      'fallback_text: NOT_UNICODE',
    ]);
  });

  it('reports both breaches of one string', () => {
    assert.deepEqual(check(RenderRequestSchema, { tenant: `${NUL}${LONE}` }), ['tenant: NUL', 'tenant: NOT_UNICODE']);
  });

  it('names nested messages by the fields of the contract', () => {
    const draft = { content: NUL, variables: [{ name: 'ok' }, { name: 'ok', enumValues: ['x', LONE] }] };
    assert.deepEqual(check(CreateTemplateRequestSchema, { draft }), [
      'draft.content: NUL',
      'draft.variables[1].enum_values[1]: NOT_UNICODE',
    ]);
  });

  it('names members of a oneof, and only the one that is set', () => {
    assert.deepEqual(
      check(RenderRequestSchema, {
        target: { case: 'bundle', value: { bundleId: NUL, selector: { case: 'channel', value: LONE } } },
      }),
      ['bundle.bundle_id: NUL', 'bundle.channel: NOT_UNICODE'],
    );
    const section = { template: { templateId: 't', version: NUL } };
    assert.deepEqual(
      check(CreateBundleRequestSchema, {
        draft: {
          sections: [
            { part: { case: 'placeholder', value: 'history' } },
            { part: { case: 'placeholder', value: NUL } },
            { part: { case: 'template', value: section } },
          ],
        },
      }),
      ['draft.sections[1].placeholder: NUL', 'draft.sections[2].template.template.version: NUL'],
    );
  });

  it('names keys and values of maps', () => {
    assert.deepEqual(check(RenderRequestSchema, { labels: { env: NUL } }), ['labels.env: NUL']);
    assert.deepEqual(
      check(RenderRequestSchema, { placeholders: { history: { messages: [{ content: LONE }] } } }),
      ['placeholders.history.messages[0].content: NOT_UNICODE'],
    );
  });

  it('quotes keys that are not plain, and shortens long ones', () => {
    assert.deepEqual(check(RenderRequestSchema, { labels: { [NUL]: LONE, 'a b': NUL, ['k'.repeat(70)]: NUL } }), [
      'labels["a\\u0000b"]: NUL',
      'labels["a\\u0000b"]: NOT_UNICODE',
      'labels["a b"]: NUL',
      `labels["${'k'.repeat(64)}"]: NUL`,
    ]);
  });

  it('looks into google.protobuf.Value', () => {
    assert.deepEqual(
      check(RenderRequestSchema, {
        variables: { user_name: value(NUL), user: value({ tags: ['x', LONE], address: { street: NUL, [NUL]: 1 } }) },
      }),
      [
        'variables.user_name: NUL',
        'variables.user.tags[1]: NOT_UNICODE',
        'variables.user.address.street: NUL',
        'variables.user.address["a\\u0000b"]: NUL',
      ],
    );
  });

  it('looks into a Value that is a field of its own', () => {
    assert.deepEqual(check(CreateTemplateRequestSchema, { draft: { variables: [{ default: value([NUL]) }] } }), [
      'draft.variables[0].default[0]: NUL',
    ]);
  });

  it('looks into google.protobuf.Struct', () => {
    const schema = { title: LONE, anyOf: [{ const: NUL }, 1, null, true] };
    assert.deepEqual(
      check(CreateBundleRequestSchema, {
        draft: {
          modelConfig: { stop: [NUL] },
          constraints: [{ rule: { case: 'jsonSchema', value: schema } }],
        },
      }),
      [
        'draft.constraints[0].json_schema.title: NOT_UNICODE',
        'draft.constraints[0].json_schema.anyOf[0].const: NUL',
        'draft.model_config.stop[0]: NUL',
      ],
    );
  });

  it('looks into every map of values', () => {
    assert.deepEqual(check(CreateTenantRequestSchema, { variables: { brand: value(NUL) } }), ['variables.brand: NUL']);
    assert.deepEqual(check(PreviewRequestSchema, { tenantVariables: { brand: value(NUL) } }), [
      'tenant_variables.brand: NUL',
    ]);
  });

  it('says in English what is wrong', () => {
    const [violation] = compileTextCheck(RenderRequestSchema)(create(RenderRequestSchema, { tenant: NUL }));
    assert.deepEqual(violation, { field: 'tenant', reason: 'NUL', description: 'U+0000 is not allowed' });
  });

  it('names a bounded number of breaches of a hostile request', () => {
    const values = value(Array.from({ length: 100_000 }, () => '\0'));
    assert.equal(check(RenderRequestSchema, { variables: { x: values } }).length, MAX_VIOLATIONS);
  });

  it('meets no message type that it would overlook', () => {
    const audit = file_platen_v1_audit_service.services;
    const services = [RenderService, TemplateService, BundleService, TenantService, ...audit];
    const seen = new Set<DescMessage>();
    const visit = (desc: DescMessage) => {
      if (seen.has(desc)) return;
      seen.add(desc);
      for (const field of desc.fields) if (field.message !== undefined) visit(field.message);
    };
    for (const service of services) for (const method of service.methods) visit(method.input);
    assert.deepEqual([...seen].filter(isWrapperDesc), []);
    assert.ok([...seen].every(({ typeName }) => typeName !== 'google.protobuf.Any'));
  });
});

describe('Values nest at most 64 deep', () => {
  it('takes 64 lists', () => {
    assert.deepEqual(check(RenderRequestSchema, { variables: { x: value(nested(64)) } }), []);
  });

  it('refuses 65 by the path of the one that is too deep', () => {
    assert.deepEqual(check(RenderRequestSchema, { variables: { x: value(nested(65)) } }), [
      `variables.x${'[0]'.repeat(64)}: TOO_LARGE`,
    ]);
  });

  it('counts objects, and the levels of a Struct, alike', () => {
    const object = (depth: number): JsonValue => JSON.parse('{"a":'.repeat(depth) + '0' + '}'.repeat(depth));
    assert.deepEqual(check(RenderRequestSchema, { variables: { x: value(object(64)) } }), []);
    assert.equal(check(RenderRequestSchema, { variables: { x: value(object(65)) } }).length, 1);
    const config = (depth: number) => ({ draft: { modelConfig: object(depth) as Record<string, JsonValue> } });
    assert.deepEqual(check(CreateBundleRequestSchema, config(64)), []);
    assert.equal(check(CreateBundleRequestSchema, config(65)).length, 1);
  });

  it('survives types that contain themselves', () => {
    const nestedType = create(DescriptorProtoSchema, { nestedType: [{ nestedType: [{ name: NUL }] }] });
    const found = compileTextCheck(DescriptorProtoSchema)(nestedType);
    assert.deepEqual(found.map(({ field }) => field), ['nested_type[0].nested_type[0].name']);
  });
});
