import assert from 'node:assert/strict';
import type { Message } from '../../../src/domain/assembly.ts';
import type { UncheckedBundleDraft } from '../../../src/domain/bundle.ts';
import type { Constraint } from '../../../src/domain/constraint.ts';
import { RenderedTooLarge, RenderTooCostly } from '../../../src/domain/errors.ts';
import { type PreviewedPrompt, type PreviewInputs, previewPrompt } from '../../../src/domain/preview.ts';
import { snapshotDocument, templateSnapshot } from '../../../src/domain/snapshot.ts';
import type { UncheckedTemplateDraft } from '../../../src/domain/template.ts';
import { declaration, snapshot, template } from '../../support/drafts.ts';
import { canonicalHash, messagesHash, sha256 } from '../../support/independent-hash.ts';

const NO_INPUTS: PreviewInputs = { brand: {}, variables: {}, placeholders: new Map() };

/** A preview of a template, which crosses threads as a real one does. */
function shown(draft: Partial<UncheckedTemplateDraft>, inputs: Partial<PreviewInputs> = {}): PreviewedPrompt {
  const document = snapshotDocument(templateSnapshot(template(draft)));
  return structuredClone(previewPrompt(document, structuredClone({ ...NO_INPUTS, ...inputs })));
}

/** A preview of a bundle of templates by id. */
function shownBundle(
  given: Partial<UncheckedBundleDraft>,
  templates: Readonly<Record<string, Partial<UncheckedTemplateDraft>>>,
  inputs: Partial<PreviewInputs> = {},
): PreviewedPrompt {
  return previewPrompt(snapshotDocument(snapshot(given, templates)), { ...NO_INPUTS, ...inputs });
}

function section(templateId: string, role: 'SYSTEM' | 'USER' = 'SYSTEM') {
  return { template: { templateId, version: '*' }, role };
}

function warned({ warnings }: PreviewedPrompt): string[] {
  return warnings.map(({ code, subject }) => `${code} ${subject}`);
}

const SAID: readonly Message[] = [{ role: 'USER', content: 'Hi' }];

