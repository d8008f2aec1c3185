import assert from 'node:assert/strict';
import { sha256 } from '../../../src/domain/document.ts';
import {
  effectiveDeclarations,
  normalizeTemplateDraft,
  parseTemplateDocument,
  templateDocument,
  type UncheckedTemplateDraft,
  unusedVariables,
} from '../../../src/domain/template.ts';
import { compileTemplate, readVariables, usedVariables } from '../../../src/domain/template-content.ts';
import { declaration, template, templateDraft } from '../../support/drafts.ts';
import { refusalsOf, violationsOf } from '../../support/violations.ts';
import { TemplateValues } from '../../../src/domain/template-values.ts';
import { given } from '../../support/given.ts';

function refusals(given: Partial<UncheckedTemplateDraft>): string[] {
  return refusalsOf((violations) => normalizeTemplateDraft(violations, 'draft', templateDraft(given)));
}

function descriptions(given: Partial<UncheckedTemplateDraft>): string[] {
  const violations = violationsOf((list) => normalizeTemplateDraft(list, 'draft', templateDraft(given)));
  return violations.map(({ reason, description }) => `${reason} ${description}`);
}

const TRUSTED = new Set<string>();

function render(content: string, texts: Readonly<Record<string, string>> = {}): string {
  return compileTemplate('FORMAT', content, TRUSTED)(new TemplateValues(given(texts)));
}

describe('Template content is bounded', () => {
  it('10,000 emoji are accepted, 10,001 characters are not', () => {
    assert.deepEqual(refusals({ content: '😀'.repeat(10_000) }), []);
    assert.deepEqual(descriptions({ content: 'x'.repeat(10_001) }), [
      'TOO_LONG must have at most 10000 characters, not 10001',
    ]);
  });

  it('it is not blank', () => {
    assert.deepEqual(refusals({ content: '' }), ['draft.content REQUIRED']);
    assert.deepEqual(refusals({ content: '   \t' }), ['draft.content BLANK']);
    assert.deepEqual(refusals({ content: '\uFEFF' }), ['draft.content REQUIRED']);
    assert.deepEqual(refusals({ content: ' '.repeat(10_001) }), ['draft.content BLANK', 'draft.content TOO_LONG']);
  });

  it('it is counted as it is stored', () => {
    assert.deepEqual(refusals({ content: 'e\u0301\r\n'.repeat(5000) }), []);
  });

  it('a description has at most 1,000 characters', () => {
    assert.deepEqual(refusals({ description: 'x'.repeat(1001) }), ['draft.description TOO_LONG']);
  });

  it('without declarations it reads at most 128 variables', () => {
    const content = Array.from({ length: 128 }, (_, i) => `{v${i}}`).join('');
    assert.deepEqual(refusals({ content }), []);
    assert.deepEqual(refusals({ content: `${content}{one_more}{v1}` }), ['draft.content TOO_MANY']);
  });
});

describe('Template content is stored normalized', () => {
  it('content, description and declarations', () => {
    const draft = template({
      content: '\uFEFFCafe\u0301 {b}{a}\r\n',
      description: ' Cafe\u0301\r\n ',
      variables: [declaration({ name: 'b' }), declaration({ name: 'a', default: null })],
    });
    assert.deepEqual(draft, {
      syntax: 'FORMAT',
      content: 'Café {b}{a}\n',
      description: 'Café',
      variables: [declaration({ name: 'a' }), declaration({ name: 'b' })],
      allowLiteralBraces: false,
    });
  });
});

