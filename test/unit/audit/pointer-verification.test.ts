import assert from 'node:assert/strict';
import {
  PointerVerification,
  type PointerComparison,
  type PointerPage,
  type PointerReader,
  type PointerRow,
} from '../../../src/audit/pointer-verification.ts';
import type { StoredChange } from '../../../src/audit/stored-trail.ts';
import { canonicalJson, documentOf } from '../../../src/domain/document.ts';
import type { Json } from '../../../src/domain/json.ts';
import type { AuditFinding } from '../../../src/services/trail-jobs.ts';
import { changeEntry, TIME } from '../../support/storage/records.ts';

const DRAFT = documentOf({ type: 'GREETING' }).hash;

/** Tables in memory, of one page each. */
class MemoryTables implements PointerReader {
  readonly rows: Record<string, PointerRow[]> = {};
  head = 1;

  moving(table: string, after: PointerRow | undefined): Promise<PointerPage> {
    return Promise.resolve({ head: this.head, rows: after ? [] : (this.rows[table] ?? []) });
  }

  lasting(table: string): Promise<PointerRow[]> {
    return Promise.resolve(this.rows[table] ?? []);
  }

  owners(table: string, after: PointerRow | undefined): Promise<PointerPage> {
    return Promise.resolve({ head: this.head, rows: after ? [] : (this.rows[`owners of ${table}`] ?? []) });
  }
}

function change(seq: number, given: Partial<Omit<StoredChange, 'detail'>>, detail: Json): StoredChange {
  const written = { seq, time: TIME, actor: 'admin', requestId: '', traceId: '', prevHash: '', chainHash: '' };
  return { ...changeEntry(), ...written, afterHash: DRAFT, ...given, detail: canonicalJson(detail) };
}

function bundleMade(seq: number, entityId: string): StoredChange {
  return change(seq, { entityKind: 'BUNDLE', entityId }, { type: 'GREETING', edit_version: 1 });
}

function bundleRow(id: string): PointerRow {
  const columns = { type: 'GREETING', edit_version: 1, draft_hash: DRAFT, archived: false };
  return { key: ['default', id], columns };
}

/** There are no more changes. */
const upToDate = meanwhile(() => Promise.resolve(undefined));

/** What is done when changes up to a later head are to be followed. */
function meanwhile(follow: (call: number) => Promise<AuditFinding | undefined>): () => PointerComparison {
  let calls = 0;
  return async function* () {
    calls += 1;
    yield 0;
    return follow(calls);
  };
}

async function end(comparison: PointerComparison): Promise<AuditFinding | undefined> {
  for (;;) {
    const step = await comparison.next();
    if (step.done) return step.value;
  }
}

describe('Verification shows tampering', () => {
  let tables: MemoryTables;
  let pointers: PointerVerification;

  beforeEach(() => {
    tables = new MemoryTables();
    pointers = new PointerVerification(tables);
  });

  const [whole, text] = ['is no whole number of 32 bits', 'is no text'];
  const illegible: readonly (readonly [Partial<Omit<StoredChange, 'detail'>>, Json, why: string])[] = [
    [{ entityKind: 'TENANT' }, {}, `its edit_version ${whole}`],
    [{ entityKind: 'TENANT', afterHash: 'none' }, { edit_version: 1 }, 'not a hash: none'],
    [{ entityKind: 'ACTIVATION' }, { revision: 1, bundle_id: 7 }, `its bundle_id ${text}`],
    [{ entityKind: 'BUNDLE' }, { edit_version: 1 }, `its type ${text}`],
    [{ entityKind: 'TEMPLATE', action: 'UPDATE' }, { edit_version: '2' }, `its edit_version ${whole}`],
    [{ entityKind: 'TEMPLATE', action: 'PUBLISH' }, { edit_version: 1 }, `its version ${text}`],
    [{ entityKind: 'ACTIVATION' }, { revision: 2 ** 31 }, `its revision ${whole}`],
    [{ entityKind: 'BUNDLE', action: 'RELEASE' }, { channel: 'beta', revision: 0.5 }, `its revision ${whole}`],
  ];
  for (const [given, detail, why] of illegible) {
    it(`of a ${given.action ?? 'CREATE'} of a ${given.entityKind} that was chained anew: ${why}`, async () => {
      const found = await pointers.follow([change(4, given, detail)]);
      assert.deepEqual([found?.problem, found?.seq], ['ALTERED', 4]);
      assert.equal(found!.description, `change 4 does not say what one of its kind must say: ${why}`);
    });
  }

  it('of a page the first, be it a change that cannot be read or the row of one before it', async () => {
    const published = change(2, { entityKind: 'TEMPLATE', action: 'PUBLISH' }, { version: '1.0.0', edit_version: 1 });
    const found = await pointers.follow([published, change(3, { entityKind: 'TENANT' }, null)]);
    assert.deepEqual([found?.problem, found?.seq], ['MISSING', 2]);
    assert.equal(found!.description, 'template version default/hello@1.0.0 is missing: change 2 says that it is there');
  });

  it('by the change that said otherwise, however many there are', async () => {
    const seq = 3 * 2 ** 31 + 5;
    assert.equal(await pointers.follow([bundleMade(seq, 'welcome')]), undefined);
    const found = await end(pointers.compare(upToDate));
    assert.deepEqual([found?.problem, found?.seq], ['MISSING', seq]);
  });

  it('but not of rows that are made while pages are read, which come with a page or not at all', async () => {
    tables.rows['bundle'] = [bundleRow('late')];
    // The third and the fourth reading are those of bundles.
    const made = new Map([
      [3, bundleMade(1, 'late')],
      [4, bundleMade(2, 'later')],
    ]);
    const advance = meanwhile((call) => pointers.follow([made.get(call) ?? []].flat()));
    assert.equal(await end(pointers.compare(advance)), undefined);
  });

  it('that comes with the changes which are read meanwhile', async () => {
    const broken = await pointers.follow([change(9, { entityKind: 'TENANT' }, {})]);
    for (const round of [1, 6]) {
      const advance = meanwhile((call) => Promise.resolve(call === round ? broken : undefined));
      const found = await end(pointers.compare(advance));
      assert.equal(found, broken);
    }
  });

  it('and the rows of an owner that went since their changes were read are left to the next time', async () => {
    tables.rows['bundle'] = [bundleRow('welcome')];
    const columns = { document_hash: DRAFT, type: '', edit_version: 1, create_actor: 'admin' };
    tables.rows['template_version'] = [{ key: ['default', 'hello', '1.0.0'], columns }];
    const unsaid = { type: '', edit_version: 0, draft_hash: '0'.repeat(64), archived: false };
    tables.rows['template'] = [{ key: ['default', 'hello'], columns: unsaid }];
    const detail = { version: '1.0.0', edit_version: 1 };
    const changes = [bundleMade(1, 'welcome'), change(2, { action: 'PUBLISH' }, detail)];
    assert.equal(await pointers.follow(changes), undefined);
    tables.rows['owners of template_version'] = [{ key: ['default', 'hello'], columns: { rows: 0 } }];
    assert.equal(await end(pointers.compare(upToDate)), undefined);
  });
});
