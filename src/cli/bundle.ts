import { create } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import { EntityKind } from '../../gen/platen/v1/audit_service_pb.js';
import {
  CreateBundleResponseSchema,
  DeleteBundleResponseSchema,
  GetBundleResponseSchema,
  GetBundleVersionResponseSchema,
  ListBundlesResponseSchema,
  ListBundleVersionsResponseSchema,
  PublishBundleResponseSchema,
  UpdateBundleResponseSchema,
  type PublishBundleResponse,
} from '../../gen/platen/v1/bundle_service_pb.js';
import {
  PromptTypeSchema,
  type Bundle,
  type BundleDraft,
  type BundleVersion,
} from '../../gen/platen/v1/resources_pb.js';
import { addActivationCommands } from './activation.ts';
import { addCheckCommand } from './check.ts';
import type { Clients } from './client.ts';
import { sameBundleDraft } from './draft-equality.ts';
import { addDraftHistoryCommands, type DraftKind } from './draft-history.ts';
import { bundleText } from './draft-text.ts';
import { requireEditVersion, type Edited } from './edit-version.ts';
import { enumName } from './enum-name.ts';
import { parseBundleFile, readSource } from './files.ts';
import { choice, edited, owned, paged, repeatable, type PageOptions } from './options.ts';
import { fields, table, time } from './output.ts';
import { requireType, typeFilter, typeKept } from './prompt-type.ts';
import { calling, clientCommand } from './session.ts';
import { saving } from './stale-save.ts';
import type { Terminal } from './terminal.ts';

interface OwnerOptions {
  readonly tenant: string;
}

interface WriteOptions extends OwnerOptions {
  readonly editVersion?: number;
  readonly requestId: string;
}

interface PublishOptions extends WriteOptions {
  readonly version: string;
  readonly channel: string;
  readonly activate: boolean;
}

interface ExportOptions extends OwnerOptions {
  readonly version: string;
  readonly canonical: boolean;
}

