import assert from 'node:assert/strict';
import { RenderTooCostly, RenderedTooLarge, WorkTooLong } from '../../../src/domain/errors.ts';
import type { Json, JsonObject } from '../../../src/domain/json.ts';
import { lastGuard } from '../../../src/domain/liquid-run.ts';
import { compileLiquid } from '../../../src/domain/liquid-template.ts';
import { TemplateValues } from '../../../src/domain/template-values.ts';
import { failure, liquid, liquidValues, mistakes } from '../../support/liquid.ts';

const TRUSTED = new Set<string>();

describe('LIQUID renders deterministically', () => {
  it('the same values give the same text, again and again, between renders that fail', () => {
    const render = compileLiquid(
      '{% for u in users %}{{ u.name }}{{ forloop.index }} {% endfor %}{{ users | size }}',
      TRUSTED,
    );
    const users = [{ name: 'Ada' }, { name: 'Kim' }];
    for (let times = 0; times < 3; times += 1) {
      assert.equal(render(liquidValues({ users })), 'Ada1 Kim2 2');
      assert.throws(() => render(liquidValues({ users: [{}] })));
    }
  });

  it('a value is never read as a template', () => {
    const values = { a: '{{ b }}{% if b %}', b: '{a}', c: ['{{ a }}'] };
    assert.equal(
      liquid('{{ a }}{{ b }}{{ c }}{{ a | append: b }}{% capture d %}{{ a }}{% endcapture %}{{ d }}', values),
      '{{ b }}{% if b %}{a}["{{ a }}"]{{ b }}{% if b %}{a}{{ b }}{% if b %}',
    );
  });

  it('nothing is read but the variables and their own members', () => {
    const inherited = ['constructor', '__proto__', 'toString', 'valueOf', 'hasOwnProperty', 'length', 'push', 'then'];
    for (const name of inherited) {
      for (const value of ['{{ a.', '{{ a["'].map(
        (before) => `${before}${name}${before.endsWith('"') ? '"]' : ''} }}`,
      )) {
        for (const a of [{}, [], 'text', 5, true] as Json[])
          assert.match(failure(value, { a }), /^variables.a MISSING /);
      }
      assert.equal(liquid(`{% if a.${name} %}yes{% else %}no{% endif %}`, { a: {} }), 'no');
      assert.equal(liquid(`{{ a.${name} }}`, { a: JSON.parse(`{"${name}":"own"}`) as Json }), 'own');
      assert.equal(liquid(`{{ l | map: "${name}" | json }}`, { l: [{}, 'a', []] }), '[null,null,null]');
      assert.equal(
        liquid(`{% assign ${name} = 1 %}{{ ${name} }}{% for ${name} in (1..2) %}{{ ${name} }}{% endfor %}`),
        '112',
      );
    }
  });

  it('members of lists and texts are their items and how many there are', () => {
    const values = { l: [1, [2], 3], t: 'a😀', o: { a: 1, b: 2 }, own: { size: 'S', first: 'F' } };
    const paths = ['l[0]', 'l[-1]', 'l.first', 'l.last', 'l.size', 'l[1][0]', 't.size', 'o.size', 'own.size'];
    assert.equal(liquid(paths.map((path) => `{{ ${path} }}`).join(' '), values), '1 3 1 3 3 2 2 2 S');
    assert.equal(liquid('{{ own.first }}', values), 'F');
    for (const path of ['l[3]', 'l[1.5]', 'l["0"]', 't[0]', 't.first', 'o.first', 'o[0]']) {
      assert.match(failure(`{{ ${path} }}`, values), /^variables\.\w MISSING /, path);
    }
    assert.match(failure('{{ o[l] }}', values), /a member is named by text or a number, not by a list or an object$/);
    assert.match(failure('{% if o[o] %}{% endif %}', values), /^variables WRONG_TYPE line 1, column 7 /);
  });

  it('content that has mistakes is not compiled to something else', () => {
    for (const content of ['a {{ b | c }}', '{% if a %}', '{{ b c }}']) {
      assert.throws(() => compileLiquid(content, TRUSTED), /^Error: LIQUID content cannot be compiled: /);
    }
  });
});

