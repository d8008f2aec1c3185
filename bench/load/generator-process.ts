import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Plan } from './driver.ts';
import type { TallyReport } from './tally.ts';

const MAIN = join(import.meta.dirname, 'generator.ts');

/** A generator as a process of its own. It writes what it complains of where this process does. */
export class GeneratorProcess {
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;

  /** Starts to connect. */
  constructor(plan: Plan) {
    this.#child = fork(MAIN, { execArgv: [], serialization: 'advanced' });
    this.#exit = once(this.#child, 'close');
    this.#child.send(plan);
  }

  /** @throws Error if it did not reach the server */
  async connected(): Promise<void> {
    await this.#message();
  }

  /** Makes the calls, and ends the process. */
  async run(): Promise<TallyReport> {
    this.#child.send('start');
    const report = (await this.#message()) as TallyReport;
    await this.#exit;
    return report;
  }

  /** Ends the process, whatever it does. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exit;
  }

  async #message(): Promise<unknown> {
    const ended = this.#exit.then(() => {
      throw new Error('a load generator ended early');
    });
    const [message] = await Promise.race([once(this.#child, 'message'), ended]);
    return message;
  }
}
