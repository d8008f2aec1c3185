import type { Socket } from 'node:net';
import pg from 'pg';
import { parseJson } from '../domain/parse-json.ts';
import { RouteMap, type RouteRows } from '../domain/route-map.ts';
import type { JsonObject } from '../domain/json.ts';
import { CHANGE_NOTIFICATION, type ReleaseTarget } from '../services/stores.ts';
import type { ChangeLog, LoggedChange, OpenChangeLog } from './route-feed.ts';

/** A step of opening that takes longer has met a server, or a network, that only looks alive. */
const QUERY_TIMEOUT_MS = 2_000;

/** A connection on which nothing arrives for so long while changes are asked for only looks alive, to begin with. */
const SILENCE_MS = 1_000;

/** Shorter than the silence: a session that waits for a locked table ends before its connection is replaced. */
const LOCK_TIMEOUT_MS = 500;

/** A page of changes may take this long in all. */
const CHANGES_TIMEOUT_MS = 60_000;

/** How the map is loaded. */
interface Paging {
  readonly rows: number;
  /** For each page, on both sides: the database ends the transaction too. */
  readonly timeoutMs: number;
}

/** How long a feed's connections may be silent. A database that is slow, but alive, must not be cut off for ever. */
class Patience {
  readonly #longestMs: number;
  #ms = SILENCE_MS;

  /** @param longestMs it never grows beyond that */
  constructor(longestMs: number) {
    this.#longestMs = longestMs;
  }

  get ms(): number {
    return this.#ms;
  }

  /** A connection was cut, and the next one is given longer. */
  exhausted(): void {
    this.#ms = Math.min(2 * this.#ms, this.#longestMs);
  }

  /** An answer took that long: if it came soon, so will the next ones. */
  answered(ms: number): void {
    if (ms < SILENCE_MS) this.#ms = SILENCE_MS;
  }
}

const PAGING: Paging = { rows: 1_000, timeoutMs: 10_000 };

/**
 * Opens connections of its own to the database, not through a pooler, since LISTEN belongs to a session.
 *
 * @param role the role that the session runs as
 */