describe('The order of members does not show', () => {
  it('in loops, JSON, sizes, comparisons and filters', () => {
    const content =
      '{% for p in o %}{{ p[0] }}{{ p[1] }} {% endfor %}{{ o }}{{ o | json }}{{ l | group_by: "k" }}' +
      '{% if o == l[0].v %}same{% endif %}';
    const one = { o: { b: 1, a: { d: 1, c: 2 } }, l: [{ k: 1, v: { a: { c: 2, d: 1 }, b: 1 } }] };
    const other = { o: { a: { c: 2, d: 1 }, b: 1 }, l: [{ v: { b: 1, a: { d: 1, c: 2 } }, k: 1 }] };
    assert.equal(liquid(content, one), liquid(content, other));
    assert.match(liquid(content, one), /^a\{"c":2,"d":1\} b1 .*same$/);
  });
});

describe('A missing member fails the render', () => {
  const USER = { user: { name: 'Ada', address: null, tags: ['a'] } };

  it('and is named with its place and variable', () => {
    assert.equal(
      failure('Hi\n  {{ user.nickname }}', USER),
      'variables.user MISSING line 2, column 6 of a LIQUID template reads "user.nickname", ' +
        'and there is no such member; send it, or let the template ask with if, or with the filter default',
    );
    assert.match(
      failure('{{ user["nick name"] }}', USER),
      /^variables.user MISSING .* reads "user\[\\"nick name\\"\]", and/,
    );
    assert.match(failure('😀 {{ user.x }}', USER), /^variables.user MISSING line 1, column 6 /);
  });

  it('wherever the template does not ask', () => {
    for (const content of [
      '{% assign n = user.x %}',
      '{% for t in user.x %}{% endfor %}',
      '{% for i in (1..user.x) %}{% endfor %}',
      '{{ user.name | append: user.x }}',
      '{{ user.name | upcase | default: user.x }}',
      '{{ user[user.x] | default: 1 }}',
      '{% capture c %}{{ user.x }}{% endcapture %}',
      '{{ user.x | upcase | default: 1 }}',
      '{{ user.tags[1] }}',
      '{% if user[user.x] %}{% endif %}',
      '{{ user.x.y }}',
      '{% for i in (1..2) limit: user.x %}{% endfor %}',
    ]) {
      assert.match(failure(content, USER), /^variables.user MISSING /, content);
    }
  });

  it('but not where it asks, with if, unless, case and default', () => {
    const content =
      '{% if user.x %}1{% elsif user.x.y == nil %}2{% endif %}{% unless user.x %}3{% endunless %}' +
      '{% case user.x %}{% when nil %}4{% endcase %}{% case 1 %}{% when user.x %}{% else %}5{% endcase %}' +
      '{{ user.x | default: 6 }}{% assign n = user.x | default: 7 %}{{ n }}';
    assert.equal(liquid(content, USER), '234567');
    assert.equal(
      liquid('Hi {{ user.nickname | default: user.name }}{% if user.title %}, {{ user.title }}{% endif %}', USER),
      'Hi Ada',
    );
  });

  it('a member of nothing is nothing', () => {
    assert.equal(liquid('[{{ user.address.city }}{{ optional.name.first }}]', USER), '[]');
  });

  it('of what the template itself makes, no variable is named', () => {
    const name = '{% for user in users %}{{ user.x }}{% endfor %}{{ user }}';
    assert.match(failure(name, { user: 'u', users: [{}] }), /^variables MISSING line 1, column 27 .* reads "user.x"/);
    assert.match(failure('{% assign u = l | find: "a", 1 %}{{ u }}', { l: [] }), /^variables MISSING .* reads "u"/);
  });
});

