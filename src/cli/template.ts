import { create } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import { EntityKind } from '../../gen/platen/v1/audit_service_pb.js';
import {
  PromptTypeSchema,
  type Template,
  type TemplateDraft,
  type TemplateVersion,
} from '../../gen/platen/v1/resources_pb.js';
import {
  CreateTemplateResponseSchema,
  DeleteTemplateResponseSchema,
  GetTemplateResponseSchema,
  GetTemplateVersionResponseSchema,
  ListTemplatesResponseSchema,
  ListTemplateVersionsResponseSchema,
  PublishTemplateResponseSchema,
  UpdateTemplateResponseSchema,
} from '../../gen/platen/v1/template_service_pb.js';
import type { Clients } from './client.ts';
import { sameTemplateDraft } from './draft-equality.ts';
import { addDraftHistoryCommands, type DraftKind } from './draft-history.ts';
import { templateText } from './draft-text.ts';
import { requireEditVersion, type Edited } from './edit-version.ts';
import { enumName } from './enum-name.ts';
import { parseTemplateFile, readSource } from './files.ts';
import { choice, edited, owned, paged, repeatable, type PageOptions } from './options.ts';
import { fields, table, time, warningLines } from './output.ts';
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

/** `platen template`: pieces of prompt text. */
export function addTemplateCommands(program: Command, terminal: Terminal): void {
  const template = program.command('template').description('write and publish templates (pieces of prompt text)');

  const create = repeatable(owned(clientCommand(template, 'create <id>', 'create a template with its first draft')));
  withFile(create)
    .addOption(choice('--type <type>', 'its type (default: as the file says)', PromptTypeSchema))
    .action(
      calling(terminal, async (session, id: string, options: WriteOptions & { file: string; type?: string }) => {
        const { type, draft } = parseTemplateFile(await readSource(options.file, terminal.stdin));
        const response = await session.clients.templates.createTemplate({
          tenant: options.tenant,
          templateId: id,
          type: requireType(options.type, type),
          draft,
          requestId: options.requestId,
        });
        session.note(warningLines(response.warnings));
        session.print(CreateTemplateResponseSchema, response, saved('created', response.template!, response.seq));
      }),
    );

  owned(clientCommand(template, 'get <id>', 'print the draft as a file has it')).action(
    calling(terminal, async (session, id: string, { tenant }: OwnerOptions) => {
      const response = await session.clients.templates.getTemplate({ tenant, templateId: id });
      const held = response.template!;
      const text = templateText(held.type, held.draft!);
      session.printDocument(GetTemplateResponseSchema, response, facts(held), text);
    }),
  );

  paged(owned(clientCommand(template, 'list', "list a tenant's own templates by id")))
    .addOption(choice('--type <type>', 'only this type', PromptTypeSchema))
    .option('--archived', 'archived ones too', false)
    .action(
      calling(terminal, async (session, options: OwnerOptions & PageOptions & { type?: string; archived: boolean }) => {
        const { type, archived, ...page } = options;
        const request = { ...page, type: typeFilter(type), showArchived: archived };
        const response = await session.clients.templates.listTemplates(request);
        const rows = response.templates.map((one) => [
          one.templateId,
          enumName(PromptTypeSchema, one.type),
          one.latestVersion,
          one.editVersion,
          time(one.updateTime),
          one.updateActor,
          one.archiveTime ? 'archived' : '',
        ]);
        const header = ['TEMPLATE', 'TYPE', 'LATEST', 'EDIT_VERSION', 'UPDATED', 'BY', ''];
        session.printPage(ListTemplatesResponseSchema, response, table(header, rows));
      }),
    );

  withFile(repeatable(edited(owned(clientCommand(template, 'update <id>', 'replace the draft'))))).action(
    calling(terminal, async (session, id: string, options: WriteOptions & { file: string }) => {
      const { tenant, requestId } = options;
      const { type, draft } = parseTemplateFile(await readSource(options.file, terminal.stdin));
      const editVersion = await requireEditVersion(session, options.editVersion, current(session.clients, tenant, id));
      const response = await saving(session, { kind: EntityKind.TEMPLATE, tenant, id, editVersion }, () =>
        session.clients.templates.updateTemplate({ tenant, templateId: id, draft, editVersion, requestId }),
      );
      session.note(warningLines(response.warnings) + typeKept(type, response.template!.type));
      session.print(UpdateTemplateResponseSchema, response, saved('updated', response.template!, response.seq));
    }),
  );

  repeatable(edited(owned(clientCommand(template, 'publish <id>', 'freeze the draft under a version'))))
    .requiredOption('--version <semver>', 'the version to publish')
    .action(
      calling(terminal, async (session, id: string, options: WriteOptions & { version: string }) => {
        const { tenant, version, requestId } = options;
        const read = current(session.clients, tenant, id);
        const editVersion = await requireEditVersion(session, options.editVersion, read);
        const request = { tenant, templateId: id, version, editVersion, requestId };
        const response = await session.clients.templates.publishTemplate(request);
        const text =
          `published template ${versionName(response.version!)} ` +
          `(document_hash ${response.version!.documentHash}, seq ${response.seq})\n`;
        session.print(PublishTemplateResponseSchema, response, text);
      }),
    );

  paged(owned(clientCommand(template, 'versions <id>', 'list the versions, the latest publication first'))).action(
    calling(terminal, async (session, id: string, options: OwnerOptions & PageOptions) => {
      const response = await session.clients.templates.listTemplateVersions({ ...options, templateId: id });
      const rows = response.versions.map((one) => [
        one.version,
        one.editVersion,
        one.documentHash,
        time(one.createTime),
        one.createActor,
      ]);
      const header = ['VERSION', 'EDIT_VERSION', 'DOCUMENT_HASH', 'PUBLISHED', 'BY'];
      session.printPage(ListTemplateVersionsResponseSchema, response, table(header, rows));
    }),
  );

  owned(clientCommand(template, 'show-version <id> <version>', 'print a published version as a file has it')).action(
    calling(terminal, async (session, id: string, version: string, { tenant }: OwnerOptions) => {
      const response = await session.clients.templates.getTemplateVersion({ tenant, templateId: id, version });
      const held = response.version!;
      const text = templateText(held.type, held.content!);
      session.printDocument(GetTemplateVersionResponseSchema, response, versionFacts(held), text);
    }),
  );

  repeatable(edited(owned(clientCommand(template, 'archive <id>', 'archive a template that nothing uses')))).action(
    calling(terminal, async (session, id: string, options: WriteOptions) => {
      const { tenant, requestId } = options;
      const editVersion = await requireEditVersion(session, options.editVersion, current(session.clients, tenant, id));
      const request = { tenant, templateId: id, editVersion, requestId };
      const response = await session.clients.templates.deleteTemplate(request);
      session.print(DeleteTemplateResponseSchema, response, saved('archived', response.template!, response.seq));
    }),
  );

  addDraftHistoryCommands(template, terminal, DRAFTS);
}

