import { Code, ConnectError } from '@connectrpc/connect';
import { fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { base64Decode } from '@bufbuild/protobuf/wire';
import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../../gen/google/rpc/status_pb.js';
import { connect, type Clients, type Connection } from '../../src/cli/client.ts';

/** How a call was answered: `OK`, or the code and the reason. */
export type Answer = string;

/** A Connect error in JSON. */
interface ErrorBody {
  readonly code: string;
  readonly details?: readonly { readonly type: string; readonly value: string }[];
}

/** Longest wait for an answer, in milliseconds. */
const PATIENCE_MS = 120_000;

/** One client that sends what it likes: typed calls, bytes of its own making, and JSON. */
export class HostileClient {
  readonly #connection: Connection;
  readonly #raw: Client;
  readonly #httpUrl: string;
  #ids = 0;

  constructor(grpcUrl: string, httpUrl: string) {
    this.#connection = connect(grpcUrl);
    this.#raw = new Client(new URL(grpcUrl).host, credentials.createInsecure());
    this.#httpUrl = httpUrl;
  }

  get clients(): Clients {
    return this.#connection.clients;
  }

  /** An id that no other call has used. */
  newId(): string {
    this.#ids += 1;
    return `hostile-${this.#ids}`;
  }

  /** @param rpc as `RenderService/Render` */
  sendBytes(rpc: string, bytes: Buffer): Promise<Answer> {
    const identity = (buffer: Buffer): Buffer => buffer;
    const options = { deadline: Date.now() + PATIENCE_MS };
    return new Promise((resolve) => {
      this.#raw.makeUnaryRequest(`/platen.v1.${rpc}`, identity, identity, bytes, new Metadata(), options, (error) => {
        resolve(error === null ? 'OK' : grpcAnswer(error));
      });
    });
  }

  /** @param rpc as `RenderService/Render` */
  async postJson(rpc: string, json: string): Promise<Answer> {
    const response = await fetch(`${this.#httpUrl}/platen.v1.${rpc}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: json,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (response.ok) return 'OK';
    const { code, details = [] } = (await response.json()) as ErrorBody;
    const info = details.find(({ type }) => type === 'google.rpc.ErrorInfo');
    const reason = info && fromBinary(ErrorInfoSchema, base64Decode(info.value)).reason;
    return [code.toUpperCase(), reason].filter(Boolean).join(' ');
  }

  close(): void {
    this.#connection.close();
    this.#raw.close();
  }
}

/** How a typed call was answered. */
export async function answerOf(call: Promise<unknown>): Promise<Answer> {
  try {
    await call;
    return 'OK';
  } catch (error) {
    const failure = ConnectError.from(error);
    const [info] = failure.findDetails(ErrorInfoSchema);
    return [codeName(failure.code), info?.reason].filter(Boolean).join(' ');
  }
}

/** DeadlineExceeded as DEADLINE_EXCEEDED. */
function codeName(code: Code): string {
  return Code[code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
}

function grpcAnswer({ code, metadata }: ServiceError): Answer {
  const [bytes] = metadata.get('grpc-status-details-bin') as Buffer[];
  const detail = bytes && fromBinary(StatusSchema, bytes).details[0];
  const info = detail && anyUnpack(detail, ErrorInfoSchema);
  return [status[code], info?.reason].filter(Boolean).join(' ');
}
