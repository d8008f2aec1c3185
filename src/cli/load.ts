import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Bundle, Template } from '../../gen/platen/v1/resources_pb.js';
import type { Clients } from './client.ts';
import { sameBundleDraft, sameTemplateDraft, sameTenant } from './draft-equality.ts';
import { FileError } from './failure.ts';
import {
  parseBundleFile,
  parseTemplateFile,
  parseTenantFile,
  readSourceFile,
  type BundleFile,
  type Source,
  type TemplateFile,
  type TenantFile,
} from './files.ts';
import { toValues } from './value.ts';

/** What loading did. */
export interface LoadCounts {
  /** Tenants, templates and bundles that did not exist. */
  created: number;
  /** Tenants, templates and bundles that differed from their file. */
  updated: number;
  /** Tenants, templates and bundles that were as their file says. */
  unchanged: number;
  /** Versions that did not exist. */
  published: number;
  /** Channels that pointed elsewhere. */
  released: number;
  /** Types that another bundle answered, or none. */
  activated: number;
}

/**
 * Makes the server hold what `brands/` of a directory says: `default` first, parents before children, a tenant's
 * templates before its bundles. Whatever is so already is left alone, thus a second run changes nothing.
 * @throws FileError if a file cannot be read, or names a version that is published with other content
 */
export async function loadExamples(clients: Clients, directory: string): Promise<LoadCounts> {
  const brands = join(directory, 'brands');
  const tenants = new Map<string, TenantFile>();
  for (const id of (await readdir(brands)).toSorted()) {
    tenants.set(id, parseTenantFile(await readSourceFile(join(brands, id, 'tenant.yaml'))));
  }
  const loader = new Loader(clients);
  for (const [id, file] of parentsFirst(tenants)) {
    await loader.tenant(id, file);
    for (const source of await sourcesIn(join(brands, id, 'templates'))) {
      await loader.template(id, idOf(source), source, parseTemplateFile(source));
    }
    for (const source of await sourcesIn(join(brands, id, 'bundles'))) {
      await loader.bundle(id, idOf(source), source, parseBundleFile(source));
    }
  }
  return loader.counts;
}

class Loader {
  readonly counts: LoadCounts = { created: 0, updated: 0, unchanged: 0, published: 0, released: 0, activated: 0 };
  readonly #clients: Clients;

  constructor(clients: Clients) {
    this.#clients = clients;
  }

  async tenant(tenant: string, file: TenantFile): Promise<void> {
    const held = (await found(this.#clients.tenants.getTenant({ tenant })))?.tenant;
    const request = { tenant, ...file, variables: toValues(file.variables) };
    if (held === undefined) {
      await this.#clients.tenants.createTenant(request);
      this.counts.created += 1;
    } else if (sameTenant(held, file)) {
      this.counts.unchanged += 1;
    } else {
      await this.#clients.tenants.updateTenant({ ...request, editVersion: held.editVersion });
      this.counts.updated += 1;
    }
  }

  async template(tenant: string, templateId: string, source: Source, file: TemplateFile): Promise<void> {
    const { editVersion } = await this.#saveTemplate(tenant, templateId, file);
    const { version } = file;
    if (version === '') return;
    const held = (await found(this.#clients.templates.getTemplateVersion({ tenant, templateId, version })))?.version;
    if (held === undefined) {
      await this.#clients.templates.publishTemplate({ tenant, templateId, version, editVersion });
      this.counts.published += 1;
    } else if (!sameTemplateDraft(held.content!, file.draft)) {
      throw versionTaken(source, version);
    }
  }

  async bundle(tenant: string, bundleId: string, source: Source, file: BundleFile): Promise<void> {
    const { editVersion, type } = await this.#saveBundle(tenant, bundleId, file);
    const { version, channel } = file;
    if (version !== '') {
      const held = (await found(this.#clients.bundles.getBundleVersion({ tenant, bundleId, version })))?.version;
      if (held === undefined) {
        await this.#clients.bundles.publishBundle({ tenant, bundleId, version, editVersion });
        this.counts.published += 1;
      } else if (!sameBundleDraft(held.content!, file.draft)) {
        throw versionTaken(source, version);
      }
      if (channel !== '') await this.#release(tenant, bundleId, version, channel);
    }
    if (file.activate) await this.#activate(tenant, bundleId, type);
  }

  async #saveTemplate(tenant: string, templateId: string, { type, draft }: TemplateFile): Promise<Template> {
    const held = (await found(this.#clients.templates.getTemplate({ tenant, templateId })))?.template;
    if (held === undefined) {
      const created = await this.#clients.templates.createTemplate({ tenant, templateId, type, draft });
      this.counts.created += 1;
      return created.template!;
    }
    if (sameTemplateDraft(held.draft!, draft)) {
      this.counts.unchanged += 1;
      return held;
    }
    const { editVersion } = held;
    const updated = await this.#clients.templates.updateTemplate({ tenant, templateId, draft, editVersion });
    this.counts.updated += 1;
    return updated.template!;
  }

  async #saveBundle(tenant: string, bundleId: string, { type, draft }: BundleFile): Promise<Bundle> {
    const held = (await found(this.#clients.bundles.getBundle({ tenant, bundleId })))?.bundle;
    if (held === undefined) {
      const created = await this.#clients.bundles.createBundle({ tenant, bundleId, type, draft });
      this.counts.created += 1;
      return created.bundle!;
    }
    if (sameBundleDraft(held.draft!, draft)) {
      this.counts.unchanged += 1;
      return held;
    }
    const { editVersion } = held;
    const updated = await this.#clients.bundles.updateBundle({ tenant, bundleId, draft, editVersion });
    this.counts.updated += 1;
    return updated.bundle!;
  }

  async #release(tenant: string, bundleId: string, version: string, channel: string): Promise<void> {
    const { releases } = await this.#clients.bundles.listReleases({ tenant, bundleId, channel, pageSize: 1 });
    if (releases[0]?.targets[0]?.version === version) return;
    await this.#clients.bundles.releaseBundle({
      tenant,
      bundleId,
      channel,
      target: { case: 'version', value: version },
    });
    this.counts.released += 1;
  }

  async #activate(tenant: string, bundleId: string, type: Bundle['type']): Promise<void> {
    const { activations } = await this.#clients.bundles.listActivations({ tenant });
    if (activations.some((held) => held.type === type && held.bundleId === bundleId)) return;
    await this.#clients.bundles.activateBundle({ tenant, bundleId, type });
    this.counts.activated += 1;
  }
}

function parentsFirst(tenants: ReadonlyMap<string, TenantFile>): Map<string, TenantFile> {
  const ordered = new Map<string, TenantFile>();
  const visit = (id: string, seen: readonly string[]): void => {
    const file = tenants.get(id);
    // The server refuses a cycle with a better message than could be given here.
    if (file === undefined || ordered.has(id) || seen.includes(id)) return;
    visit(file.parent, [...seen, id]);
    ordered.set(id, file);
  };
  for (const id of ['default', ...tenants.keys()]) visit(id, []);
  return ordered;
}

async function sourcesIn(folder: string): Promise<Source[]> {
  const names = await readdir(folder).catch(() => [] as string[]);
  return Promise.all(names.toSorted().map((name) => readSourceFile(join(folder, name))));
}

function idOf({ name }: Source): string {
  return basename(name).replace(/\.[a-z]+$/, '');
}

function versionTaken({ name }: Source, version: string): FileError {
  return new FileError([`${name}: version ${version} is published with other content; name a new version`]);
}

async function found<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.NotFound) return undefined;
    throw error;
  }
}