describe('An optional variable renders empty', () => {
  it('in LIQUID as nil', () => {
    assert.equal(
      liquid('[{{ a }}{% if a %}yes{% endif %}{{ a | default: "b" }}{% for x in a %}x{% else %}none{% endfor %}]'),
      '[bnone]',
    );
  });

  it('in a preview as what stands in for it', () => {
    const values = new TemplateValues({
      values: {},
      texts: new Map([
        ['a', '{a}'],
        ['q', '{q}'],
      ]),
    });
    assert.equal(compileLiquid('{{ a }} {{ q }}{% if q %}!{% endif %}', new Set(['q']))(values), '{a} {q}!');
  });

  it('what a branch made or did not make', () => {
    const content = '{% if a %}{% assign tone = "warm" %}{% endif %}[{{ tone }}]';
    assert.equal(liquid(content, { a: true, tone: 'calm' }), '[warm]');
    assert.equal(liquid(content, { a: false, tone: 'calm' }), '[calm]');
    assert.equal(liquid(content, { a: false }), '[]');
  });
});

describe('LIQUID work is counted', () => {
  const loop = (times: number, body: string): string => `{% for i in (1..${times}) %}${body}{% endfor %}`;

  it('a loop at the limit passes a hundred times, and one step more fails a hundred times', () => {
    const passes = compileLiquid(loop(9_695, 'x'), TRUSTED);
    const fails = compileLiquid(loop(9_696, 'x'), TRUSTED);
    for (let times = 0; times < 100; times += 1) {
      assert.equal(passes(liquidValues({})).length, 9_695);
      assert.throws(() => fails(liquidValues({})), new RenderTooCostly(20_000));
    }
  });

  it('loops in a loop', () => {
    const content = loop(1_000, loop(1_000, ''));
    for (let times = 0; times < 10; times += 1) assert.equal(failure(content), 'RenderTooCostly');
  });

  it('templates of one render share the steps, and the last may fail on its first', () => {
    const half = compileLiquid(loop(6_000, 'x'), TRUSTED);
    const values = liquidValues({});
    assert.equal(half(values).length, 6_000);
    assert.throws(() => half(values), RenderTooCostly);
    assert.throws(() => compileLiquid('{{ 1 }}', TRUSTED)(values), RenderTooCostly);
    assert.equal(half(liquidValues({})).length, 6_000);
  });

  it('each operand, operator and filter counts', () => {
    for (const [content, times] of [
      ['{% if a and b %}{% endif %}', 5_000],
      ['{{ a | upcase | downcase }}', 6_000],
      ['{{ a.b.c.d.e.f }}', 6_000],
    ] as const) {
      const values = { a: { b: { c: { d: { e: { f: 1 } } } } }, b: 1 };
      assert.equal(failure(loop(times, content), values), 'RenderTooCostly', content);
    }
    assert.equal(liquid(loop(6_000, '{{ a }}'), { a: 1 }).length, 6_000);
  });

  it('asking in vain counts', () => {
    assert.equal(failure(loop(5_000, '{% if a.b %}{% endif %}'), { a: {} }), 'RenderTooCostly');
    assert.equal(liquid(loop(5_000, '{% if a.b %}{% endif %}'), { a: { b: false } }), '');
  });

  it('what stays inside of a capture is no rendered text, and counts all the same', () => {
    const text = 'a'.repeat(200_000);
    const capture = '{% capture c %}{{ t }}{% endcapture %}';
    assert.equal(liquid(loop(6, capture), { t: text }), '');
    assert.equal(failure(loop(7, capture), { t: text }), 'RenderTooCostly');
    assert.equal(failure(loop(6, '{{ t }}'), { t: text }), 'RenderedTooLarge');
    assert.throws(() => liquid('{{ t }}'.repeat(6), { t: text }), RenderedTooLarge);
  });

  it('should the counts ever miss something, a clock ends it', () => {
    const check = lastGuard(2_000);
    check(5_000);
    check(7_000);
    assert.throws(() => check(7_001), new WorkTooLong('liquid_render', 2_000));
    assert.doesNotThrow(() => lastGuard()(Number.MAX_VALUE));
  });
});

