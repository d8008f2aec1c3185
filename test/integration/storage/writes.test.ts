import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import canonicalize from 'canonicalize';
import { Cancelled, DeadlineExceeded, InvalidInput, NotFound, Unavailable } from '../../../src/domain/errors.ts';
import { PostgresWrites } from '../../../src/storage/writes.ts';
import type { WriteTransaction } from '../../../src/services/stores.ts';
import { asOwner } from '../../support/postgres.ts';
import {
  changeEntry,
  draftRecord,
  templateVersion,
  TENANT_DOCUMENT,
  tenantRecord,
} from '../../support/storage/records.ts';
import {
  notRepeated,
  openRegistry,
  openServerDatabase,
  repeatable,
  writeCall,
  type Registry,
} from '../../support/storage/registry.ts';

const HOUR = 3_600_000;

let registry: Registry;
let now: Date;

function useRegistry(): void {
  before(async () => {
    registry = await openRegistry(() => now);
  });
  after(() => registry.close());
  beforeEach(() => {
    now = new Date();
  });
}

/** A write that appends one change and answers with its seq. */
async function appendOne(tx: WriteTransaction): Promise<string> {
  return String(await tx.appendChange(changeEntry()));
}

/** Resolves once some session waits for a lock that another holds. */
async function someoneWaits(): Promise<void> {
  for (;;) {
    const waiting = await asOwner(
      registry.test,
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    if (waiting.length > 0) return;
  }
}

/** A transaction that waits, with what it holds, until it is let go. */
function held(work: (tx: WriteTransaction) => Promise<unknown>) {
  const holding = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const done = registry.write(async (tx) => {
    await work(tx);
    holding.resolve();
    await gate.promise;
  });
  return { holding: holding.promise, release: gate.resolve, done };
}

describe('Changes are gapless in commit order', () => {
  useRegistry();

  it('50 concurrent writers, half of whom fail, leave consecutive seqs', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, i) =>
        registry.write(async (tx) => {
          const seq = await appendOne(tx);
          if (i % 2 === 1) throw new NotFound('template', 'x');
          return seq;
        }),
      ),
    );
    const seqs = outcomes.flatMap((o) => (o.status === 'fulfilled' ? [Number(o.value)] : [])).toSorted((a, b) => a - b);
    assert.deepEqual(seqs, Array.from({ length: 25 }, (_, i) => i + 2));
    const rows = await asOwner<{ seq: string }>(registry.test, 'select seq from change order by seq');
    assert.deepEqual(rows.map((row) => Number(row.seq)), Array.from({ length: 26 }, (_, i) => i + 1));
  });

  it('several effects of one write have consecutive seqs, and its last one is waited for', async () => {
    registry.applied.length = 0;
    const seqs = await registry.write(async (tx) => [await appendOne(tx), await appendOne(tx), await appendOne(tx)]);
    assert.equal(Number(seqs[2]) - Number(seqs[0]), 2);
    assert.deepEqual(registry.applied, [Number(seqs[2])]);
  });

  it('the time of a change is when it took its seq, however long it waited, so that times follow seqs', async () => {
    const first = held(appendOne);
    await first.holding;
    const second = registry.write(appendOne);
    await someoneWaits();
    now = new Date(now.getTime() + HOUR);
    first.release();
    const change = await registry.stores.changes.find(Number(await second));
    assert.deepEqual(change?.time, now);
    await first.done;
  });

  it('a write without an effect waits for nothing', async () => {
    registry.applied.length = 0;
    assert.equal(await registry.write(async (tx) => tx.actor), 'admin');
    assert.deepEqual(registry.applied, []);
  });
});

