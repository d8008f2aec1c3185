import assert from 'node:assert/strict';
import {
  compileBundle,
  type Message,
  messagesHash,
  placeholdersHash,
  renderedHash,
  RENDERER_VERSION,
  variablesHash,
} from '../../../src/domain/assembly.ts';
import type { UncheckedConstraint } from '../../../src/domain/constraint.ts';
import { sha256 } from '../../../src/domain/document.ts';
import { RenderedTooLarge } from '../../../src/domain/errors.ts';
import type { Role } from '../../../src/domain/prompt-type.ts';
import { snapshotDocument } from '../../../src/domain/snapshot.ts';
import { compiled, declaration, snapshot } from '../../support/drafts.ts';

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
    assert.deepEqual(bundle.assemble(NONE, NONE).messages, [
      { role: 'SYSTEM', content: 'P\n\nB\n\nYour answer must follow these rules:\n- Be brief.' },
      { role: 'USER', content: 'A' },
    ]);
  });

  it('there is none if nothing goes into it', () => {
    const bundle = compiled({ sections: [section('note', 'SYSTEM'), section('a', 'USER')] }, TEMPLATES);
    assert.deepEqual(bundle.assemble(NONE, NONE).messages, [{ role: 'USER', content: 'A' }]);
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
    const { messages, text } = bundle.assemble(NONE, history(...said));
    assert.deepEqual(messages, [{ role: 'USER', content: 'A' }, ...said, { role: 'USER', content: 'B' }]);
    assert.equal(text, 'A\n\n{x} \n\n\n\n\ne\u0301\n\nB');
  });

  it('no history', () => {
    assert.equal(bundle.assemble(NONE, NONE).text, 'A\n\nB');
    assert.equal(bundle.assemble(NONE, history()).text, 'A\n\nB');
  });

  it('unknown placeholders are not looked at', () => {
    assert.deepEqual(bundle.placeholders, ['history']);
    assert.equal(bundle.assemble(NONE, new Map([['memory', [{ role: 'USER', content: 'X' }]]])).text, 'A\n\nB');
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
    assert.deepEqual(bundle.assemble(NONE, NONE), {
      messages: [{ role: 'SYSTEM', content: 'A\n\nB' }],
      text: 'A\n\nB',
      emptySections: [0, 2],
    });
    assert.deepEqual(bundle.assemble(new Map([['note', 'N']]), NONE), {
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
    assert.deepEqual(bundle.assemble(NONE, NONE), { messages: [], text: '', emptySections: [] });
  });
});

describe('Rendered text is bounded', () => {
  const MIB = 1024 * 1024;
  const bundle = compiled({ sections: [section('a', 'SYSTEM'), { placeholder: 'history' }] }, TEMPLATES);

  it('1 MiB is rendered, one byte more is not', () => {
    const most = 'é'.repeat((MIB - 3 - 1) / 2);
    assert.equal(Buffer.byteLength(bundle.assemble(NONE, history({ role: 'USER', content: `${most}x` })).text), MIB);
    assert.throws(
      () => bundle.assemble(NONE, history({ role: 'USER', content: `${most}xy` })),
      (error) => error instanceof RenderedTooLarge && error.bytes === MIB + 1 && error.maxBytes === MIB,
    );
  });

  it('a text that could not even be held in memory is refused before it is built', () => {
    const templates = { a: { content: '{v}'.repeat(3000) } };
    const greedy = compiled({ sections: [section('a', 'USER')] }, templates);
    assert.throws(
      () => greedy.assemble(new Map([['v', 'x'.repeat(256 * 1024)]]), NONE),
      (error) => error instanceof RenderedTooLarge && error.bytes === 3000 * 256 * 1024,
    );
  });
});

describe('The renderer version follows the semantics', () => {
  it('these are the semantics of version 1', () => {
    assert.equal(RENDERER_VERSION, 1);
  });
});

describe('The rendered hash covers the text', () => {
  it('one word', () => {
    assert.equal(renderedHash('hello'), '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824');
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
    const user = bundle.assemble(NONE, history({ role: 'USER', content: 'x' }));
    const tool = bundle.assemble(NONE, history({ role: 'TOOL', content: 'x' }));
    assert.equal(renderedHash(user.text), renderedHash(tool.text));
    assert.notEqual(messagesHash(user.messages), messagesHash(tool.messages));
    assert.equal(
      messagesHash(user.messages),
      sha256('[{"content":"A","role":"SYSTEM"},{"content":"x","role":"USER"}]'),
    );
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
});
