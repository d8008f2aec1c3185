import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { Client as GrpcClient, type ClientDuplexStream, Metadata, type ServiceError, credentials } from '@grpc/grpc-js';
import { Code } from '../../gen/google/rpc/code_pb.js';
import { ErrorInfoSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../../gen/google/rpc/status_pb.js';
import {
  RenderStreamRequestSchema,
  type RenderStreamResponse,
  RenderStreamResponseSchema,
} from '../../gen/platen/v1/render_service_pb.js';

const PATH = '/platen.v1.RenderService/RenderStream';

/** How a stream ended. */
export interface StreamEnd {
  readonly code: string;
  /** That of the ErrorInfo; empty: none. */
  readonly reason: string;
  readonly message: string;
  /** Whether it says to try again. */
  readonly retry: boolean;
}

/** A render stream over a connection of its own, read as the test says. */
export class RenderStream {
  readonly #client: GrpcClient;
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  /** What has arrived so far. */
  readonly answers: RenderStreamResponse[] = [];
  /** How many requests the connection has taken so far. */
  taken = 0;
  /** The headers of the answer, once they are there. */
  headers: Metadata | undefined;
  readonly end: Promise<StreamEnd>;

  /** @param headers `grpc-timeout` for a deadline that the server has to keep */
  constructor(address: string, headers: Readonly<Record<string, string>> = {}) {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    const identity = (bytes: Buffer) => bytes;
    this.#client = new GrpcClient(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
    this.#call = this.#client.makeBidiStreamRequest(PATH, identity, identity, metadata);
    this.#call.on('metadata', (received: Metadata) => (this.headers = received));
    this.#call.on('data', (bytes: Buffer) => this.answers.push(fromBinary(RenderStreamResponseSchema, bytes)));
    this.#call.on('error', () => {});
    this.end = new Promise((resolve) => {
      this.#call.on('status', (status: ServiceError) => {
        this.#client.close();
        resolve(endOf(status));
      });
    });
  }

  /** The ids of what has arrived so far. */
  get ids(): number[] {
    return this.answers.map(({ id }) => id);
  }

  send(...requests: MessageInitShape<typeof RenderStreamRequestSchema>[]): void {
    for (const request of requests) {
      this.sendBytes(toBinary(RenderStreamRequestSchema, create(RenderStreamRequestSchema, request)));
    }
  }

  sendBytes(bytes: Uint8Array): void {
    this.#call.write(Buffer.from(bytes), () => (this.taken += 1));
  }

  /** Sends no more. */
  finish(): void {
    this.#call.end();
  }

  /** Reads no further, until `resume`. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  cancel(): void {
    this.#call.cancel();
  }
}

function endOf({ code, details, metadata }: ServiceError): StreamEnd {
  const [packed] = metadata.get('grpc-status-details-bin') as Buffer[];
  const any = packed ? fromBinary(StatusSchema, packed).details : [];
  const infos = any.map((each) => anyUnpack(each, ErrorInfoSchema));
  const reason = infos.find((info) => info !== undefined)?.reason ?? '';
  const retry = any.some((each) => anyUnpack(each, RetryInfoSchema) !== undefined);
  return { code: Code[code]!, reason, message: details, retry };
}
