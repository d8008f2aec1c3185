import { ConnectError } from '@connectrpc/connect';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import type { Change } from '../../gen/platen/v1/audit_service_pb.js';
import type { Clients } from './client.ts';
import { commandLine } from './command-line.ts';
import { draftAfter, draftWrites, editVersionOf, type Drafted } from './draft-log.ts';
import { ExplainedError, reasonOf } from './failure.ts';
import { time, unifiedDiff } from './output.ts';
import type { Session } from './session.ts';

/** What was to be saved. */
export interface Saved extends Drafted {
  /** The edit_version that was sent. */
  readonly editVersion: number;
}

/**
 * Saves, and if somebody else has saved since, says who, when and what: the difference between the draft that the
 * caller began with and the current one, from the change log.
 * @throws ExplainedError for a stale edit_version, and whatever `save` throws
 */
export async function saving<T>(session: Session, saved: Saved, save: () => Promise<T>): Promise<T> {
  try {
    return await save();
  } catch (error) {
    if (error instanceof ConnectError && reasonOf(error) === 'STALE_EDIT_VERSION') {
      throw new ExplainedError(error, await otherSide(session, saved, error));
    }
    throw error;
  }
}

async function otherSide(session: Session, saved: Saved, error: ConnectError): Promise<string> {
  const current = Number(error.findDetails(ErrorInfoSchema)[0]!.metadata.edit_version);
  const next =
    'Nothing was saved. Merge these changes into yours, then run:\n' +
    `  ${commandLine(session.command, { editVersion: current })}\n`;
  try {
    return (await changesSince(session.clients, saved, current)) + next;
  } catch {
    return `The change log cannot be read to show what changed.\n${next}`;
  }
}

async function changesSince(clients: Clients, saved: Saved, current: number): Promise<string> {
  const writes = await writesSince(clients, saved);
  const base = writes.find((write) => editVersionOf(write) === saved.editVersion);
  const latest = writes.find((write) => editVersionOf(write) === current);
  const lines = writes
    .filter((write) => editVersionOf(write) > saved.editVersion)
    .map(({ actor, time: at, seq, detail }) => `  ${detail!.edit_version} by ${actor} at ${time(at)} (change ${seq})`);
  const list = ['Saved in the meantime, by edit_version:', ...lines, ''].join('\n');
  if (base === undefined || latest === undefined) {
    return `${list}There is no draft of edit_version ${saved.editVersion} to compare with.\n`;
  }
  const [before, after] = [await draftAfter(clients, base.seq), await draftAfter(clients, latest.seq)];
  return list + unifiedDiff(`edit_version ${saved.editVersion}`, before, `edit_version ${current}`, after);
}

/** The writes of the draft from the current one back to at least the one that was begun with, the latest first. */
async function writesSince(clients: Clients, saved: Saved): Promise<Change[]> {
  const writes: Change[] = [];
  for await (const write of draftWrites(clients, saved)) {
    writes.push(write);
    if (editVersionOf(write) === saved.editVersion) break;
  }
  return writes;
}
