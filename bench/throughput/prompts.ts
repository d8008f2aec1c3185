import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RenderRequestSchema } from '../../gen/platen/v1/render_service_pb.js';
import {
  PromptType,
  Role,
  Severity,
  TemplateSyntax,
  VariableType,
  type ConstraintSchema,
  type SectionSchema,
  type TemplateDraftSchema,
} from '../../gen/platen/v1/resources_pb.js';
import type { Clients } from '../../src/cli/client.ts';
import { ordinaryContent, ORDINARY_VARIABLES, releaseBundle } from '../support/ordinary-bundle.ts';
import { list, text, type ValueInit } from '../support/values.ts';

/** What scenarios render, and how it comes into the database. */

export type RenderInit = MessageInitShape<typeof RenderRequestSchema>;

const TYPE = PromptType.SYSTEM_PROMPT;
const KIB = 1024;
const FILLER = ' Answer in plain words, and say so if you do not know.';

/** A render of a bundle with the values that ordinary prompts take. */
export function renderOf(bundleId: string, variables: Record<string, ValueInit> = ORDINARY_VARIABLES): RenderInit {
  return { target: { case: 'bundle', value: { bundleId } }, variables };
}

export const LIQUID_BUNDLE = 'liquid';
/** Eight as well; one of them is a list. */
export const LIQUID_VARIABLES: Record<string, ValueInit> = {
  ...ORDINARY_VARIABLES,
  agent: list(['Robin', 'Kim', 'Sascha', 'Alex', 'Jo'].map(text)),
  plan: text('pro'),
};

/** A prompt of 4 KB with conditions, a loop and filters. */
export async function releaseLiquidBundle(clients: Clients): Promise<void> {
  const names = Object.keys(LIQUID_VARIABLES);
  const content = `{% if plan == "pro" %}You may offer a call.{% else %}Offer the help pages.{% endif %}
{% for name in agent %}{{ forloop.index }}. {{ name | upcase }} answers for {{ brand | capitalize }}.
{% endfor %}{% unless language == "German" %}Write in {{ language | downcase }}.{% endunless %}
Mind {{ customer }}, the {{ tone | default: "friendly" }} tone, {{ city }} and {{ topic | truncate: 40 }}.
`.padEnd(4 * KIB, FILLER);
  const variables = names.map((name) => ({ name, type: name === 'agent' ? VariableType.LIST : VariableType.STRING }));
  await releaseBundle(clients, LIQUID_BUNDLE, { syntax: TemplateSyntax.LIQUID, content, variables });
}

export const LARGE_BUNDLE = 'large';
export const LARGE_BYTES = 64 * KIB;
const LARGE_SECTIONS = 8;

/** A prompt of 64 KB: a template has 10,000 characters at most, so it is one of several sections. */
export async function releaseLargeBundle({ templates, bundles }: Clients): Promise<void> {
  const sections: MessageInitShape<typeof SectionSchema>[] = [];
  for (let n = 0; n < LARGE_SECTIONS; n += 1) {
    const templateId = `${LARGE_BUNDLE}-${n}`;
    const content = ordinaryContent(`Part ${n}.`, LARGE_BYTES / LARGE_SECTIONS);
    await createTemplate({ templates }, templateId, { syntax: TemplateSyntax.FORMAT, content });
    sections.push(sectionOf(templateId, '1.0.0'));
  }
  await bundles.createBundle({ bundleId: LARGE_BUNDLE, type: TYPE, draft: { sections } });
  await bundles.publishBundle({ bundleId: LARGE_BUNDLE, version: '1.0.0', editVersion: 1, channel: 'production' });
}

export const CHURNED_BUNDLE = 'churned';
export const CHURNED_VERSIONS = ['1.0.0', '1.1.0'];

/** The ordinary prompt in two versions of one length, to be released in turn. */
export async function releaseChurnedBundle({ templates, bundles }: Clients): Promise<void> {
  const bundleId = CHURNED_BUNDLE;
  const drafts = [];
  for (const version of CHURNED_VERSIONS) {
    const templateId = `${bundleId}-${version.replaceAll('.', '-')}`;
    const content = ordinaryContent(`Release ${version}.`);
    await createTemplate({ templates }, templateId, { syntax: TemplateSyntax.FORMAT, content });
    drafts.push({ sections: [sectionOf(templateId, '1.0.0')] });
  }
  const [first, second] = CHURNED_VERSIONS;
  await bundles.createBundle({ bundleId, type: TYPE, draft: drafts[0]! });
  await bundles.publishBundle({ bundleId, version: first!, editVersion: 1, channel: 'production' });
  await bundles.updateBundle({ bundleId, draft: drafts[1]!, editVersion: 1 });
  await bundles.publishBundle({ bundleId, version: second!, editVersion: 2, channel: 'production' });
}

/** More than calls that are in flight at a time, so that two of them rarely want the same document. */
const MANY = 256;
const LANES = 8;
export const MANY_BUNDLES = Array.from({ length: MANY }, (_, n) => `many-${n}`);

/** The ordinary prompt as so many documents, no two the same. */
export async function releaseManyBundles(clients: Clients): Promise<void> {
  const waiting = MANY_BUNDLES.values();
  const lane = async (): Promise<void> => {
    for (const id of waiting) {
      await releaseBundle(clients, id, { syntax: TemplateSyntax.FORMAT, content: ordinaryContent(`This is ${id}.`) });
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

export const CHECKED_BUNDLE = 'checked';

/** Rules of several kinds, and 4 KB of an answer that keeps them. */
export async function releaseCheckedBundle(clients: Clients): Promise<string> {
  const item = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] };
  const schema = { type: 'object', properties: { steps: { type: 'array', items: item } }, required: ['steps'] };
  const rules: readonly NonNullable<MessageInitShape<typeof ConstraintSchema>['rule']>[] = [
    { case: 'maxChars', value: 10_000 },
    { case: 'forbiddenPhrases', value: { phrases: ['as an AI', 'I cannot help'] } },
    { case: 'forbiddenPattern', value: '\\b[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}\\b' },
    { case: 'jsonSchema', value: schema },
  ];
  const constraints = rules.map((rule, n) => ({ id: `rule-${n}`, severity: Severity.ERROR, rule }));
  const draft = { syntax: TemplateSyntax.LITERAL, content: 'Answer as JSON.' };
  await releaseBundle(clients, CHECKED_BUNDLE, draft, constraints);
  const step = { text: 'Open the parcel and look whether the shade is broken.'.padEnd(100, '.') };
  return JSON.stringify({ steps: Array.from({ length: 36 }, () => step) });
}

async function createTemplate(
  { templates }: Pick<Clients, 'templates'>,
  templateId: string,
  draft: MessageInitShape<typeof TemplateDraftSchema>,
): Promise<void> {
  await templates.createTemplate({ templateId, type: TYPE, draft });
  await templates.publishTemplate({ templateId, version: '1.0.0', editVersion: 1 });
}

function sectionOf(templateId: string, version: string): MessageInitShape<typeof SectionSchema> {
  return { part: { case: 'template', value: { template: { templateId, version }, role: Role.SYSTEM } } };
}
