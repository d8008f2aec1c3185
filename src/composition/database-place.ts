import type { Config } from '../config.ts';
import { startEmbeddedPostgres } from '../storage/embedded-postgres.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Where the database is. */
export interface DatabasePlace {
  /** Of the login that owns the tables. */
  readonly ownerUrl: string;
  /** Of the login that the server uses. */
  readonly serverUrl: string;
  /** Stops an embedded one. */
  readonly stop: () => Promise<void>;
}

/** The configured database; where none is named an embedded one is started. */
export async function databaseOf(config: Config, logger: Logger): Promise<DatabasePlace> {
  if (config.databaseUrl !== undefined) {
    const ownerUrl = config.databaseOwnerUrl ?? config.databaseUrl;
    return { ownerUrl, serverUrl: config.databaseUrl, stop: () => Promise.resolve() };
  }
  return startEmbeddedPostgres({ dataDir: config.dataDir, log: (message) => logger.info(message) });
}
