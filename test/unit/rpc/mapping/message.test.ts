import assert from 'node:assert/strict';
import { Violations } from '../../../../src/domain/errors.ts';
import { readPlaceholders, writeMessages } from '../../../../src/rpc/mapping/message.ts';
import { Role, MessageListSchema } from '../../../../gen/platen/v1/resources_pb.js';
import { overTheWire } from '../../../support/wire.ts';

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
