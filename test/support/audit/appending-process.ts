/**
 * Appends receipts to a journal, 32 at a time, and says on standard output what became of each: `kept <render id>` or
 * `refused <render id>`; and of each fault `failed <reason>`. Arguments: the root, and how many receipts; without, it
 * goes on until it is killed.
 */
import { writeSync } from 'node:fs';
import { Journal } from '../../../src/audit/journal.ts';
import { encodeLine } from '../../../src/audit/receipt-line.ts';
import { receiptRecord } from '../storage/records.ts';

const [root, count = 'Infinity'] = process.argv.slice(2);
const IN_FLIGHT = 32;
const MAX_BYTES = 1024 * 1024 * 1024;

function say(what: string, of: string): void {
  writeSync(1, `${what} ${of}\n`);
}

const journal = new Journal({
  root: root!,
  maxBytes: MAX_BYTES,
  sync: false,
  observer: { failed: (reason) => say('failed', reason), recovered: () => {} },
});
let left = Number(count);

async function append(): Promise<void> {
  while (left > 0) {
    left -= 1;
    const receipt = receiptRecord(new Date());
    const kept = journal.append(encodeLine(receipt, '{"variables":{"question":"Where is my order?"}}'));
    await kept.then(
      () => say('kept', receipt.renderId),
      () => say('refused', receipt.renderId),
    );
  }
}

await Promise.all(Array.from({ length: IN_FLIGHT }, append));
await journal.close();
