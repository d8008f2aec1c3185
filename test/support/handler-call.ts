import type {
  DescMessage,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import { InvalidInput, type Violation } from '../../src/domain/errors.ts';
import type { CallContext, ServedMethod, ServedService } from '../../src/rpc/method.ts';
import type { Repeatable, WriteCall, Writes, WriteTransaction } from '../../src/services/stores.ts';
import { overTheWire } from './wire.ts';

/** A call of a method as it stands when it reaches the handler. */
export function callOf(method: ServedMethod, given: Partial<CallContext> = {}): CallContext {
  return {
    method,
    rpc: `${method.parent.typeName}/${method.name}`,
    transport: 'grpc',
    header: () => undefined,
    setResponseHeader: () => undefined,
    peer: '127.0.0.1:40000',
    deadline: undefined,
    signal: new AbortController().signal,
    callId: 'call-1',
    traceId: '',
    caller: 'anonymous@loopback',
    ...given,
  };
}

/** Calls a handler with a request that came over the wire, and sends its answer back over the wire. */
export async function call<I extends DescMessage, O extends DescMessage>(
  served: ServedService,
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
  given: Partial<CallContext> = {},
): Promise<MessageShape<O>> {
  const handler = served.handlers.get(method)!;
  const answer = await handler(callOf(method, given), overTheWire(method.input, request));
  return overTheWire(method.output, answer as MessageInitShape<O>);
}

/** As `call`, for a stream. @returns its messages, once it has ended */
export async function callStream<I extends DescMessage, O extends DescMessage>(
  served: ServedService,
  method: DescMethodServerStreaming<I, O>,
  request: MessageInitShape<I>,
  given: Partial<CallContext> = {},
): Promise<MessageShape<O>[]> {
  const messages: MessageShape<O>[] = [];
  const handler = served.streams.get(method)!;
  await handler(callOf(method, given), overTheWire(method.input, request), async (message) => {
    messages.push(overTheWire(method.output, message as MessageInitShape<O>));
  });
  return messages;
}

/** The violations that a call is refused with, as `field REASON`. */
export async function refusal(answer: Promise<unknown>): Promise<string[]> {
  const error = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof InvalidInput)) throw error ?? new Error('the call was not refused');
  return error.violations.map(brief);
}

export function brief({ field, reason }: Violation): string {
  return `${field} ${reason}`;
}

/** A part of a service, for a test that calls no more of it. */
export function partOf<T>(methods: Partial<T>): T {
  return methods as T;
}

/** Writes that keep nothing but the answers of repeatable calls. */
export class MemoryWrites implements Writes {
  readonly calls: WriteCall[] = [];
  readonly #answers = new Map<string, { fingerprint: string; bytes: Uint8Array }>();

  async run<T>(by: WriteCall, repeatable: Repeatable<T>, work: (tx: WriteTransaction) => Promise<T>): Promise<T> {
    this.calls.push(by);
    const key = JSON.stringify([by.actor, repeatable.rpc, by.requestId]);
    const held = by.requestId === '' ? undefined : this.#answers.get(key);
    if (held && held.fingerprint !== repeatable.fingerprint) throw new InvalidInput([], 'REQUEST_ID_REUSED');
    if (held) return repeatable.decode(held.bytes);
    const answer = await work(partOf<WriteTransaction>({ actor: by.actor }));
    this.#answers.set(key, { fingerprint: repeatable.fingerprint, bytes: repeatable.encode(answer) });
    return answer;
  }
}