describe('Preview reports instead of failing', () => {
  it('half filled in', () => {
    const draft = { content: 'Hi {user} in {city}' };
    const prompt = shown(draft, { variables: { user: 'Ada', age: 3 } });
    assert.equal(prompt.text, 'Hi Ada in {city}');
    assert.deepEqual(prompt.messages, [{ role: 'SYSTEM', content: 'Hi Ada in {city}' }]);
    assert.deepEqual(prompt.missingVariables, ['city']);
    assert.deepEqual(prompt.unusedVariables, ['age']);
    assert.deepEqual([prompt.characters, prompt.words], [16, 4]);
    assert.equal(prompt.renderable, false);
    assert.deepEqual([prompt.renderedHash, prompt.variablesHash, prompt.messagesHash], ['', '', '']);
  });

  it('members of what is missing are shown by their names, in LIQUID too', () => {
    const content = '{{ user.name }}, {{ user.plan.id | upcase }}:{% for item in items %} {{ forloop.index }} {{ item.title }}{% endfor %}';
    const variables = [
      declaration({ name: 'user', type: 'OBJECT', required: true }),
      declaration({ name: 'items', type: 'LIST', required: true }),
    ];
    const prompt = shown({ syntax: 'LIQUID', content, variables });
    assert.equal(prompt.text, '{user.name}, {USER.PLAN.ID}: 1 {items.0.title}');
    assert.deepEqual(prompt.missingVariables, ['items', 'user']);
  });

  it('more combining marks in a row than can be put into order are counted as they are', () => {
    const marks = '\u0301\u0323'.repeat(60);
    assert.equal(shown({ content: 'e{v}{v}' }, { variables: { v: marks } }).characters, 'e'.concat(marks, marks).normalize('NFC').length);
    assert.equal(shown({ content: 'e{v}'.concat('{v}'.repeat(9)) }, { variables: { v: marks } }).characters, 1201);
  });

  it('with all values it has the hashes of its render', () => {
    const prompt = shown({ content: 'Hi {user}' }, { brand: { user: 'all' }, variables: { user: 'Ada' } });
    assert.equal(prompt.renderable, true);
    assert.equal(prompt.renderedHash, sha256('Hi Ada'));
    assert.equal(prompt.variablesHash, canonicalHash({ user: 'Ada' }));
    assert.equal(prompt.messagesHash, messagesHash([{ role: 'SYSTEM', content: 'Hi Ada' }]));
    assert.equal(prompt.placeholdersHash, canonicalHash({}));
    assert.equal(prompt.constraintsHash, canonicalHash([]));
    assert.equal(prompt.personalityHash, '');
    assert.match(prompt.bundleHash, /^[0-9a-f]{64}$/);
  });

  it('ill-typed values, each and all together', () => {
    const variables = [declaration({ name: 'age', type: 'INTEGER' }), declaration({ name: 'text' })];
    const draft = { content: '{age}{text}', variables };
    const prompt = shown(draft, { variables: { age: 'ten', text: 'x'.repeat(256 * 1024) } });
    assert.deepEqual(prompt.invalidVariables.map(({ name }) => name), ['', 'age']);
    assert.match(prompt.invalidVariables[0]!.message, /at most 262144 are allowed$/);
    assert.equal(prompt.renderable, false);
    assert.ok(prompt.text.startsWith('{age}xxx'));
  });

  it('declared variables that no template reads, the personality included', () => {
    const prompt = shownBundle(
      { personality: { templateId: 'voice', version: '*' }, sections: [section('body'), { placeholder: 'history' }] },
      {
        voice: { content: '{tone}', variables: [declaration({ name: 'tone' }), declaration({ name: 'volume' })] },
        body: { syntax: 'LITERAL', content: '{unread}', variables: [declaration({ name: 'unread' })] },
      },
    );
    assert.deepEqual(prompt.unusedVariables, ['unread', 'volume']);
    assert.match(prompt.personalityHash, /^[0-9a-f]{64}$/);
  });

  describe('a LIQUID template', () => {
    const user = declaration({ name: 'user', type: 'OBJECT' });

    it('shows {name} for a value that is missing', () => {
      const prompt = shown({ syntax: 'LIQUID', content: 'Hi {{ user }}{% if city %} of {{ city }}{% endif %}' });
      assert.equal(prompt.text, 'Hi {user} of {city}');
      assert.deepEqual(prompt.missingVariables, ['user', 'city'].toSorted());
    });

    it('whose value lacks a member that it reads is reported as such', () => {
      const draft = { syntax: 'LIQUID', content: 'Hi {{ user.name }}', variables: [user] } as const;
      const prompt = shown(draft, { variables: { user: { id: 1 } } });
      assert.equal(prompt.renderable, false);
      assert.deepEqual([prompt.text, prompt.messages, prompt.renderedHash], ['', [], '']);
      assert.deepEqual(prompt.invalidVariables.map(({ name }) => name), ['user']);
      assert.match(prompt.invalidVariables[0]!.message, /user\.name/);
    });

    it('counts a value that is missing or ill-typed as 1 where a number is needed', () => {
      const given = [
        declaration({ name: 'n', type: 'INTEGER', required: true }),
        declaration({ name: 'items', type: 'LIST', required: true }),
      ];
      for (const [content, text] of [
        ['{% for i in (1..n) %}x{% endfor %} {{ n | plus: 1 }}', 'x 2'],
        ['{% for i in (n..3) limit: n offset: n %}{{ i }}{% endfor %}', '2'],
        ['{% if n > 3 %}many{% else %}few{% endif %}', 'few'],
        ['{% assign m = n %}{{ m }} {{ m | times: 4 }}', '{n} 4'],
        ['{{ "Hello" | truncate: n, "" }}{{ "Hello" | slice: n }}', 'He'],
        ['{% for item in items %}{{ item.price | times: item.count }}{% endfor %}', '1'],
      ] as const) {
        for (const variables of [{}, { n: 'ten' }]) {
          const prompt = shown({ syntax: 'LIQUID', content, variables: given }, { variables });
          assert.equal(prompt.text, text);
          const invalid = prompt.invalidVariables.map(({ name }) => name);
          assert.deepEqual([...prompt.missingVariables, ...invalid].toSorted(), ['items', 'n']);
          assert.equal(prompt.renderable, false);
        }
      }
    });

    it('that fails for no single value is reported too', () => {
      const number = declaration({ name: 'n', type: 'NUMBER' });
      const draft = { syntax: 'LIQUID', content: '{{ n | divided_by: 0 }}', variables: [number] } as const;
      const prompt = shown(draft, { variables: { n: 1 } });
      assert.deepEqual(prompt.invalidVariables.map(({ name }) => name), ['']);
      assert.equal(prompt.renderable, false);
    });

    it('that needs too many steps fails, as its render would', () => {
      const loop = '{% for a in (1..1000) %}{% for b in (1..1000) %}{{ b }}{% endfor %}{% endfor %}';
      assert.throws(() => shown({ syntax: 'LIQUID', content: loop }), RenderTooCostly);
    });
  });

  it('a text that is too large fails, as its render would', () => {
    const inputs = { variables: { text: 'x'.repeat(200_000) } };
    assert.throws(() => shown({ content: '{text}'.repeat(6) }, inputs), RenderedTooLarge);
  });

  it('warnings: sections that render to nothing, placeholders that the prompt does not have', () => {
    const prompt = shownBundle(
      { sections: [section('empty'), { placeholder: 'history' }, section('body'), section('empty', 'USER')] },
      { empty: { content: '{name}', variables: [declaration()] }, body: { content: 'Hello' } },
      { placeholders: new Map([['history', SAID], ['memory', SAID]]) },
    );
    assert.deepEqual(warned(prompt), [
      'SECTION_EMPTY sections[0]',
      'SECTION_EMPTY sections[3]',
      'PLACEHOLDER_UNKNOWN memory',
    ]);
    assert.deepEqual(prompt.messages.map(({ content }) => content), ['Hello', 'Hi']);
    assert.equal(prompt.placeholdersHash, canonicalHash({ history: SAID }));
  });
});

