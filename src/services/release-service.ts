import { NotFound, PreconditionFailed, Stale, Violations } from '../domain/errors.ts';
import { checkId } from '../domain/identifier.ts';
import { DEFAULT_CHANNEL } from '../domain/route-map.ts';
import { checkVersion } from '../domain/semver.ts';
import { archived } from './write-checks.ts';
import type { ReleaseKind, ReleaseRecord, ReleaseTarget, Stores, WriteTransaction } from './stores.ts';

export interface ReleaseMoved {
  readonly release: ReleaseRecord;
  readonly seq: number;
}

interface ChannelName {
  readonly tenant: string;
  readonly bundleId: string;
  readonly channel: string;
}

/** Moves the channels of bundles: every move is a release with a revision (spec sections 1 and 3). */
export class ReleaseService {
  readonly #stores: Stores;

  constructor(stores: Stores) {
    this.#stores = stores;
  }

  /**
   * Points a channel at a version, or takes it out of service.
   * @throws InvalidInput, NotFound, PreconditionFailed, Stale
   */
  async release(
    tx: WriteTransaction,
    input: {
      tenant: string;
      bundleId: string;
      channel: string;
      target: { version: string } | { withdraw: true } | undefined;
      expectedRevision: number | undefined;
    },
  ): Promise<ReleaseMoved> {
    const name = channelName(input);
    const violations = new Violations();
    checkId(violations, 'channel', name.channel);
    checkExpectedRevision(violations, input.expectedRevision);
    const { target } = input;
    if (target === undefined) violations.add('target', 'REQUIRED', 'name a version, or withdraw the channel');
    else if ('version' in target) checkVersion(violations, 'version', target.version);
    violations.throwIfAny();

    const head = await tx.lockChannel(name.tenant, name.bundleId, name.channel);
    await shareBundle(tx, name);
    await requireHead(tx, name, head, input.expectedRevision);
    if ('withdraw' in target!) {
      if (head === undefined) throw new NotFound('channel', display(name));
      return this.#move(tx, name, head, 'WITHDRAW', [], undefined);
    }
    const version = await tx.bundles.findVersion(name.tenant, name.bundleId, target!.version);
    if (version === undefined) {
      throw new NotFound('bundle_version', `${name.tenant}/${name.bundleId}@${target!.version}`, 'publish it first');
    }
    return this.#move(tx, name, head, 'RELEASE', [whole(version.version, version.snapshot.hash)], undefined);
  }

  /**
   * Points a channel back at a version that it served before: the one named, or the one before the current one.
   * Repeated, it walks further back, since a rollback remembers the revision that it brought back.
   * @throws InvalidInput, NotFound, PreconditionFailed, Stale
   */
  async rollback(
    tx: WriteTransaction,
    input: {
      tenant: string;
      bundleId: string;
      channel: string;
      version: string;
      expectedRevision: number | undefined;
    },
  ): Promise<ReleaseMoved> {
    const name = channelName(input);
    const violations = new Violations();
    checkId(violations, 'channel', name.channel);
    checkExpectedRevision(violations, input.expectedRevision);
    if (input.version) checkVersion(violations, 'version', input.version);
    violations.throwIfAny();

    const head = await tx.lockChannel(name.tenant, name.bundleId, name.channel);
    await shareBundle(tx, name);
    await requireHead(tx, name, head, input.expectedRevision);
    if (head === undefined) throw new NotFound('channel', display(name));
    const { tenant, bundleId, channel } = name;
    const former = input.version
      ? await tx.releases.findBefore(tenant, bundleId, channel, head.revision + 1, { is: input.version })
      : await tx.releases.findBefore(tenant, bundleId, channel, ...before(head));
    if (former === undefined) {
      const wanted = input.version ? `${input.version} was never` : 'no earlier version was';
      const description = `${wanted} released on it; release a version instead`;
      throw new PreconditionFailed('NOTHING_TO_ROLL_BACK', [
        { type: 'RELEASE_HISTORY', subject: display(name), description },
      ]);
    }
    return this.#move(tx, name, head, 'ROLLBACK', former.targets, former.originRevision);
  }

  /** Moves a channel to a version that was published in the same transaction. The channel and the bundle are locked. */
  async releasePublished(
    tx: WriteTransaction,
    name: ChannelName,
    head: ReleaseRecord | undefined,
    published: { version: string; bundleHash: string },
  ): Promise<ReleaseMoved> {
    return this.#move(tx, name, head, 'RELEASE', [whole(published.version, published.bundleHash)], undefined);
  }

