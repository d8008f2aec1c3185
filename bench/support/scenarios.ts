import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf';
import {
  PromptType,
  Severity,
  TemplateSyntax,
  VariableType,
  type ConstraintSchema,
} from '../../gen/platen/v1/resources_pb.js';
import { answerOf, type Answer, type HostileClient } from './hostile-client.ts';
import { ORDINARY_RENDER, releaseBundle } from './ordinary-bundle.ts';
import { field, list, many, number, text, type ValueInit } from './values.ts';

/** Something that a hostile client does again and again. */
export interface Scenario {
  readonly name: string;
  /** What is sent. */
  readonly what: string;
  /** Makes what the call needs. @returns the call */
  prepare(client: HostileClient): Promise<() => Promise<Answer>>;
}

type Rule = NonNullable<MessageInitShape<typeof ConstraintSchema>['rule']>;

const MIB = 1024 * 1024;
/** Matches in steps that grow exponentially where an engine goes back. */
const BACKTRACKING = '(?:a|b|ab){1,200}(?:c|d)';
/** As long as a request may be, less what stands around it. */
const LARGEST = 4 * MIB - 1024;
const RENDER = 'RenderService/Render';
const PREVIEW = 'RenderService/Preview';
const CREATE_BUNDLE = 'BundleService/CreateBundle';

function errors(...rules: readonly Rule[]): MessageInitShape<typeof ConstraintSchema>[] {
  return rules.map((rule, index) => ({ id: `rule-${index}`, severity: Severity.ERROR, rule }));
}

/** Calls that take turns. */
function inTurn(...calls: readonly (() => Promise<Answer>)[]): () => Promise<Answer> {
  let turn = 0;
  return () => {
    turn += 1;
    return calls[turn % calls.length]!();
  };
}

function render({ clients }: HostileClient, bundleId: string, variables: Record<string, ValueInit>) {
  return () => answerOf(clients.renders.render({ target: { case: 'bundle', value: { bundleId } }, variables }));
}

/** Judges outputs by constraints. */
async function checkOutput(client: HostileClient, rules: readonly Rule[], outputs: readonly string[]) {
  const bundleId = client.newId();
  const draft = { syntax: TemplateSyntax.LITERAL, content: 'Answer.' };
  await releaseBundle(client.clients, bundleId, draft, errors(...rules));
  const calls = outputs.map(
    (output) => () => answerOf(client.clients.renders.checkOutput({ bundleId, version: '1.0.0', output })),
  );
  return inTurn(...calls);
}

/** Renders a LIQUID template that reads `items`. */
async function renderLiquid(client: HostileClient, content: string, lists: readonly ValueInit[]) {
  const id = client.newId();
  const variables = [{ name: 'items', type: VariableType.LIST, required: true }];
  await releaseBundle(client.clients, id, { syntax: TemplateSyntax.LIQUID, content, variables });
  return inTurn(...lists.map((items) => render(client, id, { items })));
}

/** Numbers in an order that has to be sorted. */
function numbers(count: number): ValueInit {
  return list(Array.from({ length: count }, (_, i) => number((i * 7919) % count)));
}

/** Saves a template again and again. */
function saveTemplate({ clients, newId }: { clients: HostileClient['clients']; newId: () => string }, draft: object) {
  const type = PromptType.SYSTEM_PROMPT;
  return () => answerOf(clients.templates.createTemplate({ templateId: newId(), type, draft }));
}

/** A schema that is checked in 2^levels steps. */
function fanOut(levels: number): JsonObject {
  const definitions = Array.from({ length: levels }, (_, level) => {
    const next = { $ref: `#/$defs/level${level + 1}` };
    return [`level${level}`, { allOf: [next, next] }];
  });
  return { $defs: { ...Object.fromEntries(definitions), [`level${levels}`]: {} }, $ref: '#/$defs/level0' };
}