const DRAFTS: DraftKind<TemplateDraft, Template, typeof UpdateTemplateResponseSchema> = {
  kind: EntityKind.TEMPLATE,
  name: 'template',
  updated: UpdateTemplateResponseSchema,
  read: async (clients, tenant, id) => (await clients.templates.getTemplate({ tenant, templateId: id })).template!,
  readVersion: async (clients, tenant, id, version) =>
    (await clients.templates.getTemplateVersion({ tenant, templateId: id, version })).version!.content!,
  update: (clients, { id, ...update }) => clients.templates.updateTemplate({ templateId: id, ...update }),
  unchanged: (template) => create(UpdateTemplateResponseSchema, { template }),
  parse: (file) => parseTemplateFile(file).draft,
  text: templateText,
  same: sameTemplateDraft,
  saved: (session, verb, { template, seq, warnings }) => {
    session.note(warningLines(warnings));
    return saved(verb, template!, seq);
  },
};

function withFile(command: Command): Command {
  return command.requiredOption('--file <x.md>', 'front matter and content; - for standard input');
}

function current(clients: Clients, tenant: string, templateId: string): () => Promise<Edited> {
  return async () => (await clients.templates.getTemplate({ tenant, templateId })).template!;
}

function saved(verb: string, { tenant, templateId, editVersion, draftHash }: Template, seq: bigint): string {
  const facts = `edit_version ${editVersion}, draft_hash ${draftHash}, seq ${seq}`;
  return `${verb} template ${tenant}/${templateId} (${facts})\n`;
}

function versionName({ tenant, templateId, version }: TemplateVersion): string {
  return `${tenant}/${templateId}@${version}`;
}

function facts(template: Template): string {
  return fields([
    ['template', `${template.tenant}/${template.templateId}`],
    ['edit_version', template.editVersion],
    ['draft_hash', template.draftHash],
    ['latest_version', template.latestVersion],
    ['created', time(template.createTime)],
    ['updated', `${time(template.updateTime)} by ${template.updateActor}`],
    ['archived', time(template.archiveTime)],
  ]);
}

function versionFacts(version: TemplateVersion): string {
  return fields([
    ['template', versionName(version)],
    ['edit_version', version.editVersion],
    ['document_hash', version.documentHash],
    ['published', `${time(version.createTime)} by ${version.createActor}`],
  ]);
}
