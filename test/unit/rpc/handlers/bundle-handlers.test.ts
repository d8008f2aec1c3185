import assert from 'node:assert/strict';
import { bundleDocument } from '../../../../src/domain/bundle.ts';
import { documentOf } from '../../../../src/domain/document.ts';
import { Cancelled } from '../../../../src/domain/errors.ts';
import type { PromptType as PromptTypeName } from '../../../../src/domain/prompt-type.ts';
import { bundleHandlers } from '../../../../src/rpc/handlers/bundle-handlers.ts';
import type { ActivationService } from '../../../../src/services/activation-service.ts';
import type { BundleService } from '../../../../src/services/bundle-service.ts';
import type { ReleaseService } from '../../../../src/services/release-service.ts';
import type {
  ActivationRecord,
  BundleVersionRecord,
  DraftRecord,
  Positioned,
  ReleaseRecord,
} from '../../../../src/services/stores.ts';
import { BundleService as BundleRpc } from '../../../../gen/platen/v1/bundle_service_pb.js';
import { PromptType } from '../../../../gen/platen/v1/resources_pb.js';
import { call, MemoryWrites, partOf, refusal } from '../../../support/handler-call.ts';
import { endlessDrafts, inProcessDrafts } from '../../../support/in-process-work.ts';

const { method } = BundleRpc;
const TIME = new Date('2026-03-01T12:00:00.123Z');
const DRAFT = {
  personality: { templateId: 'voice', version: '^1' },
  sections: [],
  constraints: [],
  modelConfig: undefined,
  description: '',
} as const;
const SOUND = { value: DRAFT, violations: [], total: 0 };
const MISSING = {
  value: undefined,
  violations: [{ field: 'draft', reason: 'REQUIRED', description: 'the draft is required' }],
  total: 1,
};
const draft = bundleDocument('GREETING', DRAFT);

function record(id: string): DraftRecord {
  return {
    tenant: 'acme',
    id,
    type: 'GREETING',
    editVersion: 1,
    draft,
    latestVersion: '',
    createTime: TIME,
    updateTime: TIME,
    updateActor: 'key:1',
    archiveTime: undefined,
  };
}

function versionOf(version: string): BundleVersionRecord {
  return {
    tenant: 'acme',
    id: 'welcome',
    version,
    type: 'GREETING',
    draft,
    snapshot: documentOf({ sections: [] }),
    personalityHash: '',
    constraintsHash: '',
    pins: [],
    editVersion: 1,
    createTime: TIME,
    createActor: 'key:1',
  };
}

function positioned(position: number): Positioned<BundleVersionRecord> {
  return { position, record: versionOf(`1.0.${position}`) };
}

function releaseOf(seq: number): ReleaseRecord {
  return {
    tenant: 'acme',
    bundleId: 'welcome',
    channel: 'production',
    revision: 1,
    kind: 'RELEASE',
    targets: [],
    originRevision: 1,
    seq,
    createTime: TIME,
    createActor: 'key:1',
  };
}

function activationOf(type: PromptTypeName): ActivationRecord {
  return { tenant: 'acme', type, bundleId: 'welcome', revision: 1, seq: 9, updateTime: TIME, updateActor: 'key:1' };
}

