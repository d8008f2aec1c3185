import { setTimeout as sleep } from 'node:timers/promises';
import type { Clients } from '../../src/cli/client.ts';

/** Releases the versions of one bundle in turn at a steady rate, one at a time, until it is stopped. */
export class ReleaseChurn {
  readonly #running: Promise<void>;
  #releases = 0;
  #failure: unknown;
  #done = false;

  constructor({ bundles }: Clients, bundleId: string, versions: readonly string[], perSecond: number) {
    const run = async (): Promise<void> => {
      const start = performance.now();
      while (!this.#done) {
        const version = versions[this.#releases % versions.length]!;
        await bundles.releaseBundle({ bundleId, target: { case: 'version', value: version } });
        this.#releases += 1;
        await sleep(Math.max(0, start + (1_000 * this.#releases) / perSecond - performance.now()));
      }
    };
    this.#running = run().catch((error: unknown) => void (this.#failure = error));
  }

  /** @returns how many releases there were @throws what one failed with */
  async stop(): Promise<number> {
    this.#done = true;
    await this.#running;
    if (this.#failure !== undefined) throw this.#failure;
    return this.#releases;
  }
}
