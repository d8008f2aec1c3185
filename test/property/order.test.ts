import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hashesOf, type Message, placeholdersHash, variablesHash } from '../../src/domain/assembly.ts';
import { bundleDocument, type UncheckedBundleDraft } from '../../src/domain/bundle.ts';
import type { UncheckedConstraint } from '../../src/domain/constraint.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { buildSnapshot, constraintsHash, snapshotDocument, templateSnapshot } from '../../src/domain/snapshot.ts';
import { templateDocument } from '../../src/domain/template.ts';
import { tenantDocument } from '../../src/domain/tenant.ts';
import type { UncheckedDeclaration } from '../../src/domain/variable-declaration.ts';
import {
  constraints,
  declarations,
  json,
  jsonList,
  jsonObject,
  name,
  prose,
  reordered,
  shuffled,
  shuffledPair,
} from '../support/arbitraries.ts';
import { bundle, compiled, declaration, snapshot, template } from '../support/drafts.ts';
import { accepted } from '../support/violations.ts';

/** Everything that a bundle is declared with and given, in some order. */
interface Inputs {
  readonly declared: readonly UncheckedDeclaration[];
  readonly constraints: readonly UncheckedConstraint[];
  readonly modelConfig: JsonObject;
  readonly tenantValues: JsonObject;
  readonly values: JsonObject;
  readonly placeholders: readonly (readonly [name: string, messages: readonly Message[]])[];
}

const message = fc.record({ role: fc.constantFrom('USER' as const, 'TOOL' as const), content: prose });
const inputs: fc.Arbitrary<Inputs> = fc.record({
  declared: fc
    .record({
      tone: fc.uniqueArray(name, { minLength: 1, maxLength: 5 }),
      profile: jsonObject,
      rows: jsonList,
      secret: json.filter((value): value is readonly Json[] => Array.isArray(value)),
    })
    .map(({ tone, profile, rows, secret }) => [
      declaration({ name: 'tone', type: 'ENUM', enumValues: tone }),
      declaration({ name: 'profile', type: 'OBJECT', default: profile }),
      declaration({ name: 'rows', type: 'LIST', default: rows }),
      declaration({ name: 'secret', type: 'LIST', untrusted: true, default: secret }),
    ]),
  constraints,
  modelConfig: jsonObject,
  tenantValues: fc.record({ rows: jsonList, tone: name }, { requiredKeys: [] }),
  values: fc.record({ profile: jsonObject, secret: jsonList }, { requiredKeys: [] }),
  placeholders: fc.uniqueArray(
    fc.tuple(fc.constantFrom('history', 'notes', 'unknown'), fc.array(message, { maxLength: 2 })),
    { selector: ([each]) => each },
  ),
});

function constraintReordered({ rule, ...rest }: UncheckedConstraint): fc.Arbitrary<UncheckedConstraint> {
  const { value, kind } = rule!;
  const other = kind.endsWith('phrases') ? shuffled(value as readonly string[]) : reordered(value as Json);
  return other.map((changed) => ({ ...rest, rule: { kind, value: changed } as UncheckedConstraint['rule'] }));
}

function declarationReordered(given: UncheckedDeclaration): fc.Arbitrary<UncheckedDeclaration> {
  const same = fc.record({ enumValues: shuffled(given.enumValues), default: reordered(given.default ?? null) });
  return same.map((changed) => ({ ...given, ...changed }));
}

/** The same inputs in another order. */
function inputsReordered(given: Inputs): fc.Arbitrary<Inputs> {
  return fc.record({
    declared: fc.tuple(...given.declared.map(declarationReordered)).chain(shuffled),
    constraints: fc.tuple(...given.constraints.map(constraintReordered)).chain(shuffled),
    modelConfig: reordered(given.modelConfig),
    tenantValues: reordered(given.tenantValues),
    values: reordered(given.values),
    placeholders: shuffled(given.placeholders),
  });
}

const LOOP =
  '{% for pair in profile %}{{ pair[0] }}={{ pair[1] }};{% for inner in pair[1] %}{{ inner | json }}{% endfor %}' +
  '{% endfor %}{{ profile | json }}{{ rows | join: ", " }}{% for row in rows %}{{ forloop.index }}' +
  '{% if row != nil %}{% for member in row %}{{ member }},{% endfor %}{% endif %}{% endfor %}{{ secret }}';

