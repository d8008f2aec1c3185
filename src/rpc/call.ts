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
  /** Headers of the answer, in the order they were set. */
  readonly responseHeaders: [name: string, value: string][] = [];
  callId = '';
  traceId = '';
  caller = '';
  readonly #controller = new AbortController();
  #ended = false;

  /** @param deadline in milliseconds since the epoch; undefined: the caller set none */
  constructor(method: ServedMethod, rpc: string, deadline: number | undefined) {
    this.method = method;
    this.rpc = rpc;
    this.deadline = deadline;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Has the call answered with the reason, whatever its handler does. The first reason counts. */
  abort(reason: Error): void {
    if (!this.#ended) this.#controller.abort(reason);
  }

  /** Notes that the call is answered: its signal stays as it is. */
  end(): void {
    this.#ended = true;
  }

  setResponseHeader(name: string, value: string): void {
    this.responseHeaders.push([name, value]);
  }
}
