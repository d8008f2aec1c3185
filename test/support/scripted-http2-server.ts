import { once } from 'node:events';
import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { framed } from '../../bench/load/message.ts';

/** What a server does with a call, whose request may still be coming. */
export type Script = (stream: ServerHttp2Stream) => void;

/** An HTTP/2 server that does as it is told, on a free port of loopback. It pads what it sends. */
export class ScriptedServer {
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(script: Script) {
    this.#server = createServer({ paddingStrategy: constants.PADDING_STRATEGY_MAX });
    this.#server.on('session', (session) => this.#sessions.add(session));
    this.#server.on('stream', (stream) => {
      stream.on('error', () => {});
      script(stream);
    });
  }

  /** Connections that were made so far. */
  get connections(): number {
    return this.#sessions.size;
  }

  /** @returns its address */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const session of this.#sessions) session.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Answers once the request has come to its end. */
export function answer(stream: ServerHttp2Stream, message: Buffer): void {
  stream.resume().once('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(framed(message));
  });
}

/** Fails as gRPC does: with status 200, and no message. */
export function fail(stream: ServerHttp2Stream): void {
  stream.resume().respond({ ':status': 200, 'grpc-status': '13' }, { endStream: true });
}

/** Answers so many messages of 16 bytes as they come, and ends with a status. */
export function answerSome(stream: ServerHttp2Stream, answers: number, message: Buffer, status: number): void {
  const messageBytes = framed(Buffer.alloc(16)).length;
  let left = answers;
  let read = 0;
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status) }));
  stream.once('end', () => stream.end());
  stream.on('data', (chunk: Buffer) => {
    for (read += chunk.length; read >= messageBytes && left > 0; read -= messageBytes) {
      stream.write(framed(message));
      left -= 1;
    }
    if (left === 0) stream.end();
  });
}