/** `platen bundle`: what is rendered, and which bundle answers for a type. */
export function addBundleCommands(program: Command, terminal: Terminal): void {
  const bundle = program.command('bundle').description('write, publish and activate bundles (what is rendered)');

  const create = repeatable(owned(clientCommand(bundle, 'create <id>', 'create a bundle with its first draft')));
  withFile(create)
    .addOption(choice('--type <type>', 'its type (default: as the file says)', PromptTypeSchema))
    .action(
      calling(terminal, async (session, id: string, options: WriteOptions & { file: string; type?: string }) => {
        const { type, draft } = parseBundleFile(await readSource(options.file, terminal.stdin));
        const response = await session.clients.bundles.createBundle({
          tenant: options.tenant,
          bundleId: id,
          type: requireType(options.type, type),
          draft,
          requestId: options.requestId,
        });
        session.print(CreateBundleResponseSchema, response, saved('created', response.bundle!, response.seq));
      }),
    );

  owned(clientCommand(bundle, 'get <id>', 'print the draft as a file has it')).action(
    calling(terminal, async (session, id: string, { tenant }: OwnerOptions) => {
      const response = await session.clients.bundles.getBundle({ tenant, bundleId: id });
      const held = response.bundle!;
      const text = bundleText(held.type, held.draft!);
      session.printDocument(GetBundleResponseSchema, response, facts(held), text);
    }),
  );

  paged(owned(clientCommand(bundle, 'list', "list a tenant's own bundles by id")))
    .addOption(choice('--type <type>', 'only this type', PromptTypeSchema))
    .option('--archived', 'archived ones too', false)
    .action(
      calling(terminal, async (session, options: OwnerOptions & PageOptions & { type?: string; archived: boolean }) => {
        const { type, archived, ...page } = options;
        const request = { ...page, type: typeFilter(type), showArchived: archived };
        const response = await session.clients.bundles.listBundles(request);
        const rows = response.bundles.map((one) => [
          one.bundleId,
          enumName(PromptTypeSchema, one.type),
          one.latestVersion,
          one.editVersion,
          time(one.updateTime),
          one.updateActor,
          one.archiveTime ? 'archived' : '',
        ]);
        const header = ['BUNDLE', 'TYPE', 'LATEST', 'EDIT_VERSION', 'UPDATED', 'BY', ''];
        session.printPage(ListBundlesResponseSchema, response, table(header, rows));
      }),
    );

  withFile(repeatable(edited(owned(clientCommand(bundle, 'update <id>', 'replace the draft'))))).action(
    calling(terminal, async (session, id: string, options: WriteOptions & { file: string }) => {
      const { tenant, requestId } = options;
      const { type, draft } = parseBundleFile(await readSource(options.file, terminal.stdin));
      const editVersion = await requireEditVersion(session, options.editVersion, current(session.clients, tenant, id));
      const response = await saving(session, { kind: EntityKind.BUNDLE, tenant, id, editVersion }, () =>
        session.clients.bundles.updateBundle({ tenant, bundleId: id, draft, editVersion, requestId }),
      );
      session.note(typeKept(type, response.bundle!.type));
      session.print(UpdateBundleResponseSchema, response, saved('updated', response.bundle!, response.seq));
    }),
  );

  repeatable(edited(owned(clientCommand(bundle, 'publish <id>', 'pin the templates and freeze the draft'))))
    .requiredOption('--version <semver>', 'the version to publish')
    .option('--channel <channel>', 'release it on this channel as well', '')
    .option('--activate', 'make it answer renders of its type as well', false)
    .action(
      calling(terminal, async (session, id: string, options: PublishOptions) => {
        const { tenant, version, channel, activate, requestId } = options;
        const read = current(session.clients, tenant, id);
        const editVersion = await requireEditVersion(session, options.editVersion, read);
        const request = { tenant, bundleId: id, version, channel, activate, editVersion, requestId };
        const response = await session.clients.bundles.publishBundle(request);
        session.print(PublishBundleResponseSchema, response, published(response));
      }),
    );

  paged(owned(clientCommand(bundle, 'versions <id>', 'list the versions, the latest publication first'))).action(
    calling(terminal, async (session, id: string, options: OwnerOptions & PageOptions) => {
      const response = await session.clients.bundles.listBundleVersions({ ...options, bundleId: id });
      const rows = response.versions.map((one) => [
        one.version,
        one.editVersion,
        one.bundleHash,
        time(one.createTime),
        one.createActor,
      ]);
      const header = ['VERSION', 'EDIT_VERSION', 'BUNDLE_HASH', 'PUBLISHED', 'BY'];
      session.printPage(ListBundleVersionsResponseSchema, response, table(header, rows));
    }),
  );

  owned(clientCommand(bundle, 'show-version <id> <version>', 'print a published version as a file has it')).action(
    calling(terminal, async (session, id: string, version: string, { tenant }: OwnerOptions) => {
      const response = await session.clients.bundles.getBundleVersion({ tenant, bundleId: id, version });
      const held = response.version!;
      const text = bundleText(held.type, held.content!);
      session.printDocument(GetBundleVersionResponseSchema, response, versionFacts(held), text);
    }),
  );

  owned(clientCommand(bundle, 'export <id>', 'print the snapshot of a published version as JSON'))
    .requiredOption('--version <semver>', 'the version')
    .option('--canonical', 'print exactly the bytes whose SHA-256 is the bundle_hash, without a newline', false)
    .action(
      calling(terminal, async (session, id: string, options: ExportOptions) => {
        const { tenant, version, canonical } = options;
        const response = await session.clients.bundles.getBundleVersion({ tenant, bundleId: id, version });
        const { canonicalJson } = response.version!;
        const text = canonical ? canonicalJson : `${JSON.stringify(JSON.parse(canonicalJson), null, 2)}\n`;
        session.print(GetBundleVersionResponseSchema, response, text);
      }),
    );

  repeatable(edited(owned(clientCommand(bundle, 'archive <id>', 'archive a bundle that nothing serves')))).action(
    calling(terminal, async (session, id: string, options: WriteOptions) => {
      const { tenant, requestId } = options;
      const editVersion = await requireEditVersion(session, options.editVersion, current(session.clients, tenant, id));
      const request = { tenant, bundleId: id, editVersion, requestId };
      const response = await session.clients.bundles.deleteBundle(request);
      session.print(DeleteBundleResponseSchema, response, saved('archived', response.bundle!, response.seq));
    }),
  );

  addDraftHistoryCommands(bundle, terminal, DRAFTS);
  addCheckCommand(bundle, terminal);
  addActivationCommands(bundle, terminal);
}

