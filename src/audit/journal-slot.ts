/**
 * A slot is a directory of segments with at most one living owner: who holds the exclusive lock on its `owner.lock`, a
 * SQLite database without content. The operating system drops the lock with the process, whatever ends it, across
 * containers with process ids of their own; SQLite keeps the opens within one process apart. Nothing else may open that
 * file: closing any descriptor of it in the owner's process would drop the lock (POSIX advisory locks). Neither file nor
 * directory is ever removed, since a lock on a removed file excludes nobody.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { hasSegments } from './journal-segments.ts';

/** A slot that this process owns. */
export interface Slot {
  readonly directory: string;
  /** Lets others own it. Once only. */
  release(): void;
}

const LOCK_FILE = 'owner.lock';
const SLOT = /^\d+$/;
/** SQLITE_BUSY. */
const BUSY = 5;

/** A lock whose database nobody refers to would end with the next collection of garbage. */
const held = new Set<DatabaseSync>();

/** What is synchronised within a directory is lost with the directory, unless its own name is synchronised too. */
function makeDirectory(path: string): void {
  const first = mkdirSync(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) {
    const parent = openSync(dirname(made), 'r');
    fsyncSync(parent);
    closeSync(parent);
  }
}

/** @returns undefined if somebody owns it, in this process or in another one */
function lock(directory: string): Slot | undefined {
  const database = new DatabaseSync(join(directory, LOCK_FILE));
  try {
    // A rollback journal on the disk would need room there, which a journal of receipts may have taken.
    database.exec('pragma journal_mode = memory; pragma locking_mode = exclusive; begin exclusive');
    held.add(database);
    return {
      directory,
      release: () => {
        held.delete(database);
        database.close();
      },
    };
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode === BUSY) return undefined;
    throw error;
  }
}

/**
 * Owns the lowest slot that nobody owns, whatever it holds. Blocks for some milliseconds.
 * @param root made if it is not there
 * @throws the file system's error, or SQLite's
 */
export function claimSlot(root: string): Slot {
  for (let number = 0; ; number += 1) {
    const directory = resolve(root, String(number));
    makeDirectory(directory);
    const slot = lock(directory);
    if (slot) return slot;
  }
}

/**
 * Owns every slot that holds segments and that nobody owns: those of workers that are gone. Whoever asks releases them.
 * One that cannot be owned does not keep the others from it.
 * @throws the file system's error, or SQLite's, of such a one if there are no others
 */
export function adoptableSlots(root: string): Slot[] {
  const slots: Slot[] = [];
  const faults: unknown[] = [];
  for (const name of readdirSync(root).filter((each) => SLOT.test(each))) {
    const directory = join(root, name);
    try {
      const slot = hasSegments(directory) ? lock(directory) : undefined;
      if (slot) slots.push(slot);
    } catch (error) {
      faults.push(error);
    }
  }
  if (slots.length === 0 && faults.length > 0) throw faults[0];
  return slots;
}
