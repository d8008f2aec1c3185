import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { Violations, WorkTooLong } from '../domain/errors.ts';
import { MAX_REQUEST_ID_CHARACTERS } from '../domain/limits.ts';
import { isLongerThan } from '../domain/text.ts';
import type { Repeatable, Writes, WriteTransaction } from '../services/stores.ts';
import { fingerprint } from './fingerprint.ts';
import type { CallContext, Handler } from './method.ts';
import { reporting } from './reporting.ts';

/** A use case on a transaction, answered with what the response message is made of. */
type UseCase<O extends DescMessage> = (tx: WriteTransaction) => Promise<MessageInitShape<O>>;

/** Reads the request, adds what is wrong with it, and gives the use case. */
type Plan<I extends DescMessage, O extends DescMessage> = (
  violations: Violations,
  request: MessageShape<I>,
  context: CallContext,
) => UseCase<O> | Promise<UseCase<O>>;

/**
 * The handler of a mutation: runs its use case in one transaction, repeatable under the request's request_id (spec
 * section 3, retries). What takes long is done by the plan, before the transaction begins.
 * @param method the method that it handles
 */
export function mutation<I extends DescMessage, O extends DescMessage>(
  writes: Writes,
  method: DescMethodUnary<I, O>,
  plan: Plan<I, O>,
): Handler<DescMethodUnary<I, O>> {
  return async (context, request) => {
    const violations = new Violations();
    const useCase = await useCaseOf(plan, violations, request, context);
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

/**
 * The use case that a plan gives. Where planning takes too long, it is the use case that fails: a request that
 * succeeded before has its stored response, however long the plan takes this time.
 */
async function useCaseOf<I extends DescMessage, O extends DescMessage>(
  plan: Plan<I, O>,
  ...request: Parameters<Plan<I, O>>
): Promise<UseCase<O>> {
  try {
    return await plan(...request);
  } catch (error) {
    if (!(error instanceof WorkTooLong)) throw error;
    return () => Promise.reject(error);
  }
}

interface RepeatableRequest {
  readonly requestId: string;
}

/** One that is too long is not kept: it cannot be a key. */
function readRequestId(violations: Violations, { requestId }: RepeatableRequest): string {
  if (!isLongerThan(requestId, MAX_REQUEST_ID_CHARACTERS)) return requestId;
  violations.add('request_id', 'TOO_LONG', `at most ${MAX_REQUEST_ID_CHARACTERS} characters are allowed`);
  return '';
}
