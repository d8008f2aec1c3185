import { packError, type PackedError } from './error-transfer.ts';
import { markStart, type StartMark } from './start-mark.ts';

/** Functions by name. What they take and give is plain data: it passes between threads. */
export type TaskTable = { readonly [work: string]: (input: never) => unknown };

/** What a thread is sent. */
export interface TaskRequest {
  readonly work: string;
  readonly input: unknown;
  readonly mark: StartMark;
}

/** What a thread answers. */
export type TaskAnswer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: PackedError };

/** What a thread does: runs the task that it is sent, and answers with its value or with what it threw. */
export function taskRunner(tasks: TaskTable): (request: TaskRequest) => Promise<TaskAnswer> {
  return async ({ work, input, mark }) => {
    markStart(mark);
    try {
      const task = tasks[work] as (input: unknown) => unknown;
      return { ok: true, value: await task(input) };
    } catch (error) {
      return { ok: false, error: packError(error) };
    }
  };
}
