import { setTimeout as sleep } from 'node:timers/promises';
import { Code, ConnectError } from '@connectrpc/connect';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import type { Clients } from '../../../src/cli/client.ts';
import { reasonOf, type Judge } from './judge.ts';
import type { Ledger } from './ledger.ts';
import type { Random } from './random.ts';
import type { Seat } from './seat.ts';
import { BUNDLES, CHANNELS, draftOf, STEADY, VERSIONS, type BundleName } from './world.ts';

const GREETING = PromptType.GREETING;
const TIMEOUT_MS = 5_000;
const RETRY_MS = 50;
const PAUSE_MS = { low: 0, high: 40 };

/** What a write is answered with. */
interface Written {
  readonly seq: bigint;
  readonly release?: { readonly revision: number } | undefined;
}

type Call = (clients: Clients, requestId: string, options: { timeoutMs: number }) => Promise<Written>;

/** A write that was answered, for the comparison with the change log. */
export interface WriteRecord {
  readonly requestId: string;
  readonly what: string;
  readonly seq: bigint;
}

/** A channel, where nothing is known to be released once it is withdrawn. */
interface ChannelName extends BundleName {
  readonly channel: string;
}

const CHANNEL_NAMES: readonly ChannelName[] = BUNDLES.filter(({ bundleId }) => bundleId !== STEADY).flatMap(
  ({ tenant, bundleId }) => CHANNELS.map((channel) => ({ tenant, bundleId, channel })),
);

/** What may be withdrawn: an ancestor answers instead. */
const WITHDRAWABLE = CHANNEL_NAMES.filter(({ tenant, channel }) => /north|south/.test(tenant) && channel === 'beta');

/**
 * Writes one thing after the other, each until it is answered: a write that fails is sent again with the same
 * request_id, to whichever replica, so that it happens once.
 */
export class Writer {
  readonly #name: string;
  readonly #seats: () => readonly Seat[];
  readonly #judge: Judge;
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #stop: AbortSignal;
  /** Those that were answered. */
  readonly records: WriteRecord[] = [];
  #writes = 0;
  #passing = 0;
  #shopActivates = false;

  constructor(parts: {
    name: string;
    seats: () => readonly Seat[];
    judge: Judge;
    ledger: Ledger;
    random: Random;
    stop: AbortSignal;
  }) {
    this.#name = parts.name;
    this.#seats = parts.seats;
    this.#judge = parts.judge;
    this.#ledger = parts.ledger;
    this.#random = parts.random;
    this.#stop = parts.stop;
  }

  /** @param structure whether it also moves tenants, activates and archives; one writer only may do so */
  async run(structure: boolean): Promise<void> {
    while (!this.#stop.aborted) {
      const dice = this.#random.next();
      if (structure && dice < 0.1) await this.#moveShop();
      else if (structure && dice < 0.2) await this.#activate();
      else if (structure && dice < 0.25) await this.#archive();
      else if (dice < 0.32) await this.#rollBack();
      else if (dice < 0.38) await this.#withdraw();
      else await this.#release();
      await sleep(this.#random.between(PAUSE_MS.low, PAUSE_MS.high));
    }
  }

  async #release(): Promise<void> {
    const name = this.#random.pick(CHANNEL_NAMES);
    const target = { case: 'version' as const, value: this.#random.pick(VERSIONS) };
    await this.#write(`release ${nameOf(name)}`, ({ bundles }, requestId, options) =>
      bundles.releaseBundle({ ...name, target, requestId }, options), nameOf(name));
  }

