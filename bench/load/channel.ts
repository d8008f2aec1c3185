import { setTimeout as sleep } from 'node:timers/promises';
import { StreamCarrier, UnaryCarrier, type CallListener, type Carrier } from './carriers.ts';
import { Connection } from './connection.ts';
import { Fifo } from './fifo.ts';
import { requestHeaders, type HeaderBlocks } from './hpack.ts';
import type { LoadTarget } from './load.ts';
import type { Call } from './message.ts';

const RECONNECT_MS = 50;

/**
 * Sends calls on one connection, and on another when the server lets go of it: servers end connections that are of a
 * certain age. Calls wait here while the server takes no more of them, or cannot be reached.
 */
export class Channel {
  readonly #target: LoadTarget;
  readonly #settled: (call: Call, isAnswered: boolean) => void;
  readonly #headers: HeaderBlocks;
  readonly #waiting = new Fifo<Call>();
  #connection: Connection | undefined;
  /** Of the connection, while it is ready. */
  #carrier: Carrier | undefined;
  #isClosed = false;

  constructor(target: LoadTarget, settled: (call: Call, isAnswered: boolean) => void) {
    this.#target = target;
    this.#settled = settled;
    this.#headers = requestHeaders(target.address, target.path);
  }

  /** @throws Error if there is no HTTP/2 server at the address */
  async open(): Promise<void> {
    if (!(await this.#connect())) throw new Error(`no HTTP/2 server at ${this.#target.address}`);
  }

  submit(call: Call): void {
    this.#waiting.push(call);
    this.#sendWaiting();
  }

  /** No more calls will be submitted: closes the connection when the server has ended what is left on it. */
  close(): void {
    this.#isClosed = true;
    this.#carrier?.retire();
    this.#connection?.finish();
  }

  /** @returns whether it came about, once it did or did not; it is replaced when it is lost */
  #connect(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const connection = new Connection(
      this.#target.address,
      this.#headers,
      {
        ready: () => {
          this.#carrier = this.#carrierOn(connection);
          resolve(true);
          this.#sendWaiting();
        },
        goingAway: () => this.#letGo(connection),
        closed: () => {
          resolve(false);
          this.#letGo(connection);
        },
      },
      this.#target.stream === undefined ? undefined : 0,
    );
    this.#connection = connection;
    return promise;
  }

  #carrierOn(connection: Connection): Carrier {
    const { stream, leastAnswerBytes } = this.#target;
    const listener: CallListener = {
      settled: (call, isAnswered) => {
        this.#settled(call, isAnswered);
        this.#sendWaiting();
      },
      unseen: (call) => this.submit(call),
    };
    return stream === undefined
      ? new UnaryCarrier(connection, listener, leastAnswerBytes)
      : new StreamCarrier(connection, listener, leastAnswerBytes, stream.inFlight);
  }

  /** Once per connection that was ready: it goes away, and later it is closed; or it is closed at once. */
  #letGo(connection: Connection): void {
    if (connection !== this.#connection || this.#carrier === undefined) return;
    this.#carrier.retire();
    this.#carrier = undefined;
    if (!this.#isClosed) void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    while (!this.#isClosed && !(await this.#connect())) await sleep(RECONNECT_MS);
  }

  #sendWaiting(): void {
    while (this.#waiting.length > 0 && this.#carrier?.hasRoom === true) this.#carrier.send(this.#waiting.shift()!);
  }
}
