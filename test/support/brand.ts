import assert from 'node:assert/strict';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Change } from '../../gen/platen/v1/audit_service_pb.js';
import type {
  BundleDraftSchema,
  SectionSchema,
  TemplateDraftSchema,
} from '../../gen/platen/v1/resources_pb.js';
import { PromptType, Role } from '../../gen/platen/v1/resources_pb.js';
import type { Clients } from '../../src/cli/client.ts';
import { failure, type Failure, type Platen } from './platen.ts';

export type TemplateDraftInit = MessageInitShape<typeof TemplateDraftSchema>;
export type BundleDraftInit = MessageInitShape<typeof BundleDraftSchema>;
export type SectionInit = MessageInitShape<typeof SectionSchema>;

let created = 0;

/** A SYSTEM section, unless told otherwise. */
export function section(templateId: string, version = '^1.0', role = Role.SYSTEM): SectionInit {
  return { part: { case: 'template', value: { template: { templateId, version }, role } } };
}

export function placeholder(name: string): SectionInit {
  return { part: { case: 'placeholder', value: name } };
}

/** A tenant that a test has to itself, and short words for what it does there. */
export class Brand {
  readonly tenant: string;
  readonly clients: Clients;

  private constructor(clients: Clients, tenant: string) {
    this.clients = clients;
    this.tenant = tenant;
  }

  static async create({ clients }: Pick<Platen, 'clients'>, parent = 'default'): Promise<Brand> {
    created += 1;
    const tenant = `brand-${created}`;
    await clients.tenants.createTenant({ tenant, parent });
    return new Brand(clients, tenant);
  }

  /** A tenant below this one. */
  child(): Promise<Brand> {
    return Brand.create(this, this.tenant);
  }

  /** Creates a template and publishes its first draft under each version. */
  async template(
    templateId: string,
    content: string | TemplateDraftInit = 'Hello',
    ...versions: readonly string[]
  ): Promise<void> {
    const draft = typeof content === 'string' ? { content } : content;
    const { tenant } = this;
    await this.clients.templates.createTemplate({ tenant, templateId, type: PromptType.SYSTEM_PROMPT, draft });
    for (const version of versions) await this.publishTemplate(templateId, version);
  }

  publishTemplate(templateId: string, version: string, editVersion = 1) {
    return this.clients.templates.publishTemplate({ tenant: this.tenant, templateId, version, editVersion });
  }

  deleteTemplate(templateId: string, editVersion = 1) {
    return this.clients.templates.deleteTemplate({ tenant: this.tenant, templateId, editVersion });
  }

  async templateDraft(templateId: string) {
    return (await this.clients.templates.getTemplate({ tenant: this.tenant, templateId })).template!;
  }

  /** Creates a bundle, of type GREETING unless told otherwise, and publishes its first draft under each version. */
  async bundle(bundleId: string, draft: BundleDraftInit, ...versions: readonly string[]): Promise<void> {
    await this.createBundle(bundleId, draft);
    for (const version of versions) await this.publishBundle(bundleId, version);
  }

  createBundle(bundleId: string, draft: BundleDraftInit, type = PromptType.GREETING) {
    return this.clients.bundles.createBundle({ tenant: this.tenant, bundleId, type, draft });
  }

  updateBundle(bundleId: string, draft: BundleDraftInit, editVersion: number) {
    return this.clients.bundles.updateBundle({ tenant: this.tenant, bundleId, draft, editVersion });
  }

  publishBundle(bundleId: string, version: string, { editVersion = 1, channel = '', activate = false } = {}) {
    const { tenant } = this;
    return this.clients.bundles.publishBundle({ tenant, bundleId, version, editVersion, channel, activate });
  }

  deleteBundle(bundleId: string, editVersion = 1) {
    return this.clients.bundles.deleteBundle({ tenant: this.tenant, bundleId, editVersion });
  }

  async bundleDraft(bundleId: string) {
    return (await this.clients.bundles.getBundle({ tenant: this.tenant, bundleId })).bundle!;
  }

  async bundleVersion(bundleId: string, version: string) {
    return (await this.clients.bundles.getBundleVersion({ tenant: this.tenant, bundleId, version })).version!;
  }

  /** Points the channel at a version. @returns the release */
  async release(bundleId: string, version: string, channel = '', expectedRevision?: number) {
    const target = { case: 'version', value: version } as const;
    const expected = expectedRevision === undefined ? {} : { expectedRevision };
    const request = { tenant: this.tenant, bundleId, channel, target, ...expected };
    return (await this.clients.bundles.releaseBundle(request)).release!;
  }

  /** Takes the channel out of service. @returns the release */
  async withdraw(bundleId: string, channel = '') {
    const target = { case: 'withdraw', value: true } as const;
    return (await this.clients.bundles.releaseBundle({ tenant: this.tenant, bundleId, channel, target })).release!;
  }

  /** @returns the release */
  async rollback(bundleId: string, version = '', channel = '') {
    return (await this.clients.bundles.rollbackBundle({ tenant: this.tenant, bundleId, channel, version })).release!;
  }

  /** The moves of a bundle's channels, the latest first. */
  async releases(bundleId: string, channel = '') {
    return (await this.clients.bundles.listReleases({ tenant: this.tenant, bundleId, channel })).releases;
  }

  /** @returns the activation */
  async activate(bundleId: string, type = PromptType.GREETING) {
    return (await this.clients.bundles.activateBundle({ tenant: this.tenant, bundleId, type })).activation!;
  }

  /** @returns the activation */
  async deactivate(type = PromptType.GREETING) {
    return (await this.clients.bundles.deactivateBundle({ tenant: this.tenant, type })).activation!;
  }

  /** The text that the tenant's callers are answered with. */
  async text(bundleId: string, variables: Readonly<Record<string, string>> = {}): Promise<string> {
    const values = Object.entries(variables).map(([name, value]) => [
      name,
      { kind: { case: 'stringValue', value } } as const,
    ]);
    const { text } = await this.clients.renders.render({
      tenant: this.tenant,
      target: { case: 'bundle', value: { bundleId } },
      variables: Object.fromEntries(values),
    });
    return text;
  }

  /** The changes in this tenant, the first first. */
  async changes(): Promise<Change[]> {
    return (await this.clients.audit.listChanges({ tenant: this.tenant, pageSize: 1_000 })).changes.toReversed();
  }
}

/** The head of the change log. */
export async function headOf({ clients }: Pick<Platen, 'clients'>): Promise<bigint> {
  return (await clients.audit.listChanges({ pageSize: 1 })).changes[0]!.seq;
}

/** What a write fails with, and that it changed neither what `read` reads nor the change log. */
export async function refused(
  platen: Pick<Platen, 'clients'>,
  write: () => Promise<unknown>,
  read: () => Promise<unknown> = () => Promise.resolve(),
): Promise<Failure> {
  const before = { state: await read(), head: await headOf(platen) };
  const failed = await failure(write());
  assert.deepEqual({ state: await read(), head: await headOf(platen) }, before);
  return failed;
}
