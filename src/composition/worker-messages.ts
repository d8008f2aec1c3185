/** What the processes of one server tell each other. */
import type { Addresses } from '../rpc/server.ts';
import type { MetricValues } from '../telemetry/metrics.ts';

/** What a worker is given at its start, as JSON in the variable SEAT_VARIABLE. */
export interface Seat extends Addresses {
  /** Others serve already: the ports are opened once this worker can serve as well. */
  readonly listensLate: boolean;
}

export const SEAT_VARIABLE = 'PLATEN_WORKER_SEAT';

/** From a worker to its primary. */
export type WorkerMessage =
  | { readonly kind: 'listening'; readonly addresses: Addresses }
  | { readonly kind: 'serving' }
  /** Asks for the page of all workers' metrics. */
  | { readonly kind: 'page'; readonly request: number }
  | { readonly kind: 'values'; readonly request: number; readonly values: MetricValues };

/** From the primary to a worker. */
export type PrimaryMessage =
  /** Asks for this worker's own metrics. */
  | { readonly kind: 'values'; readonly request: number }
  /** Undefined: not every worker answered. */
  | { readonly kind: 'page'; readonly request: number; readonly text: string | undefined };
