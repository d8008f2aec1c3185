import pg from 'pg';
import type { RouteSnapshot } from '../domain/route-map.ts';
import type { JsonObject } from '../domain/json.ts';
import type { PromptType } from '../domain/prompt-type.ts';
import { CHANGE_NOTIFICATION, type ReleaseTarget } from '../services/stores.ts';
import type { ChangeLog, LoggedChange, OpenChangeLog } from './route-feed.ts';

/** A query that takes longer has met a connection that only looks alive. */
const QUERY_TIMEOUT_MS = 2_000;

/** The whole map is read at once: it may take longer. */
const LOAD_TIMEOUT_MS = 60_000;

/**
 * Opens connections of its own to the database, not through a pooler, since LISTEN belongs to a session.
 *
 * @param role the role that the session runs as
 */
export function postgresChangeLog(url: string, role: string): OpenChangeLog {
  return async (onSeq, onLost) => {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'platen-routes',
      connectionTimeoutMillis: QUERY_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
    });
    // Until it is open, a connection that ends fails the query that is under way.
    client.on('error', ignore);
    client.on('notification', ({ payload }) => onSeq(Number(payload)));
    try {
      await client.connect();
      await client.query(`set role ${client.escapeIdentifier(role)}`);
      await client.query(`listen ${CHANGE_NOTIFICATION}`);
    } catch (error) {
      abandon(client);
      throw error;
    }
    client.off('error', ignore).on('error', onLost);
    return new PostgresChangeLog(client);
  };
}

class PostgresChangeLog implements ChangeLog {
  readonly #client: pg.Client;

  constructor(client: pg.Client) {
    this.#client = client;
  }

  async load(): Promise<RouteSnapshot> {
    await this.#client.query('begin isolation level repeatable read read only');
    const [head] = await this.#rows<{ seq: string; chain_hash: string }>('select seq, chain_hash from change_head');
    const tenants = await this.#rows<{ tenant: string; document: string }>(
      `select t.tenant, d.content as document from tenant t join document d on d.hash = t.document_hash`,
    );
    const bundles = await this.#rows<BundleRow>(
      `select b.tenant, b.id, b.type, b.archive_time is not null as archived, count(v.version) as versions
       from bundle b left join bundle_version v on v.tenant = b.tenant and v.id = b.id
       group by b.tenant, b.id`,
    );
    const channels = await this.#rows<ChannelRow>(
      `select c.tenant, c.bundle_id, c.channel, c.revision, r.targets
       from channel c join release r
         on r.tenant = c.tenant and r.bundle_id = c.bundle_id and r.channel = c.channel and r.revision = c.revision`,
    );
    const activations = await this.#rows<{ tenant: string; type: PromptType; bundle_id: string }>(
      'select tenant, type, bundle_id from activation',
    );
    await this.#client.query('commit');
    return {
      seq: Number(head!.seq),
      chainHash: head!.chain_hash,
      tenants,
      bundles: bundles.map(({ id, versions, ...row }) => ({ ...row, bundleId: id, versions: Number(versions) })),
      channels: channels.map(({ bundle_id, targets, ...row }) => ({
        ...row,
        bundleId: bundle_id,
        targets: JSON.parse(targets) as ReleaseTarget[],
      })),
      activations: activations.map(({ bundle_id, ...row }) => ({ ...row, bundleId: bundle_id })),
    };
  }

  async from(seq: number, limit: number): Promise<LoggedChange[]> {
    const { rows } = await this.#client.query<ChangeRow>(
      `select c.seq, c.chain_hash, c.time, c.action, c.entity_kind, c.tenant, c.entity_id, c.detail,
         coalesce(d.content, '') as tenant_document
       from change c left join document d on c.entity_kind = 'TENANT' and d.hash = c.after_hash
       where c.seq >= $1 order by c.seq limit $2`,
      [seq, limit],
    );
    return rows.map((row) => ({
      seq: Number(row.seq),
      chainHash: row.chain_hash,
      time: row.time,
      action: row.action,
      entityKind: row.entity_kind,
      tenant: row.tenant,
      entityId: row.entity_id,
      detail: JSON.parse(row.detail) as JsonObject,
      tenantDocument: row.tenant_document,
    }));
  }

  close(): Promise<void> {
    abandon(this.#client);
    return Promise.resolve();
  }

  async #rows<T extends object>(text: string): Promise<T[]> {
    const query: pg.QueryConfig & { query_timeout: number } = { text, query_timeout: LOAD_TIMEOUT_MS };
    const { rows } = await this.#client.query<T>(query);
    return rows;
  }
}

/** Ends a connection without waiting for the other side, which may be gone. */
function abandon(client: pg.Client): void {
  client.removeAllListeners('error');
  client.on('error', ignore);
  client.connection.stream.destroy();
}

function ignore(): void {}

interface BundleRow {
  tenant: string;
  id: string;
  type: PromptType;
  archived: boolean;
  versions: string;
}

interface ChannelRow {
  tenant: string;
  bundle_id: string;
  channel: string;
  revision: number;
  targets: string;
}

interface ChangeRow {
  seq: string;
  chain_hash: string;
  time: Date;
  action: string;
  entity_kind: string;
  tenant: string;
  entity_id: string;
  detail: string;
  tenant_document: string;
}
