import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  parseBundleDocument,
  type Section,
  type TemplateRef,
  type UncheckedBundleDraft,
  type UncheckedSection,
} from '../../domain/bundle.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { BundleVersionRecord, DraftRecord, Pin } from '../../services/stores.ts';
import type {
  BundleDraft as WireDraft,
  BundleDraftSchema,
  BundleSchema,
  BundleVersionSchema,
  PinnedTemplateSchema,
  Section as WireSection,
  SectionSchema,
  TemplateRef as WireRef,
} from '../../../gen/platen/v1/resources_pb.js';
import { readConstraint, writeConstraint } from './constraint.ts';
import { promptTypes, roles } from './enums.ts';
import { structOf } from './struct.ts';

/** A draft as it was sent: a role that the contract does not have is empty, for the domain to refuse. */
export function readBundleDraft(draft: WireDraft): UncheckedBundleDraft {
  return {
    personality: draft.personality && readRef(draft.personality),
    sections: draft.sections.map(readSection),
    constraints: draft.constraints.map(readConstraint),
    modelConfig: draft.modelConfig as JsonObject | undefined,
    description: draft.description,
  };
}

function readSection({ part }: WireSection): UncheckedSection {
  switch (part.case) {
    case 'template':
      return { template: readRef(part.value.template), role: roles.name(part.value.role) ?? '' };
    case 'placeholder':
      return { placeholder: part.value };
    default:
      return undefined;
  }
}

/** A reference that is not there has no template_id, which the domain refuses. */
function readRef(ref: WireRef | undefined): TemplateRef {
  return { templateId: ref?.templateId ?? '', version: ref?.version ?? '' };
}

export function writeBundle(record: DraftRecord): MessageInitShape<typeof BundleSchema> {
  return {
    tenant: record.tenant,
    bundleId: record.id,
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

export function writeBundleVersion(record: BundleVersionRecord): MessageInitShape<typeof BundleVersionSchema> {
  return { ...writeListedBundleVersion(record), canonicalJson: record.snapshot.text };
}

/** A version as lists show it: without the snapshot. */
export function writeListedBundleVersion(record: BundleVersionRecord): MessageInitShape<typeof BundleVersionSchema> {
  return {
    tenant: record.tenant,
    bundleId: record.id,
    version: record.version,
    type: promptTypes.number(record.type),
    content: writeDraft(record.draft.text),
    pins: record.pins.map(writePin),
    bundleHash: record.snapshot.hash,
    personalityHash: record.personalityHash,
    constraintsHash: record.constraintsHash,
    editVersion: record.editVersion,
    createTime: timestampFromDate(record.createTime),
    createActor: record.createActor,
  };
}

export function writePin({ tenant, templateId, version }: Pin): MessageInitShape<typeof PinnedTemplateSchema> {
  return { tenant, templateId, version };
}

function writeDraft(document: string): MessageInitShape<typeof BundleDraftSchema> {
  const { draft } = parseBundleDocument(document);
  return {
    personality: draft.personality,
    sections: draft.sections.map(writeSection),
    constraints: draft.constraints.map(writeConstraint),
    modelConfig: draft.modelConfig && structOf(draft.modelConfig),
    description: draft.description,
  };
}

function writeSection(section: Section): MessageInitShape<typeof SectionSchema> {
  if ('placeholder' in section) return { part: { case: 'placeholder', value: section.placeholder } };
  const { template, role } = section;
  return { part: { case: 'template', value: { template, role: roles.number(role) } } };
}
