import { PromptType, Role } from '../../../gen/platen/v1/resources_pb.js';
import type { Clients } from '../../../src/cli/client.ts';
import { byBundle, byType, type RenderInit } from '../rendering.ts';

const GREETING = PromptType.GREETING;
const SYSTEM_PROMPT = PromptType.SYSTEM_PROMPT;
const FAREWELL = PromptType.FAREWELL;

/** A bundle that nobody moves any more once the world is made. */
export const STEADY = 'steady';

/** The tenants with their parents at first and what they call their region; `shop` moves between two of them. */
const TENANTS = [
  { tenant: 'north', parent: 'default', region: 'the north' },
  { tenant: 'south', parent: 'default', region: 'the south' },
  { tenant: 'shop', parent: 'north', region: undefined },
  { tenant: 'kiosk', parent: 'shop', region: undefined },
] as const;

/** What `default` calls the region of all that say nothing of it. */
const EVERYWHERE = 'everywhere';

export interface BundleName {
  readonly tenant: string;
  readonly bundleId: string;
}

/** The bundles; three tenants on one path have one of the same id. */
export const BUNDLES: readonly (BundleName & { readonly type: PromptType })[] = [
  { tenant: 'default', bundleId: 'greeting', type: GREETING },
  { tenant: 'default', bundleId: 'system', type: SYSTEM_PROMPT },
  { tenant: 'default', bundleId: STEADY, type: FAREWELL },
  { tenant: 'north', bundleId: 'greeting', type: GREETING },
  { tenant: 'south', bundleId: 'greeting', type: GREETING },
  { tenant: 'shop', bundleId: 'welcome', type: GREETING },
];

/** What a question by type may ask for. */
type AskedType = 'GREETING' | 'SYSTEM_PROMPT' | 'FAREWELL' | 'HANDOFF';

export const VERSIONS = ['1.0.0', '1.1.0', '1.2.0', '1.3.0', '1.4.0'] as const;
export const CHANNELS = ['production', 'beta'] as const;

/** What is asked for, again and again. */
export interface Question {
  /** Unique among questions. */
  readonly name: string;
  readonly tenant: string;
  readonly target:
    | { readonly kind: 'type'; readonly type: AskedType }
    | { readonly kind: 'bundle'; readonly bundleId: string }
    | { readonly kind: 'version'; readonly bundleId: string; readonly version: string };
  readonly channel: string;
  readonly request: RenderInit;
}

/** By type nobody knows `nobody` and nothing is activated for HANDOFF: something answers all the same. */
export const QUESTIONS: readonly Question[] = [
  ...['default', 'north', 'south', 'shop', 'kiosk', 'nobody'].flatMap((tenant) => [
    ofType(tenant, 'GREETING', 'production'),
    ofType(tenant, 'GREETING', 'beta'),
    ofType(tenant, 'SYSTEM_PROMPT', 'production'),
  ]),
  ofType('kiosk', 'HANDOFF', 'production'),
  ofType('kiosk', 'FAREWELL', 'production'),
  ...['default', 'north', 'south', 'shop', 'kiosk'].flatMap((tenant) => [
    ofBundle(tenant, 'greeting', 'production'),
    ofBundle(tenant, 'greeting', 'beta'),
    ...VERSIONS.map((version) => ofVersion(tenant, 'greeting', version)),
  ]),
  ofBundle('kiosk', 'welcome', 'production'),
  ofVersion('kiosk', 'welcome', '1.2.0'),
  ofVersion('kiosk', 'system', '1.1.0'),
];

function ofType(tenant: string, type: AskedType, channel: string): Question {
  const request = { tenant, target: byType(PromptType[type]), channel };
  return { name: `${tenant} ${type} #${channel}`, tenant, target: { kind: 'type', type }, channel, request };
}

function ofBundle(tenant: string, bundleId: string, channel: string): Question {
  const request = { tenant, target: byBundle(bundleId, { channel }) };
  return { name: `${tenant} ${bundleId} #${channel}`, tenant, target: { kind: 'bundle', bundleId }, channel, request };
}

function ofVersion(tenant: string, bundleId: string, version: string): Question {
  const request = { tenant, target: byBundle(bundleId, { version }) };
  const target = { kind: 'version', bundleId, version } as const;
  return { name: `${tenant} ${bundleId} @${version}`, tenant, target, channel: '', request };
}

/** What a version renders to, in a region. The bundles that come and go are made of the north's first template. */
export function textOf({ tenant, bundleId }: BundleName, version: string, region: string): string {
  const templateId = bundleId.startsWith('passing-') ? 'greeting' : bundleId;
  return `${tenant}/${templateId} ${version} for ${region}`;
}

/** Variables of a tenant, as its document has them. */
function inRegion(region: string | undefined) {
  return region === undefined ? {} : { region: { kind: { case: 'stringValue' as const, value: region } } };
}

/** The draft of a bundle of one template. */
export function draftOf(templateId: string, version: string) {
  const value = { template: { templateId, version }, role: Role.SYSTEM };
  return { sections: [{ part: { case: 'template' as const, value } }] };
}

/** Creates the tenants, and every bundle with all its versions, on all channels; activates one of each type. */
export async function createWorld({ tenants, templates, bundles }: Clients): Promise<void> {
  const { tenant: root } = await tenants.getTenant({});
  const { displayName, capturePolicy, editVersion } = root!;
  await tenants.updateTenant({ displayName, capturePolicy, editVersion, variables: inRegion(EVERYWHERE) });
  for (const { tenant, parent, region } of TENANTS) {
    await tenants.createTenant({ tenant, parent, variables: inRegion(region) });
  }
  for (const { tenant, bundleId, type } of BUNDLES) {
    const content = (version: string) => textOf({ tenant, bundleId }, version, '{region}');
    await templates.createTemplate({ tenant, templateId: bundleId, type, draft: { content: content(VERSIONS[0]) } });
    await bundles.createBundle({ tenant, bundleId, type, draft: draftOf(bundleId, '*') });
    for (const [index, version] of VERSIONS.entries()) {
      const editVersion = index + 1;
      if (index > 0) {
        const draft = { content: content(version) };
        await templates.updateTemplate({ tenant, templateId: bundleId, draft, editVersion: index });
      }
      await templates.publishTemplate({ tenant, templateId: bundleId, version, editVersion });
      await bundles.publishBundle({ tenant, bundleId, version, editVersion: 1 });
    }
    for (const channel of CHANNELS) {
      const target = { case: 'version' as const, value: VERSIONS[0] };
      await bundles.releaseBundle({ tenant, bundleId, channel, target });
    }
  }
  await bundles.activateBundle({ type: GREETING, bundleId: 'greeting' });
  await bundles.activateBundle({ type: SYSTEM_PROMPT, bundleId: 'system' });
  await bundles.activateBundle({ type: FAREWELL, bundleId: STEADY });
}
