import assert from 'node:assert/strict';
import type { UncheckedBundleDraft } from '../../../src/domain/bundle.ts';
import { sha256 } from '../../../src/domain/document.ts';
import {
  buildSnapshot,
  constraintsHash,
  parseSnapshot,
  personalityHash,
  snapshotDocument,
  templateSnapshot,
} from '../../../src/domain/snapshot.ts';
import { bundle, declaration, snapshot, template } from '../../support/drafts.ts';
import { accepted, refusalsOf, violationsOf } from '../../support/violations.ts';

const SYSTEM = { template: { templateId: 'a', version: '1.0.0' }, role: 'SYSTEM' } as const;
const USER = { template: { templateId: 'b', version: '^2' }, role: 'USER' } as const;
const VOICE = { templateId: 'voice', version: '1.0.0' };

const FULL: UncheckedBundleDraft = {
  personality: VOICE,
  sections: [SYSTEM, { placeholder: 'history' }, USER],
  constraints: [{ id: 'c', severity: 'ERROR', instruction: '', rule: { kind: 'max_chars', value: 9 } }],
  modelConfig: { model: 'm' },
  description: 'Not in the snapshot.',
};

const TEMPLATES = {
  voice: { content: 'You are {bot}.' },
  a: {
    content: 'Be {tone}.',
    description: 'Nor this.',
    variables: [declaration({ name: 'tone', type: 'ENUM', enumValues: ['warm', 'calm'], default: 'calm' })],
  },
  b: { syntax: 'LITERAL' as const, content: '{x}' },
};

describe('Equal content has equal bundle hashes', () => {
  it('the snapshot holds all that counts, and nothing else', () => {
    const document = snapshotDocument(snapshot(FULL, TEMPLATES));
    assert.equal(
      document.text,
      '{"constraints":[{"id":"c","max_chars":9,"severity":"ERROR"}],"model_config":{"model":"m"},' +
        '"personality":{"content":"You are {bot}.","syntax":"FORMAT"},"sections":[' +
        '{"content":"Be {tone}.","role":"SYSTEM","syntax":"FORMAT"},{"placeholder":"history"},' +
        '{"content":"{x}","role":"USER","syntax":"LITERAL"}],"variables":{"bot":{"required":true,"type":"STRING"},' +
        '"tone":{"default":"calm","enum_values":["calm","warm"],"type":"ENUM"}}}',
    );
    assert.equal(document.hash, sha256(document.text));
  });

  it('absent members are left out, an empty list of sections is written', () => {
    const document = snapshotDocument(snapshot({ personality: VOICE, sections: [] }, { voice: { content: 'P' } }));
    assert.equal(document.text, '{"personality":{"content":"P","syntax":"FORMAT"},"sections":[]}');
  });

  it('ids, ranges and descriptions do not count; an empty list of constraints is none', () => {
    const one = snapshot({ sections: [SYSTEM], constraints: [], description: 'One.' }, { a: { content: 'x' } });
    const other = snapshot({ sections: [{ ...USER, role: 'SYSTEM' }], modelConfig: {} }, { b: { content: 'x' } });
    assert.equal(snapshotDocument(one).hash, snapshotDocument(other).hash);
  });

  it('one character counts', () => {
    const one = snapshot({ sections: [SYSTEM] }, { a: { content: 'x' } });
    const other = snapshot({ sections: [SYSTEM] }, { a: { content: 'y' } });
    assert.notEqual(snapshotDocument(one).hash, snapshotDocument(other).hash);
  });

  it('what is read back is what was written', () => {
    const built = snapshot(FULL, TEMPLATES);
    const { text } = snapshotDocument(built);
    assert.deepEqual(parseSnapshot(text), built);
    assert.equal(snapshotDocument(parseSnapshot(text)).text, text);
  });
});

describe('Each input has its own hash', () => {
  it('the personality, if there is one', () => {
    assert.equal(
      personalityHash(snapshot(FULL, TEMPLATES)),
      sha256('{"content":"You are {bot}.","syntax":"FORMAT"}'),
    );
    assert.equal(personalityHash(snapshot({ sections: [SYSTEM] }, {})), '');
  });

  it('the list of constraints, empty or not', () => {
    assert.equal(
      constraintsHash(snapshot(FULL, TEMPLATES)),
      sha256('[{"id":"c","max_chars":9,"severity":"ERROR"}]'),
    );
    assert.equal(constraintsHash(snapshot({ sections: [SYSTEM] }, {})), sha256('[]'));
  });
});

