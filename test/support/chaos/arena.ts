import { setTimeout as sleep } from 'node:timers/promises';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import { RenderSource } from '../../../gen/platen/v1/render_service_pb.js';
import type { PlatenProcess } from '../platen-process.ts';
import type { TestRedis } from '../redis-server.ts';
import { byType } from '../rendering.ts';
import type { Ledger } from './ledger.ts';
import { type Outages, RECOVERY_MS } from './outages.ts';
import type { OwnPostgres } from './own-postgres.ts';
import type { Random } from './random.ts';
import { ServerReplica } from './server-replica.ts';

const POLL_MS = 5;
/** How long a replica that is late is watched. */
const PATIENCE_MS = 20_000;

/** What faults happen to: the stores, and replicas as processes. */
export class Arena {
  readonly postgres: OwnPostgres;
  readonly redis: TestRedis | undefined;
  readonly outages: Outages;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #joined: (replica: ServerReplica) => void;
  readonly #stop: AbortSignal;
  readonly #processes: PlatenProcess[] = [];
  readonly #replicas: ServerReplica[] = [];
  #starts = 0;

  constructor(parts: {
    postgres: OwnPostgres;
    redis: TestRedis | undefined;
    outages: Outages;
    ledger: Ledger;
    random: Random;
    /** Environment variables of the replicas. */
    settings: Readonly<Record<string, string>>;
    /** Told of every replica that serves. */
    joined: (replica: ServerReplica) => void;
    stop: AbortSignal;
  }) {
    this.postgres = parts.postgres;
    this.redis = parts.redis;
    this.outages = parts.outages;
    this.ledger = parts.ledger;
    this.random = parts.random;
    this.#settings = parts.settings;
    this.#joined = parts.joined;
    this.#stop = parts.stop;
  }

  /** Those that serve. */
  get replicas(): ServerReplica[] {
    return this.#replicas.filter(({ up }) => up);
  }

  /** @throws AbortError if the run is broken off */
  async wait(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.#stop });
  }

  /** Starts a replica; resolves once it serves. */
  async join(): Promise<ServerReplica> {
    const replica = await this.startReplica();
    this.#replicas.push(replica);
    this.#joined(replica);
    return replica;
  }

  /** Starts a replica that nobody but the caller asks; resolves once it serves. */
  startReplica(): Promise<ServerReplica> {
    this.#starts += 1;
    const name = `replica ${this.#starts}`;
    return ServerReplica.start(name, this.#settings, this.ledger, (process) => this.#processes.push(process));
  }

  /** Kills one replica as a crash does. */
  async killOne(): Promise<void> {
    await this.random.pick(this.replicas).kill();
  }

  /**
   * Takes the database away and brings it back; resolves once all replicas have recovered from it.
   * @param meanwhile goes on while it is away
   */
  async withoutPostgres(
    stop: () => Promise<void>,
    bringBack: () => Promise<void>,
    meanwhile: () => Promise<void>,
  ): Promise<void> {
    this.outages.begin();
    await stop();
    this.outages.away();
    await meanwhile();
    this.outages.returning();
    await bringBack();
    await this.postgres.accepting();
    this.outages.accepting();
    await this.#recovered();
  }

  /** Ends all replicas in order. */
  async leave(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.stop()));
  }

  /** Kills what still runs, however far it is. */
  async clear(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.kill()));
    for (const process of this.#processes.filter(({ running }) => running)) {
      process.signal('SIGKILL');
      await process.exitCode();
    }
  }

  async #recovered(): Promise<void> {
    const accepted = performance.now();
    const head = await this.postgres.head();
    await Promise.all(
      this.replicas.map(async (replica) => {
        for (;;) {
          const { source, seq } = await this.#answer(replica);
          const took = Math.round(performance.now() - accepted);
          const proved = source === RenderSource.ACTIVE && seq >= head;
          if (!replica.up) return;
          if (!proved && took < PATIENCE_MS) {
            await this.wait(POLL_MS);
            continue;
          }
          const told = () => `${replica.name} after ${took} ms: ${RenderSource[source]} at ${seq} of ${head}`;
          this.ledger.check('recovers', proved && took <= RECOVERY_MS, told);
          this.ledger.tally(`recoveries within ${Math.ceil(took / 250) * 250} ms`);
          return;
        }
      }),
    );
  }

  async #answer(replica: ServerReplica): Promise<{ source: RenderSource; seq: bigint }> {
    const unanswered = { source: RenderSource.UNSPECIFIED, seq: 0n };
    return replica.clients.renders.render({ target: byType(PromptType.GREETING) }).catch(() => unanswered);
  }
}