describe('The change chain can be recomputed', () => {
  useRegistry();

  it('from the rows, by rules written down independently', async () => {
    const call = writeCall({ traceId: 'trace', requestId: 'r', actor: 'key "7" \\' });
    await registry.writes.run(call, repeatable('rpc', 'f'), async (tx) => {
      await tx.appendChange(changeEntry({ detail: { z: 1, a: { 'é': [null, 1.5e300, -0] }, hash: 'x' } }));
      return String(await tx.appendChange(changeEntry({ beforeHash: 'a'.repeat(64), afterHash: 'b'.repeat(64) })));
    });
    const rows = await asOwner<Record<string, string>>(
      registry.test,
      `select seq, to_char(time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as time, actor, action, tenant,
        entity_kind, entity_id, before_hash, after_hash, detail, request_id, trace_id, prev_hash, chain_hash
      from change order by seq`,
    );
    let prev = '0'.repeat(64);
    for (const row of rows) {
      const entry = {
        seq: Number(row['seq']),
        time: row['time'],
        actor: row['actor'],
        action: row['action'],
        tenant: row['tenant'],
        entity: { kind: row['entity_kind'], id: row['entity_id'] },
        before: row['before_hash'],
        after: row['after_hash'],
        detail: JSON.parse(row['detail']!),
        request_id: row['request_id'],
        trace_id: row['trace_id'],
        prev,
      };
      const valued = Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== ''));
      const expected = createHash('sha256').update(canonicalize(valued)!).digest('hex');
      assert.equal(row['prev_hash'], prev);
      assert.equal(row['chain_hash'], expected);
      prev = expected;
    }
    assert.equal(rows.length, 3);
    const [head] = await asOwner<{ seq: string; chain_hash: string }>(registry.test, 'select * from change_head');
    assert.deepEqual([Number(head?.seq), head?.chain_hash], [3, prev]);
  });
});

describe('A repeated request gets the stored response', () => {
  useRegistry();

  it('with no second effect, and once its changes are applied', async () => {
    const call = writeCall({ requestId: 'r1' });
    const first = await registry.writes.run(call, repeatable('create', 'f'), appendOne);
    registry.applied.length = 0;
    const second = await registry.writes.run(call, repeatable('create', 'f'), appendOne);
    assert.equal(second, first);
    assert.deepEqual(registry.applied, [Number(first)]);
    assert.equal(await registry.stores.changes.find(Number(first) + 1), undefined);
  });

  it('for its own caller and RPC only', async () => {
    const first = await registry.writes.run(writeCall({ requestId: 'r2' }), repeatable('create', 'f'), appendOne);
    const others = [
      await registry.writes.run(writeCall({ requestId: 'r2' }), repeatable('update', 'f'), appendOne),
      await registry.writes.run(writeCall({ requestId: 'r2', actor: 'b' }), repeatable('create', 'f'), appendOne),
    ];
    assert.equal(new Set([first, ...others]).size, 3);
  });
});

describe('A concurrent twin waits', () => {
  useRegistry();

  it('20 twins get one answer', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        registry.writes.run(writeCall({ requestId: 'r' }), repeatable('publish', 'f'), appendOne),
      ),
    );
    assert.deepEqual(new Set(answers), new Set(['2']));
  });

  it('a twin of a failed one is carried out itself', async () => {
    const call = writeCall({ requestId: 'fails' });
    const gate = Promise.withResolvers<void>();
    const claimed = Promise.withResolvers<void>();
    const first = registry.writes.run(call, repeatable('publish', 'f'), async () => {
      claimed.resolve();
      await gate.promise;
      throw new NotFound('template', 'x');
    });
    await claimed.promise;
    const twin = registry.writes.run(call, repeatable('publish', 'f'), appendOne);
    await someoneWaits();
    gate.resolve();
    await assert.rejects(first, NotFound);
    assert.equal(await twin, '3');
  });
});

describe('A request id with other content is refused', () => {
  useRegistry();

  it('and the other content has no effect', async () => {
    const call = writeCall({ requestId: 'r' });
    await registry.writes.run(call, repeatable('create', 'hello'), appendOne);
    await assert.rejects(registry.writes.run(call, repeatable('create', 'goodbye'), appendOne), (error) => {
      assert.ok(error instanceof InvalidInput);
      assert.equal(error.reason, 'REQUEST_ID_REUSED');
      assert.equal(error.violations[0]?.field, 'request_id');
      return true;
    });
    assert.equal(await registry.stores.changes.find(3), undefined);
  });
});

describe('Errors are not stored', () => {
  useRegistry();

  it('so a repeat is tried afresh', async () => {
    const call = writeCall({ requestId: 'r' });
    const fails = registry.writes.run(call, repeatable('publish', 'stale'), async () => {
      throw new NotFound('template', 'x');
    });
    await assert.rejects(fails, NotFound);
    assert.equal(await registry.writes.run(call, repeatable('publish', 'fresh'), appendOne), '2');
  });
});

