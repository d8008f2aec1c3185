import { type Http2Session, type IncomingHttpHeaders, type ServerHttp2Stream, constants } from 'node:http2';
import { Cancelled, DeadlineExceeded } from '../domain/errors.ts';
import { Call } from './call.ts';
import type { ServedMethod } from './method.ts';

/** Answers a call on its stream. */
export type StreamListener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** How a call ends: gRPC's trailers. */
export type Trailers = Readonly<Record<string, string | number>>;

export const OK_TRAILERS: Trailers = { 'grpc-status': 0, 'grpc-message': 'OK' };

const ANSWER_OPTIONS = { waitForTrailers: true };

/** Names and values, which Node takes as they are. */
const ANSWER_HEADERS: readonly string[] = Object.entries({
  ':status': '200',
  'content-type': 'application/grpc+proto',
  'grpc-encoding': 'identity',
  'grpc-accept-encoding': 'identity,deflate,gzip',
}).flat();

const CALL = Symbol('call');

/**
 * Listeners find their call by its stream, and so are the same for all: Node holds a closed stream until the next full
 * collection of garbage, and all that hangs on it.
 */
interface CalledStream extends ServerHttp2Stream {
  /** Until the stream is closed. */
  [CALL]: Http2Call | undefined;
}

const CONTENT_TYPES: ReadonlySet<unknown> = new Set(['application/grpc', 'application/grpc+proto']);
const TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** Whether a call is one that `Http2Call` knows: of gRPC in protobuf, not compressed. */
export function isPlain(headers: IncomingHttpHeaders): boolean {
  const encoding = headers['grpc-encoding'];
  const timeout = headers['grpc-timeout'];
  return (
    CONTENT_TYPES.has(headers['content-type']) &&
    (encoding === undefined || encoding === 'identity') &&
    (timeout === undefined || TIMEOUT.test(timeout as string))
  );
}

/**
 * A gRPC call on its HTTP/2 stream (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), for methods that
 * are called on every turn of a chat: what grpc-js makes of a stream takes as long as Node's HTTP/2 itself.
 */
export class Http2Call extends Call {
  readonly transport = 'grpc';
  readonly peer: string;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;

  #trailers = OK_TRAILERS;

  constructor(method: ServedMethod, rpc: string, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    super(method, rpc, deadlineOf(headers));
    this.peer = peerOf(stream.session!);
    this.#stream = stream;
    this.#headers = headers;
    (stream as CalledStream)[CALL] = this;
    stream.on('error', ignore);
    stream.on('close', Http2Call.#closed);
  }

  /** The stream is gone, whoever ended it. */
  static #closed(this: CalledStream): void {
    const call = callOf(this)!;
    this[CALL] = undefined;
    if (call.ended) return;
    const isLate = call.deadline !== undefined && Date.now() >= call.deadline;
    call.abort(isLate ? new DeadlineExceeded() : new Cancelled());
  }

  static #sendTrailers(this: CalledStream): void {
    const call = callOf(this);
    if (call === undefined) return;
    this.sendTrailers(call.#trailers);
    // Who was answered before the end of the request is told to send no more of it (RFC 9113, 8.1), and not before the
    // trailers are on their way.
    if (!this.readableEnded) setImmediate(endEarly, this);
  }

  header(name: string): string | undefined {
    const value = this.#headers[name];
    return typeof value === 'string' && !name.endsWith('-bin') ? value : undefined;
  }

  /** Whether anything can still be sent: a stream that was reset is closed a moment before it is destroyed. */
  get isOpen(): boolean {
    return !this.#stream.closed && !this.#stream.destroyed;
  }

  /** Sends the headers of the answer, before anything else of it. */
  sendHeaders(): void {
    if (!this.isOpen || this.#stream.headersSent) return;
    const headers = [...ANSWER_HEADERS];
    for (const [name, value] of this.responseHeaders) headers.push(name, value);
    this.#stream.respond(headers, ANSWER_OPTIONS);
  }

  /** Ends the call. @param frame a last message, with its prefix */
  finish(trailers: Trailers, frame?: Buffer): void {
    this.end();
    const stream = this.#stream;
    if (!this.isOpen || stream.writableEnded) return;
    this.sendHeaders();
    this.#trailers = trailers;
    stream.on('wantTrailers', Http2Call.#sendTrailers);
    stream.end(frame);
  }
}

/** The call that is answered on a stream; undefined: the stream is closed. */
export function callOf(stream: ServerHttp2Stream): Http2Call | undefined {
  return (stream as CalledStream)[CALL];
}

function endEarly(stream: ServerHttp2Stream): void {
  if (!stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR);
}

/** A stream that fails is closed as well. */
function ignore(): void {}

function deadlineOf({ 'grpc-timeout': timeout }: IncomingHttpHeaders): number | undefined {
  if (timeout === undefined) return undefined;
  const [, value, unit] = TIMEOUT.exec(timeout as string) as unknown as [string, string, string];
  return Date.now() + Number(value) * UNIT_MS[unit]!;
}

const PEERS = new WeakMap<Http2Session, string>();

/** Looked up once for a connection: the socket of a session is hidden behind a proxy. */
function peerOf(session: Http2Session): string {
  const known = PEERS.get(session);
  if (known !== undefined) return known;
  const { remoteAddress, remotePort } = session.socket;
  const peer = `${remoteAddress}:${remotePort}`;
  PEERS.set(session, peer);
  return peer;
}
