import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { connectionOptions, SERVER_ROLE, withSessionOptions } from './connection.ts';
import { RECEIPT_COLUMNS, ROW_COLUMNS } from './receipt-rows.ts';

/** What the answer to a statement that was ended may take. */
const ANSWER_MARGIN_MS = 1_000;

/** Emptied by every commit. It has no constraints: those of the tables that its rows go to count. */
const CREATE_STAGING = `
create temporary table receipt_staging on commit delete rows as
select ${RECEIPT_COLUMNS}, ''::text as inputs from receipt with no data`;

export interface StagingSessionConfig {
  readonly url: string;
  /** Longest run of a statement, and longest wait for a session, in milliseconds. */
  readonly statementTimeoutMs: number;
  /** Told how many seconds each statement took, failed ones included. */
  readonly onQuery?: (seconds: number) => void;
}

/** A session of the server's with a staging table of its own, `receipt_staging`, for rows of receipts. */
export class StagingSession {
  readonly #client: pg.Client;
  readonly #config: StagingSessionConfig;

  private constructor(client: pg.Client, config: StagingSessionConfig) {
    this.#client = client;
    this.#config = config;
  }

  /**
   * @param signal ends the session at once; a transaction is rolled back
   * @throws Error of the driver
   */
  static async open(config: StagingSessionConfig, signal: AbortSignal): Promise<StagingSession> {
    const { statementTimeoutMs } = config;
    const url = withSessionOptions(config.url, {
      role: SERVER_ROLE,
      TimeZone: 'UTC',
      statement_timeout: String(statementTimeoutMs),
      // A batch of some thousand receipts stays in memory.
      temp_buffers: '32MB',
      // The head of the chain must not stay locked by a session that the network has lost.
      idle_in_transaction_session_timeout: String(statementTimeoutMs),
    });
    const bounds = { queryTimeoutMs: statementTimeoutMs + ANSWER_MARGIN_MS, signal };
    const client = new pg.Client({
      ...connectionOptions(url, 'platen receipts', bounds),
      connectionTimeoutMillis: statementTimeoutMs,
    });
    // A lost connection is told to the next statement.
    client.on('error', () => {});
    const session = new StagingSession(client, config);
    await client.connect();
    await session.query(CREATE_STAGING);
    return session;
  }

  /** @throws Error of the driver */
  query<Row extends pg.QueryResultRow>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    return this.#timed(async () => (await this.#client.query<Row>(sql, [...parameters])).rows);
  }

  /** Adds rows of a COPY to the staging table. @throws Error of the driver */
  stage(rows: readonly Buffer[]): Promise<void> {
    return this.#timed(() => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      // Not by pipeline(): it destroys the stream of a connection that is lost, which that cannot bear.
      const copy = this.#client.query(copyFrom(`copy receipt_staging (${ROW_COLUMNS}) from stdin`));
      copy.on('finish', resolve).on('error', reject);
      for (const chunk of rows) copy.write(chunk);
      copy.end();
      return promise;
    });
  }

  async #timed<T>(statement: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await statement();
    } finally {
      this.#config.onQuery?.((performance.now() - start) / 1000);
    }
  }
}