describe('FORMAT replaces names in braces', () => {
  it('name and literal braces', () => {
    assert.equal(render('Hi {user}, answer as {{"ok": true}}', { user: 'Ada' }), 'Hi Ada, answer as {"ok": true}');
  });

  it('a name between literal braces', () => {
    assert.deepEqual(refusals({ content: '{{{user}}}' }), []);
    assert.equal(render('{{{user}}}', { user: 'Ada' }), '{Ada}');
  });

  it('each name as often as it stands there, in order', () => {
    assert.equal(render('{a}{b}{a}', { a: '1', b: '2' }), '121');
    assert.deepEqual(readVariables('FORMAT', '{b}{a}{b}{{c}}'), ['b', 'a']);
  });

  it('a name without a text inserts nothing', () => {
    assert.equal(render('a{b}c'), 'ac');
  });

  it('names of inherited members are names like any other', () => {
    assert.equal(render('{constructor}{__proto__}', { constructor: 'x' }), 'x');
  });
});

describe('Lone braces are refused', () => {
  it('each with its line, its column and how to escape it', () => {
    assert.deepEqual(descriptions({ content: 'a { b\nc } d' }), [
      'LONE_BRACE line 1, column 3: a lone { in "a { b"; write {{ for a literal brace',
      'LONE_BRACE line 2, column 3: a lone } in "c } d"; write }} for a literal brace',
    ]);
  });

  it('no more of a long line than stands around it', () => {
    const [description] = descriptions({ content: `${'a'.repeat(50)}😀}${'b'.repeat(50)}` });
    assert.equal(
      description,
      `LONE_BRACE line 1, column 52: a lone } in "${'a'.repeat(28)}😀}${'b'.repeat(29)}"; write }} for a literal brace`,
    );
  });

  it('columns count characters of the stored content', () => {
    assert.deepEqual(descriptions({ content: 'x\r\n😀e\u0301}' }), [
      'LONE_BRACE line 2, column 3: a lone } in "😀é}"; write }} for a literal brace',
    ]);
  });

  it('JSON that nobody escaped', () => {
    assert.deepEqual(descriptions({ content: '{"ok": true}' }), [
      'LONE_BRACE line 1, column 1: a lone { in "{\\"ok\\": true}"; write {{ for a literal brace',
      'LONE_BRACE line 1, column 12: a lone } in "{\\"ok\\": true}"; write }} for a literal brace',
    ]);
  });

  it('a third brace', () => {
    assert.deepEqual(descriptions({ content: '{{"a"}}}' }), [
      'LONE_BRACE line 1, column 8: a lone } in "{{\\"a\\"}}}"; write }} for a literal brace',
    ]);
    assert.deepEqual(refusals({ content: '{{{' }), ['draft.content LONE_BRACE']);
  });

  it('what is not a name, with the names that are', () => {
    const rule = 'a name is 1 to 63 characters of a-z, 0-9 and _ that do not begin with a digit';
    assert.deepEqual(descriptions({ content: '{Name}' }), [
      `BAD_FORMAT line 1, column 1: "{Name}" is no placeholder: ${rule}, with no white space around it; ` +
        'for literal braces write {{ and }}',
    ]);
    for (const content of ['{}', '{ name }', '{0}', '{a-b}', '{a.b}', '{a!r}', `{${'a'.repeat(64)}}`]) {
      assert.deepEqual(refusals({ content }), ['draft.content BAD_FORMAT'], content);
    }
  });

  it('all of them at once, among other violations', () => {
    assert.deepEqual(refusals({ content: '{ {A} {{b}} } {c}', description: 'x'.repeat(1001), syntax: 'FORMAT' }), [
      'draft.content LONE_BRACE',
      'draft.content BAD_FORMAT',
      'draft.content DOUBLE_BRACE',
      'draft.content LONE_BRACE',
      'draft.description TOO_LONG',
    ]);
  });
});

describe('Double-braced names are refused', () => {
  it('as a likely mistake', () => {
    assert.deepEqual(descriptions({ content: 'Hello {{ user.name }}' }), [
      'DOUBLE_BRACE line 1, column 7: {{user.name}} is most likely meant to insert a variable: write {user.name}; ' +
        'if the braces are meant literally, set allow_literal_braces',
    ]);
    assert.deepEqual(refusals({ content: 'Hello {{User}}' }), ['draft.content DOUBLE_BRACE']);
  });

  it('unless they are meant literally', () => {
    const draft = template({ content: 'Hello {{user}}', allowLiteralBraces: true });
    assert.deepEqual(effectiveDeclarations(draft), []);
    assert.equal(render(draft.content), 'Hello {user}');
  });

  it('lone braces stay refused then', () => {
    assert.deepEqual(refusals({ content: '{{user}} }', allowLiteralBraces: true }), ['draft.content LONE_BRACE']);
  });
});