  /** The latest first; an empty channel means all. @throws NotFound (bundle) */
  async list(
    tenant: string,
    bundleId: string,
    channel: string,
    after: number,
    limit: number,
  ): Promise<ReleaseRecord[]> {
    if ((await this.#stores.bundles.find(tenant, bundleId)) === undefined) {
      throw new NotFound('bundle', `${tenant}/${bundleId}`);
    }
    return this.#stores.releases.list(tenant, bundleId, channel, after, limit);
  }

  async #move(
    tx: WriteTransaction,
    name: ChannelName,
    head: ReleaseRecord | undefined,
    kind: ReleaseKind,
    targets: readonly ReleaseTarget[],
    origin: number | undefined,
  ): Promise<ReleaseMoved> {
    const revision = (head?.revision ?? 0) + 1;
    const originRevision = origin ?? revision;
    const seq = await tx.appendChange({
      action: kind,
      tenant: name.tenant,
      entityKind: 'BUNDLE',
      entityId: name.bundleId,
      beforeHash: head?.targets[0]?.bundleHash ?? '',
      afterHash: targets[0]?.bundleHash ?? '',
      detail: {
        channel: name.channel,
        revision,
        origin_revision: originRevision,
        targets: targets.map(({ version, bundleHash, weight }) => ({ version, bundle_hash: bundleHash, weight })),
      },
    });
    const release: ReleaseRecord = {
      ...name,
      revision,
      kind,
      targets,
      originRevision,
      seq,
      createTime: tx.time,
      createActor: tx.actor,
    };
    await tx.insertRelease(release);
    return { release, seq };
  }
}

/** An expected_revision is a revision that was read: 0 says that there was none. */
export function checkExpectedRevision(violations: Violations, expected: number | undefined): void {
  if (expected !== undefined && expected < 0) {
    violations.add('expected_revision', 'OUT_OF_RANGE', 'it is the current revision, or 0 where there is none yet');
  }
}

/**
 * @param draftHash finds the hash of the current draft of the bundle that is pointed at; asked for only to be told
 * @throws Stale STALE_REVISION unless `expected` is undefined or the current revision
 */
export async function requireRevision(
  expected: number | undefined,
  current: { revision: number; actor: string; time: Date } | undefined,
  draftHash: () => Promise<string>,
): Promise<void> {
  const value = current?.revision ?? 0;
  if (expected === undefined || expected === value) return;
  const { actor = '', time } = current ?? {};
  const known = { actor, time: time?.toISOString() ?? '', draftHash: await draftHash() };
  throw new Stale('STALE_REVISION', { value, expected, ...known });
}

/** Checks what the caller knows of a channel, whose bundle is shared. @throws Stale */
async function requireHead(
  tx: WriteTransaction,
  { tenant, bundleId }: ChannelName,
  head: ReleaseRecord | undefined,
  expected: number | undefined,
): Promise<void> {
  const current = head && { revision: head.revision, actor: head.createActor, time: head.createTime };
  await requireRevision(expected, current, async () => (await tx.bundles.find(tenant, bundleId))!.draft.hash);
}

/** Keeps the bundle from being archived meanwhile. @throws NotFound, PreconditionFailed RESOURCE_ARCHIVED */
async function shareBundle(tx: WriteTransaction, { tenant, bundleId }: ChannelName): Promise<void> {
  const held = await tx.shareBundles([tenant], bundleId);
  if (held.length > 0) return;
  const name = `${tenant}/${bundleId}`;
  if ((await tx.bundles.find(tenant, bundleId)) === undefined) throw new NotFound('bundle', name);
  throw archived('bundle', name);
}

/** Where the walk back goes on from: what the head serves, or served before it was withdrawn. */
function before(head: ReleaseRecord): [revision: number, version: { isNot: string }] {
  return [head.originRevision, { isNot: head.targets[0]?.version ?? '' }];
}

function channelName({ tenant, bundleId, channel }: ChannelName): ChannelName {
  return { tenant, bundleId, channel: channel || DEFAULT_CHANNEL };
}

function display({ tenant, bundleId, channel }: ChannelName): string {
  return `${tenant}/${bundleId}#${channel}`;
}

function whole(version: string, bundleHash: string): ReleaseTarget {
  return { version, bundleHash, weight: 100 };
}
