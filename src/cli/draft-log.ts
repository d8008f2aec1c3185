import { ChangeAction, type Change, type EntityKind } from '../../gen/platen/v1/audit_service_pb.js';
import type { Clients } from './client.ts';
import { documentText } from './draft-text.ts';

/** Something with a draft, as the change log names it. */
export interface Drafted {
  readonly kind: EntityKind;
  readonly tenant: string;
  readonly id: string;
}

/** The changes that wrote its draft, the latest first, read page by page. */
export async function* draftWrites(clients: Clients, { kind, tenant, id }: Drafted): AsyncGenerator<Change> {
  let pageToken = '';
  do {
    const page = await clients.audit.listChanges({ tenant, entityKind: kind, entityId: id, pageToken });
    yield* page.changes.filter(isWriteOfDraft);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
}

/** Whether a change wrote a draft. */
export function isWriteOfDraft({ action }: Change): boolean {
  return action === ChangeAction.CREATE || action === ChangeAction.UPDATE;
}

/** The edit_version of the draft that a change wrote. */
export function editVersionOf({ detail }: Change): number {
  return Number(detail!.edit_version);
}

/** The draft that a change wrote, as a file has it. */
export async function draftAfter(clients: Clients, seq: bigint): Promise<string> {
  return documentText((await clients.audit.getChange({ seq })).afterJson);
}
