import assert from 'node:assert/strict';
import {
  compileBundle,
  hashesOf,
  type Message,
  placeholdersHash,
  RENDERER_VERSION,
  rendererOf,
  variablesHash,
} from '../../../src/domain/assembly.ts';
import type { UncheckedConstraint } from '../../../src/domain/constraint.ts';
import { sha256 } from '../../../src/domain/document.ts';
import { InvalidInput, RenderedTooLarge, RenderTooCostly } from '../../../src/domain/errors.ts';
import type { Role } from '../../../src/domain/prompt-type.ts';
import { snapshotDocument } from '../../../src/domain/snapshot.ts';
import { compiled, declaration, snapshot } from '../../support/drafts.ts';
import { given } from '../../support/given.ts';

const NONE = new Map<string, never>();

function section(templateId: string, role: Role) {
  return { template: { templateId, version: '1.0.0' }, role };
}

function constraint(instruction: string): UncheckedConstraint {
  return { id: 'c', severity: 'ERROR', instruction, rule: { kind: 'max_chars', value: 9 } };
}

function history(...messages: Message[]): ReadonlyMap<string, readonly Message[]> {
  return new Map([['history', messages]]);
}

const NOTE = { content: '{note}', variables: [declaration({ name: 'note' })] };
const TEMPLATES = {
  p: { content: 'P' },
  a: { content: 'A' },
  b: { content: 'B' },
  note: NOTE,
};

describe('One system message comes first', () => {
  it('personality, SYSTEM sections and instructions, one blank line between them', () => {
    const bundle = compiled(
      {
        personality: { templateId: 'p', version: '1.0.0' },
        sections: [section('a', 'USER'), section('b', 'SYSTEM')],
        constraints: [constraint('Be brief.')],
      },
      TEMPLATES,
    );
    assert.deepEqual(bundle.assemble(given(), NONE).messages, [
      { role: 'SYSTEM', content: 'P\n\nB\n\nYour answer must follow these rules:\n- Be brief.' },
      { role: 'USER', content: 'A' },
    ]);
  });

  it('there is none if nothing goes into it', () => {
    const bundle = compiled({ sections: [section('note', 'SYSTEM'), section('a', 'USER')] }, TEMPLATES);
    assert.deepEqual(bundle.assemble(given(), NONE).messages, [{ role: 'USER', content: 'A' }]);
  });
});

describe('Other parts keep their order', () => {
  const bundle = compiled(
    { sections: [section('a', 'USER'), { placeholder: 'history' }, section('b', 'USER')] },
    TEMPLATES,
  );

  it('history between sections, verbatim and with its own roles', () => {
    const said: Message[] = [
      { role: 'ASSISTANT', content: '{x} \n' },
      { role: 'SYSTEM', content: '' },
      { role: 'TOOL', content: 'e\u0301' },
    ];
    const { messages, text } = bundle.assemble(given(), history(...said));
    assert.deepEqual(messages, [{ role: 'USER', content: 'A' }, ...said, { role: 'USER', content: 'B' }]);
    assert.equal(text, 'A\n\n{x} \n\n\n\n\ne\u0301\n\nB');
  });

  it('no history', () => {
    assert.equal(bundle.assemble(given(), NONE).text, 'A\n\nB');
    assert.equal(bundle.assemble(given(), history()).text, 'A\n\nB');
  });

  it('unknown placeholders are not looked at', () => {
    assert.deepEqual(bundle.placeholders, ['history']);
    assert.equal(bundle.assemble(given(), new Map([['memory', [{ role: 'USER', content: 'X' }]]])).text, 'A\n\nB');
  });
});

