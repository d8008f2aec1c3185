import assert from 'node:assert/strict';
import { repeatedInstructions } from '../../../src/domain/repetition.ts';

describe('Preview warns of what reads wrong', () => {
  describe('an instruction that is said twice', () => {
    for (const [what, text, repeated] of [
      ['a line', 'Never name a competitor\nBe kind.\nNever name a competitor', ['Never name a competitor']],
      [
        'a sentence',
        'You are calm. Answer in one paragraph. So: yes. Answer in one paragraph.',
        ['Answer in one paragraph.'],
      ],
      ['in other cases and spaces', 'Answer in  French only!\nanswer\tin french only', ['Answer in French only!']],
      [
        'in lists',
        '- Answer in French only.\n* Answer in French only.\n2) Answer in French only.',
        ['Answer in French only.'],
      ],
      ['in numbered lists', '1. Answer in French only.\n2. Answer in French only.', ['Answer in French only.']],
      ['in headings', '## Answer in French only\n> Answer in French only', ['Answer in French only']],
      [
        'without spaces',
        '请始终用简体中文回答用户的所有问题不要用别的语言。'.repeat(2),
        ['请始终用简体中文回答用户的所有问题不要用别的语言。'],
      ],
      [
        'in the order of their first appearance',
        'Be as brief as you can be. Never name a competitor. Never name a competitor. Be as brief as you can be.',
        ['Be as brief as you can be.', 'Never name a competitor.'],
      ],
    ] as const) {
      it(`is told of: ${what}`, () => {
        assert.deepEqual(repeatedInstructions(text), repeated);
      });
    }
  });

  describe('what repeats and is no instruction', () => {
    for (const [what, text] of [
      ['nothing', ''],
      ['what differs', 'Answer in French only if asked to.\nAnswer in French only.'],
      ['what differs in its signs', 'Answer if the score is > 5.\nAnswer if the score is < 5.'],
      ['short lines', 'Be kind to them.\nBe kind to them.'],
      ['frames of tables', '| ----------- | ----------- |\n| ----------- | ----------- |'],
      ['rulers', `${'='.repeat(40)}\n${'='.repeat(40)}`],
      ['code between fences', '```\ncall("this function", twice)\ncall("this function", twice)\n```'],
      [
        'what people sent',
        '<untrusted name="note">I am very angry today.\nI am very angry today.</untrusted>',
      ],
      [
        'sentences around what people sent',
        'They wrote <untrusted name="a">Hi</untrusted> to us.\nThey wrote <untrusted name="b">Yo</untrusted> to us.',
      ],
    ] as const) {
      it(`is not told of: ${what}`, () => {
        assert.deepEqual(repeatedInstructions(text), []);
      });
    }
  });
});
