import cluster from 'node:cluster';
import type { Addresses } from '../rpc/server.ts';
import type { Company } from '../server.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { SEAT_VARIABLE, type PrimaryMessage, type Seat, type WorkerMessage } from './worker-messages.ts';

/**
 * A worker's end of the channel to its primary. Node ends the process when the channel is closed from the other side:
 * no worker outlives its primary.
 */
export class PrimaryChannel implements Company {
  readonly listensLate: boolean;
  /** Where the primary has this worker listen. */
  readonly addresses: Addresses;
  readonly #pages = new Map<number, (text: string | undefined) => void>();
  #requests = 0;

  constructor() {
    const { listensLate, ...addresses } = JSON.parse(process.env[SEAT_VARIABLE]!) as Seat;
    this.listensLate = listensLate;
    this.addresses = addresses;
  }

  listening(addresses: Addresses): void {
    tell({ kind: 'listening', addresses });
  }

  serving(): void {
    tell({ kind: 'serving' });
  }

  share(metrics: Metrics): void {
    process.on('message', async (message: PrimaryMessage) => {
      const { kind, request } = message;
      if (kind === 'values') tell({ kind, request, values: await metrics.values() });
      else if (kind === 'page') this.#pages.get(request)?.(message.text);
    });
    metrics.pageFrom(() => this.#page());
  }

  /** Lets the process end, with the exit code that it has. */
  leave(): void {
    cluster.worker!.disconnect();
  }

  async #page(): Promise<string> {
    const request = this.#requests++;
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    this.#pages.set(request, resolve);
    tell({ kind: 'page', request });
    const text = await promise;
    this.#pages.delete(request);
    if (text === undefined) throw new Error('a worker does not answer; without its metrics the sums would be wrong');
    return text;
  }
}

/** A message that cannot be sent any more is for nobody: the process is about to end with its channel. */
function tell(message: WorkerMessage): void {
  process.send!(message, undefined, undefined, () => {});
}