describe('Empty parts are dropped with their separator', () => {
  it('an empty middle, and a section of another role', () => {
    const sections = [
      section('note', 'USER'),
      section('a', 'SYSTEM'),
      section('note', 'SYSTEM'),
      section('b', 'SYSTEM'),
    ];
    const bundle = compiled({ sections }, TEMPLATES);
    assert.deepEqual(bundle.assemble(given(), NONE), {
      messages: [{ role: 'SYSTEM', content: 'A\n\nB' }],
      text: 'A\n\nB',
      emptySections: [0, 2],
    });
    assert.deepEqual(bundle.assemble(given({ note: 'N' }), NONE), {
      messages: [
        { role: 'SYSTEM', content: 'A\n\nN\n\nB' },
        { role: 'USER', content: 'N' },
      ],
      text: 'A\n\nN\n\nB\n\nN',
      emptySections: [],
    });
  });

  it('a personality without a word is no section', () => {
    const bundle = compiled({ personality: { templateId: 'note', version: '1.0.0' }, sections: [] }, TEMPLATES);
    assert.deepEqual(bundle.assemble(given(), NONE), { messages: [], text: '', emptySections: [] });
  });
});

describe('Rendered text is bounded', () => {
  const MIB = 1024 * 1024;
  const bundle = compiled({ sections: [section('a', 'SYSTEM'), { placeholder: 'history' }] }, TEMPLATES);

  it('1 MiB is rendered, one byte more is not', () => {
    const most = 'é'.repeat((MIB - 3 - 1) / 2);
    assert.equal(Buffer.byteLength(bundle.assemble(given(), history({ role: 'USER', content: `${most}x` })).text), MIB);
    assert.throws(
      () => bundle.assemble(given(), history({ role: 'USER', content: `${most}xy` })),
      (error) => error instanceof RenderedTooLarge && error.maxBytes === MIB,
    );
  });

  it('a text that could not even be held in memory is refused before it is built', () => {
    const templates = { a: { content: '{v}'.repeat(3000) } };
    const greedy = compiled({ sections: [section('a', 'USER')] }, templates);
    assert.throws(
      () => greedy.assemble(given({ v: 'x'.repeat(256 * 1024) }), NONE),
      (error) => error instanceof RenderedTooLarge,
    );
  });
});

describe('The renderer version follows the semantics', () => {
  it('these are the semantics of version 2', () => {
    assert.equal(RENDERER_VERSION, 2);
    assert.equal(rendererOf(2)?.hashesOf, hashesOf);
  });

  it('version 2 assembles as version 1 did, which hashed the messages as they are', () => {
    const former = rendererOf(1)!;
    const rendered = { text: 'A', messages: [{ role: 'SYSTEM' as const, content: 'A' }] };
    assert.equal(former.compile, rendererOf(2)?.compile);
    assert.deepEqual(former.hashesOf(rendered), {
      renderedHash: sha256('A'),
      messagesHash: sha256('[{"content":"A","role":"SYSTEM"}]'),
    });
  });

  it('there is no renderer of a version to come', () => {
    assert.equal(rendererOf(3), undefined);
  });
});

describe('The rendered hash covers the text', () => {
  it('one word', () => {
    const { renderedHash } = hashesOf({ text: 'hello', messages: [{ role: 'USER', content: 'hello' }] });
    assert.equal(renderedHash, '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824');
  });
});

