import { randomUUID } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Holds the chain_hash of the first change of the database that the receipts are for. */
const FILE = 'database';

/**
 * Ties the journals under a root to one database, the first one that they are drained to: receipts that wait for one must
 * not end up in another, because a setting changed. A restored database is the same one. Nothing is written where they
 * are tied already: a disk that journals have filled is freed by draining them only.
 *
 * @param origin the chain_hash of the database's first change, which no two databases share
 * @throws Error if they belong to another database, saying how to go on; the file system's error
 */
export async function tieToDatabase(root: string, origin: string): Promise<void> {
  const path = join(root, FILE);
  const tied = (await read(path)) ?? (await tie(path, origin));
  if (tied === origin) return;
  throw new Error(
    `the journals in ${root} hold receipts of another database; set PLATEN_AUDIT_JOURNAL_DIR to another directory, ` +
      `or, if this database takes the place of that one, remove ${path}`,
  );
}

/** @returns undefined: it is not there */
async function read(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}

/** @returns what it holds then, which is another origin if somebody else was first */
async function tie(path: string, origin: string): Promise<string | undefined> {
  const draft = `${path}.${randomUUID()}`;
  try {
    await writeFile(draft, `${origin}\n`, { flush: true });
    // Unlike a write, it is there as a whole or not at all, and only if nothing was.
    await link(draft, path);
    return origin;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return await read(path);
  } finally {
    await rm(draft, { force: true });
  }
}
