import { Buffer } from 'node:buffer';
import { type DescMessage, type Message, create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { Metadata, type ServerUnaryCall, type ServerWritableStream } from '@grpc/grpc-js';
import { StatusSchema } from '../../gen/google/rpc/status_pb.js';
import { Cancelled, DeadlineExceeded } from '../domain/errors.ts';
import { Call, type CallRequest } from './call.ts';
import { type Status, UnreadableRequest } from './errors.ts';
import { compileFieldCount } from './field-count.ts';
import type { Trailers } from './http2-call.ts';
import { DECODE_OPTIONS } from './limits.ts';
import type { ServedMethod } from './method.ts';

export type UnaryWireCall = ServerUnaryCall<Buffer, Buffer>;
export type StreamWireCall = ServerWritableStream<Buffer, Buffer>;

const STATUS_DETAILS = 'grpc-status-details-bin';

/** A call as grpc-js hands it over. */
export class GrpcCall extends Call {
  readonly transport = 'grpc';
  readonly peer: string;
  readonly #wireCall: UnaryWireCall | StreamWireCall;
  #sentHeaders = false;

  constructor(method: ServedMethod, rpc: string, wireCall: UnaryWireCall | StreamWireCall) {
    const deadline = Number(wireCall.getDeadline());
    super(method, rpc, Number.isFinite(deadline) ? deadline : undefined);
    this.#wireCall = wireCall;
    // Read now: a stream that is closed has no peer any more.
    this.peer = wireCall.getPeer();
    // Emitted after the answer too, and after grpc-js has answered DEADLINE_EXCEEDED on its own.
    wireCall.once('cancelled', () => {
      if (!this.ended) this.abort(Date.now() >= deadline ? new DeadlineExceeded() : new Cancelled());
    });
  }

  header(name: string): string | undefined {
    const [value] = this.#wireCall.metadata.get(name);
    return typeof value === 'string' ? value : undefined;
  }

  /** Sends the headers of the answer, before anything else of it. */
  sendHeaders(): void {
    if (this.#sentHeaders) return;
    this.#sentHeaders = true;
    const metadata = new Metadata();
    for (const [name, value] of this.responseHeaders) metadata.set(name, value);
    this.#wireCall.sendMetadata(metadata);
  }
}

/** What grpc-js is told of a call that failed. */
export function wireStatus(status: Status) {
  const metadata = new Metadata();
  metadata.set(STATUS_DETAILS, encodeStatus(status));
  return { code: status.code as number, details: status.message, metadata };
}

/** The trailers of a call that failed, for those that do not go through grpc-js. */
export function trailersOf(status: Status): Trailers {
  return {
    'grpc-status': status.code,
    'grpc-message': encodeURI(status.message),
    [STATUS_DETAILS]: encodeStatus(status).toString('base64'),
  };
}

function encodeStatus({ code, message, details }: Status): Buffer {
  const packed = details.map((detail) => anyPack(detail.desc, detail.message));
  return encode(StatusSchema, create(StatusSchema, { code, message, details: packed }));
}

export function encode(desc: DescMessage, message: Message): Buffer {
  const bytes = toBinary(desc, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export type Decoder = (bytes: Uint8Array) => Message;

/**
 * @param fast decodes what it knows; undefined is left to the generated codec
 * @returns throws MalformedRequest, and InvalidInput if there is too much to decode
 */
export function compileDecoder(desc: DescMessage, fast?: (bytes: Uint8Array) => Message | undefined): Decoder {
  const countFields = compileFieldCount(desc);
  const decode: Decoder = (bytes) => {
    try {
      return fromBinary(desc, bytes, DECODE_OPTIONS);
    } catch (error) {
      throw new UnreadableRequest((error as Error).message);
    }
  };
  return (bytes) => {
    countFields(bytes);
    return fast?.(bytes) ?? decode(bytes);
  };
}

/** The request of a call, as its bytes. */
export class GrpcRequest implements CallRequest {
  readonly #decode: Decoder;
  readonly #bytes: Uint8Array;
  #message: Message | undefined;

  constructor(decode: Decoder, bytes: Uint8Array) {
    this.#decode = decode;
    this.#bytes = bytes;
  }

  get message(): Message {
    this.#message ??= this.#decode(this.#bytes);
    return this.#message;
  }
}