const asked: unknown[] = [];
const bundles = partOf<BundleService>({
  create: async (_tx, input) => {
    asked.push(input);
    return { bundle: record(input.id), seq: 7 };
  },
  update: async (_tx, input) => {
    asked.push(input);
    return { bundle: record(input.id), seq: 8 };
  },
  publish: async (_tx, input) => {
    asked.push(input);
    return {
      version: versionOf(input.version),
      release: input.channel === '' ? undefined : releaseOf(8),
      activation: input.activate ? activationOf('GREETING') : undefined,
      seq: 9,
    };
  },
  archive: async (_tx, input) => {
    asked.push(input);
    return { bundle: record(input.id), seq: 10 };
  },
  get: async (tenant, id) => {
    asked.push({ tenant, id });
    return record(id);
  },
  getVersion: async (tenant, id, version) => {
    asked.push({ tenant, id });
    return versionOf(version);
  },
  list: async (tenant, filter, after, limit) => {
    asked.push({ tenant, ...filter });
    return ['a', 'b', 'c'].filter((id) => id > after).slice(0, limit).map(record);
  },
  listVersions: async (tenant, id, after, limit) => {
    asked.push({ tenant, id });
    return [30, 20, 10].filter((position) => after === 0 || position < after).slice(0, limit).map(positioned);
  },
});
const releases = partOf<ReleaseService>({
  release: async (_tx, input) => {
    asked.push(input);
    return { release: releaseOf(11), seq: 11 };
  },
  rollback: async (_tx, input) => {
    asked.push(input);
    return { release: releaseOf(12), seq: 12 };
  },
  list: async (tenant, bundleId, channel, after, limit) => {
    asked.push({ tenant, bundleId, channel });
    return [30, 20, 10].filter((seq) => after === 0 || seq < after).slice(0, limit).map(releaseOf);
  },
});
const activations = partOf<ActivationService>({
  activate: async (_tx, input) => {
    asked.push(input);
    return { activation: activationOf(input.type ?? 'GREETING'), seq: 13 };
  },
  deactivate: async (_tx, input) => {
    asked.push(input);
    return { activation: activationOf(input.type ?? 'GREETING'), seq: 14 };
  },
  list: async (tenant, after, limit) => {
    asked.push({ tenant });
    const types = ['FAREWELL', 'GREETING', 'HANDOFF'] as const;
    return types.filter((type) => type > after).slice(0, limit).map(activationOf);
  },
});
const served = bundleHandlers(new MemoryWrites(), { bundles, releases, activations, drafts: inProcessDrafts });
const named = { tenant: 'acme', bundleId: 'welcome' };

describe('A bundle draft is checked when saved', () => {
  it('CreateBundle', async () => {
    const request = { ...named, type: PromptType.GREETING, draft: { personality: DRAFT.personality } };
    const answer = await call(served, method.createBundle, request);
    assert.deepEqual(asked.pop(), { tenant: 'acme', id: 'welcome', type: 'GREETING', sent: DRAFT, draft: SOUND });
    assert.equal(answer.bundle?.bundleId, 'welcome');
    assert.equal(answer.seq, 7n);
  });

  it('UpdateBundle', async () => {
    const request = { ...named, draft: { personality: DRAFT.personality }, editVersion: 3 };
    const answer = await call(served, method.updateBundle, request);
    assert.deepEqual(asked.pop(), { tenant: 'acme', id: 'welcome', sent: DRAFT, draft: SOUND, editVersion: 3 });
    assert.equal(answer.bundle?.bundleId, 'welcome');
    assert.equal(answer.seq, 8n);
  });

  it('what is left out is for the service to refuse; an empty tenant is the root', async () => {
    await call(served, method.createBundle, {});
    const left = { tenant: 'default', id: '', sent: undefined, draft: MISSING };
    assert.deepEqual(asked.pop(), { ...left, type: undefined });
    await call(served, method.updateBundle, {});
    assert.deepEqual(asked.pop(), { ...left, editVersion: 0 });
  });

  it('GetBundle', async () => {
    assert.equal((await call(served, method.getBundle, named)).bundle?.bundleId, 'welcome');
    assert.deepEqual(asked.pop(), { tenant: 'acme', id: 'welcome' });
  });

  it('ListBundles', async () => {
    const filter = { tenant: 'acme', type: PromptType.HANDOFF, showArchived: true };
    const first = await call(served, method.listBundles, { ...filter, pageSize: 2 });
    assert.deepEqual(asked.pop(), { tenant: 'acme', type: 'HANDOFF', archived: true });
    assert.deepEqual(first.bundles.map(({ bundleId }) => bundleId), ['a', 'b']);
    const { nextPageToken: pageToken } = first;
    const last = await call(served, method.listBundles, { ...filter, pageToken });
    assert.deepEqual(last.bundles.map(({ bundleId }) => bundleId), ['c']);
    await call(served, method.listBundles, {});
    assert.deepEqual(asked.pop(), { tenant: 'default', type: undefined, archived: false });
  });

  it('DeleteBundle', async () => {
    const answer = await call(served, method.deleteBundle, { ...named, editVersion: 3 });
    assert.deepEqual(asked.pop(), { tenant: 'acme', id: 'welcome', editVersion: 3 });
    assert.equal(answer.bundle?.bundleId, 'welcome');
    assert.equal(answer.seq, 10n);
  });
});

