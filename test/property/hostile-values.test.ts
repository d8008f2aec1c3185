import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Assembled, Message } from '../../src/domain/assembly.ts';
import type { UncheckedBundleDraft } from '../../src/domain/bundle.ts';
import type { UncheckedConstraint } from '../../src/domain/constraint.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import type { Role } from '../../src/domain/prompt-type.ts';
import type { UncheckedTemplateDraft } from '../../src/domain/template.ts';
import { untrustedText } from '../../src/domain/untrusted.ts';
import { hostile } from '../support/arbitraries.ts';
import { compiled, declaration } from '../support/drafts.ts';

/** a and b hold trusted text, u and v untrusted text. */
const TRUSTED = ['a', 'b'] as const;
const UNTRUSTED = ['u', 'v'] as const;
const NAMES = [...TRUSTED, ...UNTRUSTED];
type Name = (typeof NAMES)[number];
type Values = Readonly<Record<Name, string>>;

const DECLARED = [
  ...TRUSTED.map((name) => declaration({ name })),
  ...UNTRUSTED.map((name) => declaration({ name, untrusted: true })),
];

/** A part of a template: its own words, a value's place, or (LIQUID) words that depend on a value. */
type Piece =
  | { readonly words: string }
  | { readonly name: Name }
  | { readonly asked: Name; readonly test: 'contains refund' | 'is a' | 'holds'; readonly yes: string };

interface Part {
  readonly syntax: 'FORMAT' | 'LIQUID';
  readonly role: Role;
  readonly pieces: readonly Piece[];
}

interface Prompt {
  readonly personality: Part | undefined;
  readonly parts: readonly Part[];
  /** The index of the part that the history stands before. */
  readonly historyAt: number;
  readonly history: readonly Message[];
  readonly ruled: boolean;
}

