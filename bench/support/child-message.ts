import type { ChildProcess } from 'node:child_process';

/** The next message of a child process. @throws Error if it ends without one */
export function messageOf<T>(child: ChildProcess): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const ended = (): void => reject(new Error('the process ended'));
  child.once('message', resolve).once('close', ended);
  return promise.finally(() => child.off('message', resolve).off('close', ended));
}