  async #rollBack(): Promise<void> {
    const name = this.#random.pick(CHANNEL_NAMES);
    await this.#write(`roll back ${nameOf(name)}`, ({ bundles }, requestId, options) =>
      bundles.rollbackBundle({ ...name, requestId }, options), nameOf(name));
  }

  async #withdraw(): Promise<void> {
    await this.#withdrawChannel(this.#random.pick(WITHDRAWABLE));
  }

  async #withdrawChannel(name: ChannelName): Promise<void> {
    const target = { case: 'withdraw' as const, value: true };
    await this.#write(`withdraw ${nameOf(name)}`, ({ bundles }, requestId, options) =>
      bundles.releaseBundle({ ...name, target, requestId }, options), nameOf(name));
  }

  async #moveShop(): Promise<void> {
    const parent = this.#random.pick(['north', 'south', 'default']);
    let editVersion: number | undefined;
    await this.#write(`move shop to ${parent}`, async ({ tenants }, requestId, options) => {
      editVersion ??= (await tenants.getTenant({ tenant: 'shop' }, options)).tenant!.editVersion;
      return tenants.updateTenant({ tenant: 'shop', parent, editVersion, requestId }, options);
    });
  }

  async #activate(): Promise<void> {
    const key = { tenant: 'shop', type: GREETING };
    if (this.#shopActivates && this.#random.next() < 0.5) {
      await this.#write('deactivate GREETING of shop', ({ bundles }, requestId, options) =>
        bundles.deactivateBundle({ ...key, requestId }, options));
      this.#shopActivates = false;
    } else {
      const bundleId = this.#random.pick(['greeting', 'welcome']);
      await this.#write(`activate ${bundleId} in shop`, ({ bundles }, requestId, options) =>
        bundles.activateBundle({ ...key, bundleId, requestId }, options));
      this.#shopActivates = true;
    }
  }

  /** A bundle of the north's comes, answers for its type, and goes for good. */
  async #archive(): Promise<void> {
    this.#passing += 1;
    const key = { tenant: 'north', bundleId: `passing-${this.#passing}` };
    const activate = (bundleId: string) =>
      this.#write(`activate ${bundleId} in north`, ({ bundles }, requestId, options) =>
        bundles.activateBundle({ tenant: 'north', type: GREETING, bundleId, requestId }, options));
    const draft = draftOf('greeting', '1.0.0');
    await this.#write(`create ${key.bundleId}`, ({ bundles }, requestId, options) =>
      bundles.createBundle({ ...key, type: GREETING, draft, requestId }, options));
    await this.#write(`publish ${key.bundleId}`, ({ bundles }, requestId, options) =>
      bundles.publishBundle({ ...key, version: '1.0.0', editVersion: 1, channel: 'production', requestId }, options));
    await activate(key.bundleId);
    await activate('greeting');
    await this.#withdrawChannel({ ...key, channel: 'production' });
    await this.#write(`archive ${key.bundleId}`, ({ bundles }, requestId, options) =>
      bundles.deleteBundle({ ...key, editVersion: 1, requestId }, options));
  }

  /** Sends a write until it is answered, or the run is over. @param channel the one that it moves */
  async #write(what: string, call: Call, channel?: string): Promise<void> {
    this.#writes += 1;
    const requestId = `${this.#name}-${this.#writes}`;
    while (!this.#stop.aborted) {
      const seat = this.#random.pick(this.#seats());
      const at = Date.now();
      try {
        const { seq, release } = await call(seat.clients, requestId, { timeoutMs: TIMEOUT_MS });
        this.#judge.acknowledged(seat, seq, channel && release ? { channel, revision: release.revision } : undefined);
        this.records.push({ requestId, what, seq });
        this.#ledger.tally('writes answered');
        return;
      } catch (error) {
        if (isRefusal(error)) return;
        this.#judge.refused(seat, at, what, error);
      }
      await sleep(RETRY_MS);
    }
  }
}

/** A channel that has been rolled back to its first version, or is withdrawn, has nothing to go back to. */
function isRefusal(error: unknown): boolean {
  const { code } = ConnectError.from(error);
  return code === Code.FailedPrecondition && reasonOf(ConnectError.from(error)) === 'NOTHING_TO_ROLL_BACK';
}

function nameOf({ tenant, bundleId, channel }: ChannelName): string {
  return `${tenant}/${bundleId}#${channel}`;
}
