import { extname, join } from 'node:path';
import { DrainThread } from '../audit/drain-thread.ts';
import { Journal } from '../audit/journal.ts';
import { JournaledReceipts } from '../audit/journaled-receipts.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { drainObserver, journalObserver } from '../telemetry/observers.ts';
import type { DrainerSettings } from './drainer-thread.ts';

/** Where the thread starts: the source, or what is built of it, as this file is. */
const DRAINER_FILE = join(import.meta.dirname, `drainer-thread${extname(import.meta.filename)}`);

/** The way of receipts: the journal, and the thread that empties it into the database. */
export class ReceiptWay {
  readonly receipts: JournaledReceipts;
  readonly #journal: Journal;
  readonly #thread: DrainThread<DrainerSettings>;
  readonly #logger: Logger;

  /** @param databaseUrl of a session that is kept between transactions */
  constructor(config: Config, databaseUrl: string, metrics: Metrics, logger: Logger) {
    const { auditAck: acknowledgement, auditJournalDir: root, auditJournalBytes: maxBytes } = config;
    const journaling = journalObserver(metrics, logger);
    const draining = drainObserver(metrics, logger);
    this.#logger = logger;
    this.#journal = new Journal({
      root,
      maxBytes,
      sync: acknowledgement === 'fsync',
      observer: {
        failed: journaling.failed,
        recovered: journaling.recovered,
        opened: () => this.#own(),
      },
    });
    this.#thread = new DrainThread({
      filename: DRAINER_FILE,
      data: { root, databaseUrl },
      died: draining.died,
      tell: (event) => {
        this.receipts.told(event);
        if (event.kind === 'settled') draining.settled(event);
        else if (event.kind === 'away') draining.away(event.reason);
        else if (event.kind === 'failed') draining.failed(event.work, event.reason);
        else draining.adopted(event.directory);
      },
    });
    this.receipts = new JournaledReceipts({
      journal: this.#journal,
      acknowledgement,
      flush: () => this.#thread.flush(),
      now: Date.now,
    });
    metrics.watchJournal(this.receipts);
    this.#own();
  }

  /** Has the partitions of the next days made, without waiting for it. */
  makePartitions(): void {
    this.#thread.makePartitions();
  }

  /**
   * Takes no more receipts, and drains those that it has.
   * @param until milliseconds since the epoch; what is left then stays in the journal, for the next server on it
   */
  async close(until: number): Promise<void> {
    await this.#journal.end();
    await this.#thread.stop(Math.max(0, until - Date.now()));
    await this.#journal.close();
    const { depth } = this.receipts;
    if (depth > 0) this.#logger.warn({ receipts: depth }, 'receipts wait in the journal for the next server on it');
  }

  /** The slot is known from the start, or once it could be opened. */
  #own(): void {
    const { directory, firstSegment } = this.#journal;
    if (directory !== undefined) this.#thread.own(directory, firstSegment!);
  }
}