describe('A stored response expires after a day', () => {
  useRegistry();

  it('after which the request is carried out again', async () => {
    const call = writeCall({ requestId: 'r' });
    const run = () => registry.writes.run(call, repeatable('create', 'f'), appendOne);
    const start = now.getTime();
    assert.equal(await run(), '2');
    now = new Date(start + 24 * HOUR - 1);
    assert.equal(await run(), '2');
    now = new Date(start + 24 * HOUR + 1000);
    assert.equal(await run(), '3');
    assert.equal(await run(), '3');
  });

  it('and is purged, in batches', async () => {
    await asOwner(
      registry.test,
      `insert into request select 'c', 'rpc', i::text, 'f', '', 0, '2020-01-01' from generate_series(1, 2500) i`,
    );
    assert.equal(await registry.writes.purgeRequests(), 2500);
    assert.equal(await registry.writes.purgeRequests(), 0);
    assert.equal((await asOwner(registry.test, 'select 1 from request')).length, 1);
  });
});

describe('Replicas follow by notification', () => {
  useRegistry();

  it('the last seq is notified when the write commits', async () => {
    const listener = await openServerDatabase(registry.test, { poolMax: 1 });
    await listener.access((em) => em.execute('listen platen_change'));
    const pool = await listener.access((em) => em.getConnection().getNativeClient());
    const client = await pool.connect();
    const received = once(client, 'notification');
    await registry.write(async (tx) => [await appendOne(tx), await appendOne(tx)]);
    const [{ channel, payload }] = (await received) as [{ channel: string; payload: string }];
    assert.deepEqual([channel, payload], ['platen_change', '3']);
    client.release();
    await listener.close();
  });
});

describe('Deadlines are honoured', () => {
  useRegistry();

  it('a deadline that passed before the start begins nothing', async () => {
    const call = writeCall({ deadline: now.getTime() - 1 });
    await assert.rejects(registry.writes.run(call, notRepeated(), appendOne), DeadlineExceeded);
  });

  it('a statement that waits is ended at the deadline, and nothing is written', async () => {
    const other = held((tx) => tx.appendChange(changeEntry()));
    await other.holding;
    const call = writeCall({ deadline: now.getTime() + 50 });
    await assert.rejects(registry.writes.run(call, notRepeated(), appendOne), (error) => {
      assert.ok(error instanceof DeadlineExceeded);
      assert.equal((error.cause as { code?: string }).code, '57014');
      return true;
    });
    other.release();
    await other.done;
    assert.equal(await registry.stores.changes.find(3), undefined);
  });

  it('a statement that waits is ended at the deadline, however long the statements before took', async () => {
    const holder = held((tx) => tx.lockTenantTree());
    await holder.holding;
    const call = writeCall({ deadline: now.getTime() + HOUR });
    const late = registry.writes.run(call, notRepeated(), async (tx) => {
      await appendOne(tx);
      now = new Date(call.deadline! - 50);
      await tx.lockTenantTree();
    });
    await assert.rejects(late, DeadlineExceeded);
    holder.release();
    await holder.done;
    assert.equal(await registry.stores.changes.find(3), undefined);
  });

  it('a deadline farther away than any timeout is no obstacle', async () => {
    await registry.writes.run(writeCall({ deadline: now.getTime() + 1e12 }), notRepeated(), async () => {});
  });

  it('a deadline that passes during the work keeps it from being committed', async () => {
    const call = writeCall({ deadline: now.getTime() + HOUR });
    const late = registry.writes.run(call, notRepeated(), async (tx) => {
      await appendOne(tx);
      now = new Date(now.getTime() + HOUR);
    });
    await assert.rejects(late, DeadlineExceeded);
    assert.equal(await registry.stores.changes.find(3), undefined);
  });

  it('what the work refuses is told even if the deadline passed meanwhile', async () => {
    const call = writeCall({ deadline: now.getTime() + HOUR });
    const late = registry.writes.run(call, notRepeated(), async () => {
      now = new Date(now.getTime() + HOUR);
      throw new NotFound('template', 'x');
    });
    await assert.rejects(late, NotFound);
  });

  it("without one, the server's own bound ends a statement, for the caller to try again", async () => {
    const impatient = await openServerDatabase(registry.test, { statementTimeoutMs: 50 });
    const writes = new PostgresWrites(impatient, async () => {}, () => now);
    const other = held((tx) => tx.appendChange(changeEntry()));
    await other.holding;
    await assert.rejects(writes.run(writeCall(), notRepeated(), appendOne), Unavailable);
    other.release();
    await other.done;
    await impatient.close();
  });
});

