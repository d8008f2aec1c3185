import { AsyncLocalStorage } from 'node:async_hooks';
import { MikroORM, type EntityManager } from '@mikro-orm/postgresql';
import type pg from 'pg';
import { databaseName, SERVER_ROLE, withSessionOptions } from './connection.ts';
import { ENTITIES } from './entities/index.ts';
import { domainError, isInFailedTransaction, isUnanswered } from './errors.ts';

/** What the answer to a statement that was ended may take. */
const ANSWER_MARGIN_MS = 1_000;

/** How the server reaches its database. */
export interface DatabaseConfig {
  readonly url: string;
  /** Most connections. */
  readonly poolMax: number;
  /** Longest wait for a connection, in milliseconds; then Unavailable DATABASE_UNAVAILABLE. */
  readonly poolWaitMs: number;
  /** Longest run of a statement whose call sets no deadline, in milliseconds. */
  readonly statementTimeoutMs: number;
  /** Every statement runs in a READ ONLY transaction: for a read replica. */
  readonly readOnly?: boolean;
  /** Told how long each statement took, failed ones included. */
  readonly onQuery: (seconds: number) => void;
}

/**
 * Gives statements an EntityManager to run on: one of its own outside a transaction, the transaction's inside.
 * Drivers' errors leave as domain errors.
 */
export type EntityAccess = <T>(statements: (em: EntityManager) => Promise<T>) => Promise<T>;

/** The greatest delay of a timer, and the greatest statement_timeout, in milliseconds. */
export const TIMEOUT_MAX_MS = 2 ** 31 - 1;

/** How long statements may go unanswered, in milliseconds, where that is more than usual. */
const patience = new AsyncLocalStorage<number>();

/**
 * Runs statements whose transaction has set its statement_timeout to `ms`: the driver would give their connection up
 * sooner, and leave them running.
 */
export function withStatementTimeout<T>(ms: number, statements: () => Promise<T>): Promise<T> {
  return patience.run(Math.min(TIMEOUT_MAX_MS, ms + ANSWER_MARGIN_MS), statements);
}

/** The server's sessions: all run as role `platen_server`, which owns nothing, in UTC. */
export class Database {
  readonly #orm: MikroORM;
  readonly #readOnly: boolean;

  constructor(orm: MikroORM, readOnly: boolean) {
    this.#orm = orm;
    this.#readOnly = readOnly;
  }

  /** Runs statements outside a transaction; if they may only read, in one that says so. */
  readonly access: EntityAccess = async (statements) => {
    try {
      // Not by a setting of the session: a pooler may drop that, and no start waits for a read replica to check it.
      if (this.#readOnly) return await this.transaction(statements);
      return await statements(this.#orm.em.fork());
    } catch (error) {
      throw domainError(error);
    }
  };

  /**
   * Runs statements in one transaction (READ COMMITTED) that is rolled back if they throw.
   *
   * @throws the driver's errors as they are, since only the caller knows whether it may try again
   */
  async transaction<T>(statements: (em: EntityManager) => Promise<T>): Promise<T> {
    let cause: unknown;
    try {
      // Not em.transactional: its Kysely transactions keep their place in the pool if the rollback fails, so that each
      // connection lost during a transaction would shrink the pool for good.
      const connection = this.#orm.em.getConnection().getClient();
      const transaction = connection.transaction();
      const begun = this.#readOnly ? transaction.setAccessMode('read only') : transaction;
      return await begun.execute(async (context) => {
        const em = this.#orm.em.fork();
        em.setTransactionContext(context);
        try {
          return await statements(em);
        } catch (error) {
          cause = error;
          throw error;
        }
      });
    } catch (error) {
      // A rollback on a lost connection fails as well; what went wrong first says more.
      throw cause ?? error;
    }
  }

  /**
   * A pooler may drop the startup parameter that names the role; then the server's sessions would own the tables, or
   * lack all privileges.
   * @throws Error if sessions do not run as `platen_server`, saying how to mend it
   */
  async requireServerRole(): Promise<void> {
    const [session] = await this.access((em) =>
      em.execute<{ role: string; login: string }[]>('select current_user as role, session_user as login'),
    );
    const { role, login } = session!;
    if (role === SERVER_ROLE) return;
    throw new Error(
      `sessions run as ${role}, not as ${SERVER_ROLE}: a pooler drops the startup parameter "options"; ` +
        `run ALTER ROLE ${login} SET role = ${SERVER_ROLE}`,
    );
  }

  /** Closes all sessions once their statements have ended. */
  async close(): Promise<void> {
    await this.#orm.close();
  }
}

/** Opens the server's database; the first connection is made by the first statement. */
export async function openDatabase(config: DatabaseConfig): Promise<Database> {
  const url = withSessionOptions(config.url, {
    role: SERVER_ROLE,
    TimeZone: 'UTC',
    statement_timeout: String(config.statementTimeoutMs),
  });
  const orm = await MikroORM.init({
    entities: ENTITIES,
    dbName: databaseName(url),
    ensureDatabase: false,
    disableIdentityMap: true,
    timezone: 'Z',
    pool: { min: 0, max: config.poolMax },
    driverOptions: {
      connectionString: url,
      application_name: 'platen',
      connectionTimeoutMillis: config.poolWaitMs,
      // PostgreSQL ends a statement at its own bound; one that it does not even answer has lost its connection.
      query_timeout: config.statementTimeoutMs + ANSWER_MARGIN_MS,
      keepAlive: true,
      // A connection that is closed, and that nobody answers any more, must not keep the process.
      allowExitOnIdle: true,
      onPoolCreated: (pool: pg.Pool) => pool.on('connect', endWhenUseless),
    },
    onCreateConnection: async (connection) => observe(connection as Connection, config.onQuery),
  });
  return new Database(orm, config.readOnly ?? false);
}

/** A Kysely connection, as far as it is needed here. */
interface Connection {
  executeQuery(query: unknown): Promise<unknown>;
}

/**
 * pg keeps a connection that did not answer in time, and one whose rollback failed; its pool would hand them out again
 * and again. It takes the time for an answer from the statement, else from the connection.
 */
function endWhenUseless(pooled: pg.PoolClient): void {
  const client = pooled as pg.PoolClient & pg.Client;
  const query = client.query.bind(client) as (statement: object) => Promise<unknown>;
  client.query = ((text: string, values: unknown[]) =>
    query({ text, values, query_timeout: patience.getStore() }).catch((error: unknown) => {
      if (isUnanswered(error) || isInFailedTransaction(error)) void client.end();
      throw error;
    })) as typeof client.query;
}

/** MikroORM's own measure has millisecond steps, and knows nothing of begin and commit. */
function observe(connection: Connection, onQuery: (seconds: number) => void): void {
  const executeQuery = connection.executeQuery.bind(connection);
  connection.executeQuery = async (query) => {
    const start = performance.now();
    try {
      return await executeQuery(query);
    } finally {
      onQuery((performance.now() - start) / 1000);
    }
  };
}
