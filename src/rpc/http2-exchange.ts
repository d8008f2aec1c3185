import { Buffer } from 'node:buffer';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type DescMethodBiDiStreaming, create } from '@bufbuild/protobuf';
import { Unavailable } from '../domain/errors.ts';
import { rpcName } from './call.ts';
import { type Codec, codecOf } from './codec.ts';
import { drainingError } from './drain.ts';
import { type StatusError, UnreadableRequest } from './errors.ts';
import { trailersOf } from './grpc-call.ts';
import { FrameReader } from './grpc-frames.ts';
import { Http2Call, OK_TRAILERS, type StreamListener, type Trailers } from './http2-call.ts';
import { composeChain } from './interceptor-chain.ts';
import type { InterceptorParts } from './interceptor.ts';
import { MAX_REQUEST_BYTES } from './limits.ts';
import type { ExchangeHandler } from './method.ts';
import { Turns } from './turns.ts';

/** Most requests of one stream that were begun and whose answers are not on their way yet. */
const MAX_UNDER_WAY = 64;

/** What every stream of one method is served with. */
interface ExchangeParts extends Pick<InterceptorParts, 'drain' | 'connectionAgeMs'> {
  readonly method: DescMethodBiDiStreaming;
  readonly rpc: string;
  readonly codec: Codec;
  readonly handle: ExchangeHandler;
  /** Shared by all streams. */
  readonly turns: Turns;
}

/**
 * Serves a method whose requests come in a stream, and are answered each by one message, on the streams of plain calls.
 * A stream ends after `connectionAgeMs`: its connection waits for it.
 */
export function http2Exchange(
  method: DescMethodBiDiStreaming,
  handle: ExchangeHandler,
  parts: InterceptorParts,
): StreamListener {
  const rpc = rpcName(method);
  const exchangeParts = { ...parts, method, rpc, codec: codecOf(method), handle, turns: new Turns() };
  const run = composeChain(method, parts, (call) => (call as Exchange).run());
  const request = { message: create(method.input) };
  return (stream, headers) => {
    const exchange = new Exchange(exchangeParts, stream, headers);
    run(exchange, request).then(
      () => exchange.finish(OK_TRAILERS),
      (error: StatusError) => exchange.finish(trailersOf(error.status)),
    );
  };
}

/**
 * One stream. It reads as long as few enough requests are under way, which are those whose answers are not written yet
 * as well: a caller who does not read is not read from. Answers that are done in one turn of the event loop are written
 * at once.
 */
class Exchange extends Http2Call {
  readonly #parts: ExchangeParts;
  readonly #stream: ServerHttp2Stream;
  readonly #frames = new FrameReader(MAX_REQUEST_BYTES);
  readonly #done = Promise.withResolvers<void>();
  /** Arrived, and not begun. */
  #waiting: Buffer[] = [];
  /** Done, and not written. */
  #answers: Buffer[] = [];
  #underWay = 0;
  #closed = false;
  #failure: Error | undefined;

  constructor(parts: ExchangeParts, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    super(parts.method, parts.rpc, stream, headers);
    this.#parts = parts;
    this.#stream = stream;
  }

  /** Answers requests until no more come and all are answered. @throws what ended the stream before its caller did */
  async run(): Promise<void> {
    const { drain, connectionAgeMs } = this.#parts;
    const forget = drain.onBegin(() => this.#close(drainingError()));
    const timer = connectionAgeMs > 0 ? setTimeout(() => this.#close(tooOldError()), connectionAgeMs) : undefined;
    this.sendHeaders();
    this.#stream
      .on('data', (chunk: Buffer) => this.#receive(chunk))
      .on('end', () => this.#close())
      .on('close', () => this.#done.resolve());
    try {
      await this.#done.promise;
    } finally {
      forget();
      clearTimeout(timer);
      // What the caller still sends is of no more interest.
      this.#stream.resume();
    }
  }

  /** Whatever ends it, nothing more is begun, and what still comes is read and dropped. */
  override finish(trailers: Trailers): void {
    super.finish(trailers);
    this.#closed = true;
    this.#waiting = [];
    this.#done.resolve();
  }

  #receive(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      this.#waiting.push(...this.#frames.read(chunk));
    } catch (error) {
      this.#fail(new UnreadableRequest((error as Error).message));
    }
    this.#begin();
  }

  /** Begins what waits as far as there is room, and reads on if there is room for more. */
  #begin(): void {
    while (this.#waiting.length > 0 && this.#underWay < MAX_UNDER_WAY) {
      const message = this.#waiting.shift()!;
      this.#underWay += 1;
      this.#parts.turns.begin(() => void this.#answer(message));
    }
    if (this.#underWay === MAX_UNDER_WAY) this.#stream.pause();
    else if (this.#stream.isPaused()) this.#stream.resume();
  }

  async #answer(message: Buffer): Promise<void> {
    const { codec, handle } = this.#parts;
    try {
      this.#write(codec.encodeFrame(await handle(this, codec.decode(message))));
    } catch (error) {
      this.#underWay -= 1;
      this.#fail(error as Error);
    }
  }

  #write(answer: Buffer): void {
    this.#answers.push(answer);
    if (this.#answers.length === 1) process.nextTick(() => this.#flush());
  }

  #flush(): void {
    const answers = this.#answers;
    this.#answers = [];
    if (this.ended || !this.isOpen) return;
    this.#stream.write(answers.length === 1 ? answers[0] : Buffer.concat(answers), () => {
      this.#underWay -= answers.length;
      this.#begin();
      this.#endIfDone();
    });
  }

  /**
   * Takes no more requests, and ends the stream after the last answer. The first reason counts.
   * @param reason undefined: the caller has no more
   */
  #close(reason?: Error): void {
    if (!this.#closed) this.#fail(reason);
  }

  /** The same, whatever was the reason before. Requests that wait are not rendered: the end tells the caller. */
  #fail(reason?: Error): void {
    this.#closed = true;
    this.#failure ??= reason;
    if (reason !== undefined) this.#waiting = [];
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (!this.#closed || this.#underWay + this.#waiting.length > 0) return;
    if (this.#failure === undefined) this.#done.resolve();
    else this.#done.reject(this.#failure);
  }
}

/** What a stream is told that was open long enough. The caller may open another one at once, wherever that leads. */
function tooOldError(): Unavailable {
  return new Unavailable('DRAINING', 'this stream was open for as long as a connection may be; open another one', 0);
}
