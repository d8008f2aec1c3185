import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prune, type PruneFlags } from '../../../src/composition/pruning.ts';
import { loadConfig, type Config } from '../../../src/config.ts';
import { migrateDatabase } from '../../../src/server.ts';
import { ReceiptChain } from '../../../src/storage/receipt-chain.ts';
import { shareTrail } from '../../../src/storage/trail-lock.ts';
import { PlatenProcess } from '../../support/platen-process.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { memoryLogger } from '../../support/rpc-server.ts';
import { receiptRecord } from '../../support/storage/records.ts';
import { until } from '../../support/until.ts';

const BEFORE = new Date('2026-02-01T00:00:00Z');

describe('Pruning keeps within each tenant\'s retention', () => {
  let test: TestDatabase;
  let settings: Record<string, string>;

  beforeEach(async () => {
    test = await createDatabase();
    settings = { PLATEN_DATABASE_URL: test.serverUrl, PLATEN_DATABASE_OWNER_URL: test.ownerUrl };
    const chain = new ReceiptChain({ url: test.serverUrl, statementTimeoutMs: 10_000 });
    const tenants = { '2026-01-01': 'default', '2026-01-02': 'default', '2026-01-03': 'acme' };
    const receipts = Object.entries(tenants).flatMap(([day, requestedTenant]) => {
      const receipt = () => receiptRecord(new Date(`${day}T12:00:00Z`), { requestedTenant });
      return [receipt(), receipt()].map((each) => ({ receipt: each, inputs: undefined }));
    });
    for (const batch of chain.prepare(receipts)) await chain.append(batch);
    await chain.close();
    const [root] = await asOwner<{ hash: string }>(test, `select document_hash as hash from tenant`);
    await asOwner(
      test,
      `insert into tenant values ('acme', 'default', '', '{}', 'FULL', 1, ?, now(), now(), '', 3650)`,
      [root!.hash],
    );
  });

  afterEach(() => test.drop());

  /** What the command prints, run in this process. */
  async function pruned(flags: Partial<PruneFlags>, config: Config = loadConfig(settings)): Promise<string> {
    const { logger } = memoryLogger();
    return prune(config, logger, { before: BEFORE, dryRun: false, json: false, ...flags });
  }

  it('a line for each day says what went, or why it stays', async () => {
    assert.equal(
      await pruned({ dryRun: true }),
      [
        '2026-01-01  would go: 2 receipts',
        '2026-01-02  would go: 2 receipts',
        '2026-01-03  stays: tenant acme keeps 3650 days',
        '2 days with 4 receipts would go, and batches up to 2',
        '',
      ].join('\n'),
    );
    assert.equal(
      await pruned({}),
      [
        '2026-01-01  gone: 2 receipts',
        '2026-01-02  gone: 2 receipts',
        '2026-01-03  stays: tenant acme keeps 3650 days',
        '2 days with 4 receipts are gone, and batches up to 2; in the change log: 2',
        '',
      ].join('\n'),
    );
    const again = '2026-01-03  stays: tenant acme keeps 3650 days\n0 days with 0 receipts are gone\n';
    assert.equal(await pruned({}), again);
  });

  it('the command says the same as JSON', async () => {
    const sql = 'select chain_hash as hash from receipt_batch where batch = 2';
    const [batch] = await asOwner<{ hash: string }>(test, sql);
    const command = new PlatenProcess(['audit', 'prune', '--before', '2026-02-01', '--json'], settings);
    assert.equal(await command.exitCode(), 0, command.stderr);
    assert.deepEqual(JSON.parse(command.stdout), {
      before: '2026-02-01T00:00:00.000Z',
      dry_run: false,
      days: [
        { day: '2026-01-01', receipts: 2 },
        { day: '2026-01-02', receipts: 2 },
      ],
      receipts: 4,
      kept_days: { '2026-01-03': 'tenant acme keeps 3650 days' },
      batches: { removed_through: 2, chain_hash: batch!.hash },
      changes: [2],
    });
    assert.deepEqual(JSON.parse(await pruned({ json: true })), {
      before: '2026-02-01T00:00:00.000Z',
      dry_run: false,
      days: [],
      receipts: 0,
      kept_days: { '2026-01-03': 'tenant acme keeps 3650 days' },
      changes: [],
    });
  });

  for (const time of ['2026-02-30', '2026-01-31T08:00:00', 'yesterday', '2026-01-31T25:00:00Z']) {
    it(`${time} is no time`, async () => {
      const command = new PlatenProcess(['audit', 'prune', '--before', time], settings);
      assert.equal(await command.exitCode(), 2);
      assert.match(command.stderr, /must be a time, as 2026-01-31/);
    });
  }

  it('it says why it waits', async () => {
    const share = await shareTrail(test.serverUrl, 5_000);
    const { logger, lines } = memoryLogger();
    const flags = { before: BEFORE, dryRun: false, json: false };
    const pruning = prune(loadConfig(settings), logger, flags);
    await until('it says so', () => lines.some(({ msg }) => msg === 'waiting to prune'));
    await share.release();
    assert.match(await pruning, /^2 days with 4 receipts are gone/m);
  });

  it('without the URL of a database it is the embedded one', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'platen-prune-'));
    const config = loadConfig({ PLATEN_DATA_DIR: dataDir });
    await migrateDatabase(config, memoryLogger().logger);
    assert.equal(await pruned({}, config), '0 days with 0 receipts are gone\n');
    await rm(dataDir, { recursive: true });
  });
});