describe('Cancelled writes change nothing', () => {
  useRegistry();

  it('a caller who goes away before the commit has written nothing', async () => {
    const controller = new AbortController();
    const cancelled = registry.writes.run(writeCall({ signal: controller.signal }), notRepeated(), async (tx) => {
      await appendOne(tx);
      controller.abort();
    });
    await assert.rejects(cancelled, Cancelled);
    assert.equal(await registry.stores.changes.find(2), undefined);
  });

  it('a signal that aborts for the deadline means the deadline', async () => {
    const signal = AbortSignal.abort(new DeadlineExceeded());
    await assert.rejects(registry.writes.run(writeCall({ signal }), notRepeated(), appendOne), DeadlineExceeded);
  });

  it('a caller who goes away after the commit has written all of it', async () => {
    const controller = new AbortController();
    const writes = new PostgresWrites(registry.database, async () => controller.abort(), () => now);
    const seq = await writes.run(writeCall({ signal: controller.signal }), notRepeated(), appendOne);
    assert.equal((await registry.stores.changes.find(Number(seq)))?.seq, 2);
  });
});

describe('Locks of a write', () => {
  useRegistry();

  before(async () => {
    await registry.write(async (tx) => {
      const hello = draftRecord('hello');
      await tx.putDocument(hello.draft);
      await tx.insertTemplate(hello);
      await tx.insertTemplateVersion(templateVersion('hello', '1.0.0'));
      await tx.insertBundle(hello, []);
    });
  });

  const locks: Record<string, (tx: WriteTransaction) => Promise<unknown>> = {
    'the tree of tenants': (tx) => tx.lockTenantTree(),
    'an activation that does not exist': (tx) => tx.lockActivation('default', 'GREETING'),
    'a channel that does not exist': (tx) => tx.lockChannel('default', 'hello', 'production'),
    'a bundle': (tx) => tx.lockBundle('default', 'hello'),
    'a template': (tx) => tx.lockTemplate('default', 'hello'),
  };
  for (const [name, lock] of Object.entries(locks)) {
    it(`${name} is locked by one at a time`, async () => {
      const first = held(lock);
      await first.holding;
      const second = registry.write(lock);
      await someoneWaits();
      first.release();
      await Promise.all([first.done, second]);
    });
  }

  it('whoever locks a draft sees what was written while it waited', async () => {
    const changed = draftRecord('hello', { draft: draftRecord('changed').draft, editVersion: 2 });
    const first = held(async (tx) => {
      await tx.lockTemplate('default', 'hello');
      await tx.putDocument(changed.draft);
      await tx.updateTemplate(changed);
    });
    await first.holding;
    const second = registry.write((tx) => tx.lockTemplate('default', 'hello'));
    await someoneWaits();
    first.release();
    await first.done;
    assert.deepEqual(await second, changed);
  });

  it('shared drafts are held by many, and keep a writer waiting', async () => {
    const share = (tx: WriteTransaction) =>
      Promise.all([tx.shareTemplates(['default'], ['hello', 'x']), tx.shareBundles(['default'], 'hello')]);
    const first = held(share);
    await first.holding;
    assert.deepEqual(await registry.write(share), [
      [{ tenant: 'default', id: 'hello' }],
      [{ tenant: 'default', type: 'GREETING' }],
    ]);
    const writer = registry.write((tx) => tx.lockTemplate('default', 'hello'));
    await someoneWaits();
    first.release();
    await Promise.all([first.done, writer]);
  });

  it('nothing is shared of no tenants or templates', async () => {
    await registry.write(async (tx) => {
      assert.deepEqual(await tx.shareBundles([], 'hello'), []);
      assert.deepEqual(await tx.shareTemplates([], ['hello']), []);
      assert.deepEqual(await tx.shareTemplates(['default'], []), []);
    });
  });

  it('of two that deadlock, the one that is chosen to give way is carried out again', async () => {
    const both = Promise.withResolvers<void>();
    let attempts = 0;
    let holding = 0;
    const crossing = (own: string, other: string) =>
      registry.write(async (tx) => {
        attempts += 1;
        await tx.lockChannel('default', own, 'production');
        holding += 1;
        if (holding === 2) both.resolve();
        await both.promise;
        await tx.lockChannel('default', other, 'production');
      });
    await Promise.all([crossing('a', 'b'), crossing('b', 'a')]);
    assert.equal(attempts, 3);
  });

  it('a taken id is told once its first writer has committed', async () => {
    const insert = (tx: WriteTransaction) => tx.insertTenant(tenantRecord('acme'));
    const first = held(async (tx) => {
      await tx.putDocument(TENANT_DOCUMENT);
      await insert(tx);
    });
    await first.holding;
    const second = registry.write(insert);
    await someoneWaits();
    first.release();
    await first.done;
    assert.equal(await second, false);
  });
});