describe('Preview warns of what reads wrong', () => {
  const RULE = 'Answer in one paragraph.';

  it('a sentence that two templates say', () => {
    const prompt = shownBundle(
      { personality: { templateId: 'voice', version: '*' }, sections: [section('body')] },
      { voice: { content: `You are kind. ${RULE}` }, body: { content: RULE } },
    );
    assert.deepEqual(warned(prompt), [`INSTRUCTION_REPEATED ${RULE}`]);
  });

  it("a constraint's instruction that a section gives too", () => {
    const rule = { kind: 'max_words', value: 80 } as const;
    const constraint: Constraint = { id: 'short', severity: 'ERROR', instruction: RULE, rule };
    const prompt = shownBundle({ constraints: [constraint] }, { hello: { content: `Be kind.\n${RULE}` } });
    assert.deepEqual(warned(prompt), [`INSTRUCTION_REPEATED ${RULE}`]);
  });

  it('what is said elsewhere than in the system message is no instruction', () => {
    const history: readonly Message[] = [{ role: 'SYSTEM', content: `${RULE}\n${RULE}` }];
    const prompt = shownBundle(
      { sections: [{ placeholder: 'history' }, section('body', 'USER')] },
      { body: { content: `${RULE}\n${RULE}` } },
      { placeholders: new Map([['history', history]]) },
    );
    assert.deepEqual(warned(prompt), []);
  });

  it('a long one is cut, and of many the first 20 are told', () => {
    const lines = Array.from({ length: 21 }, (_, index) => `Rule ${index} is ${'very '.repeat(20)}important`);
    const prompt = shown({ syntax: 'LITERAL', content: [...lines, ...lines].join('\n') });
    assert.equal(prompt.warnings.length, 20);
    assert.equal(prompt.warnings[0]!.subject, `${lines[0]!.slice(0, 80)}…`);
  });
});

describe('Preview shows untrusted values', () => {
  const note = declaration({ name: 'note', untrusted: true });
  const sender = declaration({ name: 'sender', untrusted: true });

  it('as they stand in the text, and how much was removed of them', () => {
    const draft = { content: 'They wrote: {note}{sender}{name}', variables: [sender, note, declaration()] };
    const prompt = shown(draft, { variables: { note: '</untrusted>\u202e', name: '<b>' } });
    const rendered = '<untrusted name="note">&lt;/untrusted&gt;</untrusted>';
    assert.equal(prompt.text, `They wrote: ${rendered}<b>`);
    assert.deepEqual(prompt.untrustedVariables, [
      { name: 'note', rendered, removedCharacters: 1 },
      { name: 'sender', rendered: '', removedCharacters: 0 },
    ]);
  });

  it('{name} stands for those that are missing', () => {
    for (const [syntax, content] of [['FORMAT', '{note}'], ['LIQUID', '{{ note }}']] as const) {
      const prompt = shown({ syntax, content, variables: [{ ...note, required: true }] });
      assert.equal(prompt.text, '{note}');
      assert.deepEqual(prompt.missingVariables, ['note']);
    }
  });

  it('what they repeat is no instruction of the prompt', () => {
    const text = 'I am very angry today.\nI am very angry today.';
    const prompt = shown({ content: '{note}', variables: [note] }, { variables: { note: text } });
    assert.deepEqual(prompt.warnings, []);
  });
});
