import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toJson } from '@bufbuild/protobuf';
import { BundleDraftSchema, MessageListSchema, TemplateDraftSchema } from '../../../gen/platen/v1/resources_pb.js';
import {
  parseBundleFile,
  parseHistoryFile,
  parseRenderFile,
  parseTemplateFile,
  parseTenantFile,
  readSource,
  type Source,
} from '../../../src/cli/files.ts';

const source = (text: string): Source => ({ name: 'x', text });
const problems = (read: () => unknown): string[] => {
  try {
    read();
  } catch (error) {
    return (error as Error).message.split('\n');
  }
  return [];
};

describe('Commands cover the services: the files that commands read', () => {
  describe('a template', () => {
    it('is YAML front matter and content', () => {
      const file = parseTemplateFile(
        source(`---
type: GREETING
syntax: LITERAL
description: Says hello.
version: 1.2.0
allow_literal_braces: true
variables:
  - { name: user, required: true, max_length: 20, pattern: '[a-z]+', description: Who. }
  - { name: mood, type: ENUM, enum_values: [warm, cool], default: warm }
---
Hello {user},

how are you?
`),
      );
      assert.equal(file.version, '1.2.0');
      assert.equal(file.type, 2);
      assert.deepEqual(toJson(TemplateDraftSchema, file.draft), {
        syntax: 'TEMPLATE_SYNTAX_LITERAL',
        content: 'Hello {user},\n\nhow are you?',
        description: 'Says hello.',
        allowLiteralBraces: true,
        variables: [
          {
            name: 'user',
            type: 'VARIABLE_TYPE_STRING',
            required: true,
            maxLength: 20,
            pattern: '[a-z]+',
            description: 'Who.',
          },
          { name: 'mood', type: 'VARIABLE_TYPE_ENUM', enumValues: ['warm', 'cool'], default: 'warm' },
        ],
      });
    });

    it('may be LIQUID and have variables that are untrusted', () => {
      const file = parseTemplateFile(
        source(`---
syntax: LIQUID
variables:
  - { name: note, untrusted: true }
  - { name: tags, type: LIST, untrusted: false }
---
{% if note %}They write: {{ note }}{% endif %}
`),
      );
      assert.deepEqual(toJson(TemplateDraftSchema, file.draft), {
        syntax: 'TEMPLATE_SYNTAX_LIQUID',
        content: '{% if note %}They write: {{ note }}{% endif %}',
        variables: [
          { name: 'note', type: 'VARIABLE_TYPE_STRING', untrusted: true },
          { name: 'tags', type: 'VARIABLE_TYPE_LIST' },
        ],
      });
    });

    it('may be content alone', () => {
      const file = parseTemplateFile(source('Hello {user}.\r\nBye.\r\n'));
      assert.equal(file.type, 0);
      assert.equal(file.version, '');
      assert.deepEqual(toJson(TemplateDraftSchema, file.draft), { content: 'Hello {user}.\r\nBye.' });
    });

    it('may begin with a byte order mark and have CRLF line ends', () => {
      const file = parseTemplateFile(source('\uFEFF---\r\ntype: GREETING\r\n---\r\nHi\r\n'));
      assert.equal(file.type, 2);
      assert.equal(file.draft.content, 'Hi');
    });

    it('loses only the newline that ends the file', () => {
      assert.equal(parseTemplateFile(source('---\n---\n\nHi\n\n')).draft.content, '\nHi\n');
    });

    for (const text of ['\n---\ntype: GREETING\n---\nHi\n', 'Hi\r\n--- \r\n\r\nvariables: []\r\n---\r\nHi\r\n']) {
      it(`is refused if its front matter comes late: ${JSON.stringify(text)}`, () => {
        assert.deepEqual(problems(() => parseTemplateFile(source(text))), [
          'x:2: front matter begins on the first line of a file; ' +
            'if it is meant as content, put two lines of --- before it',
        ]);
        const { draft } = parseTemplateFile(source(`---\n---\n${text}`));
        assert.equal(draft.content, text.replaceAll('\r', '').slice(0, -1));
      });
    }

    it('may have rules of --- in content alone', () => {
      const content = 'Hi\n---\nThe types: a, b\n---';
      assert.equal(parseTemplateFile(source(content)).draft.content, content);
    });

    for (const head of [
      'template        acme/hello\nedit_version    2\n',
      '\nbundle  a/b@1.0.0\r\nedit_version  11\r\n',
    ]) {
      it(`is refused if it is what get prints beside a file: ${JSON.stringify(head)}`, () => {
        assert.deepEqual(problems(() => parseTemplateFile(source(`${head}\n---\ntype: GREETING\n---\nHi\n`))), [
          'x:1: this is what get and show-version print on standard error, not a template; ' +
            'keep standard output only, or if it is meant as content, put two lines of --- before it',
        ]);
      });
    }

    it('is refused if its front matter has no end', () => {
      assert.deepEqual(problems(() => parseTemplateFile(source('---\ntype: GREETING\nHello'))), [
        'x:1: the front matter is not closed by a line of ---',
      ]);
    });
  });

  describe('a bundle', () => {
    it('holds personality, sections, constraints of every kind and model_config', () => {
      const file = parseBundleFile(
        source(`type: SYSTEM_PROMPT
description: All there is.
version: 1.0.0
channel: production
activate: true
personality: { template: voice, version: ^1.0.0 }
sections:
  - { template: scope, version: 1.0.0, role: SYSTEM }
  - placeholder: history
constraints:
  - { id: a, severity: ERROR, instruction: Short., max_chars: 10 }
  - { id: b, severity: WARNING, min_chars: 1 }
  - { id: c, severity: ERROR, max_words: 5 }
  - { id: d, severity: ERROR, required_phrases: [x, y] }
  - { id: e, severity: ERROR, forbidden_phrases: [z] }
  - { id: f, severity: ERROR, required_pattern: '\\?' }
  - { id: g, severity: ERROR, forbidden_pattern: '!' }
  - { id: h, severity: ERROR, json_schema: { type: object } }
model_config:
  temperature: 0.5
`),
      );
      assert.deepEqual([file.type, file.version, file.channel, file.activate], [1, '1.0.0', 'production', true]);
      assert.deepEqual(toJson(BundleDraftSchema, file.draft), {
        description: 'All there is.',
        personality: { templateId: 'voice', version: '^1.0.0' },
        sections: [
          { template: { template: { templateId: 'scope', version: '1.0.0' }, role: 'ROLE_SYSTEM' } },
          { placeholder: 'history' },
        ],
        constraints: [
          { id: 'a', severity: 'SEVERITY_ERROR', instruction: 'Short.', maxChars: 10 },
          { id: 'b', severity: 'SEVERITY_WARNING', minChars: 1 },
          { id: 'c', severity: 'SEVERITY_ERROR', maxWords: 5 },
          { id: 'd', severity: 'SEVERITY_ERROR', requiredPhrases: { phrases: ['x', 'y'] } },
          { id: 'e', severity: 'SEVERITY_ERROR', forbiddenPhrases: { phrases: ['z'] } },
          { id: 'f', severity: 'SEVERITY_ERROR', requiredPattern: '\\?' },
          { id: 'g', severity: 'SEVERITY_ERROR', forbiddenPattern: '!' },
          { id: 'h', severity: 'SEVERITY_ERROR', jsonSchema: { type: 'object' } },
        ],
        modelConfig: { temperature: 0.5 },
      });
    });

    it('may leave everything to its draft', () => {
      const file = parseBundleFile(source('sections: []\n'));
      assert.deepEqual([file.type, file.version, file.channel, file.activate], [0, '', '', false]);
      assert.deepEqual(toJson(BundleDraftSchema, file.draft), {});
    });
  });

  describe('a tenant', () => {
    it('holds parent, name, policy, retention and variables', () => {
      const text =
        'display_name: Acme\nparent: default\ncapture_policy: FULL\nreceipt_retention_days: 90\n' +
        'variables: { a: 1, b: [x, null] }\n';
      assert.deepEqual(parseTenantFile(source(text)), {
        parent: 'default',
        displayName: 'Acme',
        capturePolicy: 1,
        receiptRetentionDays: 90,
        variables: { a: 1, b: ['x', null] },
      });
    });

    it('may be empty', () => {
      assert.deepEqual(parseTenantFile(source('')), {
        parent: '',
        displayName: '',
        capturePolicy: 0,
        receiptRetentionDays: 0,
        variables: {},
      });
    });
  });

  describe('a render request', () => {
    it('holds all that a request has', () => {
      const file = parseRenderFile(
        source(`tenant: acme
bundle: { bundle_id: assistant, channel: beta }
variables: { today: "2025-06-05" }
placeholders:
  history:
    - { role: USER, content: Hi }
labels: { service: chat }
min_seq: 5000000000
request_id: r-1
fallback_text: Sorry.
view: FULL
`),
      );
      const { placeholders, ...rest } = file;
      assert.deepEqual(rest, {
        tenant: 'acme',
        type: 0,
        bundle: { bundleId: 'assistant', version: '', channel: 'beta' },
        channel: '',
        variables: { today: '2025-06-05' },
        labels: { service: 'chat' },
        minSeq: 5_000_000_000,
        requestId: 'r-1',
        fallbackText: 'Sorry.',
        view: 3,
      });
      assert.deepEqual(toJson(MessageListSchema, placeholders.history!), {
        messages: [{ role: 'ROLE_USER', content: 'Hi' }],
      });
    });

    it('names one target and one selector', () => {
      const text = 'type: GREETING\nbundle: { bundle_id: a, version: 1.0.0, channel: beta }\n';
      assert.deepEqual(problems(() => parseRenderFile(source(text))), [
        'x:1: either bundle or type is rendered, not both',
        'x:2: bundle: either version or channel selects, not both',
      ]);
    });
  });

  it('a history is a list of messages, in YAML or JSON', () => {
    const list = parseHistoryFile(source('[{"role": "ASSISTANT", "content": "Hello"}]'));
    assert.deepEqual(toJson(MessageListSchema, list), { messages: [{ role: 'ROLE_ASSISTANT', content: 'Hello' }] });
  });

  describe('every problem is named with its line', () => {
    it('unknown keys, with the ones that are allowed', () => {
      assert.deepEqual(problems(() => parseTenantFile(source('parent: a\nvariable:\n  a: 1\n'))), [
        'x:2: variable: unknown key; allowed: parent, display_name, capture_policy, receipt_retention_days, variables',
      ]);
    });

    it('wrong names, with the ones that are allowed, in front matter too', () => {
      assert.deepEqual(problems(() => parseTemplateFile(source('---\nsyntax: MUSTACHE\ntype: greeting\n---\nHi\n'))), [
        'x:2: syntax: "MUSTACHE" is no TemplateSyntax; allowed: FORMAT, LITERAL, LIQUID',
        'x:3: type: "greeting" is no PromptType; ' +
          'allowed: SYSTEM_PROMPT, GREETING, FAREWELL, REJECTION, CLARIFICATION, HANDOFF',
      ]);
    });

    it('keys and values of a variable', () => {
      const text = '---\nvariables:\n  - name: a\n    untrusted: "yes"\n  - name: b\n    trusted: false\n---\nHi\n';
      assert.deepEqual(problems(() => parseTemplateFile(source(text))), [
        'x:4: variables[0].untrusted: must be true or false',
        'x:6: variables[1].trusted: unknown key; allowed: name, type, required, untrusted, default, description, ' +
          'max_length, pattern, enum_values',
      ]);
    });

    it('wrong types of values', () => {
      const text = `description: 1
version: { a: b }
activate: maybe
sections: 5
constraints:
  - { id: a, severity: ERROR, max_chars: 1.5 }
  - { id: b, severity: ERROR, max_chars: 3000000000 }
  - text
model_config: [1]
`;
      assert.deepEqual(problems(() => parseBundleFile(source(text))), [
        'x:1: description: must be text; put it in quotes',
        'x:2: version: must be text',
        'x:3: activate: must be true or false',
        'x:4: sections: must be a list',
        'x:6: constraints[0].max_chars: must be a whole number, at most 2147483647',
        'x:7: constraints[1].max_chars: must be a whole number, at most 2147483647',
        'x:8: constraints[2]: must be a mapping of names to values',
        'x:8: constraints[2]: one rule is required; allowed: max_chars, min_chars, max_words, required_phrases, ' +
          'forbidden_phrases, required_pattern, forbidden_pattern, json_schema',
        'x:8: constraints[2].id: is required',
        'x:8: constraints[2].severity: is required',
        'x:9: model_config: must be a mapping of names to values',
      ]);
    });

    it('sections and constraints that are two things at once', () => {
      const text = `sections:
  - placeholder: history
    role: USER
constraints:
  - { id: a, severity: ERROR, max_chars: 1, min_chars: 2 }
`;
      assert.deepEqual(problems(() => parseBundleFile(source(text))), [
        'x:3: sections[0].role: does not go with placeholder; make it a section of its own',
        'x:5: constraints[0]: one rule is required and there are max_chars, min_chars; ' +
          'allowed: max_chars, min_chars, max_words, required_phrases, forbidden_phrases, required_pattern, ' +
          'forbidden_pattern, json_schema',
      ]);
    });

    it('numbers that are not finite, anywhere in a value', () => {
      assert.deepEqual(problems(() => parseTenantFile(source('variables:\n  a: .nan\n  b:\n    - c: -.inf\n'))), [
        'x:2: variables.a: must be a finite number',
        'x:4: variables.b[0].c: must be a finite number',
      ]);
    });

    it('what is no YAML', () => {
      assert.deepEqual(problems(() => parseTenantFile(source('parent: a\nparent: b\nvariables: !secret x\n'))), [
        'x:2: Map keys must be unique',
        'x:3: Unresolved tag: !secret',
      ]);
    });

    it('an alias without an anchor', () => {
      assert.deepEqual(problems(() => parseTenantFile(source('parent: *nobody\n'))), [
        'x: Unresolved alias (the anchor must be set before the alias): nobody',
      ]);
    });

    it('what is behind an alias, at the line of the alias', () => {
      const text = 'personality: &p { template: a, version: ^1, role: USER }\nsections:\n  - *p\n';
      assert.deepEqual(problems(() => parseBundleFile(source(text))), [
        'x:1: personality.role: unknown key; allowed: template, version',
      ]);
      const twice = 'constraints:\n  - &c { id: a, severity: FATAL, max_chars: 1 }\n  - *c\n';
      assert.deepEqual(problems(() => parseBundleFile(source(twice))), [
        'x:2: constraints[0].severity: "FATAL" is no Severity; allowed: ERROR, WARNING',
        'x:3: constraints[1].severity: "FATAL" is no Severity; allowed: ERROR, WARNING',
      ]);
      const unknown = 'sections:\n  - &s { placeholder: a, x: 1 }\n  - *s\n';
      assert.deepEqual(problems(() => parseBundleFile(source(unknown))), [
        'x:2: sections[0].x: unknown key; allowed: template, version, role, placeholder',
        'x:3: sections[1].x: unknown key; allowed: template, version, role, placeholder',
      ]);
    });

    it('a whole that is no mapping', () => {
      assert.deepEqual(problems(() => parseTenantFile(source('just text'))), [
        'x:1: must be a mapping of names to values',
      ]);
    });
  });

  describe('reading', () => {
    let folder: string;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'platen-cli-'));
    });
    afterEach(() => rm(folder, { recursive: true }));

    async function* stdin(...parts: (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
      yield* parts;
    }

    it('takes a path', async () => {
      const path = join(folder, 'a.yaml');
      await writeFile(path, 'parent: ü\n');
      assert.deepEqual(await readSource(path, stdin()), { name: path, text: 'parent: ü\n' });
    });

    it('takes - for standard input, whatever its chunks', async () => {
      const [first, second] = [Buffer.from('ü').subarray(0, 1), Buffer.from('ü').subarray(1)];
      assert.deepEqual(await readSource('-', stdin('a', first, second)), { name: '<stdin>', text: 'aü' });
    });

    it('names the file that is not there', async () => {
      const path = join(folder, 'b.yaml');
      await assert.rejects(readSource(path, stdin()), { message: `${path}: cannot be read (ENOENT)` });
    });

    it('refuses what is not UTF-8', async () => {
      await assert.rejects(readSource('-', stdin(Buffer.from([0xff]))), { message: '<stdin>: is not UTF-8' });
    });
  });
});
