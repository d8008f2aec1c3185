import { ROOT_TENANT } from '../../domain/tenant.ts';
import type { DraftChecks } from '../../services/bounded-work.ts';
import type { Writes } from '../../services/stores.ts';
import type { TemplateService } from '../../services/template-service.ts';
import { TemplateService as TemplateRpc } from '../../../gen/platen/v1/template_service_pb.js';
import { promptTypes } from '../mapping/enums.ts';
import { readTemplateDraft, writeTemplate, writeTemplateVersion } from '../mapping/template.ts';
import { writeWarning } from '../mapping/warning.ts';
import { serve, type ServedService } from '../method.ts';
import { mutation } from '../mutation.ts';
import { BY_ID, BY_NUMBER, fetchPage, listing } from '../pagination.ts';

/** The handlers of TemplateService. */
export function templateHandlers(writes: Writes, templates: TemplateService, drafts: DraftChecks): ServedService {
  const { method } = TemplateRpc;
  return serve(TemplateRpc, {
    createTemplate: mutation(writes, method.createTemplate, async (violations, request, call) => {
      const input = {
        ...named(request),
        type: promptTypes.optional(violations, 'type', request.type),
        draft: await drafts.template(call, 'draft', request.draft && readTemplateDraft(request.draft)),
      };
      return async (tx) => {
        const { template, seq, warnings } = await templates.create(tx, input);
        return { template: writeTemplate(template), seq: BigInt(seq), warnings: warnings.map(writeWarning) };
      };
    }),

    getTemplate: async (_context, request) => {
      const { tenant, id } = named(request);
      return { template: writeTemplate(await templates.get(tenant, id)) };
    },

    listTemplates: listing(method.listTemplates, BY_ID, (violations, request) => {
      const tenant = request.tenant || ROOT_TENANT;
      const filter = {
        type: promptTypes.optional(violations, 'type', request.type),
        archived: request.showArchived,
      };
      return async (page) => {
        const { items, nextPageToken } = await fetchPage(
          page,
          (after, limit) => templates.list(tenant, filter, after, limit),
          (record) => record.id,
        );
        return { templates: items.map(writeTemplate), nextPageToken };
      };
    }),

    updateTemplate: mutation(writes, method.updateTemplate, async (_violations, request, call) => {
      const input = {
        ...named(request),
        draft: await drafts.template(call, 'draft', request.draft && readTemplateDraft(request.draft)),
        editVersion: request.editVersion,
      };
      return async (tx) => {
        const { template, seq, warnings } = await templates.update(tx, input);
        return { template: writeTemplate(template), seq: BigInt(seq), warnings: warnings.map(writeWarning) };
      };
    }),

    publishTemplate: mutation(writes, method.publishTemplate, (_violations, request) => async (tx) => {
      const { version: semver, editVersion } = request;
      const { version, seq } = await templates.publish(tx, { ...named(request), version: semver, editVersion });
      return { version: writeTemplateVersion(version), seq: BigInt(seq) };
    }),

    getTemplateVersion: async (_context, request) => {
      const { tenant, id } = named(request);
      return { version: writeTemplateVersion(await templates.getVersion(tenant, id, request.version)) };
    },

    listTemplateVersions: listing(method.listTemplateVersions, BY_NUMBER, (_violations, request) => async (page) => {
      const { tenant, id } = named(request);
      const { items, nextPageToken } = await fetchPage(
        page,
        (after, limit) => templates.listVersions(tenant, id, after, limit),
        ({ position }) => position,
      );
      return { versions: items.map(({ record }) => writeTemplateVersion(record)), nextPageToken };
    }),

    deleteTemplate: mutation(writes, method.deleteTemplate, (_violations, request) => async (tx) => {
      const { editVersion } = request;
      const { template, seq } = await templates.archive(tx, { ...named(request), editVersion });
      return { template: writeTemplate(template), seq: BigInt(seq) };
    }),
  });
}

function named(request: { readonly tenant: string; readonly templateId: string }): { tenant: string; id: string } {
  return { tenant: request.tenant || ROOT_TENANT, id: request.templateId };
}
