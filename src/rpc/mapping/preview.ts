import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Violations } from '../../domain/errors.ts';
import { ROOT_TENANT } from '../../domain/tenant.ts';
import type { PreviewInput, PreviewResult, TokenCounts } from '../../services/preview-service.ts';
import type { PreviewSubject } from '../../services/preview-subject.ts';
import type {
  PreviewRequest,
  PreviewResponseSchema,
  TokenCountsSchema,
} from '../../../gen/platen/v1/render_service_pb.js';
import { readBundleDraft, writePin } from './bundle.ts';
import { promptTypes, tokenEncodings } from './enums.ts';
import { readPlaceholders, writeMessages } from './message.ts';
import { jsonObjectOf } from './struct.ts';
import { readTemplateDraft } from './template.ts';
import { writeWarning } from './warning.ts';

export function readPreview(violations: Violations, request: PreviewRequest): PreviewInput {
  return {
    tenant: request.tenant || ROOT_TENANT,
    subject: readSubject(violations, request.subject),
    variables: jsonObjectOf(request.variables),
    placeholders: readPlaceholders(violations, 'placeholders', request.placeholders),
    tenantVariables: jsonObjectOf(request.tenantVariables),
    tokenEncoding: tokenEncodings.optional(violations, 'token_encoding', request.tokenEncoding) ?? 'O200K_BASE',
    tokenBudget: request.tokenBudget,
  };
}

function readSubject(violations: Violations, subject: PreviewRequest['subject']): PreviewSubject | undefined {
  switch (subject.case) {
    case 'bundleDraft':
      return { kind: 'bundleDraft', id: subject.value };
    case 'bundleVersion':
      return { kind: 'bundleVersion', id: subject.value.id, version: subject.value.version };
    case 'bundleContent': {
      const { type, draft } = subject.value;
      return {
        kind: 'bundleContent',
        type: promptTypes.optional(violations, 'bundle_content.type', type),
        draft: draft && readBundleDraft(draft),
      };
    }
    case 'templateDraft':
      return { kind: 'templateDraft', id: subject.value };
    case 'templateVersion':
      return { kind: 'templateVersion', id: subject.value.id, version: subject.value.version };
    case 'templateContent':
      return { kind: 'templateContent', draft: readTemplateDraft(subject.value) };
    default:
      return undefined;
  }
}

export function writePreview(result: PreviewResult): MessageInitShape<typeof PreviewResponseSchema> {
  return {
    text: result.text,
    messages: writeMessages(result.messages),
    renderable: result.renderable,
    renderedHash: result.renderedHash,
    bundleHash: result.bundleHash,
    personalityHash: result.personalityHash,
    constraintsHash: result.constraintsHash,
    variablesHash: result.variablesHash,
    placeholdersHash: result.placeholdersHash,
    messagesHash: result.messagesHash,
    missingVariables: [...result.missingVariables],
    unusedVariables: [...result.unusedVariables],
    invalidVariables: result.invalidVariables.map(({ name, message }) => ({ name, message })),
    warnings: result.warnings.map(writeWarning),
    characters: result.characters,
    words: result.words,
    pins: result.pins.map(writePin),
    tokens: result.tokens && writeTokens(result.tokens),
    untrustedVariables: [...result.untrustedVariables],
  };
}

function writeTokens({ encoding, text, messages }: TokenCounts): MessageInitShape<typeof TokenCountsSchema> {
  return { encoding: tokenEncodings.number(encoding), text, messages: [...messages] };
}
