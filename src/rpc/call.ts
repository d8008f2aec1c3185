import type { Message } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import type { CallContext, ServedMethod } from './method.ts';

/** The full name of a method, as `platen.v1.RenderService/Render`. */
export function rpcName(method: ServedMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

/** Whether the contract says that the method changes nothing. */
export function isRead(method: ServedMethod): boolean {
  return method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}

/** The request of a call. */
export interface CallRequest {
  /**
   * The message; decoded when it is read first, so that this happens inside the interceptor chain.
   * @throws MalformedRequest
   */
  readonly message: Message;
}

/** One call as the adapters and interceptors see it: what a handler sees, and the means to end it. */
export abstract class Call implements CallContext {
  abstract readonly transport: CallContext['transport'];
  abstract readonly peer: string;
  abstract header(name: string): string | undefined;

  readonly method: ServedMethod;
  readonly rpc: string;
  readonly deadline: number | undefined;
  /** Whether its transport aborts it at its deadline, or after the default timeout. */
  readonly keepsDeadline: boolean = false;
  /** Headers of the answer, in the order they were set. */
  readonly responseHeaders: [name: string, value: string][] = [];
  callId = '';
  traceId = '';
  caller = '';
  /** Made for whoever asks: most calls end before anybody wants to know. */
  #controller: AbortController | undefined;
  #aborted: Error | undefined;
  #onAbort: ((reason: Error) => void) | undefined;
  #ended = false;

  /** @param deadline in milliseconds since the epoch; undefined: the caller set none */
  constructor(method: ServedMethod, rpc: string, deadline: number | undefined) {
    this.method = method;
    this.rpc = rpc;
    this.deadline = deadline;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(this.#aborted);
    }
    return this.#controller.signal;
  }

  /** Whether it was told to end. */
  get aborted(): boolean {
    return this.#aborted !== undefined;
  }

  /** Whether it is answered: aborting it changes nothing any more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Has the call answered with the reason, whatever its handler does. The first reason counts. */
  abort(reason: Error): void {
    if (this.#ended || this.#aborted !== undefined) return;
    this.#aborted = reason;
    this.#onAbort?.(reason);
    this.#controller?.abort(reason);
  }

  /** Names who is told of an abort, at once if it has happened: the one that answers then. */
  onAbort(listener: (reason: Error) => void): void {
    if (this.#aborted === undefined) this.#onAbort = listener;
    else listener(this.#aborted);
  }

  /** Notes that the call is answered: its signal stays as it is. */
  end(): void {
    this.#ended = true;
  }

  setResponseHeader(name: string, value: string): void {
    this.responseHeaders.push([name, value]);
  }
}