const SECTIONS: UncheckedBundleDraft['sections'] = [
  { template: { templateId: 'format', version: '1.0.0' }, role: 'SYSTEM' },
  { placeholder: 'notes' },
  { template: { templateId: 'liquid', version: '^1' }, role: 'USER' },
  { placeholder: 'history' },
];

/** All that a caller gets to see: documents, hashes and rendered bytes. */
function everything({ declared, values, tenantValues, placeholders, ...rest }: Inputs): unknown {
  const templates = {
    format: { content: 'Be {tone}: {profile} {rows} {secret}', variables: declared },
    liquid: { syntax: 'LIQUID' as const, content: LOOP, variables: declared },
  };
  const draft = { ...rest, sections: SECTIONS };
  const { bundleHash, variables, assemble, constraintsHash: ofConstraints } = compiled(draft, templates);
  const resolved = variables.resolve(tenantValues, values);
  const history = new Map(placeholders);
  const { messages, text } = assemble(resolved, history);
  return {
    templates: Object.values(templates).map((each) => templateDocument('GREETING', template(each))),
    draft: bundleDocument('GREETING', bundle(draft)),
    snapshot: snapshotDocument(snapshot(draft, templates)).text,
    hashes: [bundleHash, ofConstraints, variablesHash(resolved.values), placeholdersHash(history)],
    rendered: { messages, text, hashes: hashesOf({ messages, text }) },
  };
}

describe('Equal content has equal bundle hashes', () => {
  it('the order of declarations and of enum values never changes a hash', () => {
    fc.assert(
      fc.property(shuffledPair(declarations), ([one, other]) => {
        const turned = other.map((each) => ({ ...each, enumValues: [...each.enumValues].toReversed() }));
        const [first, second] = [template({ variables: one }), template({ variables: turned })];
        assert.equal(templateDocument('GREETING', first).hash, templateDocument('GREETING', second).hash);
        assert.equal(snapshotDocument(templateSnapshot(first)).hash, snapshotDocument(templateSnapshot(second)).hash);
      }),
    );
  });

  it('nor does the order of templates that declare the same, as far as variables go', () => {
    fc.assert(
      fc.property(shuffledPair(declarations), ([one, other]) => {
        const draft = bundle({
          personality: { templateId: 'a', version: '1.0.0' },
          sections: [{ template: { templateId: 'b', version: '1.0.0' }, role: 'SYSTEM' }],
        });
        const templates = [template({ variables: one }), template({ variables: other })];
        const build = (list: typeof templates) => accepted((violations) => buildSnapshot(violations, draft, list));
        assert.equal(snapshotDocument(build(templates)).hash, snapshotDocument(build(templates.toReversed())).hash);
      }),
    );
  });

  it('nor the order of constraints', () => {
    fc.assert(
      fc.property(shuffledPair(constraints), ([one, other]) => {
        const [first, second] = [bundle({ constraints: one }), bundle({ constraints: other })];
        assert.equal(bundleDocument('GREETING', first).hash, bundleDocument('GREETING', second).hash);
        const [left, right] = [first, second].map((draft) => {
          return constraintsHash(accepted((violations) => buildSnapshot(violations, draft, [template()])));
        });
        assert.equal(left, right);
      }),
    );
  });

  it('nor that of the members of a tenant’s values', () => {
    const pair = jsonObject.chain((variables) => fc.tuple(fc.constant(variables), reordered(variables)));
    fc.assert(
      fc.property(pair, ([one, other]) => {
        const tenant = { parent: 'default', variables: one, capturePolicy: 'FULL' } as const;
        assert.deepEqual(tenantDocument(tenant), tenantDocument({ ...tenant, variables: other }));
      }),
    );
  });
});

describe('Assembly is deterministic', () => {
  it('no order in which a bundle is declared or its values are sent shows in a document, a hash or the text', () => {
    const pair = inputs.chain((given) => fc.tuple(fc.constant(given), inputsReordered(given)));
    fc.assert(
      fc.property(pair, ([one, other]) => {
        assert.deepEqual(everything(one), everything(other));
      }),
      { numRuns: 200 },
    );
  });
});