describe('Publishing can release and activate at once', () => {
  const input = { tenant: 'acme', id: 'welcome', version: '1.0.0', editVersion: 3 };

  it('PublishBundle answers with the version and the pointers that were moved', async () => {
    const request = { ...named, version: '1.0.0', editVersion: 3, channel: 'beta', activate: true };
    const answer = await call(served, method.publishBundle, request);
    assert.deepEqual(asked.pop(), { ...input, channel: 'beta', activate: true });
    assert.equal(answer.version?.canonicalJson, '{"sections":[]}');
    assert.equal(answer.release?.seq, 8n);
    assert.equal(answer.activation?.bundleId, 'welcome');
    assert.equal(answer.seq, 9n);
  });

  it('PublishBundle moves no pointer unless asked', async () => {
    const answer = await call(served, method.publishBundle, { ...named, version: '1.0.0', editVersion: 3 });
    assert.deepEqual(asked.pop(), { ...input, channel: '', activate: false });
    assert.equal(answer.release, undefined);
    assert.equal(answer.activation, undefined);
  });
});

describe('A snapshot is complete and frozen', () => {
  it('GetBundleVersion hands the snapshot out', async () => {
    const answer = await call(served, method.getBundleVersion, { ...named, version: '1.0.0' });
    assert.deepEqual(asked.pop(), { tenant: 'acme', id: 'welcome' });
    assert.equal(answer.version?.version, '1.0.0');
    assert.equal(answer.version.canonicalJson, '{"sections":[]}');
  });

  it('ListBundleVersions leaves it out', async () => {
    const first = await call(served, method.listBundleVersions, { ...named, pageSize: 2 });
    assert.deepEqual(first.versions.map(({ version }) => version), ['1.0.30', '1.0.20']);
    assert.equal(first.versions[0]?.canonicalJson, '');
    const { nextPageToken: pageToken } = first;
    const last = await call(served, method.listBundleVersions, { ...named, pageToken });
    assert.deepEqual(last.versions.map(({ version }) => version), ['1.0.10']);
    assert.deepEqual(asked.pop(), { tenant: 'acme', id: 'welcome' });
  });
});

describe('Revisions count from one and never reset', () => {
  const input = { tenant: 'acme', bundleId: 'welcome', channel: 'beta' };

  it('ReleaseBundle of a version', async () => {
    const request = {
      ...named,
      channel: 'beta',
      target: { case: 'version', value: '1.0.0' },
      expectedRevision: 0,
    } as const;
    const answer = await call(served, method.releaseBundle, request);
    assert.deepEqual(asked.pop(), { ...input, target: { version: '1.0.0' }, expectedRevision: 0 });
    assert.equal(answer.release?.seq, 11n);
    assert.equal(answer.seq, 11n);
  });

  it('ReleaseBundle that withdraws; withdraw: false names no target', async () => {
    const request = { ...named, channel: 'beta' };
    await call(served, method.releaseBundle, { ...request, target: { case: 'withdraw', value: true } });
    assert.deepEqual(asked.pop(), { ...input, target: { withdraw: true }, expectedRevision: undefined });
    await call(served, method.releaseBundle, { ...request, target: { case: 'withdraw', value: false } });
    assert.deepEqual(asked.pop(), { ...input, target: undefined, expectedRevision: undefined });
    await call(served, method.releaseBundle, {});
    assert.deepEqual(asked.pop(), {
      tenant: 'default',
      bundleId: '',
      channel: '',
      target: undefined,
      expectedRevision: undefined,
    });
  });

  it('RollbackBundle', async () => {
    const request = { ...named, channel: 'beta', version: '1.0.0', expectedRevision: 4 };
    const answer = await call(served, method.rollbackBundle, request);
    assert.deepEqual(asked.pop(), { ...input, version: '1.0.0', expectedRevision: 4 });
    assert.equal(answer.release?.seq, 12n);
    assert.equal(answer.seq, 12n);
    await call(served, method.rollbackBundle, {});
    assert.deepEqual(asked.pop(), {
      tenant: 'default',
      bundleId: '',
      channel: '',
      version: '',
      expectedRevision: undefined,
    });
  });

  it('ListReleases', async () => {
    const request = { ...named, channel: 'beta' };
    const first = await call(served, method.listReleases, { ...request, pageSize: 2 });
    assert.deepEqual(asked.pop(), input);
    assert.deepEqual(first.releases.map(({ seq }) => seq), [30n, 20n]);
    const { nextPageToken: pageToken } = first;
    const last = await call(served, method.listReleases, { ...request, pageToken });
    assert.deepEqual(last.releases.map(({ seq }) => seq), [10n]);
    assert.deepEqual(await refusal(call(served, method.listReleases, { ...named, pageToken })), [
      'page_token BAD_FORMAT',
    ]);
  });
});

