import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { JournalReader, type Reading } from '../../../src/audit/journal-reader.ts';
import { journalRoots, segmentsIn } from '../../support/audit/journals.ts';

const MANY = 1_000;
const MEBIBYTE = 1024 * 1024;

describe('Receipts pass through a local journal', () => {
  const newRoot = journalRoots();
  const readers: JournalReader[] = [];
  let directory: string;
  let reader: JournalReader;

  beforeEach(() => {
    directory = newRoot();
    reader = readerOf(directory);
  });
  afterEach(async () => {
    for (const each of readers.splice(0)) await each.close();
  });

  function readerOf(slot: string): JournalReader {
    const made = new JournalReader(slot);
    readers.push(made);
    return made;
  }

  function write(segment: number, content: string | Buffer): void {
    appendFileSync(join(directory, `0000000${segment}.log`), content);
  }

  function linesOf(reading: Reading | undefined): string[] | undefined {
    return reading?.entries.map(({ line }) => line);
  }

  async function lines(): Promise<string[] | undefined> {
    return linesOf(await reader.read(MANY, MEBIBYTE));
  }

  it('an empty slot has nothing to read', async () => {
    assert.equal(await lines(), undefined);
  });

  it('what is appended is read once, as it comes', async () => {
    write(1, 'a\nb\n');
    assert.deepEqual(await reader.read(MANY, MEBIBYTE), {
      entries: [{ line: 'a' }, { line: 'b' }],
      end: { segment: 1, offset: 4 },
      torn: 0,
    });
    assert.equal(await lines(), undefined);
    write(1, 'c\n');
    assert.deepEqual(await lines(), ['c']);
  });

  it('a line that is not wholly there waits', async () => {
    write(1, 'a\nbeg');
    assert.deepEqual(await lines(), ['a']);
    write(1, 'inn');
    assert.equal(await lines(), undefined);
    write(1, 'ing\n');
    assert.deepEqual(await lines(), ['beginning']);
  });

  it('characters that are cut between two reads are whole', async () => {
    const bytes = Buffer.from('grüße 🧮\n');
    for (const byte of bytes.subarray(0, -1)) {
      write(1, Buffer.of(byte));
      assert.equal(await lines(), undefined);
    }
    write(1, bytes.subarray(-1));
    assert.deepEqual(await lines(), ['grüße 🧮']);
  });

  it('a reading is bounded by lines', async () => {
    write(1, 'a\nb\nc\n');
    assert.deepEqual(linesOf(await reader.read(2, MEBIBYTE)), ['a', 'b']);
    assert.deepEqual(linesOf(await reader.read(2, MEBIBYTE)), ['c']);
  });

  it('a reading is bounded by bytes, but has one line at least', async () => {
    write(1, 'aaaa\nbbbb\ncccc\n');
    assert.deepEqual(linesOf(await reader.read(MANY, 10)), ['aaaa', 'bbbb']);
    assert.deepEqual(linesOf(await reader.read(MANY, 2)), ['cccc']);
  });

  it('lines of some MiB are read, among short ones', async () => {
    const long = 'x'.repeat(3 * MEBIBYTE + 7);
    write(1, `a\n${long}\nb\n`);
    assert.deepEqual(linesOf(await reader.read(MANY, 10 * MEBIBYTE)), ['a', long, 'b']);
  });

  it('segments are read in their order, by number', async () => {
    write(2, 'b\n');
    write(1, 'a\n');
    writeFileSync(join(directory, '100000000.log'), 'c\n');
    writeFileSync(join(directory, 'notes.txt'), 'x\n');
    const reading = await reader.read(MANY, MEBIBYTE);
    assert.deepEqual(linesOf(reading), ['a', 'b', 'c']);
    assert.deepEqual(reading!.end, { segment: 100_000_000, offset: 2 });
  });

  it('what was written before a later segment came is read, however late', async () => {
    write(1, 'a\n');
    assert.deepEqual(await lines(), ['a']);
    write(1, 'b\n');
    write(2, 'c\n');
    assert.deepEqual(await lines(), ['b', 'c']);
  });

  it('the torn end of a complete segment is passed over and counted', async () => {
    write(1, 'a\ntor');
    assert.deepEqual(linesOf(await reader.read(MANY, MEBIBYTE)), ['a']);
    write(2, 'b\n');
    assert.deepEqual(await reader.read(MANY, MEBIBYTE), {
      entries: [{ line: 'b' }],
      end: { segment: 2, offset: 2 },
      torn: 1,
    });
  });

  it('complete segments are unlinked once they are drained, and the active one stays', async () => {
    write(1, 'a\n');
    const first = await reader.read(MANY, MEBIBYTE);
    assert.equal(await reader.drained(first!.end), 0);
    write(1, 'torn');
    write(2, 'b\n');
    const second = await reader.read(MANY, MEBIBYTE);
    assert.equal(await reader.drained(first!.end), 0);
    assert.deepEqual(segmentsIn(directory), ['00000001.log', '00000002.log']);
    assert.equal(await reader.drained(second!.end), 6);
    assert.deepEqual(segmentsIn(directory), ['00000002.log']);
  });

  it('the place moves when a segment that was read turns out to be complete, so that it can be unlinked', async () => {
    write(1, 'a\n');
    await lines();
    write(2, '');
    const reading = await reader.read(MANY, MEBIBYTE);
    assert.deepEqual(reading, { entries: [], end: { segment: 1, offset: 2 }, torn: 0 });
    assert.equal(await reader.drained(reading!.end), 2);
    assert.equal(await lines(), undefined);
  });

  it('the last segment of a slot that nobody writes to is complete', async () => {
    write(1, 'a\ntorn');
    write(2, '');
    reader.complete();
    const reading = await reader.read(MANY, MEBIBYTE);
    assert.deepEqual(reading, { entries: [{ line: 'a' }], end: { segment: 2, offset: 0 }, torn: 1 });
    assert.equal(await reader.drained(reading!.end), 6);
    assert.deepEqual(segmentsIn(directory), []);
    assert.equal(await lines(), undefined);
  });

  it('a segment that its writer unlinked again is passed over', async () => {
    symlinkSync(join(directory, 'gone'), join(directory, '00000001.log'));
    write(2, 'b\n');
    assert.deepEqual(await lines(), ['b']);
  });

  it('a segment that is gone when it is drained frees nothing', async () => {
    write(1, 'a\n');
    write(2, '');
    const reading = await reader.read(MANY, MEBIBYTE);
    unlinkSync(join(directory, '00000001.log'));
    assert.equal(await reader.drained(reading!.end), 0);
  });

  it('a fault of the disk passes over nothing: what was read is given out, and then it is met again', async () => {
    write(1, 'a\n');
    mkdirSync(join(directory, '00000002.log'));
    assert.deepEqual(await lines(), ['a']);
    await assert.rejects(lines(), { code: 'EISDIR' });
    rmSync(directory, { recursive: true });
    const other = readerOf(directory);
    await assert.rejects(other.read(MANY, MEBIBYTE), { code: 'ENOENT' });
  });

  it('a segment that cannot be opened is a fault until it can be', async () => {
    const path = join(directory, '00000001.log');
    symlinkSync(path, path);
    await assert.rejects(lines(), { code: 'ELOOP' });
    unlinkSync(path);
    write(1, 'a\n');
    assert.deepEqual(await lines(), ['a']);
  });

  it('what cannot be unlinked is tried again, and what was freed before is told then', async () => {
    write(1, 'a\n');
    write(2, 'bb\n');
    write(3, '');
    const reading = await reader.read(MANY, MEBIBYTE);
    const path = join(directory, '00000002.log');
    unlinkSync(path);
    mkdirSync(path);
    await assert.rejects(reader.drained(reading!.end), /unlink/);
    rmSync(path, { recursive: true });
    write(2, 'bb\n');
    assert.equal(await reader.drained(reading!.end), 5);
    assert.deepEqual(segmentsIn(directory), ['00000003.log']);
  });
});
