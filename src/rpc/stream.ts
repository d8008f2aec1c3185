import { type DescMethodServerStreaming, type Message, create } from '@bufbuild/protobuf';
import type { Call } from './call.ts';
import type { Next } from './interceptor.ts';
import type { StreamHandler } from './method.ts';
import { untilAborted } from './until-aborted.ts';

/**
 * The innermost link of the chain of a stream.
 * @param write hands a message over to the transport, and resolves once that may have another; rejects if it cannot be
 *   encoded
 */
export function handleAndSend(
  { output }: DescMethodServerStreaming,
  handle: StreamHandler,
  write: (call: Call, message: Message) => Promise<void>,
): Next<void> {
  return (call, request) =>
    handle(call, request.message, (message) =>
      untilAborted(call.signal, () => write(call, create(output, message))),
    );
}
