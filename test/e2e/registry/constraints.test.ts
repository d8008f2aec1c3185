import assert from 'node:assert/strict';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Severity, type ConstraintSchema } from '../../../gen/platen/v1/resources_pb.js';
import { Brand, refused, section } from '../../support/brand.ts';
import { type Failure, Platen } from '../../support/platen.ts';

type ConstraintInit = MessageInitShape<typeof ConstraintSchema>;
type RuleInit = NonNullable<ConstraintInit['rule']>;

const { ERROR, WARNING } = Severity;

/** A constraint of severity ERROR. */
function constraint(id: string, rule: RuleInit): ConstraintInit {
  return { id, severity: ERROR, rule };
}

describe('the registry of constraints', () => {
  let platen: Platen;
  let brand: Brand;

  before(async () => {
    platen = await Platen.start();
  });
  after(() => platen.stop());

  beforeEach(async () => {
    brand = await Brand.create(platen);
    await brand.template('hello', 'Hello', '1.0.0');
  });

  /** Saves a bundle with these constraints. @returns them as they are stored */
  async function save(constraints: ConstraintInit[]) {
    const { bundle } = await brand.createBundle('chat', { sections: [section('hello')], constraints });
    return bundle!.draft!.constraints;
  }

  function refusalOf(constraints: ConstraintInit[]): Promise<Failure> {
    return refused(platen, () => save(constraints));
  }

  describe('A constraint holds one rule', () => {
    it('one of each kind is taken', async () => {
      const stored = await save([
        constraint('a', { case: 'maxChars', value: 1_000_000 }),
        constraint('b', { case: 'minChars', value: 1 }),
        constraint('c', { case: 'maxWords', value: 50 }),
        constraint('d', { case: 'requiredPhrases', value: { phrases: ['thanks'] } }),
        constraint('e', { case: 'forbiddenPhrases', value: { phrases: ['never'] } }),
        constraint('f', { case: 'requiredPattern', value: '^[A-Z]' }),
        { ...constraint('g', { case: 'forbiddenPattern', value: '!!+' }), severity: WARNING, instruction: 'Be calm.' },
        constraint('h', { case: 'jsonSchema', value: { type: 'string' } }),
      ]);
      assert.deepEqual(stored.map(({ rule }) => rule.case), [
        'maxChars',
        'minChars',
        'maxWords',
        'requiredPhrases',
        'forbiddenPhrases',
        'requiredPattern',
        'forbiddenPattern',
        'jsonSchema',
      ]);
      assert.deepEqual([stored[6]?.severity, stored[6]?.instruction], [WARNING, 'Be calm.']);
      assert.deepEqual((await brand.bundleDraft('chat')).draft?.constraints, stored);
    });

    it('no rule, an id twice, no severity and too long an instruction are said at once', async () => {
      const rule = { case: 'maxChars', value: 9 } as const;
      const { violations } = await refusalOf([
        { id: 'none', severity: ERROR },
        constraint('len', rule),
        constraint('len', rule),
        { id: 'mild', rule },
        { id: 'long', severity: ERROR, rule, instruction: 'x'.repeat(1_001) },
        constraint('', rule),
      ]);
      assert.deepEqual(violations, [
        'draft.constraints[0].rule REQUIRED',
        'draft.constraints[2].id DUPLICATE',
        'draft.constraints[3].severity UNSPECIFIED',
        'draft.constraints[4].instruction TOO_LONG',
        'draft.constraints[5].id REQUIRED',
      ]);
    });

    it('numbers and phrases have bounds', async () => {
      const { violations } = await refusalOf([
        constraint('a', { case: 'maxChars', value: 0 }),
        constraint('b', { case: 'maxWords', value: 1_000_001 }),
        constraint('c', { case: 'requiredPhrases', value: { phrases: [] } }),
        constraint('d', { case: 'forbiddenPhrases', value: { phrases: [' ', 'x'.repeat(501)] } }),
        constraint('e', { case: 'requiredPattern', value: '' }),
      ]);
      assert.deepEqual(violations, [
        'draft.constraints[0].max_chars OUT_OF_RANGE',
        'draft.constraints[1].max_words OUT_OF_RANGE',
        'draft.constraints[2].required_phrases REQUIRED',
        'draft.constraints[3].forbidden_phrases.phrases[0] BLANK',
        'draft.constraints[3].forbidden_phrases.phrases[1] TOO_LONG',
        'draft.constraints[4].required_pattern REQUIRED',
      ]);
    });
  });

  describe('Constraints are normalized on insert', () => {
    it('sorted by id, phrases in NFC, trimmed, once each and sorted', async () => {
      const phrases = [' beta', 'Alpha', 'beta', 'cafe\u0301'];
      const stored = await save([
        constraint('z', { case: 'maxChars', value: 9 }),
        constraint('a', { case: 'forbiddenPhrases', value: { phrases } }),
      ]);
      assert.deepEqual(stored.map(({ id }) => id), ['a', 'z']);
      assert.deepEqual(stored[0]?.rule.case === 'forbiddenPhrases' && stored[0].rule.value.phrases, [
        'Alpha',
        'beta',
        'café',
      ]);
    });

    it('so that an order that says nothing changes no hash', async () => {
      const rules = [
        constraint('len', { case: 'maxChars', value: 90 }),
        constraint('words', { case: 'forbiddenPhrases', value: { phrases: ['b', 'a'] } }),
      ];
      const hashes: string[] = [];
      for (const [bundleId, constraints] of [['one', rules], ['two', rules.toReversed()]] as const) {
        await brand.bundle(bundleId, { sections: [section('hello')], constraints: [...constraints] }, '1.0.0');
        const { bundleHash, constraintsHash } = await brand.bundleVersion(bundleId, '1.0.0');
        hashes.push(`${bundleHash} ${constraintsHash}`);
      }
      assert.equal(hashes[0], hashes[1]);
    });
  });

  describe('Constraints that cannot compile are refused', () => {
    it('a pattern that is not RE2, and a schema that is not JSON Schema 2020-12', async () => {
      const { code, violations } = await refusalOf([
        constraint('a', { case: 'requiredPattern', value: '(a)\\1' }),
        constraint('b', { case: 'forbiddenPattern', value: '(' }),
        constraint('c', { case: 'jsonSchema', value: { type: 5 } }),
      ]);
      assert.equal(code, 'InvalidArgument');
      assert.deepEqual(violations, [
        'draft.constraints[0].required_pattern DOES_NOT_COMPILE',
        'draft.constraints[1].forbidden_pattern DOES_NOT_COMPILE',
        'draft.constraints[2].json_schema DOES_NOT_COMPILE',
      ]);
    });
  });

  describe('Contradictory constraints are refused', () => {
    const phrases = (...list: string[]) => ({ phrases: list });
    const contradictions: Record<string, [RuleInit, RuleInit]> = {
      'a minimum over a maximum': [{ case: 'minChars', value: 200 }, { case: 'maxChars', value: 100 }],
      'a phrase both required and forbidden': [
        { case: 'requiredPhrases', value: phrases('refund') },
        { case: 'forbiddenPhrases', value: phrases('refund ') },
      ],
      'a required phrase that contains a forbidden one': [
        { case: 'requiredPhrases', value: phrases('no refund') },
        { case: 'forbiddenPhrases', value: phrases('refund') },
      ],
      'a required phrase longer than the maximum': [
        { case: 'requiredPhrases', value: phrases('thank you') },
        { case: 'maxChars', value: 5 },
      ],
      'a pattern both required and forbidden': [
        { case: 'requiredPattern', value: 'a+' },
        { case: 'forbiddenPattern', value: 'a+' },
      ],
    };

    for (const [name, [one, other]] of Object.entries(contradictions)) {
      it(`${name}, in either order, naming both`, async () => {
        for (const rules of [[one, other], [other, one]] as const) {
          const { code, violations, message } = await refusalOf([
            constraint('first', rules[0]),
            constraint('second', rules[1]),
          ]);
          assert.equal(code, 'InvalidArgument');
          assert.match(violations.join(), /^draft\.constraints\[1\]\.[a-z_]+ CONTRADICTION$/);
          assert.match(message, /first and second/);
        }
      });
    }

    it('those that some answer can keep are taken', async () => {
      await save([
        constraint('a', { case: 'minChars', value: 100 }),
        constraint('b', { case: 'maxChars', value: 100 }),
        constraint('c', { case: 'requiredPhrases', value: phrases('refund') }),
        constraint('d', { case: 'forbiddenPhrases', value: phrases('no refund') }),
      ]);
    });
  });
});