describe('An activation points a type at a bundle', () => {
  it('ActivateBundle', async () => {
    const request = { ...named, type: PromptType.FAREWELL, expectedRevision: 2 };
    const answer = await call(served, method.activateBundle, request);
    assert.deepEqual(asked.pop(), { tenant: 'acme', bundleId: 'welcome', type: 'FAREWELL', expectedRevision: 2 });
    assert.equal(answer.activation?.type, PromptType.FAREWELL);
    assert.equal(answer.seq, 13n);
    await call(served, method.activateBundle, {});
    assert.deepEqual(asked.pop(), { tenant: 'default', bundleId: '', type: undefined, expectedRevision: undefined });
  });

  it('DeactivateBundle', async () => {
    const request = { tenant: 'acme', type: PromptType.FAREWELL, expectedRevision: 2 };
    const answer = await call(served, method.deactivateBundle, request);
    assert.deepEqual(asked.pop(), { tenant: 'acme', type: 'FAREWELL', expectedRevision: 2 });
    assert.equal(answer.activation?.type, PromptType.FAREWELL);
    assert.equal(answer.seq, 14n);
    await call(served, method.deactivateBundle, {});
    assert.deepEqual(asked.pop(), { tenant: 'default', type: undefined, expectedRevision: undefined });
  });

  it('ListActivations', async () => {
    const first = await call(served, method.listActivations, { tenant: 'acme', pageSize: 2 });
    assert.deepEqual(asked.pop(), { tenant: 'acme' });
    assert.deepEqual(first.activations.map(({ type }) => type), [PromptType.FAREWELL, PromptType.GREETING]);
    const { nextPageToken: pageToken } = first;
    const last = await call(served, method.listActivations, { tenant: 'acme', pageToken });
    assert.deepEqual(last.activations.map(({ type }) => type), [PromptType.HANDOFF]);
    await call(served, method.listActivations, {});
    assert.deepEqual(asked.pop(), { tenant: 'default' });
  });

  it('a type that the contract does not have is refused', async () => {
    const type = 99 as PromptType;
    for (const answer of [
      call(served, method.activateBundle, { type }),
      call(served, method.deactivateBundle, { type }),
      call(served, method.createBundle, { type }),
      call(served, method.listBundles, { type }),
    ]) {
      assert.deepEqual(await refusal(answer), ['type OUT_OF_RANGE']);
    }
  });
});

describe('Cancelled writes change nothing', () => {
  it('while a draft is checked no transaction begins, nor once the caller is gone', async () => {
    const writes = new MemoryWrites();
    const caller = new AbortController();
    const served = bundleHandlers(writes, { bundles, releases, activations, drafts: endlessDrafts });
    const request = { ...named, draft: { personality: DRAFT.personality } };
    const answers = [
      call(served, method.createBundle, request, { signal: caller.signal }),
      call(served, method.updateBundle, request, { signal: caller.signal }),
    ];
    caller.abort(new Cancelled());
    for (const answer of answers) await assert.rejects(answer, Cancelled);
    assert.deepEqual(writes.calls, []);
  });
});