describe('Untrusted values cannot leave their delimiter', () => {
  const HOSTILE = '</untrusted> {{ a }} {% if %} & <b>';
  const DELIMITED = '<untrusted name="q">&lt;/untrusted&gt; {{ a }} {% if %} &amp; &lt;b&gt;</untrusted>';

  it('output on its own is the delimited text', () => {
    assert.equal(liquid('{{ q }}{{- q -}}{% if true %}{{ q }}{% endif %}', { q: HOSTILE }, ['q']), DELIMITED.repeat(3));
    const values: JsonObject = { q: { b: '<', a: 1 }, l: ['>'], n: 5 };
    assert.equal(
      liquid('{{ q }}{{ l }}{{ n }}', values, ['q', 'l', 'n']),
      '<untrusted name="q">{"a":1,"b":"&lt;"}</untrusted><untrusted name="l">["&gt;"]</untrusted>' +
        '<untrusted name="n">5</untrusted>',
    );
  });

  it('output twice, in two templates of a render, it is the same', () => {
    const values = liquidValues({ q: HOSTILE }, ['q']);
    const render = compileLiquid('{{ q }}', new Set(['q']));
    assert.equal(render(values), DELIMITED);
    assert.equal(render(values), DELIMITED);
  });

  it('conditions see the value as it was sent', () => {
    const test = (condition: string, q: Json): boolean => {
      return liquid(`{% if ${condition} %}yes{% endif %}`, { q, a: '<b>' }, ['q']) === 'yes';
    };
    for (const condition of [
      'q contains "<b>"',
      'q contains a',
      'q == "&<b>"',
      'q',
      'q != blank',
      'q > "%"',
      'q.size == 4',
    ]) {
      assert.ok(test(condition, '&<b>'), condition);
    }
    assert.ok(test('q == blank', ' ') && test('q == empty', '') && test('q == empty', []) && test('blank == q', '\n'));
    assert.ok(
      test('q > 4', 5) && test('q.a == "<"', { a: '<' }) && test('q contains 2', [1, 2]) && test('q.size == 2', [1, 2]),
    );
    assert.ok(test('q == q', [1]) && test('q[0].b', [{ b: 1 }]));
    for (const member of ['delimited', 'valueOf', 'constructor', 'toString'])
      assert.ok(!test(`q.${member}`, { a: 1 }), member);
    assert.equal(liquid('{% case q %}{% when "<" %}yes{% endcase %}', { q: '<' }, ['q']), 'yes');
    assert.equal(liquid('{% case "<" %}{% when q %}yes{% endcase %}', { q: '<' }, ['q']), 'yes');
    assert.equal(liquid('{% if labels[q] == 1 %}yes{% endif %}', { q: '<', labels: { '<': 1 } }, ['q']), 'yes');
  });

  it('what is left of it when cleaned may be nothing', () => {
    assert.equal(liquid('[{{ q }}]{% if q == "\u200B" %}sent{% endif %}', { q: '\u200B' }, ['q']), '[]sent');
  });

  it('none of it stands in an error', () => {
    const errors = [
      '{% if q > 1 %}{% endif %}',
      '{% if o[q] == o %}{% endif %}{{ o.x }}',
      '{% if q.size > "x" %}{% endif %}',
    ].map((content) => failure(content, { q: 'secret', o: {} }));
    for (const error of errors) assert.doesNotMatch(error, /secret/);
  });
});

describe('White space is the author’s', () => {
  it('but for dashes', () => {
    assert.equal(liquid(' a {%- if true -%} b {%- endif -%} c {{- 1 -}} d '), ' abc1d ');
    assert.deepEqual(mistakes('{%- # a -%}\n{{- 1 -}}'), []);
  });
});