/** @param words in the description of each property: the fewer, the more properties */
function largeSchema(bytes: number, words: number): JsonObject {
  const properties: Record<string, JsonObject> = {};
  const description = 'word '.repeat(words);
  for (let i = 0; JSON.stringify(properties).length < bytes; i += 1) {
    properties[`property_${i}`] = { type: 'string', description, maxLength: 100 + i };
  }
  return { type: 'object', properties };
}

/** A run of combining marks that has to be put in order: Unicode normalization takes the square of its length. */
function marks(count: number): string {
  return `a${'\u0301'.repeat(count / 2)}${'\u0316'.repeat(count / 2)}`;
}

/** A google.protobuf.Value: a list of as many Values as fit in the bytes. */
function listOfNothing(bytes: number): Buffer {
  return field(6, many(field(1), bytes / 2));
}

function entry(name: string, value: Uint8Array): Buffer {
  return Buffer.concat([field(1, Buffer.from(name)), field(2, value)]);
}

function nested(levels: number): Buffer {
  let value = field(6);
  for (let level = 1; level < levels; level += 1) value = field(6, field(1, value));
  return value;
}

/** What is sent, by name. The first is nothing: the server's own noise. */
export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'none',
    what: 'nothing: the noise of the server and of the machine',
    prepare: async () => async () => {
      await sleep(100);
      return 'OK';
    },
  },
  {
    name: 'pattern-save',
    what: 'a backtracking pattern saved for a variable, and as a constraint',
    prepare: async (client) => {
      const { clients } = client;
      const variables = [{ name: 'value', type: VariableType.STRING, pattern: BACKTRACKING }];
      const draft = { constraints: errors({ case: 'requiredPattern', value: BACKTRACKING }), sections: [] };
      const type = PromptType.SYSTEM_PROMPT;
      return inTurn(
        saveTemplate({ clients, newId: () => client.newId() }, { content: '{value}', variables }),
        () => answerOf(clients.bundles.createBundle({ bundleId: client.newId(), type, draft })),
      );
    },
  },
  {
    name: 'pattern-value',
    what: 'renders with values of 400 bytes, 2 KB and 250 KB for a variable with that pattern',
    prepare: async (client) => {
      const id = client.newId();
      const variables = [{ name: 'value', type: VariableType.STRING, pattern: BACKTRACKING }];
      await releaseBundle(client.clients, id, { syntax: TemplateSyntax.FORMAT, content: '{value}', variables });
      const values = [199, 1_000, 125_000].map((pairs) => text(`${'ab'.repeat(pairs)}c`));
      return inTurn(...values.map((value) => render(client, id, { value })));
    },
  },
  {
    name: 'patterned-variables',
    what: 'renders with 128 variables that each have a pattern, as large as they may be together',
    prepare: async (client) => {
      const id = client.newId();
      const names = Array.from({ length: 128 }, (_, i) => `value_${i}`);
      const pattern = '(?:a|b|ab){1,7}(?:c|d)?';
      const variables = names.map((name) => ({ name, type: VariableType.STRING, pattern }));
      const content = names.map((name) => `{${name}}`).join(' ');
      await releaseBundle(client.clients, id, { syntax: TemplateSyntax.FORMAT, content, variables });
      const all = (value: ValueInit) => Object.fromEntries(names.map((name) => [name, value]));
      return inTurn(...[1, 100, 1_000].map((pairs) => render(client, id, all(text('ab'.repeat(pairs))))));
    },
  },
  {
    name: 'output-pattern',
    what: 'CheckOutput of 1 MiB with that pattern required, and forbidden',
    prepare: (client) => {
      const rules: Rule[] = [
        { case: 'requiredPattern', value: BACKTRACKING },
        { case: 'forbiddenPattern', value: `${BACKTRACKING}e` },
      ];
      return checkOutput(client, rules, ['ab'.repeat(MIB / 2)]);
    },
  },
  {
    name: 'output-schema',
    what: 'CheckOutput against a JSON Schema whose references fan out to 2^40',
    prepare: (client) => checkOutput(client, [{ case: 'jsonSchema', value: fanOut(40) }], ['{}']),
  },
  {
    name: 'output-unique',
    what: 'CheckOutput of lists of 500,000 and of 150,000 items that have to be unique',
    prepare: (client) => {
      const equal = `[${'0,'.repeat(499_999)}0]`;
      const different = JSON.stringify(Array.from({ length: 150_000 }, (_, i) => i));
      const rules: Rule[] = [{ case: 'jsonSchema', value: { type: 'array', uniqueItems: true } }];
      return checkOutput(client, rules, [equal, different]);
    },
  },
  {
    name: 'output-marks',
    what: 'CheckOutput of 1 MiB of combining marks',
    prepare: (client) => checkOutput(client, [{ case: 'maxChars', value: 100 }], [marks(MIB / 2 - 2)]),
  },
  {
    name: 'liquid-loops',
    what: 'renders of a LIQUID template of loops in loops in loops',
    prepare: (client) => {
      const open = ['a', 'b', 'c'].map((name) => `{% for ${name} in items %}`).join('');
      return renderLiquid(client, `${open}x${'{% endfor %}'.repeat(3)}`, [numbers(28), numbers(2_000)]);
    },
  },
  {
    name: 'liquid-sort',
    what: 'renders of a LIQUID template that sorts lists of 20,000 and of 100,000 numbers',
    prepare: (client) => renderLiquid(client, "{{ items | sort | join: ' ' }}", [numbers(20_000), numbers(100_000)]),
  },
  {
    name: 'liquid-save',
    what: 'LIQUID templates with 900 and with 10,000 blocks in one another saved',
    prepare: async (client) => {
      const drafts = [900, 10_000].map((levels) => ({
        syntax: TemplateSyntax.LIQUID,
        content: '{%if a%}'.repeat(levels),
        variables: [{ name: 'a', type: VariableType.BOOLEAN }],
      }));
      const tools = { clients: client.clients, newId: () => client.newId() };
      return inTurn(...drafts.map((draft) => saveTemplate(tools, draft)));
    },
  },
  {
    name: 'preview-tokens',
    what: 'previews with a value of 250 KB of one letter, whose tokens are counted',
    prepare: async ({ clients }) => {
      const variables = { value: text('a'.repeat(250_000)) };
      const subject = { case: 'templateContent' as const, value: { content: '{value}' } };
      return () => answerOf(clients.renders.preview({ subject, variables }));
    },
  },
  {
    name: 'schemas-save',
    what: 'bundles with three JSON Schemas of 44 KB saved, of many parts and of long descriptions',
    prepare: async (client) => {
      const id = client.newId();
      await releaseBundle(client.clients, id, { syntax: TemplateSyntax.LITERAL, content: 'Answer.' });
      const personality = { templateId: id, version: '1.0.0' };
      const save = (words: number) => {
        const rule: Rule = { case: 'jsonSchema', value: largeSchema(44_000, words) };
        const draft = { personality, constraints: errors(rule, rule, rule) };
        const type = PromptType.SYSTEM_PROMPT;
        return () => answerOf(client.clients.bundles.createBundle({ bundleId: client.newId(), type, draft }));
      };
      return inTurn(save(0), save(50));
    },
  },
  {
    name: 'deep-json',
    what: 'renders with a variable of 10,000 lists in one another, over both ports',
    prepare: async (client) => {
      const bytes = field(5, entry('deep', nested(10_000)));
      const json = `{"variables":{"deep":${'['.repeat(10_000)}${']'.repeat(10_000)}}}`;
      return inTurn(() => client.sendBytes(RENDER, bytes), () => client.postJson(RENDER, json));
    },
  },
  {
    name: 'numbers',
    what: 'renders with integers beyond 2^53, NaN and Infinity',
    prepare: async (client) => {
      const id = client.newId();
      const variables = [{ name: 'count', type: VariableType.INTEGER }];
      await releaseBundle(client.clients, id, { syntax: TemplateSyntax.FORMAT, content: '{count}', variables });
      const values = [2 ** 53, -(2 ** 60), Number.NaN, Number.POSITIVE_INFINITY].map(number);
      return inTurn(...values.map((count) => render(client, id, { count })));
    },
  },
  {
    name: 'many-values',
    what: '4 MiB of tiny values to Render, Preview and CreateBundle over gRPC',
    prepare: async (client) => {
      const variables = entry('list', listOfNothing(LARGEST));
      const settings = field(4, field(4, field(1, variables)));
      return inTurn(
        () => client.sendBytes(RENDER, field(5, variables)),
        () => client.sendBytes(PREVIEW, field(8, variables)),
        () => client.sendBytes(CREATE_BUNDLE, settings),
      );
    },
  },
  {
    name: 'many-values-json',
    what: 'the same as JSON over the HTTP port, and 4 MiB of opening brackets',
    prepare: async (client) => {
      const items = `[${'0,'.repeat(LARGEST / 2)}0]`;
      return inTurn(
        () => client.postJson(RENDER, `{"variables":{"list":${items}}}`),
        () => client.postJson(PREVIEW, `{"variables":{"list":${items}}}`),
        () => client.postJson(CREATE_BUNDLE, `{"draft":{"modelConfig":{"list":${items}}}}`),
        () => client.postJson(RENDER, `{"variables":{"list":${'['.repeat(LARGEST)}`),
      );
    },
  },
  {
    name: 'allowed-values',
    what: 'renders with as many values as a request may have: lists, and objects',
    prepare: async (client) => {
      const id = client.newId();
      await releaseBundle(client.clients, id, { syntax: TemplateSyntax.LITERAL, content: 'Answer.' });
      const members = Array.from({ length: 12_400 }, (_, i) => field(1, entry(`m${i}`, Buffer.from([0x08, 0]))));
      const object = field(5, Buffer.concat(members));
      const json = Array.from({ length: 16_600 }, (_, i) => `"m${i}":0`).join(',');
      const target = field(2, field(1, Buffer.from(id)));
      const send = (value: Buffer) => {
        const bytes = Buffer.concat([target, field(5, entry('x', value))]);
        return () => client.sendBytes(RENDER, bytes);
      };
      const inJson = `{"bundle":{"bundleId":"${id}"},"variables":{"x":{${json}}}}`;
      return inTurn(send(listOfNothing(98_000)), send(object), () => client.postJson(RENDER, inJson));
    },
  },
  {
    name: 'struct-in-pieces',
    what: 'CreateBundle with 2,000 settings, and 10,000 further pieces of none',
    prepare: async (client) => {
      const settings = Array.from({ length: 2_000 }, (_, i) => field(1, entry(`setting_${i}`, Buffer.from([0x08, 0]))));
      const bytes = field(4, Buffer.concat([field(4, Buffer.concat(settings)), many(field(4), 10_000)]));
      return () => client.sendBytes(CREATE_BUNDLE, bytes);
    },
  },
  {
    name: 'combining-marks',
    what: 'renders with 100 KB of combining marks in a row, and with 4 MiB of them in short rows',
    prepare: async (client) => {
      const id = client.newId();
      const variables = [{ name: 'value', type: VariableType.STRING, maxLength: 200_000 }];
      await releaseBundle(client.clients, id, { syntax: TemplateSyntax.FORMAT, content: '{value}', variables });
      const long = marks(50_000);
      const short = marks(100);
      const { renders } = client.clients;
      const asTenant = (tenant: string) => () => answerOf(renders.render({ ...ORDINARY_RENDER, tenant }));
      return inTurn(
        asTenant(long),
        asTenant(short.repeat(LARGEST / Buffer.byteLength(short))),
        render(client, id, { value: text(long) }),
        render(client, id, { value: text(short.repeat(1_000)) }),
      );
    },
  },
];
