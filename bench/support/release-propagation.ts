import { setTimeout as sleep } from 'node:timers/promises';
import { PromptType, Role } from '../../gen/platen/v1/resources_pb.js';
import { connect, type Clients, type Connection } from '../../src/cli/client.ts';
import { PlatenProcess } from '../../test/support/platen-process.ts';
import { histogramOf, type Histogram } from './histogram.ts';

export const REPLICAS = 3;

/** Between two polls of a replica: without, polls would take all of the processor, and be what is measured. */
const POLL_MS = 1;
const BURST_WRITERS = 6;
const BURST_RELEASES = 5;
const BURST_PAUSE_MS = 100;
const TYPE = PromptType.GREETING;
const VERSIONS = ['1.0.0', '1.1.0'];
const METRIC = 'prompt_release_propagation_seconds';

/** Milliseconds from a release to its being seen. */
export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** What some releases took. */
export interface Propagation {
  /** From the writer's answer to the first answered render that knows the release, by replica. */
  readonly renders: readonly Spread[];
  /** The same, of all replicas together. */
  readonly anyRender: Spread;
  /** From commit to applied as the replica's own histogram has it, by replica: upper bounds of its buckets. */
  readonly applied: readonly Spread[];
  readonly anyApplied: Spread;
}

/** A release that was answered. */
interface Answered {
  readonly seq: bigint;
  readonly at: number;
}

/** One `platen serve`, and when it was first seen to have which change. */
class Replica {
  readonly clients: Clients;
  readonly #process: PlatenProcess;
  readonly #connection: Connection;
  readonly #httpAddress: string;
  /** Ascending in both. */
  readonly #seen: Answered[] = [{ seq: 0n, at: 0 }];
  #polling: Promise<void> | undefined;
  #failure: unknown;
  #done = false;

  private constructor(process: PlatenProcess, grpc: string, http: string) {
    this.#process = process;
    this.#connection = connect(`http://${grpc}`);
    this.clients = this.#connection.clients;
    this.#httpAddress = http;
  }

  static async start(settings: Readonly<Record<string, string>>): Promise<Replica> {
    const process = new PlatenProcess(['serve'], settings);
    const { grpc, http } = await process.logged('listening');
    await process.logged('serving');
    return new Replica(process, grpc!, http!);
  }

  /** Renders again and again from now on. */
  poll(): void {
    this.#polling = this.#poll().catch((error: unknown) => void (this.#failure = error));
  }

  /** When it was first seen to have the change. */
  seen(seq: bigint): number {
    return this.#seen.find((each) => each.seq >= seq)!.at;
  }

  /** @throws what a render that polls failed with */
  async reached(seq: bigint): Promise<void> {
    while (this.#seen.at(-1)!.seq < seq) {
      if (this.#failure !== undefined) throw this.#failure;
      await sleep(1);
    }
  }

  async histogram(): Promise<Histogram> {
    return histogramOf(await (await fetch(`http://${this.#httpAddress}/metrics`)).text(), METRIC);
  }

  async stop(): Promise<void> {
    this.#done = true;
    await this.#polling;
    this.#connection.close();
    await this.#process.end();
  }

  async #poll(): Promise<void> {
    while (!this.#done) {
      const { seq } = await this.clients.renders.render({ target: { case: 'type', value: TYPE } });
      if (seq > this.#seen.at(-1)!.seq) this.#seen.push({ seq, at: performance.now() });
      await sleep(POLL_MS);
    }
  }
}

/** Three replicas on one database, each polled without pause but for a millisecond. */
export class PolledReplicas {
  readonly #replicas: readonly Replica[];
  readonly #bundleIds: readonly string[];

  private constructor(replicas: readonly Replica[], bundleIds: readonly string[]) {
    this.#replicas = replicas;
    this.#bundleIds = bundleIds;
  }

  /** @param settings of every replica: those that name the database, which must know no bundle of a greeting yet */
  static async start(settings: Readonly<Record<string, string>>): Promise<PolledReplicas> {
    const replicas: Replica[] = [];
    try {
      for (let n = 0; n < REPLICAS; n += 1) replicas.push(await Replica.start(settings));
      const bundleIds = await createBundles(replicas[0]!.clients);
      for (const replica of replicas) replica.poll();
      return new PolledReplicas(replicas, bundleIds);
    } catch (error) {
      await Promise.all(replicas.map((replica) => replica.stop()));
      throw error;
    }
  }

