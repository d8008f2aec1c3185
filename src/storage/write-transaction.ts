import type { EntityManager } from '@mikro-orm/postgresql';
import { changeHash } from '../audit/hash-chain.ts';
import type { Document } from '../domain/document.ts';
import type { PromptType } from '../domain/prompt-type.ts';
import type {
  ActivationRecord,
  BundleVersionRecord,
  DraftRecord,
  ReleaseRecord,
  TemplateReference,
  TemplateVersionRecord,
  TenantRecord,
  WriteCall,
  WriteTransaction,
} from '../services/stores.ts';
import type { ChangeEntry, ErasureFilter } from '../services/trail.ts';
import { withStatementTimeout } from './database.ts';
import { draftColumns, type DraftEntity } from './draft-table.ts';
import { ActivationEntity } from './entities/activation.ts';
import { BundleReferenceEntity } from './entities/bundle-reference.ts';
import { BundleVersionPinEntity } from './entities/bundle-version-pin.ts';
import { BundleVersionEntity } from './entities/bundle-version.ts';
import { BundleEntity } from './entities/bundle.ts';
import { ChangeHeadEntity } from './entities/change-head.ts';
import { ChangeEntity } from './entities/change.ts';
import { ChannelEntity } from './entities/channel.ts';
import { DocumentEntity } from './entities/document.ts';
import { ReleaseEntity } from './entities/release.ts';
import { TemplateVersionEntity } from './entities/template-version.ts';
import { TemplateEntity } from './entities/template.ts';
import { TenantEntity } from './entities/tenant.ts';
import { deleteInputs, insertErasure } from './erasure.ts';
import { PostgresStores } from './postgres-stores.ts';

interface ChainHead {
  readonly seq: number;
  readonly chainHash: string;
}

/** One transaction of the server's. */
export class PostgresWriteTransaction extends PostgresStores implements WriteTransaction {
  readonly time: Date;
  readonly #em: EntityManager;
  readonly #call: WriteCall;
  readonly #bound: () => Promise<void>;
  readonly #now: () => Date;
  #head: ChainHead | undefined;

  /**
   * @param time when the transaction began
   * @param bound fails if the call is over; else bounds the statements to come to what is left of its deadline
   */
  constructor(em: EntityManager, call: WriteCall, time: Date, bound: () => Promise<void>, now: () => Date) {
    super(async (statements) => {
      await bound();
      return statements(em);
    });
    this.time = time;
    this.#em = em;
    this.#call = call;
    this.#bound = bound;
    this.#now = now;
  }

  get actor(): string {
    return this.#call.actor;
  }

  /** The last change that this transaction appended; 0: none. */
  get seq(): number {
    return this.#head?.seq ?? 0;
  }

  async lockTenantTree(): Promise<void> {
    await this.#lock('tenant tree');
  }

  async lockActivation(tenant: string, type: PromptType): Promise<ActivationRecord | undefined> {
    await this.#lock(`activation ${tenant} ${type}`);
    return this.activations.find(tenant, type);
  }

  async lockChannel(tenant: string, bundleId: string, channel: string): Promise<ReleaseRecord | undefined> {
    await this.#lock(`channel ${tenant} ${bundleId} ${channel}`);
    return this.releases.head(tenant, bundleId, channel);
  }

  async lockBundle(tenant: string, id: string): Promise<DraftRecord | undefined> {
    await this.#lockRow('bundle', tenant, id);
    return this.bundles.find(tenant, id);
  }