const DRAFTS: DraftKind<BundleDraft, Bundle, typeof UpdateBundleResponseSchema> = {
  kind: EntityKind.BUNDLE,
  name: 'bundle',
  updated: UpdateBundleResponseSchema,
  read: async (clients, tenant, id) => (await clients.bundles.getBundle({ tenant, bundleId: id })).bundle!,
  readVersion: async (clients, tenant, id, version) =>
    (await clients.bundles.getBundleVersion({ tenant, bundleId: id, version })).version!.content!,
  update: (clients, { id, ...update }) => clients.bundles.updateBundle({ bundleId: id, ...update }),
  unchanged: (bundle) => create(UpdateBundleResponseSchema, { bundle }),
  parse: (file) => parseBundleFile(file).draft,
  text: bundleText,
  same: sameBundleDraft,
  saved: (_session, verb, { bundle, seq }) => saved(verb, bundle!, seq),
};

function withFile(command: Command): Command {
  return command.requiredOption('--file <x.yaml>', 'the bundle; - for standard input');
}

function current(clients: Clients, tenant: string, bundleId: string): () => Promise<Edited> {
  return async () => (await clients.bundles.getBundle({ tenant, bundleId })).bundle!;
}

function saved(verb: string, { tenant, bundleId, editVersion, draftHash }: Bundle, seq: bigint): string {
  return `${verb} bundle ${tenant}/${bundleId} (edit_version ${editVersion}, draft_hash ${draftHash}, seq ${seq})\n`;
}

function published({ version, release, activation, seq }: PublishBundleResponse): string {
  const name = versionName(version!);
  const lines = [`published bundle ${name} (bundle_hash ${version!.bundleHash}, seq ${seq})`, ...pinLines(version!)];
  if (release) lines.push(`released on ${release.channel} (revision ${release.revision})`);
  if (activation) {
    const type = enumName(PromptTypeSchema, activation.type);
    lines.push(`activated for ${type} (revision ${activation.revision})`);
  }
  return `${lines.join('\n')}\n`;
}

function pinLines({ pins }: BundleVersion): string[] {
  return pins.map(({ tenant, templateId, version }) => `  ${tenant}/${templateId}@${version}`);
}

function versionName({ tenant, bundleId, version }: BundleVersion): string {
  return `${tenant}/${bundleId}@${version}`;
}

function facts(bundle: Bundle): string {
  return fields([
    ['bundle', `${bundle.tenant}/${bundle.bundleId}`],
    ['edit_version', bundle.editVersion],
    ['draft_hash', bundle.draftHash],
    ['latest_version', bundle.latestVersion],
    ['created', time(bundle.createTime)],
    ['updated', `${time(bundle.updateTime)} by ${bundle.updateActor}`],
    ['archived', time(bundle.archiveTime)],
  ]);
}

function versionFacts(version: BundleVersion): string {
  const head = fields([
    ['bundle', versionName(version)],
    ['edit_version', version.editVersion],
    ['bundle_hash', version.bundleHash],
    ['personality_hash', version.personalityHash],
    ['constraints_hash', version.constraintsHash],
    ['published', `${time(version.createTime)} by ${version.createActor}`],
  ]);
  return `${head}${['pinned templates', ...pinLines(version)].join('\n')}\n`;
}