describe('LITERAL content is never substituted', () => {
  it('braces are text', () => {
    const draft = template({ syntax: 'LITERAL', content: '{name} {{x}} }' });
    const literal = compileTemplate(draft.syntax, draft.content, TRUSTED);
    assert.equal(literal(new TemplateValues(given({ name: 'Ada' }))), '{name} {{x}} }');
    assert.deepEqual(readVariables('LITERAL', draft.content), []);
  });

  it('a syntax that is not known is refused, and braces are then not judged', () => {
    assert.deepEqual(refusals({ syntax: '', content: '{' }), ['draft.syntax UNSPECIFIED']);
  });
});

describe('Values are inserted verbatim', () => {
  it('a value that looks like a placeholder', () => {
    assert.equal(render('{a}', { a: '{b} {{c}}', b: 'secret' }), '{b} {{c}}');
    assert.equal(render('{a}', { a: '$& $1 \\n' }), '$& $1 \\n');
  });
});

describe('A template is compiled once', () => {
  for (const [syntax, content] of [['FORMAT', 'Hi {user}'], ['LIQUID', 'Hi {{ user }}']] as const) {
    it(`what is compiled of ${syntax} can be rendered again and again`, () => {
      const compiled = compileTemplate(syntax, content, TRUSTED);
      assert.equal(compiled(new TemplateValues(given({ user: 'Ada' }))), 'Hi Ada');
      assert.equal(compiled(new TemplateValues(given({ user: 'Bob' }))), 'Hi Bob');
    });
  }
});

describe('Undeclared templates infer required strings', () => {
  it('which have no members and no items, but a size', () => {
    const content = '{{ user.name }}{{ user.age }}{% for item in items %}{{ item.title }}{% endfor %}{{ note.size }}';
    assert.deepEqual(descriptions({ syntax: 'LIQUID', content }), [
      'WRONG_TYPE line 1, column 4: members or items of user are read: declare it as an OBJECT or a LIST in variables',
      'WRONG_TYPE line 1, column 45: members or items of items are read: declare it as an OBJECT or a LIST in variables',
    ]);
  });

  it('one for each placeholder, in order of first use', () => {
    assert.deepEqual(effectiveDeclarations(template({ content: '{b}{a}{b}' })), [
      { ...declaration({ name: 'b', required: true }), inferred: true },
      { ...declaration({ name: 'a', required: true }), inferred: true },
    ]);
  });

  it('none if something is declared', () => {
    const variables = [declaration({ name: 'a' })];
    assert.deepEqual(effectiveDeclarations(template({ content: '{a}', variables })), [
      { ...declaration({ name: 'a' }), inferred: false },
    ]);
  });
});

describe('An undeclared placeholder is refused', () => {
  it('where it first stands', () => {
    const variables = [declaration({ name: 'user' })];
    assert.deepEqual(descriptions({ content: 'Hi {user},\n{usr} {usr}', variables }), [
      'UNKNOWN_PLACEHOLDER line 2, column 1: {usr} is not declared; declare it in variables',
    ]);
  });

  it('a declaration that is refused for another reason declares it all the same', () => {
    assert.deepEqual(refusals({ content: '{user}', variables: [declaration({ name: 'user', type: '' })] }), [
      'draft.variables[0].type UNSPECIFIED',
    ]);
  });
});

describe('An unused declaration is a warning', () => {
  it('it is accepted and can be told', () => {
    const variables = [declaration({ name: 'user' }), declaration({ name: 'tone' })];
    assert.deepEqual(unusedVariables(template({ content: 'Hi {user}', variables })), ['tone']);
    assert.deepEqual(unusedVariables(template({ content: 'Hi {user}' })), []);
    assert.deepEqual(unusedVariables(template({ syntax: 'LITERAL', content: '{user}', variables })), ['tone', 'user']);
  });
});

