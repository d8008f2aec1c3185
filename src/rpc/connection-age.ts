import type { ServerHttp2Session } from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import { http2ServersOf } from './http2-servers.ts';

/** Connections that were made together do not end together. */
const JITTER = 0.1;

/**
 * Has each connection of a gRPC server end with the first call after some time, so that clients get to replicas and
 * workers that are younger than their connections. Calls under way finish, however long they take. Those that are sent
 * before the client knows are refused unseen, and gRPC clients repeat them.
 *
 * @param server has its connection injector already
 * @param ageMs give or take a tenth
 */
export function limitConnectionAge(server: Server, ageMs: number): void {
  for (const http2 of http2ServersOf(server)) {
    http2.on('session', (session) => {
      const age = ageMs * (1 + JITTER * (2 * Math.random() - 1));
      // A client that has just sent a call waits for its answer: less is under way to be refused.
      const timer = setTimeout(() => session.once('stream', () => process.nextTick(retire, session)), age);
      session.once('close', () => clearTimeout(timer));
    });
  }
}

/**
 * One GOAWAY, that names the last stream which was seen. To announce it first, as RFC 9113 has it in section 6.8, leaves
 * calls of Node's client hanging, which it neither sends then nor fails.
 */
function retire(session: ServerHttp2Session): void {
  if (!session.destroyed) session.close();
}
