import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { commandLine } from './command-line.ts';
import { UsageError } from './failure.ts';
import { time } from './output.ts';
import type { Session } from './session.ts';

/** What a resource with a draft says of its last write. */
export interface Edited {
  readonly editVersion: number;
  readonly updateActor: string;
  readonly updateTime?: Timestamp | undefined;
}

/**
 * The --edit-version of a write. It cannot be filled in: only the caller knows which draft was looked at.
 * @param read the resource as it is now
 * @throws UsageError that shows the current one if it is absent
 */
export async function requireEditVersion(
  session: Session,
  given: number | undefined,
  read: () => Promise<Edited>,
): Promise<number> {
  if (given !== undefined) return given;
  const { editVersion, updateActor, updateTime } = await read();
  throw new UsageError(
    '--edit-version is required: it says which draft you have seen, so that no edit of somebody else is overwritten, ' +
      'published or archived unseen.\n' +
      `The current one is ${editVersion}, written by ${updateActor} at ${time(updateTime)}. ` +
      `If that is the one, run:\n  ${commandLine(session.command, { editVersion })}`,
  );
}