  /** Each release once the one before is visible everywhere; by every replica in turn. */
  oneByOne(releases: number): Promise<Propagation> {
    return this.#measure(async () => {
      const answered: Answered[] = [];
      for (let n = 0; n < releases; n += 1) {
        const one = await release(this.#replicas[n % REPLICAS]!, this.#bundleIds[0]!, n);
        answered.push(one);
        await this.#reached(one.seq);
      }
      return answered;
    });
  }

  /** Several writers at once, on all replicas; every now and then all pause. */
  inBursts(releases: number): Promise<Propagation> {
    return this.#measure(async () => {
      const answered: Answered[] = [];
      while (answered.length < releases) {
        const burst = this.#bundleIds.map(async (bundleId, writer) => {
          for (let n = 0; n < BURST_RELEASES; n += 1) {
            answered.push(await release(this.#replicas[writer % REPLICAS]!, bundleId, n));
          }
        });
        await Promise.all(burst);
        await sleep(BURST_PAUSE_MS);
      }
      return answered;
    });
  }

  async stop(): Promise<void> {
    await Promise.all(this.#replicas.map((replica) => replica.stop()));
  }

  async #measure(write: () => Promise<readonly Answered[]>): Promise<Propagation> {
    const replicas = this.#replicas;
    const before = await Promise.all(replicas.map((replica) => replica.histogram()));
    const answered = await write();
    await this.#reached(answered.reduce((head, { seq }) => (seq > head ? seq : head), 0n));
    const delays = replicas.map((replica) => answered.map(({ seq, at }) => Math.max(0, replica.seen(seq) - at)));
    const after = await Promise.all(replicas.map((replica) => replica.histogram()));
    const own = after.map((histogram, n) => histogram.minus(before[n]!));
    return {
      renders: delays.map(spread),
      anyRender: spread(delays.flat()),
      applied: own.map(spreadOf),
      anyApplied: spreadOf(own.reduce((all, each) => all.plus(each))),
    };
  }

  async #reached(seq: bigint): Promise<void> {
    await Promise.all(this.#replicas.map((replica) => replica.reached(seq)));
  }
}

/** A bundle for each writer, and one that is polled. */
async function createBundles({ templates, bundles }: Clients): Promise<string[]> {
  await templates.createTemplate({ templateId: 'greeting', type: TYPE, draft: { content: 'Good morning.' } });
  await templates.publishTemplate({ templateId: 'greeting', version: '1.0.0', editVersion: 1 });
  const value = { template: { templateId: 'greeting', version: '1.0.0' }, role: Role.SYSTEM };
  const draft = { sections: [{ part: { case: 'template' as const, value } }] };
  const ids = Array.from({ length: BURST_WRITERS }, (_, n) => `greeting-${n}`);
  for (const bundleId of ids) {
    await bundles.createBundle({ bundleId, type: TYPE, draft });
    for (const version of VERSIONS) {
      await bundles.publishBundle({ bundleId, version, editVersion: 1, channel: 'production' });
    }
  }
  await bundles.activateBundle({ type: TYPE, bundleId: ids[0]! });
  return ids;
}

async function release({ clients }: Replica, bundleId: string, round: number): Promise<Answered> {
  const target = { case: 'version' as const, value: VERSIONS[round % VERSIONS.length]! };
  const { seq } = await clients.bundles.releaseBundle({ bundleId, target });
  return { seq, at: performance.now() };
}

function spread(delays: readonly number[]): Spread {
  const sorted = delays.toSorted((a, b) => a - b);
  const at = (quantile: number): number => sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))]!;
  return quantiles(sorted.length, at);
}

function spreadOf(histogram: Histogram): Spread {
  return quantiles(histogram.count, (quantile) => 1_000 * histogram.quantile(quantile));
}

function quantiles(count: number, at: (quantile: number) => number): Spread {
  return { count, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1) };
}
