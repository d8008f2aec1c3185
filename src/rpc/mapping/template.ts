import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { parseTemplateDocument, type UncheckedTemplateDraft } from '../../domain/template.ts';
import type { UncheckedDeclaration, VariableDeclaration } from '../../domain/variable-declaration.ts';
import type { DraftRecord, TemplateVersionRecord } from '../../services/stores.ts';
import {
  TemplateSyntax,
  type TemplateDraft as WireDraft,
  type TemplateDraftSchema,
  type TemplateSchema,
  type TemplateVersionSchema,
  type Variable,
  type VariableSchema,
} from '../../../gen/platen/v1/resources_pb.js';
import { promptTypes, templateSyntaxes, variableTypes } from './enums.ts';
import { jsonOf, valueOf } from './struct.ts';

/** A draft as it was sent: a syntax or type that the contract does not have is empty, for the domain to refuse. */
export function readTemplateDraft(draft: WireDraft): UncheckedTemplateDraft {
  return {
    syntax: draft.syntax === TemplateSyntax.UNSPECIFIED ? 'FORMAT' : (templateSyntaxes.name(draft.syntax) ?? ''),
    content: draft.content,
    variables: draft.variables.map(readVariable),
    description: draft.description,
    allowLiteralBraces: draft.allowLiteralBraces,
  };
}

function readVariable(variable: Variable): UncheckedDeclaration {
  return {
    name: variable.name,
    type: variableTypes.name(variable.type) ?? '',
    required: variable.required,
    ...(variable.default !== undefined && { default: jsonOf(variable.default) }),
    description: variable.description,
    maxLength: variable.maxLength,
    pattern: variable.pattern,
    enumValues: variable.enumValues,
    untrusted: variable.untrusted,
  };
}

export function writeTemplate(record: DraftRecord): MessageInitShape<typeof TemplateSchema> {
  return {
    tenant: record.tenant,
    templateId: record.id,
    type: promptTypes.number(record.type),
    draft: writeDraft(record.draft.text),
    editVersion: record.editVersion,
    draftHash: record.draft.hash,
    latestVersion: record.latestVersion,
    createTime: timestampFromDate(record.createTime),
    updateTime: timestampFromDate(record.updateTime),
    updateActor: record.updateActor,
    archiveTime: record.archiveTime && timestampFromDate(record.archiveTime),
  };
}

export function writeTemplateVersion(record: TemplateVersionRecord): MessageInitShape<typeof TemplateVersionSchema> {
  return {
    tenant: record.tenant,
    templateId: record.id,
    version: record.version,
    type: promptTypes.number(record.type),
    content: writeDraft(record.document.text),
    documentHash: record.document.hash,
    editVersion: record.editVersion,
    createTime: timestampFromDate(record.createTime),
    createActor: record.createActor,
  };
}

function writeDraft(document: string): MessageInitShape<typeof TemplateDraftSchema> {
  const { draft } = parseTemplateDocument(document);
  return {
    syntax: templateSyntaxes.number(draft.syntax),
    content: draft.content,
    variables: draft.variables.map(writeVariable),
    description: draft.description,
    allowLiteralBraces: draft.allowLiteralBraces,
  };
}

function writeVariable(variable: VariableDeclaration): MessageInitShape<typeof VariableSchema> {
  return {
    name: variable.name,
    type: variableTypes.number(variable.type),
    required: variable.required,
    default: variable.default === undefined ? undefined : valueOf(variable.default),
    description: variable.description,
    maxLength: variable.maxLength,
    pattern: variable.pattern,
    enumValues: [...variable.enumValues],
    untrusted: variable.untrusted,
  };
}
