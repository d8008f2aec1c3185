import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Journal } from '../../../src/audit/journal.ts';
import { encodeLine } from '../../../src/audit/receipt-line.ts';
import { ReceiptWay } from '../../../src/composition/receipts.ts';
import { loadConfig } from '../../../src/config.ts';
import { ReceiptNotKept, type ReceiptRecord } from '../../../src/services/trail.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { journalRoots, NotedFaults, segmentsIn } from '../../support/audit/journals.ts';
import { DatabaseProxy } from '../../support/database-proxy.ts';
import { asOwner, createDatabase, createEmptyDatabase, type TestDatabase } from '../../support/postgres.ts';
import { memoryLogger, type LogLine } from '../../support/rpc-server.ts';
import { receiptRecord } from '../../support/storage/records.ts';
import { until } from '../../support/until.ts';

const WAIT_MS = 15_000;

let database: TestDatabase;
let proxy: DatabaseProxy;
let root: string;
const newRoot = journalRoots();
const open = new Set<Replica>();

/** The way of receipts of one replica. */
class Replica {
  readonly metrics = new Metrics();
  readonly logs: readonly LogLine[];
  readonly way: ReceiptWay;

  constructor(settings: Readonly<Record<string, string>> = {}, url = proxy.url) {
    const { logger, lines } = memoryLogger();
    this.logs = lines;
    const config = loadConfig({ PLATEN_AUDIT_JOURNAL_DIR: root, ...settings });
    this.way = new ReceiptWay(config, url, this.metrics, logger);
    open.add(this);
  }

  /** @returns the render_id */
  async write(changes: Partial<ReceiptRecord> = {}): Promise<string> {
    const receipt = receiptRecord(new Date(), changes);
    await this.way.receipts.write(receipt, '{"variables":{"name":"Ada"}}', Date.now() + WAIT_MS);
    return receipt.renderId;
  }

  writeMany(count: number): Promise<string[]> {
    return Promise.all(Array.from({ length: count }, () => this.write()));
  }

  async metric(name: string): Promise<number> {
    const text = await this.metrics.text();
    return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
  }

  logged(message: string): LogLine | undefined {
    return this.logs.find(({ msg }) => msg === message);
  }

  /** Resolves once it knows that the database is away. */
  async away(): Promise<void> {
    const message = 'receipts wait in the journal until the database takes them';
    await until('the drainer knows', () => this.logged(message) !== undefined);
  }

  async empty(): Promise<void> {
    await until('nothing waits', () => this.way.receipts.depth === 0);
  }

  async close(withinMs = WAIT_MS): Promise<void> {
    open.delete(this);
    await this.way.close(Date.now() + withinMs);
  }
}

/** The render_ids in the chain, each as often as it is there. */
async function chained(): Promise<string[]> {
  const rows = await asOwner<{ id: string }>(
    database,
    'select render_id::text as id from receipt union all select render_id::text from receipt_stray',
  );
  return rows.map(({ id }) => id).toSorted();
}

async function batches(): Promise<number> {
  const [row] = await asOwner<{ count: number }>(database, 'select count(*)::int as count from receipt_batch');
  return row!.count;
}

async function deadLetters(): Promise<{ reason: string; line: string }[]> {
  const lines = readFileSync(join(root, 'dead-letters.log'), 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as { reason: string; line: string });
}

/** A slot that a worker left, with lines in it; still owned until it is closed. */
async function leftJournal(receipts: readonly ReceiptRecord[]): Promise<Journal> {
  const journal = new Journal({ root, maxBytes: 2 ** 26, sync: false, observer: new NotedFaults() });
  await Promise.all(receipts.map((receipt) => journal.append(encodeLine(receipt, undefined))));
  return journal;
}

function receipts(count: number): ReceiptRecord[] {
  return Array.from({ length: count }, () => receiptRecord(new Date()));
}

function idsOf(records: readonly ReceiptRecord[]): string[] {
  return records.map(({ renderId }) => renderId);
}

async function setUp(): Promise<void> {
  database = await createDatabase();
  proxy = await DatabaseProxy.start(database);
  root = newRoot();
}

async function tearDown(): Promise<void> {
  proxy.mend();
  for (const replica of open) await replica.close();
  await proxy.stop();
  await database.drop();
}

/** Each test of a suite has a database and a journal directory of its own. */
function afresh(): void {
  beforeEach(setUp);
  afterEach(tearDown);
}

describe('Receipts pass through a local journal', () => {
  afresh();

  it('and are in the database soon, in few transactions, and in the journal no more', async () => {
    const replica = new Replica();
    const ids = await replica.writeMany(1_000);
    await replica.empty();
    assert.deepEqual(await chained(), ids.toSorted());
    assert((await batches()) < 20);
    assert.equal(await replica.metric('audit_drained_total'), 1_000);
    assert.equal(await replica.metric('audit_journal_oldest_seconds'), 0);
    await replica.close();
    assert.deepEqual(segmentsIn(join(root, '0')), []);
    assert.equal(await replica.metric('audit_journal_bytes'), 0);
  });

  it('and wait there while PostgreSQL is away, which readers do not wait for', async () => {
    const replica = new Replica();
    proxy.cut();
    const ids = await replica.writeMany(100);
    await replica.away();
    await replica.way.receipts.settled(Date.now() + WAIT_MS);
    assert.equal(await replica.metric('audit_journal_depth'), 100);
    assert((await replica.metric('audit_journal_oldest_seconds')) > 0);
    proxy.mend();
    await replica.empty();
    assert.deepEqual(await chained(), ids.toSorted());
    assert(replica.logged('receipts reach the database again'));
  });
});

