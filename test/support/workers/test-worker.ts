/** Where threads start whose tasks do what no real task should. */
import { InvalidInput, NotFound } from '../../../src/domain/errors.ts';
import { taskRunner } from '../../../src/workers/task-runner.ts';
import { enter, type Gate, waitUntilOpen } from './gate.ts';

const testTasks = {
  echo: (text: string) => text,

  later: (text: string) => Promise.resolve(text),

  hold: (gate: Gate) => {
    enter(gate);
    waitUntilOpen(gate);
    return 'released';
  },

  spin: (gate: Gate): never => {
    enter(gate);
    for (;;);
  },

  exhaust: (): never => {
    for (let list: object | undefined; ; ) list = { list };
  },

  crash: (): never => process.exit(7),

  refuse: (field: string): never => {
    throw new InvalidInput([{ field, reason: 'TOO_LONG', description: 'too long' }], 'INVALID_INPUT', { a: 'b' }, 900);
  },

  fail: (): never => {
    throw new TypeError('it is not a function');
  },

  lookUp: (): never => {
    throw new NotFound('template', 'acme/hello');
  },
};

export type TestTasks = typeof testTasks;

export default taskRunner(testTasks);
