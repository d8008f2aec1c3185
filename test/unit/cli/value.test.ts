import assert from 'node:assert/strict';
import { fromValues, parseAssignments, toValues } from '../../../src/cli/value.ts';

describe('Commands cover the services: values', () => {
  it('are JSON where they are JSON, and else text', () => {
    const words = ['n=5', 'b=true', 'z=null', 's=hello world', 'q="5"', 'l=[1,"a"]', 'o={"a":1}', 'e=a=b', 'empty='];
    assert.deepEqual(parseAssignments(words), {
      n: 5,
      b: true,
      z: null,
      s: 'hello world',
      q: '5',
      l: [1, 'a'],
      o: { a: 1 },
      e: 'a=b',
      empty: '',
    });
  });

  it('the last of one name wins', () => {
    assert.deepEqual(parseAssignments(['a=1', 'a=2']), { a: 2 });
  });

  it('survive the way to the wire and back', () => {
    const json = { a: null, b: [1.5, { c: 'x' }], d: false };
    assert.deepEqual(fromValues(toValues(json)), json);
  });
});
