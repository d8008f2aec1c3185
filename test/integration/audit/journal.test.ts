import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, symlinkSync, write as writeFile, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mock } from 'node:test';
import { JournalReader } from '../../../src/audit/journal-reader.ts';
import { comparePositions, Journal, type JournalOptions, type Position } from '../../../src/audit/journal.ts';
import { ReceiptNotKept } from '../../../src/services/trail.ts';
import { journalRoots, NotedFaults, readAll, segmentsIn } from '../../support/audit/journals.ts';
import { until } from '../../support/until.ts';

const MEBIBYTE = 1024 * 1024;
const MINUTE_MS = 60_000;

interface Given {
  readonly journal: Journal;
  readonly faults: NotedFaults;
  readonly directory: string;
}

function journals(): (options?: Partial<JournalOptions>) => Given {
  const newRoot = journalRoots();
  const open: Journal[] = [];
  afterEach(async () => {
    for (const journal of open.splice(0)) await journal.close();
  });
  return (options = {}) => {
    const faults = new NotedFaults();
    const given = { root: newRoot(), maxBytes: 64 * MEBIBYTE, sync: false, observer: faults, ...options };
    const journal = new Journal(given);
    open.push(journal);
    return { journal, faults, directory: join(given.root, '0') };
  };
}

/** Counts writes, and the bytes of each. */
function countedWrites(): { write: NonNullable<JournalOptions['write']>; sizes: number[] } {
  const sizes: number[] = [];
  return {
    sizes,
    write: (file, bytes, done) => {
      sizes.push(bytes.length);
      writeFile(file, bytes, done);
    },
  };
}

async function appendAll(journal: Journal, lines: readonly string[]): Promise<Position[]> {
  return Promise.all(lines.map((line) => journal.append(line)));
}

describe('Receipts pass through a local journal', () => {
  const given = journals();

  it('what was appended is read back, in its order', async () => {
    const { journal, directory } = given();
    await appendAll(journal, ['a\n', 'grüße 🧮\n']);
    await journal.append('c\n');
    await journal.close();
    assert.deepEqual(await readAll(directory), { lines: ['a', 'grüße 🧮', 'c'], torn: 0 });
  });

  it('each append is told where its line ends, in bytes', async () => {
    const { journal } = given();
    assert.deepEqual(journal.position, { segment: 0, offset: 0 });
    assert.deepEqual(await appendAll(journal, ['ä\n', 'bb\n']), [
      { segment: 1, offset: 3 },
      { segment: 1, offset: 6 },
    ]);
    assert.deepEqual(await journal.append('c\n'), { segment: 1, offset: 8 });
    assert.deepEqual(journal.position, { segment: 1, offset: 8 });
    assert.equal(journal.bytes, 8);
  });

  it('places are ordered by segment, then by offset', () => {
    const at = (segment: number, offset: number): Position => ({ segment, offset });
    const places = [at(2, 0), at(1, 10), at(10, 1), at(1, 9)];
    assert.deepEqual(places.toSorted(comparePositions), [at(1, 9), at(1, 10), at(2, 0), at(10, 1)]);
    assert.equal(comparePositions(at(1, 1), at(1, 1)), 0);
  });

  it('the appends of one turn are one write, and those that come meanwhile are the next one', async () => {
    const { write, sizes } = countedWrites();
    const { journal } = given({ write });
    const first = appendAll(journal, ['a\n', 'b\n', 'c\n']);
    await until('a write is under way', () => sizes.length > 0);
    const second = appendAll(journal, ['d\n', 'e\n']);
    await Promise.all([first, second]);
    assert.deepEqual(sizes, [6, 4]);
  });

  it('lines of some MiB pass', async () => {
    const { journal, directory } = given();
    const lines = ['x', 'ü', 'z'].map((letter) => letter.repeat(2 * MEBIBYTE));
    await appendAll(journal, lines.map((line) => `${line}\n`));
    await journal.close();
    assert.deepEqual((await readAll(directory)).lines, lines);
  });

  it('a reader follows while it is written', async () => {
    const { journal, directory } = given();
    const reader = new JournalReader(directory);
    const { segment, offset } = await journal.append('a\n');
    const reading = await reader.read(10, MEBIBYTE);
    assert.deepEqual(reading, { entries: [{ line: 'a' }], end: { segment, offset }, torn: 0 });
    await journal.append('b\n');
    assert.deepEqual((await reader.read(10, MEBIBYTE))!.entries, [{ line: 'b' }]);
    await reader.close();
  });

  it('only the owner may read it: values may be in it', async () => {
    const { journal, directory } = given();
    await journal.append('a\n');
    assert.equal(statSync(join(directory, '00000001.log')).mode & 0o777, 0o600);
  });
});

