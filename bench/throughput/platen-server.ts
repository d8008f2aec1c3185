import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Clients, type Connection } from '../../src/cli/client.ts';
import { ServerProcess } from '../support/server-process.ts';
import { CPU_QUESTION, type CpuTimes } from './cpu-probe.ts';
import type { ServerUnderTest } from './measurement.ts';
import { MetricsPage } from './metrics-page.ts';

const PROBE = join(import.meta.dirname, 'cpu-probe.ts');
const DRAIN_POLL_MS = 200;

/** `platen serve` as a process of its own, with everything on that is on by default. */
export class PlatenServer implements ServerUnderTest {
  readonly address: string;
  readonly #process: ServerProcess;
  readonly #connection: Connection;

  private constructor(process: ServerProcess) {
    this.#process = process;
    this.#connection = connect(process.grpcUrl);
    this.address = new URL(process.grpcUrl).host;
  }

  /** @param settings environment variables: the database, and what is not by default */
  static async start(settings: Readonly<Record<string, string>>): Promise<PlatenServer> {
    return new PlatenServer(await ServerProcess.start({ settings, probe: PROBE }));
  }

  get clients(): Clients {
    return this.#connection.clients;
  }

  cpu(): Promise<CpuTimes> {
    return this.#process.ask(CPU_QUESTION);
  }

  async metrics(): Promise<MetricsPage> {
    return new MetricsPage(await (await fetch(`${this.#process.httpUrl}/metrics`)).text());
  }

  /** Every receipt of a render is in the database. */
  async settled(): Promise<void> {
    while ((await this.metrics()).sum('audit_journal_depth') > 0) await sleep(DRAIN_POLL_MS);
  }

  async stop(): Promise<void> {
    this.#connection.close();
    await this.#process.stop();
  }
}