describe('Each input has its own hash', () => {
  it('defaults and explicit values', () => {
    const tone = { content: '{tone}', variables: [declaration({ name: 'tone', default: 'calm' })] };
    const { variables } = compiled({ sections: [section('a', 'SYSTEM')] }, { a: tone });
    const byDefault = variablesHash(variables.resolve({}, {}).values);
    assert.equal(variablesHash(variables.resolve({}, { tone: 'calm' }).values), byDefault);
    assert.equal(byDefault, sha256('{"tone":"calm"}'));
  });

  it('only a role differs', () => {
    const bundle = compiled({ sections: [section('a', 'SYSTEM'), { placeholder: 'history' }] }, TEMPLATES);
    const user = hashesOf(bundle.assemble(given(), history({ role: 'USER', content: 'x' })));
    const tool = hashesOf(bundle.assemble(given(), history({ role: 'TOOL', content: 'x' })));
    assert.equal(user.renderedHash, tool.renderedHash);
    assert.notEqual(user.messagesHash, tool.messagesHash);
  });

  it('messages are hashed by the hashes of their contents', () => {
    const messagesOf = (...messages: Message[]) =>
      hashesOf({ text: messages.map(({ content }) => content).join('\n\n'), messages }).messagesHash;
    const entry = (content: string, role: Role) => `{"content_hash":"${sha256(content)}","role":"${role}"}`;
    assert.equal(messagesOf(), sha256('[]'));
    assert.equal(messagesOf({ role: 'SYSTEM', content: 'Grüß "A"' }), sha256(`[${entry('Grüß "A"', 'SYSTEM')}]`));
    assert.equal(
      messagesOf({ role: 'SYSTEM', content: 'A' }, { role: 'USER', content: '' }),
      sha256(`[${entry('A', 'SYSTEM')},${entry('', 'USER')}]`),
    );
  });

  it('contents that are parted otherwise are other messages', () => {
    const one = hashesOf({ text: 'A\n\nB', messages: [{ role: 'USER', content: 'A\n\nB' }] });
    const parted = { text: 'A\n\nB', messages: ['A', 'B'].map((content) => ({ role: 'USER' as const, content })) };
    assert.equal(hashesOf(parted).renderedHash, one.renderedHash);
    assert.notEqual(hashesOf(parted).messagesHash, one.messagesHash);
  });

  it('the history that is used; an empty one is none', () => {
    assert.equal(placeholdersHash(NONE), sha256('{}'));
    assert.equal(placeholdersHash(history()), sha256('{}'));
    assert.equal(
      placeholdersHash(history({ role: 'USER', content: 'x' })),
      sha256('{"history":[{"content":"x","role":"USER"}]}'),
    );
  });

  it('a compiled bundle carries those of its snapshot', () => {
    const built = snapshot(
      { personality: { templateId: 'p', version: '1.0.0' }, sections: [], constraints: [constraint('')] },
      TEMPLATES,
    );
    const document = snapshotDocument(built);
    const bundle = compileBundle(document);
    assert.equal(bundle.bundleHash, document.hash);
    assert.equal(bundle.personalityHash, sha256('{"content":"P","syntax":"FORMAT"}'));
    assert.equal(bundle.constraintsHash, sha256('[{"id":"c","max_chars":9,"severity":"ERROR"}]'));
    assert.deepEqual(bundle.snapshot, built);
  });
});

describe('A snapshot is complete and frozen', () => {
  it('what is compiled from it is frozen too', () => {
    const bundle = compiled({ sections: [section('a', 'SYSTEM'), { placeholder: 'history' }] }, TEMPLATES);
    for (const part of [bundle, bundle.placeholders, bundle.variables, bundle.snapshot, bundle.snapshot.sections]) {
      assert.ok(Object.isFrozen(part));
    }
  });
});

describe('The first level is bounded by bytes', () => {
  it('a longer text takes more', () => {
    const short = compiled({ sections: [section('a', 'SYSTEM')] }, TEMPLATES);
    const long = compiled({ sections: [section('a', 'SYSTEM')] }, { a: { content: 'x'.repeat(5000) } });
    assert.ok(long.bytes - short.bytes >= 4999);
  });

  it('so do expressions of LIQUID, whatever tags they are in', () => {
    const bytes = (content: string): number => {
      return compiled({ sections: [section('a', 'SYSTEM')] }, { a: { syntax: 'LIQUID', content } }).bytes;
    };
    const expression = `{% if ${'a or '.repeat(1_000)}a %}{% endif %}`;
    assert.ok(bytes(expression) - bytes('{% if a %}{% endif %}') > 5_000 * 100);
    assert.ok(bytes('{{ a }}'.repeat(500)) - bytes('{{ a }}') > 3_000 * 100);
  });
});

