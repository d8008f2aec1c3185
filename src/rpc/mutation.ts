import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { Violations } from '../domain/errors.ts';
import { MAX_REQUEST_ID_CHARACTERS } from '../domain/limits.ts';
import { characters } from '../domain/text.ts';
import type { Repeatable, Writes, WriteTransaction } from '../services/stores.ts';
import { fingerprint } from './fingerprint.ts';
import type { Handler } from './method.ts';
import { reporting } from './reporting.ts';

/** A use case on a transaction, answered with what the response message is made of. */
type UseCase<O extends DescMessage> = (tx: WriteTransaction) => Promise<MessageInitShape<O>>;

/**
 * The handler of a mutation: runs its use case in one transaction, repeatable under the request's request_id (spec
 * section 3, retries).
 * @param method the method that it handles
 * @param plan reads the request, adds what is wrong with it, and gives the use case
 */
export function mutation<I extends DescMessage, O extends DescMessage>(
  writes: Writes,
  method: DescMethodUnary<I, O>,
  plan: (violations: Violations, request: MessageShape<I>) => UseCase<O>,
): Handler<DescMethodUnary<I, O>> {
  return async (context, request) => {
    const violations = new Violations();
    const useCase = plan(violations, request);
    const requestId = readRequestId(violations, request as MessageShape<I> & RepeatableRequest);
    const call = {
      actor: context.caller,
      traceId: context.traceId,
      requestId,
      deadline: context.deadline,
      signal: context.signal,
    };
    const repeatable: Repeatable<MessageShape<O>> = {
      rpc: context.rpc,
      fingerprint: requestId && fingerprint(method.input, { ...request, requestId: '' }),
      encode: (answer) => toBinary(method.output, answer),
      decode: (bytes) => fromBinary(method.output, bytes),
    };
    return writes.run(call, repeatable, (tx) =>
      reporting(violations, async () => create(method.output, await useCase(tx))),
    );
  };
}

interface RepeatableRequest {
  readonly requestId: string;
}

/** One that is too long is not kept: it cannot be a key. */
function readRequestId(violations: Violations, { requestId }: RepeatableRequest): string {
  if (characters(requestId) <= MAX_REQUEST_ID_CHARACTERS) return requestId;
  violations.add('request_id', 'TOO_LONG', `at most ${MAX_REQUEST_ID_CHARACTERS} characters are allowed`);
  return '';
}
