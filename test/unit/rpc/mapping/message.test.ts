import assert from 'node:assert/strict';
import { Violations } from '../../../../src/domain/errors.ts';
import { readPlaceholders, writeMessages } from '../../../../src/rpc/mapping/message.ts';
import { Role, MessageListSchema } from '../../../../gen/platen/v1/resources_pb.js';
import { overTheWire } from '../../../support/wire.ts';
import { violationsOf } from '../../../support/violations.ts';

const HISTORY = [
  { role: 'USER', content: '  verbatim {name}\r\n' },
  { role: 'ASSISTANT', content: '' },
  { role: 'TOOL', content: '{}' },
  { role: 'SYSTEM', content: 'x' },
] as const;

describe('Other parts keep their order', () => {
  it('messages go both ways, in order and verbatim', () => {
    const history = overTheWire(MessageListSchema, { messages: writeMessages(HISTORY) });
    const violations = new Violations();
    const read = readPlaceholders(violations, 'placeholders', { history, none: overTheWire(MessageListSchema, {}) });
    assert.deepEqual([...read], [['history', HISTORY], ['none', []]]);
    assert.equal(violations.size, 0);
  });

  it('a message without a role is refused, and one of a role that is not known', () => {
    const messages = [{ content: 'a' }, { role: Role.USER }, { role: 9 as Role }];
    const history = overTheWire(MessageListSchema, { messages });
    const violations = new Violations();
    readPlaceholders(violations, 'placeholders', { history });
    assert.throws(
      () => violations.throwIfAny(),
      /^InvalidInput: placeholders\.history\.messages\[0\]\.role: .*; placeholders\.history\.messages\[2\]\.role: 9/,
    );
  });
});

describe('Placeholders are bounded in number', () => {
  const message = overTheWire(MessageListSchema, { messages: [{ role: Role.USER }] }).messages[0]!;
  const unread = overTheWire(MessageListSchema, { messages: [{}] }).messages[0]!;

  function lists(count: number, messages: (typeof message)[] = []) {
    const list = { ...overTheWire(MessageListSchema, {}), messages };
    return Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, list]));
  }

  function refusals(placeholders: ReturnType<typeof lists>): string[] {
    const found = violationsOf((violations) => readPlaceholders(violations, 'inputs.placeholders', placeholders));
    return found.map(({ field, reason, description }) => `${field} ${reason}: ${description}`);
  }

  it('64 of them, with 10,000 messages in all', () => {
    assert.deepEqual(refusals(lists(64)), []);
    assert.deepEqual(refusals(lists(65)), [
      'inputs.placeholders TOO_MANY: at most 64 placeholders are allowed, not 65',
    ]);
    assert.deepEqual(refusals(lists(10, Array<typeof message>(1_000).fill(message))), []);
    assert.deepEqual(refusals(lists(11, Array<typeof message>(1_000).fill(message))), [
      'inputs.placeholders TOO_MANY: at most 10000 messages are allowed in all, not 11000',
    ]);
  });

  it('none of too many messages is read', () => {
    assert.equal(refusals(lists(65, Array<typeof message>(1_000).fill(unread))).length, 2);
    const read = readPlaceholders(new Violations(), 'placeholders', lists(65, [message]));
    assert.deepEqual([...read], []);
  });
});