describe('A level of acknowledgement names what a receipt survives', () => {
  afresh();

  it('database: each that is acknowledged is in the chain', async () => {
    const replica = new Replica({ PLATEN_AUDIT_ACK: 'database' });
    for (let count = 0; count < 5; count += 1) {
      const id = await replica.write();
      assert((await chained()).includes(id));
    }
    const ids = await replica.writeMany(200);
    assert.equal((await chained()).filter((id) => ids.includes(id)).length, 200);
  });

  it('database: one that the database refuses is not acknowledged, and others are', async () => {
    const replica = new Replica({ PLATEN_AUDIT_ACK: 'database' });
    const [bad, good] = await Promise.allSettled([replica.write({ caller: 'a\0b' }), replica.write()]);
    assert.equal(good.status, 'fulfilled');
    assert(bad.status === 'rejected' && bad.reason instanceof ReceiptNotKept && bad.reason.journaled);
  });

  it('fsync: it is in the file', async () => {
    const replica = new Replica({ PLATEN_AUDIT_ACK: 'fsync' });
    proxy.cut();
    const id = await replica.write();
    const texts = segmentsIn(join(root, '0')).map((name) => readFileSync(join(root, '0', name), 'utf8'));
    assert(texts.join('').includes(id));
  });
});

describe('Readers find the receipts of the replica that they ask', () => {
  afresh();

  it('as soon as they ask', async () => {
    const replica = new Replica();
    for (let count = 0; count < 5; count += 1) {
      const id = await replica.write();
      await replica.way.receipts.settled(Date.now() + WAIT_MS);
      assert((await chained()).includes(id));
    }
  });
});

describe('Receipts reach the chain whatever is killed when', () => {
  afresh();

  it('exactly once, with two replicas, though connections are cut again and again', async () => {
    const replicas = [new Replica(), new Replica()];
    const writings: Promise<string[]>[] = [];
    for (let round = 0; round < 10; round += 1) {
      writings.push(...replicas.map((replica) => replica.writeMany(100)));
      await until('more is drained', async () => (await batches()) > round / 2);
      proxy.cut();
      proxy.mend();
    }
    const ids = (await Promise.all(writings)).flat();
    for (const replica of replicas) await replica.empty();
    assert.deepEqual(await chained(), ids.toSorted());
  });

  it('and before the migrations are in they wait', async () => {
    const empty = await createEmptyDatabase();
    const replica = new Replica({}, empty.serverUrl);
    await replica.write();
    await replica.away();
    assert.equal(replica.way.receipts.depth, 1);
    assert.equal(await replica.metric('audit_dead_letters_total'), 0);
    await replica.close(0);
    await empty.drop();
  });
});

describe('Journals are bounded and outlive faults', () => {
  afresh();

  it('receipts of one database do not end up in another, and wait until somebody says that it takes its place', async () => {
    const replica = new Replica();
    await replica.write();
    await replica.empty();
    await replica.close();
    const tie = join(root, 'database');
    writeFileSync(tie, `${'1'.repeat(64)}\n`);

    const other = new Replica();
    const late = await other.write();
    await other.away();
    const line = other.logged('receipts wait in the journal until the database takes them');
    assert.match(String(line!['reason']), /hold receipts of another database; set PLATEN_AUDIT_JOURNAL_DIR/);
    assert(!(await chained()).includes(late));

    rmSync(tie);
    await other.empty();
    assert((await chained()).includes(late));
  });
});

describe('A bad receipt never blocks the rest', () => {
  afresh();

  it('one among a hundred is with the dead letters, and the journal is empty', async () => {
    const replica = new Replica();
    const good = replica.writeMany(99);
    const bad = await replica.write({ caller: 'a\0b' });
    await replica.empty();
    assert.deepEqual(await chained(), (await good).toSorted());
    const [letter, ...others] = await deadLetters();
    assert.deepEqual(others, []);
    assert(letter!.line.includes(bad));
    assert.equal(await replica.metric('audit_dead_letters_total'), 1);
    assert(!JSON.stringify(replica.logged('receipts were set aside as dead letters')).includes('Ada'));
    await replica.close();
    assert.deepEqual(segmentsIn(join(root, '0')), []);
  });

  it('a damaged line is one too, and a write that was interrupted is passed over', async () => {
    const [first, second] = receipts(2);
    const left = await leftJournal([first!]);
    const { directory } = left;
    await left.close();
    const [name] = segmentsIn(directory!);
    const path = join(directory!, name!);
    appendFileSync(path, `nonsense\n${encodeLine(second!, undefined).slice(0, 50)}`);
    const replica = new Replica();
    await until('the line is set aside', async () => (await replica.metric('audit_dead_letters_total')) === 1);
    await until('the end is seen', async () => (await replica.metric('audit_journal_torn_total')) === 1);
    assert.deepEqual(await chained(), [first!.renderId]);
    assert.equal((await deadLetters())[0]!.line, 'nonsense');
  });

  it('and lines that an operator puts into a directory of their own are drained again', async () => {
    const [receipt] = receipts(1);
    const left = await leftJournal([receipt!]);
    const other = await leftJournal([]);
    const names = segmentsIn(left.directory!);
    const text = names.map((name) => readFileSync(join(left.directory!, name), 'utf8')).join('');
    writeFileSync(join(other.directory!, '00000099.log'), text);
    await other.close();
    const replica = new Replica();
    await until('they are drained', async () => (await chained()).includes(receipt!.renderId));
    await replica.close();
    await left.close();
  });
});