export function postgresChangeLog(url: string, role: string, paging: Paging = PAGING): OpenChangeLog {
  const patience = new Patience(paging.timeoutMs);
  return async (onSeq, onLost, signal) => {
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
    const giveUp = (): void => abandon(client);
    signal.addEventListener('abort', giveUp);
    try {
      signal.throwIfAborted();
      await client.connect();
      await client.query(`set role ${client.escapeIdentifier(role)}; set lock_timeout = ${LOCK_TIMEOUT_MS}`);
      await client.query(`listen ${CHANGE_NOTIFICATION}`);
    } catch (error) {
      abandon(client);
      throw error;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
    cutWhenSilent(socketOf(client), patience);
    client.off('error', ignore).on('error', onLost);
    return new PostgresChangeLog(client, paging, patience);
  };
}

class PostgresChangeLog implements ChangeLog {
  readonly #client: pg.Client;
  readonly #paging: Paging;
  readonly #patience: Patience;

  constructor(client: pg.Client, paging: Paging, patience: Patience) {
    this.#client = client;
    this.#paging = paging;
    this.#patience = patience;
  }

  async load(): Promise<RouteMap> {
    try {
      const { timeoutMs } = this.#paging;
      await this.#client.query(`begin isolation level repeatable read read only;
        set local statement_timeout = ${timeoutMs}; set local idle_in_transaction_session_timeout = ${timeoutMs}`);
      const [head] = await this.#page<{ seq: string; chain_hash: string }>('select seq, chain_hash from change_head');
      const [seq, chainHash] = [Number(head!.seq), head!.chain_hash];
      const map = new RouteMap({ seq, chainHash, tenants: [], bundles: [], channels: [], activations: [] });
      for await (const tenants of this.#pages<RouteRows['tenants'][number]>(TENANTS)) map.add({ tenants });
      for await (const bundles of this.#pages<RouteRows['bundles'][number]>(BUNDLES)) map.add({ bundles });
      for await (const channels of this.#pages<ChannelRow>(CHANNELS)) map.add({ channels: channels.map(channelOf) });
      for await (const activations of this.#pages<RouteRows['activations'][number]>(ACTIVATIONS)) {
        map.add({ activations });
      }
      await this.#client.query('commit');
      return map;
    } catch (error) {
      abandon(this.#client);
      throw error;
    }
  }

  async from(seq: number, limit: number): Promise<LoggedChange[]> {
    const rows = await this.#heard<ChangeRow>(
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
      detail: parseJson(row.detail) as JsonObject,
      tenantDocument: row.tenant_document,
    }));
  }

  close(): Promise<void> {
    abandon(this.#client);
    return Promise.resolve();
  }

  /**
   * The rows that a query finds, however long they take to arrive: pages may be large. If nothing arrives for too long,
   * the connection is lost.
   */
  async #heard<T extends object>(text: string, values: unknown[]): Promise<T[]> {
    const socket = socketOf(this.#client);
    const query: pg.QueryConfig & { query_timeout: number } = { text, values, query_timeout: CHANGES_TIMEOUT_MS };
    const asked = performance.now();
    socket.setTimeout(this.#patience.ms);
    try {
      const { rows } = await this.#client.query<T>(query);
      this.#patience.answered(performance.now() - asked);
      return rows;
    } finally {
      socket.setTimeout(0);
    }
  }

  /**
   * What a query of the transaction finds, in pages that take little memory and hold up nothing else.
   * @yields pages, the last one with fewer rows than the others
   */
  async *#pages<T extends object>(text: string): AsyncGenerator<T[]> {
    await this.#client.query(`declare pages no scroll cursor for ${text}`);
    for (let full = true; full; ) {
      const rows = await this.#page<T>(`fetch forward ${this.#paging.rows} from pages`);
      full = rows.length === this.#paging.rows;
      yield rows;
    }
    await this.#client.query('close pages');
  }

  async #page<T extends object>(text: string): Promise<T[]> {
    const query: pg.QueryConfig & { query_timeout: number } = { text, query_timeout: this.#paging.timeoutMs };
    const { rows } = await this.#client.query<T>(query);
    return rows;
  }
}

function channelOf({ targets, ...row }: ChannelRow): RouteRows['channels'][number] {
  return { ...row, targets: parseJson(targets) as ReleaseTarget[] };
}

/** Cuts a connection when its socket times out, unless what has arrived meanwhile is still to be read. */
function cutWhenSilent(socket: Socket, patience: Patience): void {
  socket.on('timeout', () => {
    const { bytesRead, timeout } = socket;
    setImmediate(() => {
      if (socket.bytesRead !== bytesRead) return;
      socket.destroy(new Error(`the database was silent for ${timeout} ms`));
      patience.exhausted();
    });
  });
}

/** As the driver makes it, with TLS or without. */
function socketOf(client: pg.Client): Socket {
  return client.connection.stream as Socket;
}

/** Ends a connection without waiting for the other side, which may be gone. */
function abandon(client: pg.Client): void {
  client.removeAllListeners('error');
  client.on('error', ignore);
  client.connection.stream.destroy();
}

function ignore(): void {}

// Of every row one looks up what belongs to it, and joins nothing: a join may read and sort all before the first page.
const TENANTS = `
select t.tenant, (select d.content from document d where d.hash = t.document_hash) as document from tenant t`;
const BUNDLES = `
select b.tenant, b.id as "bundleId", b.type, b.archive_time is not null as archived,
  (select count(*)::integer from bundle_version v where v.tenant = b.tenant and v.id = b.id) as versions
from bundle b`;
const CHANNELS = `
select c.tenant, c.bundle_id as "bundleId", c.channel, c.revision,
  (select r.targets from release r where r.tenant = c.tenant and r.bundle_id = c.bundle_id
     and r.channel = c.channel and r.revision = c.revision) as targets
from channel c`;
const ACTIVATIONS = 'select tenant, type, bundle_id as "bundleId" from activation';

interface ChannelRow extends Omit<RouteRows['channels'][number], 'targets'> {
  readonly targets: string;
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
