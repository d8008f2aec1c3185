/** Resources as a server answers them. */
import { timestampFromDate, type Timestamp } from '@bufbuild/protobuf/wkt';
import { PromptType, Role, Severity } from '../../../gen/platen/v1/resources_pb.js';
import { toValue } from '../../../src/cli/value.ts';

/** 08:00 on a day, and as many minutes later. */
export function at(minutes = 0): Timestamp {
  return timestampFromDate(new Date(Date.UTC(2026, 0, 31, 8, minutes)));
}

export const ACTOR = 'anonymous@loopback';

export const TENANT = {
  tenant: 'acme',
  parent: 'default',
  displayName: 'Acme',
  variables: { tone: toValue('warm') },
  capturePolicy: 2,
  editVersion: 3,
  documentHash: 'd0c',
  createTime: at(0),
  updateTime: at(5),
  updateActor: ACTOR,
};

export const TEMPLATE = {
  tenant: 'acme',
  templateId: 'hello',
  type: PromptType.GREETING,
  draft: { syntax: 1, content: 'Hello {user}!', description: 'Says hello.' },
  editVersion: 2,
  draftHash: 'd4af7',
  latestVersion: '1.0.0',
  createTime: at(0),
  updateTime: at(5),
  updateActor: ACTOR,
};

export const TEMPLATE_VERSION = {
  tenant: 'acme',
  templateId: 'hello',
  version: '1.0.0',
  type: PromptType.GREETING,
  content: TEMPLATE.draft,
  documentHash: 'd0c',
  editVersion: 2,
  createTime: at(6),
  createActor: ACTOR,
};

export const BUNDLE_DRAFT = {
  personality: { templateId: 'voice', version: '^1.0.0' },
  sections: [
    {
      part: {
        case: 'template' as const,
        value: { template: { templateId: 'hello', version: '^1.0.0' }, role: Role.SYSTEM },
      },
    },
    { part: { case: 'placeholder' as const, value: 'history' } },
  ],
  constraints: [{ id: 'short', severity: Severity.ERROR, rule: { case: 'maxChars' as const, value: 80 } }],
  modelConfig: { temperature: 0.5 },
  description: 'The first message.',
};

export const BUNDLE = {
  tenant: 'acme',
  bundleId: 'welcome',
  type: PromptType.GREETING,
  draft: BUNDLE_DRAFT,
  editVersion: 2,
  draftHash: 'd4af7',
  latestVersion: '1.0.0',
  createTime: at(0),
  updateTime: at(5),
  updateActor: ACTOR,
};

export const BUNDLE_VERSION = {
  tenant: 'acme',
  bundleId: 'welcome',
  version: '1.0.0',
  type: PromptType.GREETING,
  content: BUNDLE_DRAFT,
  pins: [
    { tenant: 'default', templateId: 'voice', version: '1.2.0' },
    { tenant: 'acme', templateId: 'hello', version: '1.0.0' },
  ],
  bundleHash: 'b00d1e',
  personalityHash: 'fe50',
  constraintsHash: 'c057',
  canonicalJson: '{"sections":[]}',
  editVersion: 2,
  createTime: at(6),
  createActor: ACTOR,
};
