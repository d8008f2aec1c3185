import type { Buffer } from 'node:buffer';
import { type DescMessage, type Message, type MessageInitShape, create, toBinary } from '@bufbuild/protobuf';
import { RenderService } from '../../gen/platen/v1/render_service_pb.js';
import { compileDecoder } from './grpc-call.ts';
import { allocateFrame, PREFIX_BYTES } from './grpc-frames.ts';
import {
  decodeBatchRenderRequest,
  decodeRenderRequest,
  decodeRenderStreamRequest,
  encodeBatchRenderResponse,
  encodeRenderResponse,
  encodeRenderStreamResponse,
} from './render-codec.ts';

/** How the messages of a method look in protobuf. */
export interface Codec<I extends Message = Message, O extends DescMessage = DescMessage> {
  /**
   * The field count of `field-count.ts` included.
   * @throws MalformedRequest, and InvalidInput if there is too much to decode
   */
  readonly decode: (bytes: Uint8Array) => I;
  /** @returns bytes that nothing else refers to. @throws if the answer is not one of the method's output type */
  readonly encode: (answer: MessageInitShape<O>) => Buffer;
  /** The same, with what gRPC puts before each message. */
  readonly encodeFrame: (answer: MessageInitShape<O>) => Buffer;
}

/** A codec of our own, for what it knows: the rest is undefined, and left to the generated one. */
interface FastCodec {
  readonly decode: (bytes: Uint8Array) => Message | undefined;
  /** In its frame. */
  readonly encode: (answer: never) => Buffer | undefined;
}

const { render, batchRender, renderStream } = RenderService.method;

const FAST: ReadonlyMap<unknown, FastCodec> = new Map<unknown, FastCodec>([
  [render, { decode: decodeRenderRequest, encode: encodeRenderResponse }],
  [batchRender, { decode: decodeBatchRenderRequest, encode: encodeBatchRenderResponse }],
  [renderStream, { decode: decodeRenderStreamRequest, encode: encodeRenderStreamResponse }],
]);

/** The codec of a method, made once for each. */
export function codecOf(method: { readonly input: DescMessage; readonly output: DescMessage }): Codec {
  const { input, output } = method;
  const fast = FAST.get(method);
  const encodeFrame = (answer: MessageInitShape<DescMessage>): Buffer =>
    fast?.encode(answer as never) ?? framed(toBinary(output, create(output, answer)));
  return {
    decode: compileDecoder(input, fast?.decode),
    encode: (answer) => encodeFrame(answer).subarray(PREFIX_BYTES),
    encodeFrame,
  };
}

function framed(message: Uint8Array): Buffer {
  const frame = allocateFrame(message.length);
  frame.set(message, PREFIX_BYTES);
  return frame;
}
