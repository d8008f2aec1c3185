import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  CapturePolicy,
  PromptType,
  Role,
  type BundleDraftSchema,
  type TemplateDraftSchema,
  type VariableSchema,
} from '../../gen/platen/v1/resources_pb.js';
import type { Clients } from '../../src/cli/client.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { valuesOf } from '../../src/rpc/mapping/struct.ts';

export type TemplateInit = MessageInitShape<typeof TemplateDraftSchema>;
export type BundleInit = MessageInitShape<typeof BundleDraftSchema>;
export type VariableInit = MessageInitShape<typeof VariableSchema>;

let ids = 0;

/** An id that nothing else in this process has. */
export function freshId(prefix: string): string {
  ids += 1;
  return `${prefix}-${ids}`;
}

/** What a new tenant is like. */
export interface TenantPlan {
  readonly parent?: string;
  readonly variables?: JsonObject;
  readonly capturePolicy?: CapturePolicy;
}

/** A section of a template, at the highest version. */
export function section(templateId: string, role: Role = Role.SYSTEM) {
  return { part: { case: 'template' as const, value: { template: { templateId, version: '*' }, role } } };
}

export function placeholder(name: string) {
  return { part: { case: 'placeholder' as const, value: name } };
}

/** What is to be published of a bundle. */
export interface BundlePlan {
  readonly id?: string;
  readonly type?: PromptType;
  /** The draft; or the content of the template that is its one SYSTEM section. */
  readonly draft: BundleInit | string;
  readonly version?: string;
  /** Empty: it is not released. */
  readonly channel?: string;
  readonly activate?: boolean;
}

/** A bundle version as it was published. */
export interface Published {
  readonly bundleId: string;
  readonly version: string;
  readonly bundleHash: string;
  /** The last change of the publication. */
  readonly seq: bigint;
}

/** Writes the content of one tenant through the clients, as an author does. */
export class Brand {
  readonly #clients: Clients;
  readonly tenant: string;

  constructor(clients: Clients, tenant: string) {
    this.#clients = clients;
    this.tenant = tenant;
  }

  /** A new tenant; under `default` unless told otherwise. */
  static async create(clients: Clients, given: TenantPlan = {}): Promise<Brand> {
    const { parent = 'default', variables = {}, capturePolicy = CapturePolicy.UNSPECIFIED } = given;
    const tenant = freshId('brand');
    await clients.tenants.createTenant({ tenant, parent, variables: valuesOf(variables), capturePolicy });
    return new Brand(clients, tenant);
  }

  /** A child of this one. */
  child(given: Omit<TenantPlan, 'parent'> = {}): Promise<Brand> {
    return Brand.create(this.#clients, { ...given, parent: this.tenant });
  }

  /** Publishes a new template as 1.0.0. @returns its id */
  async template(draft: TemplateInit | string): Promise<string> {
    const templateId = freshId('template');
    const key = { tenant: this.tenant, templateId };
    const content = typeof draft === 'string' ? { content: draft } : draft;
    await this.#clients.templates.createTemplate({ ...key, type: PromptType.SYSTEM_PROMPT, draft: content });
    await this.#clients.templates.publishTemplate({ ...key, version: '1.0.0', editVersion: 1 });
    return templateId;
  }

  /** Publishes a new bundle, or the next version of one; on `production` unless told otherwise. */
  async bundle(plan: BundlePlan): Promise<Published> {
    const { type = PromptType.SYSTEM_PROMPT, version = '1.0.0', channel = 'production', activate = false } = plan;
    const bundleId = plan.id ?? freshId('bundle');
    const key = { tenant: this.tenant, bundleId };
    const { draft } = plan;
    const content = typeof draft === 'string' ? { sections: [section(await this.template(draft))] } : draft;
    const editVersion = await this.#save(key, type, content);
    const answer = await this.#clients.bundles.publishBundle({ ...key, version, editVersion, channel, activate });
    return { bundleId, version, bundleHash: answer.version!.bundleHash, seq: answer.seq };
  }

  async #save(key: { tenant: string; bundleId: string }, type: PromptType, draft: BundleInit): Promise<number> {
    const { bundles } = await this.#clients.bundles.listBundles({ tenant: this.tenant, pageSize: 1_000 });
    const held = bundles.find(({ bundleId }) => bundleId === key.bundleId);
    const { bundle } = held
      ? await this.#clients.bundles.updateBundle({ ...key, draft, editVersion: held.editVersion })
      : await this.#clients.bundles.createBundle({ ...key, type, draft });
    return bundle!.editVersion;
  }
}