  async shareBundles(tenants: readonly string[], id: string): Promise<{ tenant: string; type: PromptType }[]> {
    if (tenants.length === 0) return [];
    await this.#bound();
    return this.#em.execute<{ tenant: string; type: PromptType }[]>(
      `select tenant, type from bundle where tenant in (?) and id = ? and archive_time is null
      order by tenant for share`,
      [tenants, id],
    );
  }

  async lockTemplate(tenant: string, id: string): Promise<DraftRecord | undefined> {
    await this.#lockRow('template', tenant, id);
    return this.templates.find(tenant, id);
  }

  async shareTemplates(tenants: readonly string[], ids: readonly string[]): Promise<{ tenant: string; id: string }[]> {
    if (tenants.length === 0 || ids.length === 0) return [];
    await this.#bound();
    return this.#em.execute<{ tenant: string; id: string }[]>(
      `select tenant, id from template where tenant in (?) and id in (?) and archive_time is null
      order by tenant, id for share`,
      [tenants, ids],
    );
  }

  async putDocument(document: Document): Promise<void> {
    await this.#bound();
    const insert = this.#em.createQueryBuilder(DocumentEntity).insert({ hash: document.hash, content: document.text });
    await insert.onConflict().ignore().execute('run');
  }

  async insertTenant(record: TenantRecord): Promise<boolean> {
    await this.#bound();
    const insert = this.#em.createQueryBuilder(TenantEntity).insert(tenantColumns(record));
    return (await insert.onConflict().ignore().execute('run')).affectedRows > 0;
  }

  async updateTenant(record: TenantRecord): Promise<void> {
    await this.#bound();
    await this.#em.nativeUpdate(TenantEntity, { tenant: record.tenant }, tenantColumns(record));
  }

  insertTemplate(record: DraftRecord): Promise<boolean> {
    return this.#insertDraft(TemplateEntity, record);
  }

  async updateTemplate(record: DraftRecord): Promise<void> {
    await this.#updateDraft(TemplateEntity, record);
  }

  async insertTemplateVersion(record: TemplateVersionRecord): Promise<boolean> {
    await this.#bound();
    const insert = this.#em.createQueryBuilder(TemplateVersionEntity).insert({
      tenant: record.tenant,
      id: record.id,
      version: record.version,
      type: record.type,
      document: record.document.hash,
      editVersion: record.editVersion,
      createTime: record.createTime,
      createActor: record.createActor,
    });
    return (await insert.onConflict().ignore().execute('run')).affectedRows > 0;
  }

  async insertBundle(record: DraftRecord, references: readonly TemplateReference[]): Promise<boolean> {
    if (!(await this.#insertDraft(BundleEntity, record))) return false;
    await this.#insertReferences(record, references);
    return true;
  }

  async updateBundle(record: DraftRecord, references: readonly TemplateReference[]): Promise<void> {
    await this.#updateDraft(BundleEntity, record);
    await this.#em.nativeDelete(BundleReferenceEntity, { tenant: record.tenant, bundleId: record.id });
    await this.#insertReferences(record, references);
  }

  async insertBundleVersion(record: BundleVersionRecord): Promise<boolean> {
    await this.#bound();
    const { tenant, id, version } = record;
    const insert = this.#em.createQueryBuilder(BundleVersionEntity).insert({
      tenant,
      id,
      version,
      type: record.type,
      draft: record.draft.hash,
      snapshot: record.snapshot.hash,
      personalityHash: record.personalityHash,
      constraintsHash: record.constraintsHash,
      editVersion: record.editVersion,
      createTime: record.createTime,
      createActor: record.createActor,
    });
    const { affectedRows } = await insert.onConflict().ignore().execute('run');
    if (affectedRows === 0) return false;
    const pins = record.pins.map((pin, ordinal) => ({
      tenant,
      bundleId: id,
      version,
      ordinal,
      templateTenant: pin.tenant,
      templateId: pin.templateId,
      templateVersion: pin.version,
    }));
    if (pins.length > 0) await this.#em.insertMany(BundleVersionPinEntity, pins);
    return true;
  }

  async appendChange(entry: ChangeEntry): Promise<number> {
    await this.#bound();
    const head = this.#head ?? (await this.#lockHead());
    const change = {
      ...entry,
      seq: head.seq + 1,
      // Under the lock on the head, so that on one clock times follow seq however long the locks were waited for.
      time: this.#now(),
      actor: this.actor,
      requestId: this.#call.requestId,
      traceId: this.#call.traceId,
    };
    const next = { seq: change.seq, chainHash: changeHash(change, head.chainHash) };
    await this.#em.insert(ChangeEntity, { ...change, prevHash: head.chainHash, chainHash: next.chainHash });
    await this.#em.nativeUpdate(ChangeHeadEntity, { one: true }, next);
    this.#head = next;
    return next.seq;
  }

  async insertRelease(record: ReleaseRecord): Promise<void> {
    await this.#bound();
    const { tenant, bundleId, channel, revision } = record;
    await this.#em.insert(ReleaseEntity, { ...record });
    const move = this.#em.createQueryBuilder(ChannelEntity).insert({ tenant, bundleId, channel, revision });
    await move.onConflict(['tenant', 'bundleId', 'channel']).merge(['revision']).execute('run');
  }

  async putActivation(record: ActivationRecord): Promise<void> {
    await this.#bound();
    const put = this.#em.createQueryBuilder(ActivationEntity).insert({ ...record });
    await put.onConflict(['tenant', 'type']).merge().execute('run');
  }

  async eraseInputs(filter: ErasureFilter, before: Date): Promise<number> {
    await this.#patiently(() => this.#em.execute('select 1 from receipt_head for update'));
    return this.#patiently(() => deleteInputs(this.#em, filter, before));
  }

  async insertErasure(seq: number, filter: ErasureFilter, before: Date): Promise<void> {
    await this.#bound();
    await insertErasure(this.#em, seq, filter, before);
  }

  /** For statements that may take as long as the call may. */
  async #patiently<T>(statements: () => Promise<T>): Promise<T> {
    await this.#bound();
    const { deadline } = this.#call;
    return deadline === undefined
      ? statements()
      : withStatementTimeout(deadline - this.#now().getTime(), statements);
  }

  /** Locks what may not exist as a row yet, by its name. */
  async #lock(name: string): Promise<void> {
    await this.#bound();
    await this.#em.execute('select pg_advisory_xact_lock(hashtextextended(?, 0))', [`platen ${name}`]);
  }

  /** Its own statement: one that locked and joined the document would miss a document committed while it waited. */
  async #lockRow(table: 'bundle' | 'template', tenant: string, id: string): Promise<void> {
    await this.#bound();
    await this.#em.execute(`select 1 from ${table} where tenant = ? and id = ? for no key update`, [tenant, id]);
  }

  async #lockHead(): Promise<ChainHead> {
    const [head] = await this.#em.execute<{ seq: string; chain_hash: string }[]>(
      'select seq, chain_hash from change_head for update',
    );
    return { seq: Number(head!.seq), chainHash: head!.chain_hash };
  }

  async #insertDraft(entity: DraftEntity, record: DraftRecord): Promise<boolean> {
    await this.#bound();
    const insert = this.#em.createQueryBuilder(entity).insert(draftColumns(record));
    return (await insert.onConflict().ignore().execute('run')).affectedRows > 0;
  }

  async #updateDraft(entity: DraftEntity, record: DraftRecord): Promise<void> {
    await this.#bound();
    await this.#em.nativeUpdate(entity, { tenant: record.tenant, id: record.id }, draftColumns(record));
  }

  async #insertReferences({ tenant, id }: DraftRecord, references: readonly TemplateReference[]): Promise<void> {
    if (references.length === 0) return;
    const rows = references.map((reference) => ({ tenant, bundleId: id, ...reference }));
    const insert = this.#em.createQueryBuilder(BundleReferenceEntity).insert(rows);
    await insert.onConflict().ignore().execute('run');
  }
}

function tenantColumns(record: TenantRecord) {
  return { ...record, parent: record.parent || null };
}
