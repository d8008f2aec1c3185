import { type ServerHttp2Session, constants } from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import { http2ServersOf } from './http2-servers.ts';

/** Connections that were made together do not end together. */
const JITTER = 0.1;
/** The highest id that a stream can have. */
const ANY_STREAM = 2 ** 31 - 1;

/**
 * Has each connection of a gRPC server end with the first call after some time, so that clients get to replicas and
 * workers that are younger than their connections. No call fails by it: those under way finish, however long they take,
 * and so do those that are sent before the client knows; `grpc.max_connection_age_ms` of grpc-js refuses the latter.
 *
 * @param server has its connection injector already
 * @param ageMs give or take a tenth
 */
export function limitConnectionAge(server: Server, ageMs: number): void {
  for (const http2 of http2ServersOf(server)) {
    http2.on('session', (session) => {
      const age = ageMs * (1 + JITTER * (2 * Math.random() - 1));
      // A client that has just sent a call waits for its answer; one that hears of the end while it begins a call fails
      // that, if it is Node's and nobody repeats it.
      const timer = setTimeout(() => session.once('stream', () => process.nextTick(retire, session)), age);
      session.once('close', () => clearTimeout(timer));
    });
  }
}

/** A graceful end as RFC 9113 has it in section 6.8: announced first, and begun when the client has heard of it. */
function retire(session: ServerHttp2Session): void {
  if (session.destroyed) return;
  session.goaway(constants.NGHTTP2_NO_ERROR, ANY_STREAM);
  session.ping(() => session.close());
}
