import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { BundleDraftSchema, PromptType, Role } from '../../../gen/platen/v1/resources_pb.js';
import { openSession } from '../../../src/storage/session.ts';
import { failure, Platen, type Failure } from '../../support/platen.ts';
import { asOwner, createDatabase } from '../../support/postgres.ts';
import { until } from '../../support/until.ts';

const GREETING = PromptType.GREETING;

/** A draft of one SYSTEM section. */
function draftOf(templateId: string, version = '*') {
  const section = { template: { template: { templateId, version }, role: Role.SYSTEM } };
  return create(BundleDraftSchema, { sections: [{ part: { case: 'template', value: section.template } }] });
}

/** How the calls ended: the answers of those that succeeded, and the failures of the others. */
async function outcomes<T>(calls: readonly Promise<T>[]): Promise<{ won: T[]; lost: Failure[] }> {
  const settled = await Promise.allSettled(calls);
  const won = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const failed = settled.flatMap((each) => (each.status === 'rejected' ? [failure(Promise.reject(each.reason))] : []));
  return { won, lost: await Promise.all(failed) };
}

describe('races between writers', () => {
  let one: Platen;
  let other: Platen;
  let stop: () => Promise<void>;

  before(async () => {
    const database = await createDatabase();
    [one, other] = await Promise.all([Platen.start(database), Platen.start(database)]);
    stop = async () => {
      await Promise.all([one.stop(), other.stop()]);
      await database.drop();
    };
  });

  after(() => stop());

  /** Every other caller talks to the other replica. */
  const replica = (index: number) => (index % 2 === 0 ? one : other).clients;

  async function template(templateId: string, content = 'Hello'): Promise<void> {
    await one.clients.templates.createTemplate({ templateId, type: GREETING, draft: { content } });
    await one.clients.templates.publishTemplate({ templateId, version: '1.0.0', editVersion: 1 });
  }

  /** The changes of one entity, the latest first. */
  async function changesOf(entityId: string) {
    const { changes } = await one.clients.audit.listChanges({ entityId, pageSize: 1_000 });
    return changes;
  }

  /** The whole log has no gap, and each entry follows the one before. */
  async function assertGapless(): Promise<void> {
    const seqs: bigint[] = [];
    for (let pageToken = ''; ; ) {
      const page = await one.clients.audit.listChanges({ pageSize: 1_000, pageToken });
      seqs.push(...page.changes.map(({ seq }) => seq));
      pageToken = page.nextPageToken;
      if (pageToken === '') break;
    }
    assert.deepEqual(seqs, seqs.map((_, index) => BigInt(seqs.length - index)));
  }

  describe('Of N publishers of one semver exactly one wins', () => {
    it('50 publishers of one template version', async () => {
      await one.clients.templates.createTemplate({ templateId: 'one-semver', type: GREETING, draft: { content: 'Hi' } });
      const request = { templateId: 'one-semver', version: '1.0.0', editVersion: 1 };
      const calls = Array.from({ length: 50 }, (_, index) => replica(index).templates.publishTemplate(request));
      const { won, lost } = await outcomes(calls);
      assert.equal(won.length, 1);
      assert.deepEqual(
        new Set(lost.map(({ code, reason, resource }) => `${code} ${reason} ${resource}`)),
        new Set(['AlreadyExists VERSION_EXISTS template_version default/one-semver@1.0.0']),
      );
      assert.equal((await changesOf('one-semver')).length, 2);
    });

    it('50 publishers of one bundle version, who release it as well', async () => {
      await template('for-one-semver');
      const draft = draftOf('for-one-semver');
      await one.clients.bundles.createBundle({ bundleId: 'one-semver-bundle', type: GREETING, draft });
      const request = { bundleId: 'one-semver-bundle', version: '1.0.0', editVersion: 1, channel: 'production' };
      const calls = Array.from({ length: 50 }, (_, index) => replica(index).bundles.publishBundle(request));
      const { won, lost } = await outcomes(calls);
      assert.equal(won.length, 1);
      assert.equal(won[0]!.release?.revision, 1);
      assert.deepEqual(new Set(lost.map(({ reason }) => reason)), new Set(['VERSION_EXISTS']));
      const { releases } = await one.clients.bundles.listReleases({ bundleId: 'one-semver-bundle' });
      assert.equal(releases.length, 1);
      assert.equal((await changesOf('one-semver-bundle')).length, 3);
      await assertGapless();
    });

    it('50 publishers of 50 semvers all win', async () => {
      await template('for-many-semvers');
      const draft = draftOf('for-many-semvers');
      await one.clients.bundles.createBundle({ bundleId: 'many-semvers', type: GREETING, draft });
      const { won, lost } = await outcomes(
        Array.from({ length: 50 }, (_, index) => {
          const request = { bundleId: 'many-semvers', version: `1.${index}.0`, editVersion: 1, channel: 'production' };
          return replica(index).bundles.publishBundle(request);
        }),
      );
      assert.deepEqual(lost, []);
      const revisions = won.map(({ release }) => release!.revision).toSorted((a, b) => a - b);
      assert.deepEqual(revisions, Array.from({ length: 50 }, (_, index) => index + 1));
      const { bundle } = await one.clients.bundles.getBundle({ bundleId: 'many-semvers' });
      assert.equal(bundle?.latestVersion, '1.49.0');
      await assertGapless();
    });
  });

  describe('Stale edits are refused', () => {
    it('two editors of one draft: one wins every round, the other learns what holds', async () => {
      await one.clients.templates.createTemplate({ templateId: 'two-editors', type: GREETING, draft: { content: '0' } });
      for (let editVersion = 1; editVersion <= 20; editVersion += 1) {
        const { won, lost } = await outcomes(
          [0, 1].map((editor) => {
            const draft = { content: `round ${editVersion} by editor ${editor}` };
            return replica(editor).templates.updateTemplate({ templateId: 'two-editors', draft, editVersion });
          }),
        );
        assert.equal(won.length, 1);
        const [refused] = lost;
        assert.deepEqual(
          [refused?.code, refused?.reason, refused?.metadata['edit_version'], refused?.metadata['draft_hash']],
          ['Aborted', 'STALE_EDIT_VERSION', String(editVersion + 1), won[0]!.template?.draftHash],
        );
      }
      const updates = (await changesOf('two-editors')).toReversed();
      assert.equal(updates.length, 21);
      for (const [index, update] of updates.slice(1).entries()) {
        assert.equal(update.beforeHash, updates[index]!.afterHash);
      }
    });
  });

  describe('Publish and archive never both win', () => {
    it('a bundle that begins to name a template, against the archiving of the template', async () => {
      const ends = new Set<string>();
      for (let round = 0; round < 20; round += 1) {
        const templateId = `archived-${round}`;
        const bundleId = `naming-${round}`;
        await template(templateId);
        const { won, lost } = await outcomes<object>([
          replica(round).bundles.createBundle({ bundleId, type: GREETING, draft: draftOf(templateId) }),
          replica(round + 1).templates.deleteTemplate({ templateId, editVersion: 1 }),
        ]);
        assert.equal(won.length, 1);
        const { reason, violations, obstacles } = lost[0]!;
        ends.add(reason);
        if (reason === 'RESOURCE_IN_USE') assert.deepEqual(obstacles, [`BUNDLE_DRAFT default/${bundleId}`]);
        else assert.deepEqual(violations, ['draft.sections[0].template.template.template_id UNRESOLVED']);
      }
      for (const end of ends) assert(['RESOURCE_IN_USE', 'INVALID_INPUT'].includes(end));
    });

    it('a publication, against the archiving of a template that it is built from', async () => {
      for (let round = 0; round < 10; round += 1) {
        const templateId = `used-${round}`;
        const bundleId = `using-${round}`;
        await template(templateId);
        await one.clients.bundles.createBundle({ bundleId, type: GREETING, draft: draftOf(templateId) });
        const { won, lost } = await outcomes<{ seq: bigint }>([
          replica(round).bundles.publishBundle({ bundleId, version: '1.0.0', editVersion: 1, channel: 'production' }),
          replica(round + 1).templates.deleteTemplate({ templateId, editVersion: 1 }),
        ]);
        assert.deepEqual(lost.map(({ reason }) => reason), ['RESOURCE_IN_USE']);
        const target = { case: 'bundle' as const, value: { bundleId } };
        assert.equal((await one.clients.renders.render({ target, minSeq: won[0]!.seq })).text, 'Hello');
      }
    });

    it('a release, against the archiving of the bundle', async () => {
      await template('for-archiving');
      for (let round = 0; round < 20; round += 1) {
        const bundleId = `archive-or-release-${round}`;
        await one.clients.bundles.createBundle({ bundleId, type: GREETING, draft: draftOf('for-archiving') });
        await one.clients.bundles.publishBundle({ bundleId, version: '1.0.0', editVersion: 1 });
        const { won, lost } = await outcomes<object>([
          replica(round).bundles.releaseBundle({ bundleId, target: { case: 'version', value: '1.0.0' } }),
          replica(round + 1).bundles.deleteBundle({ bundleId, editVersion: 1 }),
        ]);
        assert.equal(won.length, 1);
        assert.match(lost[0]!.reason, /^RESOURCE_(IN_USE|ARCHIVED)$/);
      }
    });
  });

  describe('A concurrent twin waits', () => {
    it('and is answered with what the first was, on whichever replica', async () => {
      const request = { templateId: 'twins', type: GREETING, draft: { content: 'Hi' }, requestId: 'create-twins' };
      const calls = Array.from({ length: 20 }, (_, index) => replica(index).templates.createTemplate(request));
      const { won, lost } = await outcomes(calls);
      assert.deepEqual(lost, []);
      assert.equal(new Set(won.map((answer) => answer.seq)).size, 1);
      assert.equal((await changesOf('twins')).length, 1);
    });
  });

  describe('Tenants form a tree under default', () => {
    it('two moves that would make a circle never both win', async () => {
      for (const tenant of ['left', 'right']) await one.clients.tenants.createTenant({ tenant });
      for (let round = 0; round < 10; round += 1) {
        const editVersions = await Promise.all(
          ['left', 'right'].map(async (tenant) => (await one.clients.tenants.getTenant({ tenant })).tenant!.editVersion),
        );
        await outcomes([
          one.clients.tenants.updateTenant({ tenant: 'left', parent: 'right', editVersion: editVersions[0]! }),
          other.clients.tenants.updateTenant({ tenant: 'right', parent: 'left', editVersion: editVersions[1]! }),
        ]);
        const { tenants } = await one.clients.tenants.listTenants({});
        const parents = new Map(tenants.map(({ tenant, parent }) => [tenant, parent]));
        assert(parents.get('left') === 'default' || parents.get('right') === 'default');
        for (const tenant of ['left', 'right']) {
          const { tenant: now } = await one.clients.tenants.getTenant({ tenant });
          await one.clients.tenants.updateTenant({ tenant, editVersion: now!.editVersion });
        }
      }
    });
  });

  it('leaves a log without gaps', assertGapless);
});

