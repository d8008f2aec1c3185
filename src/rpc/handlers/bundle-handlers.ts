import { ROOT_TENANT } from '../../domain/tenant.ts';
import type { ActivationService } from '../../services/activation-service.ts';
import type { DraftChecks } from '../../services/bounded-work.ts';
import type { BundleService } from '../../services/bundle-service.ts';
import type { ReleaseService } from '../../services/release-service.ts';
import type { Writes } from '../../services/stores.ts';
import { BundleService as BundleRpc, type ReleaseBundleRequest } from '../../../gen/platen/v1/bundle_service_pb.js';
import { readBundleDraft, writeBundle, writeBundleVersion, writeListedBundleVersion } from '../mapping/bundle.ts';
import { promptTypes } from '../mapping/enums.ts';
import { writeActivation, writeRelease } from '../mapping/release.ts';
import { serve, type ServedService } from '../method.ts';
import { mutation } from '../mutation.ts';
import { BY_ID, BY_NUMBER, BY_TYPE, fetchPage, listing } from '../pagination.ts';

/** What is behind BundleService. */
export interface BundleUseCases {
  readonly bundles: BundleService;
  readonly releases: ReleaseService;
  readonly activations: ActivationService;
  readonly drafts: DraftChecks;
}

/** The handlers of BundleService. */
export function bundleHandlers(
  writes: Writes,
  { bundles, releases, activations, drafts }: BundleUseCases,
): ServedService {
  const { method } = BundleRpc;
  return serve(BundleRpc, {
    createBundle: mutation(writes, method.createBundle, async (violations, request, call) => {
      const sent = request.draft && readBundleDraft(request.draft);
      const input = {
        ...named(request),
        type: promptTypes.optional(violations, 'type', request.type),
        sent,
        draft: await drafts.bundle(call, 'draft', sent),
      };
      return async (tx) => {
        const { bundle, seq } = await bundles.create(tx, input);
        return { bundle: writeBundle(bundle), seq: BigInt(seq) };
      };
    }),

    getBundle: async (_context, request) => {
      const { tenant, id } = named(request);
      return { bundle: writeBundle(await bundles.get(tenant, id)) };
    },

    listBundles: listing(method.listBundles, BY_ID, (violations, request) => {
      const tenant = request.tenant || ROOT_TENANT;
      const filter = {
        type: promptTypes.optional(violations, 'type', request.type),
        archived: request.showArchived,
      };
      return async (page) => {
        const { items, nextPageToken } = await fetchPage(
          page,
          (after, limit) => bundles.list(tenant, filter, after, limit),
          (record) => record.id,
        );
        return { bundles: items.map(writeBundle), nextPageToken };
      };
    }),

    updateBundle: mutation(writes, method.updateBundle, async (_violations, request, call) => {
      const sent = request.draft && readBundleDraft(request.draft);
      const input = {
        ...named(request),
        sent,
        draft: await drafts.bundle(call, 'draft', sent),
        editVersion: request.editVersion,
      };
      return async (tx) => {
        const { bundle, seq } = await bundles.update(tx, input);
        return { bundle: writeBundle(bundle), seq: BigInt(seq) };
      };
    }),

    publishBundle: mutation(writes, method.publishBundle, (_violations, request) => {
      const { version, editVersion, channel, activate } = request;
      const input = { ...named(request), version, editVersion, channel, activate };
      return async (tx) => {
        const published = await bundles.publish(tx, input);
        return {
          version: writeBundleVersion(published.version),
          release: published.release && writeRelease(published.release),
          activation: published.activation && writeActivation(published.activation),
          seq: BigInt(published.seq),
        };
      };
    }),

    getBundleVersion: async (_context, request) => {
      const { tenant, id } = named(request);
      return { version: writeBundleVersion(await bundles.getVersion(tenant, id, request.version)) };
    },

    listBundleVersions: listing(method.listBundleVersions, BY_NUMBER, (_violations, request) => async (page) => {
      const { tenant, id } = named(request);
      const { items, nextPageToken } = await fetchPage(
        page,
        (after, limit) => bundles.listVersions(tenant, id, after, limit),
        ({ position }) => position,
      );
      return { versions: items.map(({ record }) => writeListedBundleVersion(record)), nextPageToken };
    }),

    deleteBundle: mutation(writes, method.deleteBundle, (_violations, request) => async (tx) => {
      const { editVersion } = request;
      const { bundle, seq } = await bundles.archive(tx, { ...named(request), editVersion });
      return { bundle: writeBundle(bundle), seq: BigInt(seq) };
    }),

    releaseBundle: mutation(writes, method.releaseBundle, (_violations, request) => {
      const input = {
        tenant: request.tenant || ROOT_TENANT,
        bundleId: request.bundleId,
        channel: request.channel,
        target: readReleaseTarget(request.target),
        expectedRevision: request.expectedRevision,
      };
      return async (tx) => {
        const { release, seq } = await releases.release(tx, input);
        return { release: writeRelease(release), seq: BigInt(seq) };
      };
    }),

    rollbackBundle: mutation(writes, method.rollbackBundle, (_violations, request) => {
      const input = {
        tenant: request.tenant || ROOT_TENANT,
        bundleId: request.bundleId,
        channel: request.channel,
        version: request.version,
        expectedRevision: request.expectedRevision,
      };
      return async (tx) => {
        const { release, seq } = await releases.rollback(tx, input);
        return { release: writeRelease(release), seq: BigInt(seq) };
      };
    }),

    listReleases: listing(method.listReleases, BY_NUMBER, (_violations, request) => async (page) => {
      const { tenant, id } = named(request);
      const { items, nextPageToken } = await fetchPage(
        page,
        (after, limit) => releases.list(tenant, id, request.channel, after, limit),
        ({ seq }) => seq,
      );
      return { releases: items.map(writeRelease), nextPageToken };
    }),

    activateBundle: mutation(writes, method.activateBundle, (violations, request) => {
      const input = {
        tenant: request.tenant || ROOT_TENANT,
        type: promptTypes.optional(violations, 'type', request.type),
        bundleId: request.bundleId,
        expectedRevision: request.expectedRevision,
      };
      return async (tx) => {
        const { activation, seq } = await activations.activate(tx, input);
        return { activation: writeActivation(activation), seq: BigInt(seq) };
      };
    }),

    deactivateBundle: mutation(writes, method.deactivateBundle, (violations, request) => {
      const input = {
        tenant: request.tenant || ROOT_TENANT,
        type: promptTypes.optional(violations, 'type', request.type),
        expectedRevision: request.expectedRevision,
      };
      return async (tx) => {
        const { activation, seq } = await activations.deactivate(tx, input);
        return { activation: writeActivation(activation), seq: BigInt(seq) };
      };
    }),

    listActivations: listing(method.listActivations, BY_TYPE, (_violations, request) => async (page) => {
      const tenant = request.tenant || ROOT_TENANT;
      const { items, nextPageToken } = await fetchPage(
        page,
        (after, limit) => activations.list(tenant, after, limit),
        ({ type }) => type,
      );
      return { activations: items.map(writeActivation), nextPageToken };
    }),
  });
}

function named(request: { readonly tenant: string; readonly bundleId: string }): { tenant: string; id: string } {
  return { tenant: request.tenant || ROOT_TENANT, id: request.bundleId };
}

/** `withdraw: false` names no target. */
function readReleaseTarget(
  target: ReleaseBundleRequest['target'],
): { version: string } | { withdraw: true } | undefined {
  if (target.case === 'version') return { version: target.value };
  return target.value ? { withdraw: true } : undefined;
}
