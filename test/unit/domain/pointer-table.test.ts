import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { PointerTable } from '../../../src/domain/pointer-table.ts';
import { NONE } from '../../../src/domain/row-table.ts';

const HASH = createHash('sha256').update('a snapshot').digest('hex');

/** What a release of that version points to. */
function headOf(revision: number, version: string) {
  return { revision, targets: [{ version, bundleHash: HASH }] };
}

describe('The map is compact', () => {
  let table: PointerTable;

  beforeEach(() => {
    table = new PointerTable();
  });

  it('for one channel of a bundle and for a thousand, wherever a channel was first released', () => {
    const names = Array.from({ length: 1_000 }, (_, n) => `channel-${n}`);
    const [one, many] = [table.addBundle('GREETING', false, 1), table.addBundle('GREETING', false, 1)];
    table.release(one, 'production', headOf(1, '1.0.0'));
    for (const [n, name] of names.entries()) {
      table.release(many, name, headOf(1, `1.${n}.0`));
      table.release(many, names[n >>> 1]!, headOf(n + 2, `2.${n >>> 1}.0`));
    }
    for (const [n, name] of names.entries()) {
      const head = table.head(many, table.number(name));
      assert.equal(table.version(head), n < 500 ? `2.${n}.0` : `1.${n}.0`);
      assert.equal(table.revision(head), n < 500 ? 2 * n + 3 : 1);
      assert.equal(table.bundleHash(head), HASH);
      assert.equal(table.head(one, table.number(name)), NONE);
    }
    assert.equal(table.version(table.head(one, table.number('production'))), '1.0.0');
    assert.equal(table.head(many, table.number('production')), NONE);
    assert.equal(table.head(many, table.number('never released')), NONE);
  });

  it('and holds a name once', () => {
    const name = table.shared('welcome');
    assert.equal(table.shared(['wel', 'come'].join('')), name);
    assert.notEqual(table.number('welcome'), NONE);
    assert.equal(table.number('hello'), NONE);
  });

  it('and says what stands at a head', () => {
    const bundle = table.addBundle('GREETING', false, 0);
    const found = (type?: string) => {
      const head = table.head(bundle, table.number('production'));
      return [table.finding(bundle, head, type === undefined ? undefined : table.number(type)), table.revision(head)];
    };
    assert.deepEqual(found(), ['NOT_RELEASED', 0]);
    table.release(bundle, 'production', headOf(1, '1.0.0'));
    assert.deepEqual(found(), ['ANSWERS', 1]);
    assert.deepEqual(found('GREETING'), ['ANSWERS', 1]);
    assert.deepEqual(found('FAREWELL'), ['OTHER_TYPE', 1]);
    table.release(bundle, 'production', { revision: 2, targets: [] });
    assert.deepEqual(found(), ['WITHDRAWN', 2]);
    table.archive(bundle);
    assert.deepEqual(found('FAREWELL'), ['ARCHIVED', 2]);
  });

  it('and counts versions', () => {
    const bundle = table.addBundle('GREETING', false, 2);
    table.addVersion(bundle);
    assert.deepEqual([table.versions(bundle), table.archived(bundle)], [3, false]);
    assert.equal(table.archived(table.addBundle('GREETING', true, 0)), true);
  });

  it('and points where it pointed before when a hash is none', () => {
    const bundle = table.addBundle('GREETING', false, 1);
    table.release(bundle, 'production', headOf(1, '1.0.0'));
    const wrong = { revision: 2, targets: [{ version: '2.0.0', bundleHash: 'unknown' }] };
    assert.throws(() => table.release(bundle, 'production', wrong), new TypeError('not a hash: unknown'));
    assert.throws(() => table.release(bundle, 'beta', wrong), new TypeError('not a hash: unknown'));
    const head = table.head(bundle, table.number('production'));
    assert.deepEqual([table.version(head), table.revision(head), table.bundleHash(head)], ['1.0.0', 1, HASH]);
    assert.equal(table.finding(bundle, table.head(bundle, table.number('beta')), undefined), 'WITHDRAWN');
  });
});