describe('Journals are bounded and outlive faults', () => {
  const given = journals();

  it('beyond the bound appends are refused, until something is freed', async () => {
    const { journal, faults } = given({ maxBytes: 10 });
    await journal.append('12345678\n');
    await assert.rejects(journal.append('x\n'), (error) => {
      assert.ok(error instanceof ReceiptNotKept);
      assert.equal(error.journaled, false);
      assert.match(error.message, /the journal holds 9 bytes that are not drained/);
      return true;
    });
    assert.deepEqual(faults.reasons, ['full']);
    journal.freed(9);
    await journal.append('x\n');
    assert.equal(journal.bytes, 2);
    assert.equal(faults.recoveries, 1);
  });

  it('what waits, and what is being written, counts for the bound', async () => {
    const { write, sizes } = countedWrites();
    const { journal, faults } = given({ maxBytes: 6, write });
    const first = journal.append('a\n');
    await until('a write is under way', () => sizes.length > 0);
    const second = journal.append('b\n');
    await assert.rejects(journal.append('ccc\n'), ReceiptNotKept);
    await Promise.all([first, second, journal.append('d\n')]);
    assert.deepEqual(faults.reasons, ['full']);
    assert.equal(journal.bytes, 6);
  });

  it('what an earlier owner left counts for the bound', async () => {
    const root = given().directory;
    mkdirSync(join(root, '0'), { recursive: true });
    writeFileSync(join(root, '0', '00000004.log'), 'left\n');
    const { journal } = given({ root, maxBytes: 8 });
    assert.equal(journal.bytes, 5);
    await assert.rejects(journal.append('xxx\n'), ReceiptNotKept);
  });

  it('it begins a segment of its own, at once, so that those of earlier owners are complete', async () => {
    const root = given().directory;
    mkdirSync(join(root, '0'), { recursive: true });
    writeFileSync(join(root, '0', '00000004.log'), 'left\ntor');
    const { journal, directory } = given({ root });
    assert.equal(journal.firstSegment, 5);
    assert.equal(journal.directory, directory);
    const reader = new JournalReader(directory);
    await until('the earlier segment is complete', async () => (await reader.read(10, MEBIBYTE))?.torn === 1);
    await reader.close();
    assert.deepEqual(await journal.append('a\n'), { segment: 5, offset: 2 });
    assert.equal(readFileSync(join(directory, '00000004.log'), 'utf8'), 'left\ntor');
  });

  it('a segment of 8 MiB is followed by another', async () => {
    const { journal, directory } = given();
    const line = `${'x'.repeat(3 * MEBIBYTE - 1)}\n`;
    const ends: Position[] = [];
    for (let n = 0; n < 4; n += 1) ends.push(await journal.append(line));
    assert.deepEqual(
      ends.map(({ segment }) => segment),
      [1, 1, 1, 2],
    );
    assert.deepEqual(segmentsIn(directory), ['00000001.log', '00000002.log']);
    assert.equal(journal.bytes, 12 * MEBIBYTE);
  });

  it('a segment that holds something is complete after a minute, so that drained values do not stay', async () => {
    let now = 0;
    const { journal, directory } = given({ now: () => now });
    await journal.append('a\n');
    now = MINUTE_MS - 1;
    await journal.append('b\n');
    now = MINUTE_MS;
    await until('another segment is there', () => segmentsIn(directory).length === 2);
    now = 3 * MINUTE_MS;
    assert.deepEqual(await journal.append('c\n'), { segment: 2, offset: 2 });
  });

  it('whatever the clock of the machine is set to meanwhile', async () => {
    const { journal } = given();
    await journal.append('a\n');
    const clock = mock.method(Date, 'now', () => Number.MAX_SAFE_INTEGER);
    const { segment } = await journal.append('b\n').finally(() => clock.mock.restore());
    assert.equal(segment, 1);
  });

  it('what waits when it ends is kept, and then appends are refused', async () => {
    const { journal, faults, directory } = given();
    const waiting = journal.append('a\n');
    await journal.end();
    assert.deepEqual(await waiting, { segment: 1, offset: 2 });
    await assert.rejects(journal.append('b\n'), /the journal has ended/);
    assert.deepEqual(faults.reasons, ['closed']);
    await journal.end();
    assert.deepEqual((await readAll(directory)).lines, ['a']);
  });

  it('an ended journal owns its slot until it is closed', async () => {
    const root = given().directory;
    const { journal } = given({ root });
    await journal.end();
    assert.equal(given({ root }).journal.directory, join(root, '1'));
    await journal.close();
    await journal.close();
    assert.equal(given({ root }).journal.directory, join(root, '0'));
  });

  it('a slot whose content cannot be told is not kept locked', async () => {
    const root = given().directory;
    mkdirSync(join(root, '0'), { recursive: true });
    symlinkSync(join(root, 'nowhere'), join(root, '0', '00000001.log'));
    const { journal, faults } = given({ root });
    assert.equal(journal.directory, undefined);
    assert.deepEqual(faults.reasons, ['io']);
    writeFileSync(join(root, 'nowhere'), '');
    assert.equal(given({ root }).journal.directory, join(root, '0'));
  });
});

describe('A level of acknowledgement names what a receipt survives', () => {
  const given = journals();

  it('with sync the same is kept, after it is on the disk', async () => {
    const { journal, directory } = given({ sync: true });
    assert.deepEqual(await appendAll(journal, ['a\n', 'b\n']), [
      { segment: 1, offset: 2 },
      { segment: 1, offset: 4 },
    ]);
    await journal.close();
    assert.deepEqual((await readAll(directory)).lines, ['a', 'b']);
  });
});
