import assert from 'node:assert/strict';
import { PromptType, Role } from '../../../gen/platen/v1/resources_pb.js';
import { RenderSource } from '../../../gen/platen/v1/render_service_pb.js';
import { Platen } from '../../support/platen.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { until } from '../../support/until.ts';

const GREETING = PromptType.GREETING;
const CHANNEL_LISTENERS = `application_name = 'platen-routes' and datname = current_database()`;

describe('two replicas on one database', () => {
  let database: TestDatabase;
  let writer: Platen;
  let reader: Platen;

  before(async () => {
    database = await createDatabase();
    [writer, reader] = await Promise.all([Platen.start(database), Platen.start(database)]);
  });

  after(async () => {
    await Promise.all([writer.stop(), reader.stop()]);
    await database.drop();
  });

  /** A bundle whose version 1.n.0 renders to `n`, for n below `count`; none is released. */
  async function versions(bundleId: string, count: number): Promise<void> {
    const { templates, bundles } = writer.clients;
    await templates.createTemplate({ templateId: bundleId, type: GREETING, draft: { content: '0' } });
    for (let n = 0; n < count; n += 1) {
      await templates.publishTemplate({ templateId: bundleId, version: `1.${n}.0`, editVersion: n + 1 });
      await templates.updateTemplate({ templateId: bundleId, draft: { content: `${n + 1}` }, editVersion: n + 1 });
    }
    const draft = (n: number) => {
      const value = { template: { templateId: bundleId, version: `1.${n}.0` }, role: Role.SYSTEM };
      return { sections: [{ part: { case: 'template' as const, value } }] };
    };
    await bundles.createBundle({ bundleId, type: GREETING, draft: draft(0) });
    for (let n = 0; n < count; n += 1) {
      await bundles.publishBundle({ bundleId, version: `1.${n}.0`, editVersion: n + 1 });
      await bundles.updateBundle({ bundleId, draft: draft(n + 1 === count ? n : n + 1), editVersion: n + 1 });
    }
  }

  async function release(bundleId: string, version: string): Promise<bigint> {
    const target = { case: 'version' as const, value: version };
    return (await writer.clients.bundles.releaseBundle({ bundleId, target })).seq;
  }

  function render(replica: Platen, bundleId: string, minSeq = 0n) {
    return replica.clients.renders.render({ target: { case: 'bundle', value: { bundleId } }, minSeq });
  }

  /** Renders on the reader until the answer is this version, as a caller who polls would. */
  async function untilSeen(bundleId: string, version: string): Promise<void> {
    const target = { case: 'bundle' as const, value: { bundleId } };
    await until(`version ${version} is seen`, async () => {
      const answer = await reader.clients.renders.render({ target, fallbackText: 'nothing is released yet' });
      return answer.version === version;
    });
  }

  describe('The writer sees its own write', () => {
    it('has applied a release before it answers', async () => {
      await versions('own-write', 3);
      for (const version of ['1.0.0', '1.1.0', '1.2.0', '1.0.0']) {
        const seq = await release('own-write', version);
        const answer = await render(writer, 'own-write');
        assert.equal(answer.version, version);
        assert(answer.seq >= seq);
      }
    });
  });

  describe('A render waits for the change it must see', () => {
    it('sees a release on any replica with its seq as min_seq', async () => {
      await versions('min-seq', 2);
      for (let round = 0; round < 20; round += 1) {
        const version = `1.${round % 2}.0`;
        const seq = await release('min-seq', version);
        assert.equal((await render(reader, 'min-seq', seq)).version, version);
      }
    });
  });

  describe('Replicas follow by notification', () => {
    it('sees every write of the other, without being asked', async () => {
      await versions('followed', 2);
      for (let round = 0; round < 10; round += 1) {
        const version = `1.${round % 2}.0`;
        await release('followed', version);
        await untilSeen('followed', version);
      }
      assert((await reader.metric('prompt_release_propagation_seconds_count'))! > 0);
    });

    it('never goes back while releases go on', async () => {
      await versions('forward', 5);
      await release('forward', '1.0.0');
      await untilSeen('forward', '1.0.0');
      const writing = (async () => {
        for (let round = 1; round <= 40; round += 1) await release('forward', `1.${round % 5}.0`);
      })();
      const progress = { done: false };
      void writing.finally(() => (progress.done = true));
      const revisions = await Promise.all(
        [writer, reader, reader, reader].map(async (replica) => {
          const seen: number[] = [];
          while (!progress.done) seen.push((await render(replica, 'forward')).revision);
          return seen;
        }),
      );
      await writing;
      for (const seen of revisions) {
        assert(seen.length > 1);
        assert.deepEqual(seen, seen.toSorted((a, b) => a - b));
      }
      await untilSeen('forward', '1.0.0');
      assert.equal((await render(reader, 'forward')).revision, 41);
    });
  });

  describe('Changes apply in order', () => {
    it('answers as a replica that loads everything now', async () => {
      const { tenants, bundles } = writer.clients;
      await versions('folded', 2);
      await tenants.createTenant({ tenant: 'folded-child', variables: { tone: { kind: { case: 'stringValue', value: 'dry' } } } });
      await release('folded', '1.0.0');
      await release('folded', '1.1.0');
      await bundles.rollbackBundle({ bundleId: 'folded' });
      await bundles.activateBundle({ tenant: 'folded-child', type: GREETING, bundleId: 'folded' });
      await versions('withdrawn', 1);
      await release('withdrawn', '1.0.0');
      const { release: last } = await bundles.releaseBundle({ bundleId: 'withdrawn', target: { case: 'withdraw', value: true } });
      await bundles.deleteBundle({ bundleId: 'withdrawn', editVersion: 2 });
      const loaded = await Platen.start(database);
      try {
        for (const replica of [writer, reader, loaded]) {
          const answer = await replica.clients.renders.render({
            tenant: 'folded-child',
            target: { case: 'type', value: GREETING },
            minSeq: last!.seq + 1n,
          });
          assert.deepEqual(
            [answer.bundleId, answer.version, answer.revision, answer.source],
            ['folded', '1.0.0', 3, RenderSource.INHERITED],
          );
          const fallback = await replica.clients.renders.render({
            target: { case: 'bundle', value: { bundleId: 'withdrawn' } },
            fallbackText: 'gone',
          });
          assert.equal(fallback.source, RenderSource.FALLBACK);
        }
      } finally {
        await loaded.stop();
      }
    });
  });

  describe('A silent connection is caught up', () => {
    it('connects again after its connection is cut, and has what was written meanwhile', async () => {
      await versions('cut', 2);
      await release('cut', '1.0.0');
      await untilSeen('cut', '1.0.0');
      await asOwner(database, `select pg_terminate_backend(pid) from pg_stat_activity where ${CHANNEL_LISTENERS}`);
      const seq = await release('cut', '1.1.0');
      assert.equal((await render(writer, 'cut')).version, '1.1.0');
      assert.equal((await render(reader, 'cut', seq)).version, '1.1.0');
    });
  });

  describe('A replica off the log reloads', () => {
    it('follows a database that was restored to an earlier state', async () => {
      await versions('restored', 2);
      await release('restored', '1.0.0');
      const before = await release('restored', '1.1.0');
      await untilSeen('restored', '1.1.0');
      await asOwner(database, [
        'begin',
        'alter table change disable trigger user',
        'alter table release disable trigger user',
        `update channel set revision = 1 where bundle_id = 'restored'`,
        `update change_head set (seq, chain_hash) = (select seq, chain_hash from change where seq = ${before - 1n})`,
        `delete from release where seq = ${before}`,
        `delete from change where seq = ${before}`,
        'alter table release enable trigger user',
        'alter table change enable trigger user',
        'commit',
      ].join(';'));
      await untilSeen('restored', '1.0.0');
      assert(reader.logs.some(({ reason }) => reason === `change ${before} is not in the log as it was applied`));
    });
  });
});