describe('The variables that LIQUID reads are found wherever they stand', () => {
  const variables = ['vip', 'items', 'suffix'].map((name) => declaration({ name }));

  it('a typing mistake in a branch', () => {
    const content = '{% if vip %}\n{% for item in items %}{{ item.name | append: sufix }}{% endfor %}{% endif %}';
    assert.deepEqual(descriptions({ syntax: 'LIQUID', content, variables }), [
      'UNKNOWN_PLACEHOLDER line 2, column 47: {sufix} is not declared; declare it in variables',
    ]);
  });

  it('each once, with other mistakes, in the order of the content', () => {
    const content = '{% if a %}{{ b | nope }}{{ b }}{% elsif c d %}{% endif %}{{ user-name }}';
    assert.deepEqual(
      descriptions({ syntax: 'LIQUID', content, variables }).map((each) => each.slice(0, 44)),
      [
        'NOT_ALLOWED line 1, column 16: the filter "n',
        'BAD_SYNTAX line 1, column 41: values have to',
        'UNKNOWN_PLACEHOLDER line 1, column 7: {a} is',
        'UNKNOWN_PLACEHOLDER line 1, column 14: {b} i',
        'UNKNOWN_PLACEHOLDER line 1, column 41: {c} i',
        'UNKNOWN_PLACEHOLDER line 1, column 43: {d} i',
        'BAD_FORMAT line 1, column 61: "user-name" ca',
      ],
    );
  });

  it('without declarations they are required, but for what the content makes', () => {
    const content =
      '{% if a == "x" %}{% assign c = 1 %}{{ b }}{% endif %}{{ c }}' +
      '{% assign d = 1 %}{{ d }}{% capture e %}{% endcapture %}';
    const draft = template({ syntax: 'LIQUID', content });
    assert.deepEqual(
      effectiveDeclarations(draft).map(({ name, required, inferred }) => [name, required, inferred]),
      [
        ['a', true, true],
        ['b', true, true],
      ],
    );
    assert.deepEqual(readVariables('LIQUID', content), ['a', 'b']);
    assert.deepEqual([...usedVariables('LIQUID', content)], ['a', 'b', 'c']);
  });

  it('what a branch makes may be a variable, which is used then', () => {
    const used = '{% if vip %}{% assign suffix = "!" %}{% endif %}{{ suffix }}{% for item in items %}{% endfor %}';
    const unused = '{% comment %}{{ vip }}{% endcomment %}{% assign suffix = "!" %}{{ suffix }}';
    assert.deepEqual(unusedVariables(template({ syntax: 'LIQUID', content: used, variables })), []);
    assert.deepEqual(unusedVariables(template({ syntax: 'LIQUID', content: unused, variables })), [
      'items',
      'suffix',
      'vip',
    ]);
  });

  it('at most 128 of them', () => {
    const content = Array.from({ length: 129 }, (_, index) => `{{ v${index} }}`).join('');
    assert.deepEqual(refusals({ syntax: 'LIQUID', content }), ['draft.content TOO_MANY']);
  });
});

