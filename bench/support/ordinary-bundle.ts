import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RenderRequestSchema } from '../../gen/platen/v1/render_service_pb.js';
import {
  PromptType,
  Role,
  TemplateSyntax,
  type ConstraintSchema,
  type TemplateDraftSchema,
} from '../../gen/platen/v1/resources_pb.js';
import type { Clients } from '../../src/cli/client.ts';
import { text, type ValueInit } from './values.ts';

export const ORDINARY_BUNDLE = 'ordinary';
const PROMPT_BYTES = 4096;
const NAMES = ['customer', 'brand', 'tone', 'language', 'plan', 'city', 'topic', 'agent'];

/** The 8 variables of an ordinary prompt. */
export const ORDINARY_VARIABLES: Record<string, ValueInit> = Object.fromEntries(
  NAMES.map((name) => [name, text(`the ${name} of this chat`)]),
);

/** A render as chats make it: a prompt of 4 KB with 8 variables. */
export const ORDINARY_RENDER = {
  target: { case: 'bundle', value: { bundleId: ORDINARY_BUNDLE } },
  variables: ORDINARY_VARIABLES,
} satisfies MessageInitShape<typeof RenderRequestSchema>;

/** An ordinary prompt. @param opening sets it apart from others */
export function ordinaryContent(opening = '', bytes = PROMPT_BYTES): string {
  const placeholders = NAMES.map((name) => `Mind the ${name}: {${name}}.`).join('\n');
  return `${opening}${placeholders}`.padEnd(bytes, ' Answer in plain words, and say so if you do not know.');
}

/** Releases the bundle that ordinary renders ask for. */
export async function releaseOrdinaryBundle(clients: Clients): Promise<void> {
  await releaseBundle(clients, ORDINARY_BUNDLE, { syntax: TemplateSyntax.FORMAT, content: ordinaryContent() });
}

type TemplateDraft = MessageInitShape<typeof TemplateDraftSchema>;
type Constraints = MessageInitShape<typeof ConstraintSchema>[];

/** Publishes a template, and a bundle of it and the constraints, as 1.0.0, and releases the bundle. */
export async function releaseBundle(
  { templates, bundles }: Clients,
  id: string,
  draft: TemplateDraft,
  constraints: Constraints = [],
): Promise<void> {
  const type = PromptType.SYSTEM_PROMPT;
  const version = '1.0.0';
  await templates.createTemplate({ templateId: id, type, draft });
  await templates.publishTemplate({ templateId: id, version, editVersion: 1 });
  const section = { template: { templateId: id, version }, role: Role.SYSTEM };
  const sections = [{ part: { case: 'template' as const, value: section } }];
  await bundles.createBundle({ bundleId: id, type, draft: { sections, constraints } });
  await bundles.publishBundle({ bundleId: id, version, editVersion: 1, channel: 'production' });
}
