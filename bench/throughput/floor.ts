import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf } from '../support/child-message.ts';
import { NODE_FLAGS } from '../support/server-process.ts';
import { CPU_QUESTION, type CpuTimes } from './cpu-probe.ts';
import type { ServerUnderTest } from './measurement.ts';

const PROBE = pathToFileURL(join(import.meta.dirname, 'cpu-probe.ts')).href;
const SERVER = join(import.meta.dirname, 'floor-server.ts');

/** A server in a process of its own whose one call does nothing. */
export class FloorServer implements ServerUnderTest {
  readonly address: string;
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;

  private constructor(child: ChildProcess, closed: Promise<unknown>, address: string) {
    this.#child = child;
    this.#closed = closed;
    this.address = address;
  }

  /** @param answer what it answers, a message in protobuf */
  static async start(path: string, answer: Buffer): Promise<FloorServer> {
    const child = fork(SERVER, [path, answer.toString('base64')], { execArgv: [...NODE_FLAGS, '--import', PROBE] });
    const closed = once(child, 'close');
    return new FloorServer(child, closed, await messageOf<string>(child));
  }

  cpu(): Promise<CpuTimes> {
    this.#child.send(CPU_QUESTION);
    return messageOf(this.#child);
  }

  async settled(): Promise<void> {}

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#closed;
  }
}