describe('A snapshot is complete and frozen', () => {
  it('written to in memory', () => {
    const built = snapshot(FULL, TEMPLATES);
    assert.throws(() => ((built.sections[0] as { content: string }).content = 'other'), TypeError);
    assert.throws(() => ((built.modelConfig as { model: string }).model = 'other'), TypeError);
    assert.throws(() => ((built.variables as Record<string, unknown>)['bot'] = {}), TypeError);
  });

  it('what it was built from stays as it was', () => {
    const draft = bundle(FULL);
    const templates = [template(TEMPLATES.voice), template(TEMPLATES.a), template(TEMPLATES.b)];
    accepted((violations) => buildSnapshot(violations, draft, templates));
    assert.ok(!Object.isFrozen(draft.constraints));
    assert.ok(!Object.isFrozen(draft.modelConfig));
  });
});

describe('Conflicting declarations are refused', () => {
  it('two types of one name in a bundle, naming the name and both templates', () => {
    const draft = bundle({ personality: VOICE, sections: [{ placeholder: 'history' }, SYSTEM] });
    const templates = [
      template({ content: '{age}', variables: [declaration({ name: 'age', type: 'INTEGER' })] }),
      template({ content: '{age}', variables: [declaration({ name: 'age' })] }),
    ];
    assert.deepEqual(
      violationsOf((violations) => buildSnapshot(violations, draft, templates)).map(
        ({ field, description }) => `${field}: ${description}`,
      ),
      [
        'draft.sections[1].template.template: variable age is declared as {"type":"STRING"} by template a and ' +
          'as {"type":"INTEGER"} by template voice (draft.personality); make both the same, or rename one',
      ],
    );
  });
});

describe('A bundle is bounded', () => {
  it('variables of several templates', () => {
    const names = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, index) => `{v${from + index}}`).join('');
    const draft = bundle({ sections: [SYSTEM, USER] });
    const build = (second: string) =>
      refusalsOf((violations) =>
        buildSnapshot(violations, draft, [template({ content: names(0, 100) }), template({ content: second })]),
      );
    assert.deepEqual(build(names(90, 128)), []);
    assert.deepEqual(build(names(90, 129)), ['draft.sections TOO_MANY']);
  });

  it('defaults of several templates, 256 KiB as JSON', () => {
    const half = 'x'.repeat(128 * 1024);
    const rest = 256 * 1024 - '{"a":"","b":""}'.length - half.length;
    const build = (length: number) => {
      const one = template({ content: '{a}', variables: [declaration({ name: 'a', default: half })] });
      const b = declaration({ name: 'b', default: 'x'.repeat(length) });
      const templates = [one, template({ content: '{b}', variables: [b] }), one];
      const draft = bundle({ sections: [SYSTEM, USER, SYSTEM] });
      return refusalsOf((violations) => buildSnapshot(violations, draft, templates));
    };
    assert.deepEqual(build(rest), []);
    assert.deepEqual(build(rest + 1), ['draft.sections TOO_LARGE']);
  });
});

