/**
 * What a receipt costs the thread that answers requests. See bench/README.md.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Journal } from '../src/audit/journal.ts';
import { encodeLine } from '../src/audit/receipt-line.ts';
import { syntheticReceipt } from './support/receipts.ts';
import { circumstances, writeResult } from './support/result-file.ts';

const LIMIT_US = 5;
const LIMIT_IN_FLIGHT = 64;
const IN_FLIGHT = [1, 16, LIMIT_IN_FLIGHT];
const LEVELS = ['journal', 'fsync'] as const;
/** Receipts that are written again and again. */
const RECEIPTS = 4_096;
/** Measured rounds; the middle one counts. A shorter one goes before, for the compiler. */
const ROUNDS = 5;

type Level = (typeof LEVELS)[number];

interface Row {
  readonly level: Level;
  readonly inFlight: number;
  readonly receipts: number;
  readonly receiptsPerSecond: number;
  readonly cpuUs: number;
  readonly encodingUs: number;
  readonly bytesPerReceipt: number;
}

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '2' },
    directory: { type: 'string', default: tmpdir() },
  },
});
const seconds = Number(options.seconds);
/** The values are JSON already: a render has hashed them. */
const receipts = Array.from({ length: RECEIPTS }, (_, n) => {
  const { receipt, inputs } = syntheticReceipt(n, new Date());
  return { receipt, inputs: JSON.stringify(inputs) };
});

/** Microseconds of this thread per receipt. */
function since(before: NodeJS.CpuUsage, count: number): number {
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / count;
}

function encode(n: number): string {
  const { receipt, inputs } = receipts[n % RECEIPTS]!;
  return encodeLine(receipt, inputs);
}

function encodingUs(): number {
  const count = 20 * RECEIPTS;
  const before = process.threadCpuUsage();
  let bytes = 0;
  for (let n = 0; n < count; n += 1) bytes += encode(n).length;
  if (bytes === 0) throw new Error('nothing was encoded');
  return since(before, count);
}

async function measure(level: Level, inFlight: number, forSeconds: number): Promise<Row> {
  const root = await mkdtemp(join(options.directory, 'platen-bench-'));
  const observer = {
    failed: (reason: string, error: Error): void => {
      throw new Error(reason, { cause: error });
    },
    recovered: (): void => {},
  };
  const journal = new Journal({ root, maxBytes: Number.MAX_SAFE_INTEGER, sync: level === 'fsync', observer });
  let count = 0;
  const start = performance.now();
  const end = start + forSeconds * 1e3;
  const render = async (): Promise<void> => {
    while (performance.now() < end) {
      count += 1;
      await journal.append(encode(count));
    }
  };
  const before = process.threadCpuUsage();
  await Promise.all(Array.from({ length: inFlight }, render));
  const cpuUs = since(before, count);
  const took = (performance.now() - start) / 1e3;
  const { bytes } = journal;
  await journal.close();
  await rm(root, { recursive: true });
  return {
    level,
    inFlight,
    receipts: count,
    receiptsPerSecond: count / took,
    cpuUs,
    encodingUs: encodingUs(),
    bytesPerReceipt: bytes / count,
  };
}

/** The round in the middle, by the time that a receipt took of the thread. */
async function middle(level: Level, inFlight: number): Promise<Row> {
  await measure(level, inFlight, seconds / 4);
  const rows: Row[] = [];
  for (let round = 0; round < ROUNDS; round += 1) rows.push(await measure(level, inFlight, seconds));
  return rows.toSorted((a, b) => a.cpuUs - b.cpuUs)[ROUNDS >> 1]!;
}

function table(rows: readonly Row[]): string {
  const line = (cells: readonly string[]): string => cells.map((cell) => cell.padStart(14)).join('');
  return [
    line(['level', 'in flight', 'receipts/s', 'CPU: µs', 'encoding: µs', 'bytes']),
    ...rows.map((row) =>
      line([
        row.level,
        String(row.inFlight),
        row.receiptsPerSecond.toFixed(0),
        row.cpuUs.toFixed(2),
        row.encodingUs.toFixed(2),
        row.bytesPerReceipt.toFixed(0),
      ]),
    ),
  ].join('\n');
}

const { date, machine } = circumstances();
const rows: Row[] = [];
for (const level of LEVELS) {
  for (const inFlight of IN_FLIGHT) rows.push(await middle(level, inFlight));
}
const file = await writeResult('journal', { date, machine, seconds, rows });

const dear = rows.filter(({ inFlight, cpuUs }) => inFlight === LIMIT_IN_FLIGHT && cpuUs > LIMIT_US);
process.stdout.write(`${table(rows)}

Per receipt; CPU is that of the thread that appends, encoding included. ${machine.cores} × ${machine.processor}, \
load ${machine.loadBefore.join(' ')} before.
Above ${LIMIT_US} µs at ${LIMIT_IN_FLIGHT} in flight: ${dear.map(({ level }) => level).join(', ') || 'none'}.
Written to ${file}.
`);
process.exitCode = dear.length > 0 ? 1 : 0;
