import type { Server, ServerWritableStream } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { OpenStreams } from './open-streams.ts';

type Watch = (call: ServerWritableStream<unknown, unknown>) => void;

/** grpc.health.v1.Health over one status: of the whole server ('') and of each service alike. */
export class Health {
  readonly #names: readonly string[];
  readonly #implementation = new HealthImplementation();
  #serving = false;

  /** Not serving yet. */
  constructor(serviceNames: readonly string[]) {
    this.#names = ['', ...serviceNames];
    this.set(false);
  }

  get serving(): boolean {
    return this.#serving;
  }

  /** Sets the status; watchers learn of it. */
  set(serving: boolean): void {
    this.#serving = serving;
    for (const name of this.#names) this.#implementation.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
  }

  /** Serves the health service; its watches are among the open streams. */
  addTo(server: Server, streams: OpenStreams): void {
    this.#implementation.addToServer({
      addService(definition, implementation) {
        const watch = implementation['watch'] as Watch;
        const trackedWatch: Watch = (call) => {
          streams.add(call);
          watch(call);
        };
        server.addService(definition, { ...implementation, watch: trackedWatch });
      },
    });
  }
}
