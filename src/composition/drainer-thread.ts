/** Where the drainer's thread starts. */
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { DeadLetterFile } from '../audit/dead-letters.ts';
import type { DrainCommand } from '../audit/drain-thread.ts';
import { Drainer, type AdoptedSource, type DrainEvent, type DrainSource } from '../audit/drainer.ts';
import { countLines } from '../audit/journal-backlog.ts';
import { tieToDatabase } from '../audit/journal-database.ts';
import { JournalReader } from '../audit/journal-reader.ts';
import { adoptableSlots, type Slot } from '../audit/journal-slot.ts';
import { ReceiptChain } from '../storage/receipt-chain.ts';

/** What the thread starts with. */
export interface DrainerSettings {
  /** Of the journals of all workers on this directory. */
  readonly root: string;
  /** Of a database session that is kept between transactions. */
  readonly databaseUrl: string;
}

const STATEMENT_TIMEOUT_MS = 10_000;

const { root, databaseUrl } = workerData as DrainerSettings;
const port = parentPort!;
const deadLetters = new DeadLetterFile(join(root, 'dead-letters.log'));

const drainer = new Drainer({
  chain: new ReceiptChain({
    url: databaseUrl,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    admits: (origin) => tieToDatabase(root, origin),
  }),
  setAside: (letters) => deadLetters.add(letters),
  adopt: () => adoptableSlots(root).map(adopted),
  tell: (event: DrainEvent) => port.postMessage(event),
  now: () => performance.now(),
  random: Math.random,
});

function source(directory: string, before: number): DrainSource {
  return Object.assign(new JournalReader(directory), { backlog: () => countLines(directory, before) });
}

function adopted({ directory, release }: Slot): AdoptedSource {
  return Object.assign(source(directory, Infinity), { directory, release });
}

port.on('message', (command: DrainCommand) => {
  switch (command.kind) {
    case 'own':
      drainer.own(source(command.directory, command.firstSegment));
      break;
    case 'flush':
      drainer.flush();
      break;
    case 'make partitions':
      drainer.makePartitions();
      break;
    case 'stop':
      drainer.stop(command.withinMs);
      break;
  }
});

await drainer.run();
port.close();
