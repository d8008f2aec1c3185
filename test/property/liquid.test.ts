import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { DomainError, InvalidInput, type Violation } from '../../src/domain/errors.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { readLiquid } from '../../src/domain/liquid-syntax.ts';
import { TemplateValues } from '../../src/domain/template-values.ts';
import { type CompiledTemplate, compileTemplate, readVariables } from '../../src/domain/template-content.ts';
import { shuffled } from '../support/arbitraries.ts';
import { given } from '../support/given.ts';
import { liquidOutputs, liquidTemplates } from '../support/liquid-arbitraries.ts';
import { liquidValues } from '../support/liquid-expressions.ts';
import { type Node, written } from '../support/liquid-tree.ts';
import { referenceReads, referenceRender } from '../support/reference-liquid.ts';

const TRUSTED = new Set<string>();

function compile(content: string): CompiledTemplate {
  return compileTemplate('LIQUID', content, TRUSTED);
}

/** What a render comes to: its text, or which error with which violations. */
type Outcome = { readonly text: string } | { readonly error: string; readonly violations: readonly Violation[] };

function outcome(compiled: CompiledTemplate, values: TemplateValues): Outcome {
  try {
    return { text: compiled(values) };
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { error: error.name, violations: error instanceof InvalidInput ? error.violations : [] };
  }
}

/** The text, or each violation as `field reason`. */
function told(result: Outcome): string | string[] {
  return 'text' in result ? result.text : result.violations.map(({ field, reason }) => `${field} ${reason}`);
}

/** What the reference tells of the same template and values: any of these; none if the documentation is silent. */
function expectations(nodes: readonly Node[], values: JsonObject): (string | string[])[] {
  const expected = referenceRender(nodes, values);
  if (expected === 'UNTOLD') return [];
  if (expected === 'NOT_FINITE') return [['variables WRONG_TYPE']];
  if ('text' in expected) return [expected.text];
  const [own, variable] = [['variables MISSING'], [`variables.${expected.missing} MISSING`]];
  // A name that the template makes in some cases may be a variable all the same.
  return { loop: [own], made: [own, variable], value: [variable] }[expected.origin];
}

function assertAgreement(nodes: readonly Node[], values: JsonObject): void {
  const expected = expectations(nodes, values);
  fc.pre(expected.length > 0);
  const content = written(nodes);
  const actual = told(outcome(compile(content), new TemplateValues(given(values))));
  const message = `${content}\ngives ${JSON.stringify(actual)}\nnot ${JSON.stringify(expected)}`;
  assert.ok(expected.some((each) => isDeepStrictEqual(actual, each)), message);
}

describe('LIQUID renders as it is documented', () => {
  it('a compiled template agrees with walking the tree that it was written from', () => {
    fc.assert(fc.property(liquidTemplates, liquidValues, assertAgreement), { numRuns: 1_000 });
  });

  it('so does an output, whatever its value and filters', () => {
    const output = liquidOutputs.map((node) => [node]);
    fc.assert(fc.property(output, liquidValues, assertAgreement), { numRuns: 8_000 });
  });

  it('its variables are the names that it reads and does not make, in branches and loops too', () => {
    fc.assert(
      fc.property(liquidTemplates, (nodes) => {
        const content = written(nodes);
        assert.deepEqual(readLiquid(content).mistakes, [], content);
        assert.deepEqual(new Set(readVariables('LIQUID', content)), new Set(referenceReads(nodes)), content);
      }),
      { numRuns: 300 },
    );
  });
});

/** One render: some are near the limit of steps, or over it. */
interface Job {
  readonly content: string;
  readonly values: JsonObject;
}

const job: fc.Arbitrary<Job> = fc
  .tuple(liquidTemplates, liquidValues, fc.constantFrom(0, 0, 0, 200, 1_000))
  .map(([nodes, values, times]) => {
    const content = written(nodes);
    return { content: times === 0 ? content : `{% for _ in (1..${times}) %}${content}{% endfor %}`, values };
  });

function fresh({ content, values }: Job): Outcome {
  return outcome(compile(content), new TemplateValues(given(structuredClone(values))));
}

describe('LIQUID renders deterministically', () => {
  it('text and error are the same when repeated, between other renders, and when compiled anew', () => {
    const several = fc.array(job, { minLength: 2, maxLength: 3 }).chain((jobs) => {
      return fc.tuple(fc.constant(jobs), shuffled([...jobs, ...jobs].map((_, index) => index % jobs.length)));
    });
    fc.assert(
      fc.property(several, ([jobs, order]) => {
        const expected = jobs.map(fresh);
        const compiled = jobs.map(({ content }) => compile(content));
        for (const index of order) {
          const { values } = jobs[index]!;
          assert.deepEqual(outcome(compiled[index]!, new TemplateValues(given(values))), expected[index]);
        }
        assert.deepEqual(jobs.map(fresh), expected);
      }),
      { numRuns: 60 },
    );
  });

  it('a template leaves the values as they were, to itself and to the next template of the render', () => {
    fc.assert(
      fc.property(liquidTemplates, liquidTemplates, liquidValues, (first, second, values) => {
        const sent = JSON.stringify(values);
        const shared = new TemplateValues(given(values));
        const [one, other] = [compile(written(first)), compile(written(second))];
        const alone = outcome(other, new TemplateValues(given(values)));
        fc.pre('text' in outcome(one, shared));
        assert.deepEqual(outcome(other, shared), alone);
        assert.equal(JSON.stringify(values), sent);
      }),
      { numRuns: 300 },
    );
  });

  it('members sent in another order give the same text', () => {
    fc.assert(
      fc.property(liquidTemplates, liquidValues, (nodes, values) => {
        const turned = JSON.parse(JSON.stringify(values), (_, member: unknown) => {
          if (typeof member !== 'object' || member === null || Array.isArray(member)) return member;
          return Object.fromEntries(Object.entries(member).toReversed());
        }) as JsonObject;
        const content = written(nodes);
        assert.deepEqual(fresh({ content, values: turned }), fresh({ content, values }));
      }),
      { numRuns: 300 },
    );
  });
});
