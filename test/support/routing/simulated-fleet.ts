import assert from 'node:assert/strict';
import type { Scheduler } from 'fast-check';
import { PROMPT_TYPES } from '../../../src/domain/prompt-type.ts';
import { RegistryHistory } from './registry-history.ts';
import { ROOT, type Ask, type Write } from './registry-model.ts';
import { SimulatedDatabase } from './simulated-database.ts';
import { Floor, SimulatedReplica, type Surroundings } from './simulated-replica.ts';
import { turn, VirtualTime } from './virtual-time.ts';

export const REPLICAS = 3;
export const TENANTS = [ROOT, 'acme', 'shop', 'kiosk'];
export const TYPES = PROMPT_TYPES.slice(0, 2);
export const BUNDLES = ['hello', 'bye'];
export const CHANNELS = ['production', 'canary'];
export const VERSIONS = ['1.0.0', '1.0.1', '1.0.2'];

/** How long a replica may be behind that can reach the database. */
const CAUGHT_UP_WITHIN_MS = 2_000;
/** And one whose connection only looks alive: it reads the head, gives up waiting, and connects again. */
const HUNG_CAUGHT_UP_WITHIN_MS = 5_000;
/** The longest that anybody waits for a change. */
const LONGEST_WAIT_MS = 5_000;
const STEP_MS = 250;

const FIRST_TENANTS = [
  { tenant: ROOT, parent: '', variables: {} },
  { tenant: 'acme', parent: ROOT, variables: { brand: 'Acme' } },
  { tenant: 'shop', parent: 'acme', variables: {} },
];
const FIRST_BUNDLES = [
  { tenant: ROOT, bundleId: 'hello', type: TYPES[0]! },
  { tenant: ROOT, bundleId: 'bye', type: TYPES[1]! },
  { tenant: 'acme', bundleId: 'hello', type: TYPES[0]! },
];

/** Brands below the root; prompts of the root that are activated, and one of a brand that answers instead. */
const FIRST_WRITES: readonly Write[] = [
  ...FIRST_TENANTS.map((tenant) => ({ act: 'create tenant' as const, ...tenant, capturePolicy: 'VARIABLES' as const })),
  ...FIRST_BUNDLES.flatMap(({ type, ...bundle }): Write[] => [
    { act: 'create bundle', ...bundle, type },
    { act: 'publish', ...bundle },
    { act: 'release latest', ...bundle, channel: 'production' },
    ...(bundle.tenant === ROOT ? [{ act: 'activate' as const, ...bundle, type }] : []),
  ]),
];

/** Several replicas around one database. */
export class SimulatedFleet implements Surroundings {
  readonly history: RegistryHistory;
  readonly database: SimulatedDatabase;
  readonly time = new VirtualTime();
  readonly #scheduler: Scheduler;
  readonly #floors: readonly Floor[];
  readonly #replicas: SimulatedReplica[] = [];
  readonly #underWay = new Set<string>();
  #begun = 0;
  readonly #failures: unknown[] = [];

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
    this.history = new RegistryHistory();
    this.history.commit(FIRST_WRITES, new Date(this.time.now));
    this.database = new SimulatedDatabase(scheduler, this.history);
    this.#floors = Array.from({ length: REPLICAS }, () => new Floor(this.history));
  }

  /** Starts all replicas, and takes the timers of the process over until the end. */
  begin(): void {
    this.time.begin();
    for (const number of this.#floors.keys()) this.#replicas.push(this.#replica(number));
  }

  async end(): Promise<void> {
    for (const replica of this.#replicas) replica.stop();
    await turn();
    this.time.end();
  }

  get replicas(): readonly SimulatedReplica[] {
    return this.#replicas;
  }

  restart(number: number): void {
    this.#replicas[number]!.stop();
    this.#replicas[number] = this.#replica(number);
  }

  /** Writes through a replica, if the database is there. */
  write(number: number, writes: readonly Write[]): void {
    if (this.database.away) return;
    const point = this.history.commit(writes, new Date(this.time.now));
    this.database.notify();
    this.#replicas[number]!.wrote(point);
  }

  /** Renders everything that there is, and what there is not. */
  survey(replica: SimulatedReplica): void {
    for (const ask of everyAsk()) replica.render(ask, { minSeq: 0, fallbackText: '' });
  }

  underWay(what: string, work: Promise<void>): void {
    this.#begun += 1;
    const entry = `${what} (${this.#begun})`;
    this.#underWay.add(entry);
    void work.catch((error: unknown) => this.#failures.push(error)).finally(() => this.#underWay.delete(entry));
  }

  check(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#failures.push(error);
    }
  }

  /** @throws the first counterexample that was found */
  throwFailure(): void {
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  /** Heals everything: soon all replicas are at the head, answer as the model does there, and nobody waits any more. */
  async settle(): Promise<void> {
    this.database.heal();
    await this.#let(this.database.hangs ? HUNG_CAUGHT_UP_WITHIN_MS : CAUGHT_UP_WITHIN_MS);
    for (const [number, replica] of this.#replicas.entries()) {
      const { seq } = this.history.head;
      assert(replica.isCaughtUp, `replica ${number} is at change ${replica.seq} of ${seq}, or has not proved it`);
    }
    await this.#let(LONGEST_WAIT_MS);
    assert.deepEqual([...this.#underWay], []);
    for (const replica of this.#replicas) this.survey(replica);
    await this.#let(0);
    assert.deepEqual([...this.#underWay], []);
  }

  /** Lets time pass, while everything arrives that is on its way. */
  async #let(milliseconds: number): Promise<void> {
    for (let left = milliseconds; ; left -= STEP_MS) {
      await turn();
      await this.#scheduler.waitAll();
      this.throwFailure();
      if (left <= 0) return;
      this.time.pass(STEP_MS);
    }
  }

  #replica(number: number): SimulatedReplica {
    return new SimulatedReplica(number, this, this.#floors[number]!);
  }
}

function* everyAsk(): Generator<Ask> {
  for (const tenant of [...TENANTS, 'nobody']) {
    for (const channel of CHANNELS) {
      for (const type of TYPES) yield { tenant, type, channel };
      for (const bundleId of BUNDLES) yield { tenant, bundleId, channel };
    }
    for (const version of VERSIONS) for (const bundleId of BUNDLES) yield { tenant, bundleId, version };
  }
}
