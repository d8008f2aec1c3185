import { checked } from '../../../src/domain/checked.ts';
import { ActivationService } from '../../../src/services/activation-service.ts';
import { BundleService } from '../../../src/services/bundle-service.ts';
import { ReleaseService } from '../../../src/services/release-service.ts';
import { TemplateService } from '../../../src/services/template-service.ts';
import { TenantService } from '../../../src/services/tenant-service.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import type { WriteTransaction } from '../../../src/services/stores.ts';
import { bundle, bundleDraft, template } from '../drafts.ts';
import type { Registry } from '../storage/registry.ts';

const TYPE = 'GREETING';

/** Writes to a registry by the use cases of the server; every write is one transaction. */
export class Authors {
  readonly #registry: Registry;
  readonly #templates: TemplateService;
  readonly #bundles: BundleService;
  readonly #releases: ReleaseService;
  readonly #activations: ActivationService;
  readonly #tenants: TenantService;

  constructor(registry: Registry) {
    const { stores } = registry;
    this.#registry = registry;
    this.#templates = new TemplateService(stores);
    this.#releases = new ReleaseService(stores);
    this.#activations = new ActivationService(stores);
    this.#bundles = new BundleService(stores, this.#releases, this.#activations);
    this.#tenants = new TenantService(stores);
  }

  createTenant(tenant: string, variables: JsonObject = {}): Promise<number> {
    return this.#write((tx) => this.#tenants.create(tx, tenantInput(tenant, variables)));
  }

  updateTenant(tenant: string, variables: JsonObject, editVersion: number): Promise<number> {
    return this.#write((tx) => this.#tenants.update(tx, { ...tenantInput(tenant, variables), editVersion }));
  }

  createTemplate(tenant: string, id: string): Promise<number> {
    const draft = checked(() => template());
    return this.#write((tx) => this.#templates.create(tx, { tenant, id, type: TYPE, draft }));
  }

  updateTemplate(tenant: string, id: string, content: string, editVersion: number): Promise<number> {
    const draft = checked(() => template({ content }));
    return this.#write((tx) => this.#templates.update(tx, { tenant, id, draft, editVersion }));
  }

  publishTemplate(tenant: string, id: string, version: string, editVersion: number): Promise<number> {
    return this.#write((tx) => this.#templates.publish(tx, { tenant, id, version, editVersion }));
  }

  archiveTemplate(tenant: string, id: string, editVersion: number): Promise<number> {
    return this.#write((tx) => this.#templates.archive(tx, { tenant, id, editVersion }));
  }

  /** Its section is the template `hello`. */
  createBundle(tenant: string, id: string): Promise<number> {
    return this.#write((tx) => this.#bundles.create(tx, { tenant, id, type: TYPE, ...sent('') }));
  }

  updateBundle(tenant: string, id: string, description: string, editVersion: number): Promise<number> {
    return this.#write((tx) => this.#bundles.update(tx, { tenant, id, editVersion, ...sent(description) }));
  }

  /** @param channel empty: it is neither released nor activated */
  publishBundle(tenant: string, id: string, version: string, editVersion: number, channel = ''): Promise<number> {
    const input = { tenant, id, version, editVersion, channel, activate: channel !== '' };
    return this.#write((tx) => this.#bundles.publish(tx, input));
  }

  /** @param version undefined: the channel is withdrawn */
  release(tenant: string, bundleId: string, channel: string, version: string | undefined): Promise<number> {
    const target = version === undefined ? ({ withdraw: true } as const) : { version };
    const input = { tenant, bundleId, channel, target, expectedRevision: undefined };
    return this.#write((tx) => this.#releases.release(tx, input));
  }

  rollback(tenant: string, bundleId: string, channel: string): Promise<number> {
    const input = { tenant, bundleId, channel, version: '', expectedRevision: undefined };
    return this.#write((tx) => this.#releases.rollback(tx, input));
  }

  activate(tenant: string, bundleId: string): Promise<number> {
    const input = { tenant, type: TYPE, bundleId, expectedRevision: undefined } as const;
    return this.#write((tx) => this.#activations.activate(tx, input));
  }

  deactivate(tenant: string): Promise<number> {
    const input = { tenant, type: TYPE, expectedRevision: undefined } as const;
    return this.#write((tx) => this.#activations.deactivate(tx, input));
  }

  /** @returns the seq of the last change */
  async #write(work: (tx: WriteTransaction) => Promise<{ seq: number }>): Promise<number> {
    return (await this.#registry.write(work)).seq;
  }
}

function tenantInput(tenant: string, variables: JsonObject) {
  const kept = { capturePolicy: 'VARIABLES', receiptRetentionDays: 0 } as const;
  return { tenant, parent: '', displayName: '', variables, ...kept };
}

function sent(description: string) {
  return { sent: bundleDraft({ description }), draft: checked(() => bundle({ description })) };
}
