import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, write as writeFile, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { claimSlot } from '../../../src/audit/journal-slot.ts';
import { Journal, type Position } from '../../../src/audit/journal.ts';
import { decodeLine } from '../../../src/audit/receipt-line.ts';
import type { Write } from '../../../src/audit/segment-writer.ts';
import { ReceiptNotKept } from '../../../src/services/trail.ts';
import { journalRoots, NotedFaults, readAll, segmentsIn } from '../../support/audit/journals.ts';
import { until } from '../../support/until.ts';

const CHILD = join(import.meta.dirname, '../../support/audit/appending-process.ts');
const MAX_BYTES = 64 * 1024 * 1024;
const ROUNDS = 5;

/** A disk that does what it is told with each write. */
class FaultyDisk {
  /** The writes that hang, to be ended. */
  readonly hanging: { proceed: () => void; fail: (code: string) => void }[] = [];
  /** What becomes of the writes that come, in turn; undefined: they succeed. */
  readonly next: ('hang' | { code: string } | { atMost: number })[] = [];

  /** Runs once a write has failed, while its segment is being closed. */
  afterFault = (): void => {};

  readonly write: Write = (file, bytes, done) => {
    const fate = this.next.shift();
    if (fate === undefined) writeFile(file, bytes, done);
    else if (fate === 'hang') {
      this.hanging.push({
        proceed: () => writeFile(file, bytes, done),
        fail: (code) => done(Object.assign(new Error(code), { code }), 0),
      });
    } else if ('code' in fate) done(Object.assign(new Error(fate.code), { code: fate.code }), 0);
    else {
      writeFile(file, bytes.subarray(0, fate.atMost), (error, written) => {
        done(error, written);
        setImmediate(this.afterFault);
      });
    }
  };
}

/** What a child said of each receipt. */
class Said {
  readonly #lines: string[] = [];
  readonly #ended: Promise<unknown>;