const words = fc
  .array(fc.constantFrom('Answer', ' ', '\n', 'Be kind.', ':', '"', '{', '}', 'Data: '), { maxLength: 4 })
  .map((units) => units.join('').replace(/\{$/, '(').replaceAll('{{', '('));
const place = fc.record({ name: fc.constantFrom(...NAMES) });
const question = fc.record({
  asked: fc.constantFrom(...NAMES),
  test: fc.constantFrom('contains refund' as const, 'is a' as const, 'holds' as const),
  yes: words,
});
const ownWords = fc.record({ words });
const role = fc.constantFrom('SYSTEM' as const, 'USER' as const, 'ASSISTANT' as const, 'TOOL' as const);
const part: fc.Arbitrary<Part> = fc.oneof(
  fc.record({ syntax: fc.constant('FORMAT' as const), role, pieces: fc.array(fc.oneof(ownWords, place)) }),
  fc.record({ syntax: fc.constant('LIQUID' as const), role, pieces: fc.array(fc.oneof(ownWords, place, question)) }),
);
const prompt: fc.Arbitrary<Prompt> = fc.record({
  personality: fc.option(part, { nil: undefined }),
  parts: fc.array(part, { minLength: 1, maxLength: 4 }),
  historyAt: fc.nat(4),
  history: fc.array(fc.record({ role, content: hostile }), { maxLength: 2 }),
  ruled: fc.boolean(),
});

const values: fc.Arbitrary<Values> = fc
  .record({ a: hostile, b: hostile, u: hostile, v: hostile, same: fc.boolean() })
  .map(({ same, ...given }) => (same ? { ...given, u: given.a } : given));

const RULES: readonly UncheckedConstraint[] = [
  { id: 'short', severity: 'ERROR', instruction: '', rule: { kind: 'max_words', value: 9 } },
  { id: 'tone', severity: 'WARNING', instruction: 'Stay calm.', rule: { kind: 'max_chars', value: 999 } },
];
const BLOCK = 'Your answer must follow these rules:\n- Must be at most 9 words long.\n- Stay calm.';

function conditionOf(piece: Extract<Piece, { asked: Name }>): string {
  const { asked, test } = piece;
  return { 'contains refund': `${asked} contains "refund"`, 'is a': `${asked} == a`, holds: asked }[test];
}

function writtenPiece(syntax: Part['syntax'], piece: Piece): string {
  if (syntax === 'FORMAT') {
    if ('words' in piece) return piece.words.replaceAll('{', '{{').replaceAll('}', '}}');
    return 'name' in piece ? `{${piece.name}}` : '';
  }
  if ('words' in piece) return piece.words;
  return 'name' in piece ? `{{ ${piece.name} }}` : `{% if ${conditionOf(piece)} %}${piece.yes}{% else %}no{% endif %}`;
}

function templateOf({ syntax, pieces }: Part): Partial<UncheckedTemplateDraft> {
  const content = `.${pieces.map((piece) => writtenPiece(syntax, piece)).join('')}`;
  return { syntax, content, variables: DECLARED, allowLiteralBraces: true };
}

/** Renders as a caller does. */
function rendered({ personality, parts, historyAt, history, ruled }: Prompt, given: JsonObject): Assembled {
  const ref = (templateId: string) => ({ templateId, version: '1.0.0' });
  const sections: UncheckedBundleDraft['sections'][number][] = parts.map(({ role: spoken }, index) => {
    return { template: ref(`t${index}`), role: spoken };
  });
  sections.splice(historyAt, 0, { placeholder: 'history' });
  const templates = Object.fromEntries(parts.map((each, index) => [`t${index}`, templateOf(each)]));
  const { variables, assemble } = compiled(
    { personality: personality && ref('p'), sections, constraints: ruled ? RULES : [] },
    personality ? { ...templates, p: templateOf(personality) } : templates,
  );
  return assemble(variables.resolve({}, given), new Map([['history', history]]));
}

function isTrue({ asked, test }: Extract<Piece, { asked: Name }>, given: Values): boolean {
  if (test === 'holds') return true;
  return test === 'is a' ? given[asked] === given.a : given[asked].includes('refund');
}

/** The words of a part with its values in their places, and nothing else. */
function naiveText({ pieces }: Part, given: Values): string {
  const texts = pieces.map((piece) => {
    if ('words' in piece) return piece.words;
    if ('asked' in piece) return isTrue(piece, given) ? piece.yes : 'no';
    const { name } = piece;
    return (UNTRUSTED as readonly string[]).includes(name) ? untrustedText(name, given[name]) : given[name];
  });
  return `.${texts.join('')}`;
}

function naiveMessages({ personality, parts, historyAt, history, ruled }: Prompt, given: Values): Message[] {
  const spoken = parts.map((each): Message => ({ role: each.role, content: naiveText(each, given) }));
  const system = [
    ...(personality ? [naiveText(personality, given)] : []),
    ...spoken.filter((message) => message.role === 'SYSTEM').map(({ content }) => content),
    ...(ruled ? [BLOCK] : []),
  ].join('\n\n');
  const before = spoken.slice(0, historyAt).filter((message) => message.role !== 'SYSTEM');
  const behind = spoken.slice(historyAt).filter((message) => message.role !== 'SYSTEM');
  return [...(system === '' ? [] : [{ role: 'SYSTEM' as const, content: system }]), ...before, ...history, ...behind];
}

function roles({ messages }: Assembled): Role[] {
  return messages.map((message) => message.role);
}

describe('Values are inserted verbatim', () => {
  it('a prompt is the words of its templates with the values in their places, and nothing else', () => {
    fc.assert(
      fc.property(prompt, values, (given, sent) => {
        const { messages, text } = rendered(given, sent);
        assert.deepEqual(messages, naiveMessages(given, sent));
        assert.equal(text, messages.map(({ content }) => content).join('\n\n'));
      }),
      { numRuns: 300 },
    );
  });
});

describe('One system message comes first', () => {
  it('no value makes a message, removes one, or gives one another role', () => {
    fc.assert(
      fc.property(prompt, values, (given, sent) => {
        assert.deepEqual(roles(rendered(given, sent)), roles(rendered(given, { a: 'x', b: 'x', u: 'x', v: 'x' })));
      }),
    );
  });
});

describe('Constraints are written into the prompt', () => {
  it('the system message ends with them, whatever the values say before', () => {
    fc.assert(
      fc.property(prompt, values, (given, sent) => {
        const [ruled] = rendered({ ...given, ruled: true }, sent).messages;
        const { messages } = rendered({ ...given, ruled: false, history: [] }, sent);
        const before = messages.filter((message) => message.role === 'SYSTEM').map(({ content }) => content);
        assert.deepEqual(ruled, { role: 'SYSTEM', content: [...before, BLOCK].join('\n\n') });
      }),
    );
  });
});

/** What an untrusted value never brings into a prompt, told without the list that cleaning uses. */
const UNSEEN = /(?![\t\n])\p{Cc}|(?![\u200C\u200D])\p{Cf}|\p{Cs}|[\u{E0000}-\u{E0FFF}]/u;
/** Joiners and variation selectors but one selector and then one joiner. */
const UNATTACHED =
  /^[\uFE0E-\uFE0F]|^[\u200C-\u200D]|[\uFE0E-\uFE0F]{2}|[\u200C-\u200D]{2}|[\u200C-\u200D][\uFE0E-\uFE0F]/;
const DELIMITED = /<untrusted name="([a-z]+)">([^<>]*)<\/untrusted>/g;

function readBack(escaped: string): string {
  return escaped.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}

describe('Untrusted values cannot leave their delimiter', () => {
  /** Values of which the delimiter is never left out. */
  const visible = values.map(({ u, v }): Values => ({ a: 'A', b: 'B', u: `${u}!`, v: `!${v}` }));

  const unasked = prompt.map((given): Prompt => {
    const parts = given.parts.map((each) => {
      return { ...each, pieces: each.pieces.filter((piece) => !('asked' in piece)) };
    });
    return { ...given, personality: undefined, parts, history: [] };
  });

  it('each place has one delimiter around the cleaned value, and nothing of the value stands outside', () => {
    fc.assert(
      fc.property(unasked, visible, (given, sent) => {
        const { text } = rendered(given, sent);
        const found = [...text.matchAll(DELIMITED)];
        assert.equal(text.split('<').length - 1, 2 * found.length);
        assert.equal(text.split('>').length - 1, 2 * found.length);
        for (const [, name, inner] of found) {
          assert.doesNotMatch(inner!, UNSEEN);
          assert.doesNotMatch(inner!, UNATTACHED);
          const kept = new Set(sent[name as Name].replaceAll(/\r\n?/g, '\n'));
          assert.ok([...readBack(inner!)].every((character) => kept.has(character)));
        }
        const harmless = rendered(given, { ...sent, u: 'x', v: 'x' }).text;
        assert.equal(text.replaceAll(DELIMITED, '<$1>'), harmless.replaceAll(DELIMITED, '<$1>'));
      }),
      { numRuns: 200 },
    );
  });

  it('lists and objects do not either', () => {
    const listed = fc.record({ u: fc.array(hostile, { minLength: 1 }), v: fc.dictionary(hostile, hostile) });
    const variables = [
      declaration({ name: 'u', type: 'LIST', untrusted: true }),
      declaration({ name: 'v', type: 'OBJECT', untrusted: true }),
    ];
    const section = { template: { templateId: 't', version: '1.0.0' }, role: 'SYSTEM' } as const;
    for (const [syntax, content] of [
      ['FORMAT', 'U {u} V {v}.'],
      ['LIQUID', 'U {{ u }} V {{ v }}.'],
    ] as const) {
      const bundle = compiled({ sections: [section] }, { t: { syntax, content, variables } });
      fc.assert(
        fc.property(listed, (sent) => {
          const { text } = bundle.assemble(bundle.variables.resolve({}, sent), new Map());
          assert.equal(text.replaceAll(DELIMITED, '[$1]'), 'U [u] V [v].');
          assert.doesNotMatch(text, UNSEEN);
        }),
      );
    }
  });

  it('conditions see the value as it was sent', () => {
    const section = { template: { templateId: 't', version: '1.0.0' }, role: 'SYSTEM' } as const;
    const content =
      '{% if u contains b %}1{% else %}0{% endif %}{% if u == a %}1{% else %}0{% endif %}' +
      '{% if u.size == v.size %}1{% else %}0{% endif %}{% if b contains u %}1{% else %}0{% endif %}' +
      '{% case u %}{% when "<" %}1{% else %}0{% endcase %}{% unless u != v %}1{% else %}0{% endunless %}';
    const bundle = compiled({ sections: [section] }, { t: { syntax: 'LIQUID', content, variables: DECLARED } });
    fc.assert(
      fc.property(fc.oneof(values, values.map((given) => ({ ...given, v: given.u, b: '<' }))), ({ a, b, u, v }) => {
        const { text } = bundle.assemble(bundle.variables.resolve({}, { a, b, u, v }), new Map());
        const expected = [u.includes(b), u === a, [...u].length === [...v].length, b.includes(u), u === '<', u === v];
        assert.equal(text, expected.map(Number).join(''));
      }),
    );
  });
});