describe("A dead worker's journal is adopted", () => {
  afresh();

  it('by whoever takes its place, and by others', async () => {
    const [one, other] = [receipts(150), receipts(2)];
    const journals = [await leftJournal(one), await leftJournal(other)];
    for (const journal of journals) await journal.close();
    proxy.cut();
    const replica = new Replica();
    await until('they are counted', async () => (await replica.metric('audit_journal_oldest_seconds')) > 0);
    proxy.mend();
    await until('they are drained', async () => (await chained()).length === 152);
    assert.deepEqual(await chained(), idsOf([...one, ...other]).toSorted());
    await until('both are empty', () => ['0', '1'].every((slot) => segmentsIn(join(root, slot)).length <= 1));
    assert(replica.logged('the journal of a worker that is gone is drained'));
    await replica.close();
    assert.deepEqual(['0', '1'].flatMap((slot) => segmentsIn(join(root, slot))), []);
  });

  it("but a living owner's is left alone until it is gone", async () => {
    const theirs = receipts(3);
    const living = await leftJournal(theirs);
    const replica = new Replica();
    await replica.write();
    await replica.empty();
    assert.equal((await chained()).length, 1);
    await living.close();
    await until('it is adopted', async () => (await chained()).length === 4);
  });
});

describe('Journals are bounded and outlive faults', () => {
  afresh();

  it('one that cannot be used at the start is used later', async () => {
    rmSync(root, { recursive: true });
    writeFileSync(root, 'in the way');
    const replica = new Replica();
    await assert.rejects(replica.write(), { name: 'ReceiptNotKept', journaled: false });
    assert.equal(replica.logged('the journal takes no receipts')?.['level'], 'error');
    rmSync(root);
    let id: string | undefined;
    await until('it takes receipts', async () => {
      id = await replica.write().catch(() => undefined);
      return id !== undefined;
    });
    await replica.empty();
    assert.deepEqual(await chained(), [id]);
    assert(replica.logged('the journal takes receipts again'));
  });

  it('and drained bytes are given back', async () => {
    const replica = new Replica({ PLATEN_AUDIT_JOURNAL_BYTES: '67108864' });
    const text = 'x'.repeat(1024 * 1024);
    const inputs = JSON.stringify({ fallbackText: text });
    for (let count = 0; count < 7; count += 1) {
      const ten = receipts(10).map((receipt) => replica.way.receipts.write(receipt, inputs, Date.now() + WAIT_MS));
      await Promise.all(ten);
      await replica.way.receipts.settled(Date.now() + WAIT_MS);
    }
    assert((await replica.metric('audit_journal_bytes')) < 20_000_000);
    assert.equal((await chained()).length, 70);
  });
});

describe('Receipts lie in partitions of their day', () => {
  afresh();

  it('which are made ahead', async () => {
    const replica = new Replica();
    replica.way.makePartitions();
    const day = new Date(Date.now() + 7 * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '');
    await until('there is one for a week ahead', async () => {
      const sql = "select relname as name from pg_class where relkind = 'r'";
      const tables = await asOwner<{ name: string }>(database, sql);
      return tables.some(({ name }) => name.startsWith('receipt_') && name.replaceAll('_', '').endsWith(day));
    });
  });
});

describe('Draining loses no request', () => {
  afresh();

  it('receipts under way are drained before the server ends', async () => {
    const replica = new Replica();
    const ids = await replica.writeMany(300);
    await replica.close();
    assert.deepEqual(await chained(), ids.toSorted());
    await assert.rejects(replica.write(), { name: 'ReceiptNotKept', journaled: false });
  });

  it('and stay in the journal, for the next one, if the database does not take them in time', async () => {
    const replica = new Replica();
    await replica.write();
    await replica.empty();
    proxy.freeze();
    const ids = await replica.writeMany(10);
    await replica.close(200);
    const left = replica.logged('receipts wait in the journal for the next server on it');
    assert.equal(left?.['receipts'], 10);
    proxy.thaw();
    const next = new Replica();
    await until('they are drained', async () => (await chained()).length === 11);
    assert.deepEqual((await chained()).filter((id) => ids.includes(id)), ids.toSorted());
    await next.close();
    assert.deepEqual(readdirSync(join(root, '0')), ['owner.lock']);
  });
});