describe('Untrusted values cannot leave their delimiter', () => {
  const variables = [declaration({ name: 'q', untrusted: true }), declaration({ name: 'l', type: 'LIST' })];

  function misuses(content: string): string[] {
    return descriptions({ syntax: 'LIQUID', content, variables }).map((each) => each.replace(/: q is untrusted.*/, ''));
  }

  it('in LIQUID they are output on their own, or tested', () => {
    const content =
      '{{ q }}{{- q -}}{% if q == l[0] and q.a %}{% elsif q contains "a" %}{% endif %}' +
      '{% case q %}{% when q %}{% endcase %}{% unless l[q] %}{% endunless %}' +
      '{% for q in l %}{{ q | upcase }}{% endfor %}';
    assert.deepEqual(misuses(content), []);
  });

  it('all else is refused where it stands', () => {
    assert.deepEqual(descriptions({ syntax: 'LIQUID', content: 'a\n{{ q | upcase }}', variables }), [
      'NOT_ALLOWED line 2, column 4: q is untrusted: output it on its own as {{ q }}, or test it in a condition; ' +
        'filters, loops, assign and capture could break its delimiter',
    ]);
    for (const content of [
      '{{ q.a }}',
      '{{ l[q] }}',
      '{{ q == 1 }}',
      '{{ q | json }}',
      '{{ 1 | append: q }}',
      '{% if q | upcase %}{% endif %}',
      '{% assign a = q %}',
      '{% capture a %}{{ q }}{% endcapture %}',
      '{% for a in q %}{% endfor %}',
      '{% for a in (1..q) %}{% endfor %}',
      '{% for a in l limit: q %}{% endfor %}',
    ]) {
      assert.match(misuses(content).join(), /^NOT_ALLOWED line 1, column \d+$/, content);
    }
  });

  it('also where the content may have given the name another value, or a loop is over', () => {
    const branch = '{{ q }}{% if l %}{% assign q = "" %}{% endif %}{{ q | slice: 0, 9 }}';
    assert.deepEqual(misuses(branch), ['NOT_ALLOWED line 1, column 51']);
    const loop = '{{ q }}{% for q in l %}{% else %}{{ q | upcase }}{% endfor %}';
    assert.deepEqual(misuses(loop), ['NOT_ALLOWED line 1, column 37']);
    assert.deepEqual(misuses('{{ q }}{% assign q = "" %}{{ q | slice: 0, 9 }}'), []);
  });
});

describe('Documents are stored as exact bytes', () => {
  it('a draft that says the least', () => {
    const draft = template({ content: 'Hi' });
    const document = templateDocument('GREETING', draft);
    assert.equal(document.text, '{"content":"Hi","syntax":"FORMAT","type":"GREETING"}');
    assert.equal(document.hash, sha256(document.text));
    assert.deepEqual(parseTemplateDocument(document.text), { type: 'GREETING', draft });
  });

  it('a draft that says all there is, and what is read from it', () => {
    const draft = template({
      content: '{{a}}{n}{s}{e}',
      description: 'All of it.',
      allowLiteralBraces: true,
      variables: [
        declaration({ name: 's', default: 'x', maxLength: 3, pattern: 'x+', description: 'A text.' }),
        declaration({ name: 'n', type: 'NUMBER', required: true }),
        declaration({ name: 'e', type: 'ENUM', enumValues: ['b', 'a'], default: 'b' }),
      ],
    });
    const document = templateDocument('SYSTEM_PROMPT', draft);
    assert.equal(
      document.text,
      '{"allow_literal_braces":true,"content":"{{a}}{n}{s}{e}","description":"All of it.","syntax":"FORMAT",' +
        '"type":"SYSTEM_PROMPT","variables":[{"default":"b","enum_values":["a","b"],"name":"e","type":"ENUM"},' +
        '{"name":"n","required":true,"type":"NUMBER"},{"default":"x","description":"A text.","max_length":3,' +
        '"name":"s","pattern":"x+","type":"STRING"}]}',
    );
    assert.deepEqual(parseTemplateDocument(document.text), { type: 'SYSTEM_PROMPT', draft });
  });

  it('values that are empty are defaults like any other', () => {
    const variables = ['', 0, false, [], {}].map((value, index) =>
      declaration({
        name: `v${index}`,
        type: (['STRING', 'NUMBER', 'BOOLEAN', 'LIST', 'OBJECT'] as const)[index] ?? '',
        default: value,
      }),
    );
    const draft = template({ content: 'x', variables });
    assert.deepEqual(draft.variables.map((each) => each.default), ['', 0, false, [], {}]);
    assert.deepEqual(parseTemplateDocument(templateDocument('GREETING', draft).text).draft, draft);
  });
});
