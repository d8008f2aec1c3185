import type { Clients } from '../../../src/cli/client.ts';

/** A replica as its callers see it; one that is started again is another one. */
export interface Seat {
  readonly name: string;
  readonly clients: Clients;
  /** False once it is about to be ended: what fails then says nothing. */
  readonly up: boolean;
}
