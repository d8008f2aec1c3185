import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import type { LoadTarget } from '../load/load.ts';

/** A call as the contract has it. */
type Method<I extends DescMessage, O extends DescMessage> = DescMethod & { readonly input: I; readonly output: O };

/** Answers differ by some bytes, ids and numbers for one; an error, or a fallback, is much shorter. */
const LEAST_SHARE = 0.95;
const PATIENCE_MS = 10_000;

/** What one scenario calls, again and again. */
export class Call {
  readonly path: string;
  readonly isStream: boolean;
  readonly #messages: readonly Buffer[];
  readonly #isRight: (answer: Buffer) => boolean;

  private constructor(
    path: string,
    isStream: boolean,
    messages: readonly Buffer[],
    isRight: (answer: Buffer) => boolean,
  ) {
    this.path = path;
    this.isStream = isStream;
    this.#messages = messages;
    this.#isRight = isRight;
  }

  /**
   * @param requests sent in turn
   * @param isRight whether an answer is what the scenario is about
   */
  static of<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    requests: readonly MessageInitShape<I>[],
    isRight: (answer: MessageShape<O>) => boolean,
  ): Call {
    const { input, output, parent, name, methodKind } = method;
    const messages = requests.map((request) => Buffer.from(toBinary(input, create(input, request))));
    const isStream = methodKind === 'bidi_streaming';
    return new Call(`/${parent.typeName}/${name}`, isStream, messages, (answer) => isRight(fromBinary(output, answer)));
  }

  /** Calls a server once. @throws Error if it fails, or if the answer is not what the scenario is about */
  async answerOf(address: string): Promise<Buffer> {
    const client = new Client(address, credentials.createInsecure());
    try {
      const answer = await (this.isStream ? this.#streamed(client) : this.#unary(client));
      if (!this.#isRight(answer)) throw new Error(`${this.path} gives another answer than was meant`);
      return answer;
    } finally {
      client.close();
    }
  }

  /** What a generator of load sends to a server that has answered so. */
  target(address: string, answer: Buffer, inFlight: number): LoadTarget {
    return {
      address,
      path: this.path,
      messages: this.#messages,
      leastAnswerBytes: Math.floor(LEAST_SHARE * answer.byteLength),
      ...(this.isStream && { stream: { inFlight } }),
    };
  }

  #unary(client: Client): Promise<Buffer> {
    const options = { deadline: Date.now() + PATIENCE_MS };
    return new Promise((resolve, reject) => {
      const settle = (error: ServiceError | null, answer?: Buffer): void => (error ? reject(error) : resolve(answer!));
      client.makeUnaryRequest(this.path, identity, identity, this.#messages[0]!, options, settle);
    });
  }

  #streamed(client: Client): Promise<Buffer> {
    const options = { deadline: Date.now() + PATIENCE_MS };
    return new Promise((resolve, reject) => {
      const stream = client.makeBidiStreamRequest<Buffer, Buffer>(this.path, identity, identity, options);
      stream.once('data', resolve).once('error', reject);
      stream.end(this.#messages[0]!);
    });
  }
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}
