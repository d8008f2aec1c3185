import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials, type ClientReadableStream } from '@grpc/grpc-js';
import { connect, type Clients, type Connection } from '../../../src/cli/client.ts';
import { PlatenProcess } from '../platen-process.ts';
import type { Ledger } from './ledger.ts';
import type { Seat } from './seat.ts';

const READY_POLL_MS = 200;
const WATCH = '/grpc.health.v1.Health/Watch';
/** HealthCheckResponse {status: SERVING}. */
const SERVING = '0801';
const LINES_MAX = 3;

/** One run of `platen serve` as a process of its own, from SERVING to its end. */
export class ServerReplica implements Seat {
  readonly name: string;
  readonly #httpAddress: string;
  readonly #process: PlatenProcess;
  readonly #connection: Connection;
  readonly #health: Client;
  readonly #watch: ClientReadableStream<Buffer>;
  readonly #probing: Promise<void>;
  readonly #ledger: Ledger;
  #up = true;

  private constructor(
    name: string,
    server: PlatenProcess,
    { grpc, http }: { readonly grpc: string; readonly http: string },
    ledger: Ledger,
  ) {
    this.name = name;
    this.#ledger = ledger;
    this.#httpAddress = http;
    this.#process = server;
    this.#connection = connect(`http://${grpc}`);
    this.#health = new Client(grpc, credentials.createInsecure());
    const bytes = (buffer: Buffer): Buffer => buffer;
    this.#watch = this.#health.makeServerStreamRequest(WATCH, bytes, bytes, Buffer.alloc(0));
    this.#watch.on('data', (status: Buffer) => this.#is('SERVING', status.toString('hex') === SERVING, ledger));
    this.#watch.on('error', () => this.#is('watched', false, ledger));
    this.#probing = this.#probe(ledger);
  }

  /** Resolves once it is SERVING. @param starting told of the process as soon as there is one */
  static async start(
    name: string,
    settings: Readonly<Record<string, string>>,
    ledger: Ledger,
    starting: (server: PlatenProcess) => void,
  ): Promise<ServerReplica> {
    const server = new PlatenProcess(['serve'], { PLATEN_MIGRATE_ON_START: 'false', ...settings });
    starting(server);
    const { grpc, http } = await server.logged('listening');
    await server.logged('serving');
    return new ServerReplica(name, server, { grpc: grpc!, http: http! }, ledger);
  }

  get clients(): Clients {
    return this.#connection.clients;
  }

  get up(): boolean {
    return this.#up;
  }

  /** Kills it (SIGKILL). */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.#up = false;
    this.#watch.cancel();
    this.#process.signal(signal);
    await this.#process.exitCode();
    for (const line of unforeseen(this.#process.stderr)) this.#ledger.evidence(`${this.name} logged ${line}`);
    await this.#probing;
    this.#health.close();
    this.#connection.close();
  }

  async #probe(ledger: Ledger): Promise<void> {
    while (this.#up) {
      const ready = await fetch(`http://${this.#httpAddress}/readyz`).then(({ ok }) => ok, () => false);
      this.#is('ready', ready, ledger);
      await sleep(READY_POLL_MS);
    }
  }

  #is(what: string, holds: boolean, ledger: Ledger): void {
    if (this.#up) ledger.check('serving', holds, () => `${this.name} is not ${what}`);
  }
}

/** What the log says of calls that failed with INTERNAL, a few of them. */
function unforeseen(log: string): string[] {
  return log.split('\n').filter((line) => line.includes('"error_id"')).slice(0, LINES_MAX);
}