  constructor(child: ChildProcess) {
    const lines = createInterface({ input: child.stdout! });
    lines.on('line', (line) => this.#lines.push(line));
    this.#ended = once(lines, 'close');
  }

  of(what: 'kept' | 'refused' | 'failed'): string[] {
    return this.#lines.filter((line) => line.startsWith(`${what} `)).map((line) => line.slice(what.length + 1));
  }

  async end(): Promise<void> {
    await this.#ended;
  }
}

function renderIds(lines: readonly string[]): string[] {
  return lines.map((line) => {
    const decoded = decodeLine(line);
    assert.ok(decoded, `damaged: ${line}`);
    return decoded.receipt.renderId;
  });
}

function assertHolds(lines: readonly string[], kept: readonly string[]): void {
  const there = new Set(renderIds(lines));
  assert.equal(there.size, lines.length, 'a receipt is there twice');
  assert.deepEqual(
    kept.filter((id) => !there.has(id)),
    [],
  );
}

describe('Journals are bounded and outlive faults', () => {
  const newRoot = journalRoots();
  const open: Journal[] = [];
  let faults: NotedFaults;
  let disk: FaultyDisk;

  beforeEach(() => {
    faults = new NotedFaults();
    disk = new FaultyDisk();
  });
  afterEach(async () => {
    for (const { proceed } of disk.hanging) proceed();
    for (const journal of open.splice(0)) await journal.close();
  });

  function journalIn(root: string, { sync = false } = {}): Journal {
    const journal = new Journal({ root, maxBytes: MAX_BYTES, sync, observer: faults, write: disk.write });
    open.push(journal);
    return journal;
  }

  async function refused(append: Promise<Position>, why: RegExp): Promise<void> {
    await assert.rejects(append, (error) => {
      assert.ok(error instanceof ReceiptNotKept && !error.journaled);
      assert.match(error.message, why);
      return true;
    });
  }

  it('a file that may not grow: what was acknowledged is there, and appends go on', async () => {
    const root = newRoot();
    const receipts = 2_000;
    // bash counts in KiB; Node ignores SIGXFSZ, so that writes fail with EFBIG.
    const child = spawn('bash', ['-c', `ulimit -f 64; exec "$0" "$@"`, process.execPath, CHILD, root, `${receipts}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const said = new Said(child);
    const [code] = (await once(child, 'exit')) as [number];
    await said.end();
    assert.equal(code, 0);
    const kept = said.of('kept');
    const { lines, torn } = await readAll(join(root, '0'));
    assertHolds(lines, kept);
    assert.ok(torn > 0, 'no write was interrupted');
    assert.equal(kept.length + said.of('refused').length, receipts);
    assert.ok(kept.length > receipts / 4, `${kept.length} were kept`);
    assert.deepEqual(new Set(said.of('failed')), new Set(['disk_full']));
  });

  for (const code of ['ENOSPC', 'EDQUOT', 'EFBIG']) {
    it(`a full disk (${code}): the group is refused, and the next one is kept in another segment`, async () => {
      const root = newRoot();
      const journal = journalIn(root);
      await journal.append('a\n');
      disk.next.push({ code });
      const group = ['b\n', 'c\n'].map((line) => journal.append(line));
      for (const append of group) await refused(append, new RegExp(code));
      assert.deepEqual(journal.position, { segment: 1, offset: 2 });
      assert.deepEqual(await journal.append('d\n'), { segment: 2, offset: 2 });
      assert.deepEqual(faults, Object.assign(new NotedFaults(), { reasons: ['disk_full'], recoveries: 1 }));
      await journal.close();
      assert.deepEqual(await readAll(join(root, '0')), { lines: ['a', 'd'], torn: 0 });
    });
  }

  it('a failing disk is told from a full one', async () => {
    const journal = journalIn(newRoot());
    disk.next.push({ code: 'EIO' });
    await refused(journal.append('a\n'), /EIO/);
    assert.deepEqual(faults.reasons, ['io']);
  });

  it('a short write: nothing of the group is acknowledged, and its torn line is passed over', async () => {
    const root = newRoot();
    const journal = journalIn(root);
    await journal.append('a\n');
    disk.next.push({ atMost: 3 });
    const group = ['b\n', 'c\n'].map((line) => journal.append(line));
    for (const append of group) await refused(append, /3 of 4 bytes were written/);
    assert.deepEqual(faults.reasons, ['disk_full']);
    assert.equal(journal.bytes, 5);
    assert.deepEqual(await journal.append('d\n'), { segment: 2, offset: 2 });
    await journal.close();
    assert.deepEqual(await readAll(join(root, '0')), { lines: ['a', 'b', 'd'], torn: 1 });
  });

  it('bytes that are freed while a failed segment is closed are counted', async () => {
    const journal = journalIn(newRoot());
    await journal.append('a\n');
    disk.next.push({ atMost: 3 });
    disk.afterFault = () => journal.freed(2);
    await refused(journal.append('bbbb\n'), /3 of 5 bytes/);
    assert.equal(journal.bytes, 3);
  });

  it('a disk that stays full does not fill its directory with segments', async () => {
    const root = newRoot();
    const journal = journalIn(root);
    for (let n = 0; n < 10; n += 1) {
      disk.next.push({ atMost: 1 });
      await refused(journal.append('a\n'), /1 of 2 bytes/);
    }
    assert.equal(journal.bytes, 0);
    const { segment } = await journal.append('b\n');
    assert.deepEqual(segmentsIn(join(root, '0')), [`000000${segment}.log`]);
    assert.equal(faults.recoveries, 1);
  });

  it('a disk that hangs: what waits is refused, further ones at once, and then appends go on', async () => {
    const root = newRoot();
    const journal = journalIn(root);
    disk.next.push('hang');
    const written = journal.append('a\n');
    await until('the write hangs', () => disk.hanging.length === 1);
    const waiting = journal.append('b\n');
    await Promise.all([
      refused(written, /the disk did nothing for 1000 ms/),
      refused(waiting, /the disk did nothing for 1000 ms/),
    ]);
    await refused(journal.append('c\n'), /the disk does nothing/);
    assert.deepEqual(faults.reasons, ['slow', 'slow']);
    disk.hanging.pop()!.proceed();
    await until('the disk does something', () => faults.recoveries === 1);
    assert.deepEqual(await journal.append('d\n'), { segment: 1, offset: 4 });
    await journal.close();
    assert.deepEqual((await readAll(join(root, '0'))).lines, ['a', 'd']);
  });

  it('a disk that hangs and then fails', async () => {
    const root = newRoot();
    const journal = journalIn(root);
    disk.next.push('hang');
    await refused(journal.append('a\n'), /the disk did nothing/);
    disk.hanging.pop()!.fail('EIO');
    await until('the failure is told', () => faults.reasons.includes('io'));
    await until('it is given up', () => segmentsIn(join(root, '0')).length === 0);
    assert.deepEqual(await journal.append('b\n'), { segment: 2, offset: 2 });
  });

  it('an event loop that was held up is no disk that hangs', async () => {
    const journal = journalIn(newRoot());
    const append = journal.append('a\n');
    await nextTurn();
    const end = performance.now() + 1_100;
    while (performance.now() < end);
    await append;
    assert.deepEqual(faults.reasons, []);
  });

  it('it can be ended while the disk hangs', async () => {
    const root = newRoot();
    const journal = journalIn(root);
    disk.next.push('hang');
    const written = refused(journal.append('a\n'), /the disk did nothing/);
    await until('the write hangs', () => disk.hanging.length === 1);
    await journal.close();
    await written;
    claimSlot(root).release();
  });

  it('it can be ended once the disk hangs', async () => {
    const journal = journalIn(newRoot());
    disk.next.push('hang');
    await refused(journal.append('a\n'), /the disk did nothing/);
    await journal.end();
  });

  it('a directory that is a file at the start: appends are refused, until it is one', async () => {
    const root = join(newRoot(), 'journal');
    writeFileSync(root, '');
    const journal = journalIn(root);
    assert.equal(journal.directory, undefined);
    assert.equal(journal.firstSegment, undefined);
    await refused(journal.append('a\n'), /ENOTDIR|EEXIST/);
    assert.deepEqual(faults.reasons, ['io', 'io']);
    rmSync(root);
    await until('it is opened', () => journal.directory !== undefined);
    assert.deepEqual(await journal.append('b\n'), { segment: 1, offset: 2 });
    assert.equal(faults.recoveries, 1);
  });

  it('one that was never opened can be closed', async () => {
    const root = join(newRoot(), 'journal');
    writeFileSync(root, '');
    await journalIn(root).close();
  });

  it('a name that is taken is passed over', async () => {
    const root = newRoot();
    const journal = journalIn(root);
    await journal.append('a\n');
    disk.next.push({ code: 'EIO' });
    writeFileSync(join(root, '0', '00000002.log'), '');
    await refused(journal.append('b\n'), /EIO/);
    await refused(journal.append('c\n'), /EEXIST/);
    assert.deepEqual(await journal.append('d\n'), { segment: 3, offset: 2 });
  });

  it('a root that cannot be used at first is told of once it can, before anything is written', async () => {
    const root = join(newRoot(), 'journal');
    writeFileSync(root, '');
    const journal = journalIn(root);
    assert.deepEqual([journal.directory, faults.openings], [undefined, 0]);
    rmSync(root);
    await until('it is open', () => faults.openings === 1);
    assert.deepEqual([journal.directory, journal.firstSegment, faults.recoveries], [join(root, '0'), 1, 0]);
    await journal.append('a\n');
    assert.equal(faults.openings, 1);
  });

  it('a directory that was removed is a fault until it is there again', async () => {
    const root = newRoot();
    const journal = journalIn(root, { sync: true });
    await journal.append('a\n');
    rmSync(join(root, '0'), { recursive: true });
    disk.next.push({ code: 'EIO' });
    await refused(journal.append('b\n'), /EIO/);
    await refused(journal.append('c\n'), /ENOENT/);
    mkdirSync(join(root, '0'));
    const { segment } = await journal.append('d\n');
    assert.ok(segment > 1);
    assert.deepEqual(readdirSync(join(root, '0')), [`0000000${segment}.log`]);
  });
});

describe('Receipts reach the chain whatever is killed when', () => {
  const newRoot = journalRoots();

  it('every acknowledged receipt of a killed process is read back, once', async () => {
    const root = newRoot();
    const kept: string[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      const child = spawn(process.execPath, [CHILD, root], { stdio: ['ignore', 'pipe', 'inherit'] });
      const said = new Said(child);
      try {
        await until('receipts are acknowledged', () => said.of('kept').length > round * 100);
      } finally {
        child.kill('SIGKILL');
      }
      await said.end();
      kept.push(...said.of('kept'));
    }
    assert.deepEqual(readdirSync(root), ['0'], 'the slot of a killed owner is taken by the next one');
    assertHolds((await readAll(join(root, '0'))).lines, kept);
  });
});