describe('LIQUID renders deterministically', () => {
  it('in every section, next to the other syntaxes, from the same values', () => {
    const variables = [declaration({ name: 'list', type: 'LIST' }), declaration({ name: 'none' })];
    const templates = {
      p: { syntax: 'LIQUID', content: '{% for x in list %}{{ x }}{% endfor %}', variables },
      a: { content: '{list}' },
      b: { syntax: 'LIQUID', content: '{{ list | join: "," }}{% if none %}never{% endif %}', variables },
    } as const;
    const sections = [section('a', 'SYSTEM'), section('b', 'USER')];
    const bundle = compiled({ personality: { templateId: 'p', version: '1.0.0' }, sections }, templates);
    for (let times = 0; times < 3; times += 1) {
      assert.equal(bundle.assemble(given({ list: [1, 2] }), NONE).text, '12\n\n[1,2]\n\n1,2');
    }
  });

  it('a section that renders to nothing is dropped', () => {
    const content = '{% if vip == "yes" %}Thanks.{% endif %}';
    const templates = { a: { syntax: 'LIQUID', content }, b: { content: 'B' } } as const;
    const bundle = compiled({ sections: [section('a', 'SYSTEM'), section('b', 'SYSTEM')] }, templates);
    assert.deepEqual(bundle.assemble(given({ vip: 'no' }), NONE).emptySections, [0]);
    assert.equal(bundle.assemble(given({ vip: 'no' }), NONE).text, 'B');
  });

  it('a missing member names its variable', () => {
    const variables = [declaration({ name: 'user', type: 'OBJECT' })];
    const templates = { a: { syntax: 'LIQUID', content: 'a\n{{ user.name }}', variables }, b: { content: 'B' } } as const;
    const bundle = compiled({ sections: [section('b', 'SYSTEM'), section('a', 'SYSTEM')] }, templates);
    assert.throws(
      () => bundle.assemble(given({ user: {} }), NONE),
      (error) => {
        assert.ok(error instanceof InvalidInput);
        assert.equal(error.reason, 'VARIABLES_INVALID');
        assert.deepEqual(error.violations.map(({ field, reason }) => `${field} ${reason}`), ['variables.user MISSING']);
        assert.match(error.message, /line 2, column 4 of sections\[1\] reads "user.name"/);
        return true;
      },
    );
  });
});

describe('LIQUID work is counted', () => {
  it('templates of a bundle share the steps', () => {
    const variables = [declaration({ name: 'list', type: 'LIST' })];
    const loop = { syntax: 'LIQUID', content: '{% for x in list %}{{ x }}{% endfor %}', variables } as const;
    const templates = { p: loop, a: loop, b: loop };
    const personality = { templateId: 'p', version: '1.0.0' };
    const list = Array.from({ length: 4_000 }, () => 1);
    const once = compiled({ sections: [section('a', 'SYSTEM')] }, templates);
    const twice = compiled({ sections: [section('a', 'SYSTEM'), section('b', 'USER')] }, templates);
    const voiced = compiled({ personality, sections: [section('b', 'USER')] }, templates);
    for (let times = 0; times < 3; times += 1) {
      assert.equal(once.assemble(given({ list }), NONE).text.length, 4_000);
      assert.throws(() => twice.assemble(given({ list }), NONE), new RenderTooCostly(20_000));
      assert.throws(() => voiced.assemble(given({ list }), NONE), new RenderTooCostly(20_000));
    }
  });
});

describe('Untrusted values cannot leave their delimiter', () => {
  it('in none of the templates that insert them', () => {
    const variables = [declaration({ name: 'q', untrusted: true })];
    const templates = {
      a: { content: '{q}', variables },
      b: { syntax: 'LIQUID', content: '{{ q }}{% if q contains "<" %}!{% endif %}' },
    } as const;
    const bundle = compiled({ sections: [section('a', 'SYSTEM'), section('b', 'USER')] }, templates);
    const delimited = '<untrusted name="q">&lt;/untrusted&gt;</untrusted>';
    const resolved = bundle.variables.resolve({}, { q: '</untrusted>' });
    assert.equal(bundle.assemble(resolved, NONE).text, `${delimited}\n\n${delimited}!`);
  });
});
