import { NOTHING, type AnswerLog } from './answer-log.ts';
import type { Ledger } from './ledger.ts';
import { textOf, type BundleName, type Question } from './world.ts';
import type { WriteRecord } from './writer.ts';

/** A row of the change log, with what a tenant's document says after it. */
export interface ChangeRow {
  readonly seq: string;
  readonly action: string;
  readonly tenant: string;
  readonly entity_kind: string;
  readonly entity_id: string;
  readonly detail: string;
  readonly request_id: string;
  readonly document: string | null;
}

export const CHANGES = `
  select c.seq, c.action, c.tenant, c.entity_kind, c.entity_id, c.detail, c.request_id, d.content as document
  from change c left join document d on c.entity_kind = 'TENANT' and d.hash = c.after_hash
  order by c.seq`;

interface Detail {
  readonly type: string;
  readonly version: string;
  readonly bundle_id: string;
  readonly channel: string;
  readonly revision: number;
  readonly targets: readonly { readonly version: string }[];
}

interface Bundle {
  readonly type: string;
  archived: boolean;
  readonly versions: Set<string>;
  readonly channels: Map<string, { version: string | undefined; revision: number }>;
}

interface Tenant {
  parent: string | undefined;
  region: string | undefined;
  readonly bundles: Map<string, Bundle>;
  readonly activations: Map<string, string>;
}

/** The change log told once more, in the plainest way: what should every question have been answered at a change? */
class History {
  readonly #tenants = new Map<string, Tenant>();

  tell({ action, tenant, entity_kind: kind, entity_id: id, detail, document }: ChangeRow): void {
    const told = JSON.parse(detail) as Detail;
    if (kind === 'TENANT') this.#tellTenant(tenant, JSON.parse(document!) as TenantDocument);
    if (kind === 'ACTIVATION') this.#tenants.get(tenant)!.activations.set(id, told.bundle_id);
    if (kind !== 'BUNDLE') return;
    const { bundles } = this.#tenants.get(tenant)!;
    if (action === 'CREATE') {
      bundles.set(id, { type: told.type, archived: false, versions: new Set(), channels: new Map() });
    }
    const bundle = bundles.get(id)!;
    if (action === 'PUBLISH') bundle.versions.add(told.version);
    if (action === 'ARCHIVE') bundle.archived = true;
    const { channel, revision, targets } = told;
    if (targets) bundle.channels.set(channel, { version: targets[0]?.version, revision });
  }

  outcome({ tenant: name, target, channel }: Question): string {
    const known = this.#tenants.has(name);
    const path = this.#path(known ? name : 'default');
    if (target.kind === 'type') {
      for (const { activations } of path.map((id) => this.#tenants.get(id)!)) {
        const bundleId = activations.get(target.type);
        const found = bundleId && this.#released(path, bundleId, channel, target.type);
        if (found) return found;
      }
      return NOTHING;
    }
    if (target.kind === 'bundle') return this.#released(path, target.bundleId, channel, undefined) ?? NOTHING;
    const { bundleId, version } = target;
    const holder = path.find((id) => {
      const bundle = this.#tenants.get(id)!.bundles.get(bundleId);
      return bundle && !bundle.archived && bundle.versions.has(version);
    });
    return holder === undefined ? NOTHING : this.#said(path, { tenant: holder, bundleId }, version, 0);
  }

  #released(path: readonly string[], bundleId: string, channel: string, type: string | undefined): string | undefined {
    for (const tenant of path) {
      const bundle = this.#tenants.get(tenant)!.bundles.get(bundleId);
      const head = bundle?.channels.get(channel);
      const usable = bundle && !bundle.archived && (type === undefined || bundle.type === type);
      if (usable && head?.version !== undefined) {
        return this.#said(path, { tenant, bundleId }, head.version, head.revision);
      }
    }
    return undefined;
  }

  #said(path: readonly string[], name: BundleName, version: string, revision: number): string {
    const region = path.map((id) => this.#tenants.get(id)!.region).find((each) => each !== undefined);
    return `${name.tenant}/${name.bundleId}@${version}.${revision}: ${textOf(name, version, region!)}`;
  }

  #path(tenant: string): string[] {
    const { parent } = this.#tenants.get(tenant)!;
    return parent === undefined ? [tenant] : [tenant, ...this.#path(parent)];
  }

  #tellTenant(name: string, { parent, variables }: TenantDocument): void {
    const tenant = this.#tenants.get(name) ?? {
      parent: undefined,
      region: undefined,
      bundles: new Map<string, Bundle>(),
      activations: new Map<string, string>(),
    };
    this.#tenants.set(name, Object.assign(tenant, { parent, region: variables?.region }));
  }
}

interface TenantDocument {
  readonly parent?: string;
  readonly variables?: { readonly region?: string };
}

/** Compares every answer with the change log, and what was answered to writers with what is in it. */
export function checkHistory(
  rows: readonly ChangeRow[],
  answers: AnswerLog,
  questions: readonly Question[],
  written: readonly WriteRecord[],
  ledger: Ledger,
): void {
  const history = new History();
  for (const row of rows) {
    history.tell(row);
    const given = answers.at(BigInt(row.seq));
    for (const question of questions) {
      const outcome = given.get(question.name);
      if (outcome === undefined) continue;
      const expected = history.outcome(question);
      const told = () => `"${question.name}" at ${row.seq} was answered with ${outcome}, and should be ${expected}`;
      ledger.check('oneHistory', outcome === expected, told);
    }
  }
  const head = BigInt(rows.at(-1)!.seq);
  for (const seq of answers.seqs) {
    ledger.check('oneHistory', seq <= head, () => `change ${seq} was shown, and the log ends at ${head}`);
  }
  const known = new Map(rows.map((row) => [row.seq, row]));
  for (const { requestId, what, seq } of written) {
    const there = known.get(String(seq))?.request_id === requestId;
    ledger.check('nothingLost', there, () => `${what} (${requestId}) was answered as ${seq}, which is not in the log`);
  }
  const once = new Set<string>();
  for (const { request_id: requestId, action, entity_kind: kind } of rows) {
    if (requestId === '') continue;
    const effect = `${requestId} ${action} ${kind}`;
    ledger.check('nothingLost', !once.has(effect), () => `${effect} is in the log twice`);
    once.add(effect);
  }
}