describe('LIQUID work is counted', () => {
  const draft = bundle({ personality: VOICE, sections: [SYSTEM, USER] });

  function build(...contents: (string | undefined)[]): string[] {
    const templates = contents.map((content) => {
      return content === undefined ? undefined : template({ syntax: 'LIQUID', content });
    });
    return violationsOf((violations) => buildSnapshot(violations, draft, templates)).map(
      ({ field, reason, description }) => `${field} ${reason} ${description}`,
    );
  }

  it('4,000 tags and outputs of all templates together are accepted, 4,001 are not', () => {
    const most = '{{1}}'.repeat(2_000);
    assert.deepEqual(build(most, most, 'text'), []);
    assert.deepEqual(build(most, most, undefined), []);
    const refusal = 'the LIQUID templates of a bundle have at most 4000 tags and outputs together, not 4001';
    assert.deepEqual(build(most, '{% raw %}{% endraw %}', '{{1}}'.repeat(1_999)), [
      `draft.sections TOO_COMPLEX ${refusal}`,
    ]);
  });

  it('so are 100,000 code units of them, and not one more', () => {
    const long = bundle({ sections: Array.from({ length: 11 }, () => SYSTEM) });
    const output = (units: number) => template({ syntax: 'LIQUID', content: `{{"${'x'.repeat(units - 6)}"}}` });
    const buildLong = (last: number) => {
      const templates = [...Array.from({ length: 10 }, () => output(9_999)), output(last)];
      return refusalsOf((violations) => buildSnapshot(violations, long, templates));
    };
    assert.deepEqual(buildLong(10), []);
    assert.deepEqual(buildLong(11), ['draft.sections TOO_COMPLEX']);
  });

  it('plain text does not count, nor do other syntaxes', () => {
    const text = template({ syntax: 'LIQUID', content: 'x'.repeat(10_000) });
    const braces = template({ syntax: 'LITERAL', content: '{{'.repeat(5_000) });
    const long = bundle({ sections: Array.from({ length: 22 }, () => SYSTEM) });
    const templates = Array.from({ length: 22 }, (_, index) => (index % 2 === 0 ? text : braces));
    assert.deepEqual(
      refusalsOf((violations) => buildSnapshot(violations, long, templates)),
      [],
    );
  });
});

describe('Untrusted values cannot leave their delimiter', () => {
  const untrusted = { content: '{q}', variables: [declaration({ name: 'q', untrusted: true })] };
  const draft = bundle({ personality: VOICE, sections: [SYSTEM, USER] });

  it('what another template of the bundle declares as untrusted is found where it is misused', () => {
    const upcased = template({ syntax: 'LIQUID', content: 'a\n{{ q | upcase }}' });
    const content = '{% if p %}{% assign q = 1 %}{% endif %}{% for x in q %}{% endfor %}';
    const looped = template({ syntax: 'LIQUID', content });
    const found = violationsOf((violations) => {
      return buildSnapshot(violations, draft, [looped, template(untrusted), upcased]);
    });
    assert.deepEqual(
      found.map(({ field, reason, description }) => `${field} ${reason} ${description.split(':', 2).join(':')}`),
      [
        'draft.personality NOT_ALLOWED line 1, column 52: q is untrusted, as template a declares it',
        'draft.sections[1].template.template NOT_ALLOWED line 2, column 4: q is untrusted, as template a declares it',
      ],
    );
  });

  it('whatever else is wrong with the bundle', () => {
    const upcased = template({ syntax: 'LIQUID', content: '{{ q | upcase }}' });
    const number = [declaration({ name: 'q', type: 'INTEGER' })];
    const long = template({ syntax: 'LIQUID', content: '{{ q }}'.repeat(1_400), variables: number });
    const five = bundle({ sections: [USER, USER, USER, USER, SYSTEM] });
    assert.deepEqual(
      refusalsOf((violations) => buildSnapshot(violations, five, [upcased, long, long, long, template(untrusted)])),
      [
        'draft.sections TOO_COMPLEX',
        'draft.sections[4].template.template CONFLICT',
        'draft.sections[0].template.template NOT_ALLOWED',
      ],
    );
  });

  it('used as it may be it is accepted', () => {
    const content = '{% if q %}{{ q }}{% endif %}{% for q in l %}{{ q | upcase }}{% endfor %}';
    const variables = [...untrusted.variables, declaration({ name: 'l', type: 'LIST' })];
    const liquid = template({ syntax: 'LIQUID', content, variables });
    const templates = [template({ content: '{q}' }), template(untrusted), liquid];
    assert.deepEqual(
      refusalsOf((violations) => buildSnapshot(violations, draft, templates)),
      [],
    );
  });
});

describe('Preview renders drafts, versions and unsaved content', () => {
  it('a template is shown as the only SYSTEM section of a bundle', () => {
    assert.equal(
      snapshotDocument(templateSnapshot(template(TEMPLATES.a))).text,
      '{"sections":[{"content":"Be {tone}.","role":"SYSTEM","syntax":"FORMAT"}],' +
        '"variables":{"tone":{"default":"calm","enum_values":["calm","warm"],"type":"ENUM"}}}',
    );
  });
});
