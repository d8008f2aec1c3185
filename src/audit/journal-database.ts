import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Holds the chain_hash of the first change of the database that the receipts are for. */
const FILE = 'database';

/**
 * Ties the journals under a root to one database, the first one that they are drained to: receipts that wait for one must
 * not end up in another, because a setting changed. A restored database is the same one.
 *
 * @param origin the chain_hash of the database's first change, which no two databases share
 * @throws Error if they belong to another database, saying how to go on; the file system's error
 */
export async function tieToDatabase(root: string, origin: string): Promise<void> {
  const path = join(root, FILE);
  const draft = join(root, `${FILE}.${process.pid}.${origin}`);
  await writeFile(draft, `${origin}\n`, { flush: true });
  try {
    // Unlike a write, it is there as a whole or not at all, and only if nothing was.
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if ((await readFile(path, 'utf8')).trim() !== origin) {
      throw new Error(
        `the journals in ${root} hold receipts of another database; set PLATEN_AUDIT_JOURNAL_DIR to another directory, ` +
          `or, if this database takes the place of that one, remove ${path}`,
        { cause: error },
      );
    }
  } finally {
    await rm(draft, { force: true });
  }
}