describe('Cancelled writes change nothing', () => {
  it('a write whose caller goes away while it waits for a lock', async () => {
    const database = await createDatabase();
    const platen = await Platen.start(database);
    const { templates, audit } = platen.clients;
    await templates.createTemplate({ templateId: 'held', type: GREETING, draft: { content: 'before' } });
    const holder = await openSession(database.ownerUrl, 'platen test');
    const writers = async (condition: string): Promise<number> => {
      const sql = `select 1 from pg_stat_activity where application_name = 'platen' and datname = current_database()`;
      return (await asOwner(database, `${sql} and ${condition}`)).length;
    };
    try {
      await holder.em.execute('begin');
      await holder.em.execute(`select 1 from template where id = 'held' for update`);
      const leaving = new AbortController();
      const update = { templateId: 'held', draft: { content: 'after' }, editVersion: 1 };
      const cancelled = templates.updateTemplate(update, { signal: leaving.signal });
      const late = templates.updateTemplate(update, { timeoutMs: 3_000 });
      const ended = Promise.all([
        assert.rejects(cancelled, (error) => error instanceof ConnectError && error.code === Code.Canceled),
        assert.rejects(late, (error) => error instanceof ConnectError && error.code === Code.DeadlineExceeded),
      ]);
      await until('both wait', async () => (await writers(`wait_event_type = 'Lock'`)) === 2);
      leaving.abort();
      await ended;
      await holder.em.execute('rollback');
      await until('nothing is under way', async () => (await writers(`state <> 'idle'`)) === 0);
      const { template } = await templates.getTemplate({ templateId: 'held' });
      assert.deepEqual([template?.editVersion, template?.draft?.content], [1, 'before']);
      assert.equal((await audit.listChanges({ entityId: 'held' })).changes.length, 1);
    } finally {
      await holder.close();
      await platen.stop();
      await database.drop();
    }
  });
});
