import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import {
  ChangeActionSchema,
  ListChangesResponseSchema,
  type Change,
  type EntityKind,
} from '../../gen/platen/v1/audit_service_pb.js';
import type { PromptType } from '../../gen/platen/v1/resources_pb.js';
import type { Clients } from './client.ts';
import { draftWrites, editVersionOf, isWriteOfDraft, type Drafted } from './draft-log.ts';
import { documentText } from './draft-text.ts';
import { enumName } from './enum-name.ts';
import { UsageError } from './failure.ts';
import type { Source } from './files.ts';
import { edited, owned, repeatable, seqNumber, wantedNumber } from './options.ts';
import { table, time, unifiedDiff } from './output.ts';
import { calling, clientCommand, type Session } from './session.ts';
import { saving } from './stale-save.ts';
import type { Terminal } from './terminal.ts';

/** A resource as far as its draft goes. */
export interface Held<Draft> {
  readonly type: PromptType;
  readonly draft?: Draft | undefined;
  readonly editVersion: number;
}

/** A draft to be saved. */
export interface DraftUpdate<Draft> {
  readonly tenant: string;
  readonly id: string;
  readonly draft: Draft;
  readonly editVersion: number;
  readonly requestId: string;
}

/** A kind of resource whose former drafts can be listed and brought back. */
export interface DraftKind<Draft, Resource extends Held<Draft>, Updated extends DescMessage> {
  readonly kind: EntityKind;
  /** As commands call it. */
  readonly name: string;
  /** The response to an update. */
  readonly updated: Updated;
  read(clients: Clients, tenant: string, id: string): Promise<Resource>;
  /** The content of a published version. */
  readVersion(clients: Clients, tenant: string, id: string, version: string): Promise<Draft>;
  update(clients: Clients, update: DraftUpdate<Draft>): Promise<MessageShape<Updated>>;
  /** The response to an update of nothing. */
  unchanged(resource: Resource): MessageShape<Updated>;
  /** @throws FileError */
  parse(file: Source): Draft;
  text(type: PromptType, draft: Draft): string;
  same(a: Draft, b: Draft): boolean;
  /** What an update did, in lines; warnings are on standard error. */
  saved(session: Session, verb: string, response: MessageShape<Updated>): string;
}

interface HistoryOptions {
  readonly tenant: string;
  readonly limit?: number;
}

interface RestoreOptions {
  readonly tenant: string;
  readonly seq?: number;
  readonly version?: string;
  readonly editVersion?: number;
  readonly requestId: string;
}

/** Adds `history` and `restore`: the drafts that there were, and bringing one back. */
export function addDraftHistoryCommands<Draft, Resource extends Held<Draft>, Updated extends DescMessage>(
  parent: Command,
  terminal: Terminal,
  drafts: DraftKind<Draft, Resource, Updated>,
): void {
  owned(clientCommand(parent, 'history <id>', 'list the drafts that there were, the latest first'))
    .option('--limit <n>', 'only the latest n', wantedNumber)
    .action(
      calling(terminal, async (session, id: string, { tenant, limit }: HistoryOptions) => {
        const changes: Change[] = [];
        for await (const change of draftWrites(session.clients, { kind: drafts.kind, tenant, id })) {
          changes.push(change);
          if (changes.length === limit) break;
        }
        const rows = changes.map((one) => [
          one.seq,
          editVersionOf(one),
          time(one.time),
          enumName(ChangeActionSchema, one.action),
          one.afterHash,
          one.actor,
        ]);
        const header = ['SEQ', 'EDIT_VERSION', 'TIME', 'ACTION', 'DRAFT_HASH', 'BY'];
        const response = create(ListChangesResponseSchema, { changes });
        session.print(ListChangesResponseSchema, response, table(header, rows));
      }),
    );

  repeatable(edited(owned(clientCommand(parent, 'restore <id>', 'save a former draft as the current one'))))
    .option('--seq <n>', 'the draft that this change wrote, as history lists it', seqNumber)
    .option('--version <semver>', 'the draft that was published under this version')
    .action(
      calling(terminal, async (session, id: string, options: RestoreOptions) => {
        const { tenant, requestId } = options;
        const { name, draft: former } = await formerDraft(session, drafts, id, options);
        const held = await drafts.read(session.clients, tenant, id);
        const { type, draft: current } = held;
        if (drafts.same(current!, former)) {
          const text = `the draft of ${drafts.name} ${tenant}/${id} is that of ${name}: nothing to do\n`;
          session.print(drafts.updated, drafts.unchanged(held), text);
          return;
        }
        const [before, after] = [drafts.text(type, current!), drafts.text(type, former)];
        session.note(unifiedDiff(`edit_version ${held.editVersion}`, before, name, after));
        const editVersion = options.editVersion ?? held.editVersion;
        const response = await saving(session, { kind: drafts.kind, tenant, id, editVersion }, () =>
          drafts.update(session.clients, { tenant, id, draft: former, editVersion, requestId }),
        );
        session.print(drafts.updated, response, drafts.saved(session, 'restored', response));
      }),
    );
}

/** The draft that is asked for, and its name for a person. @throws UsageError */
async function formerDraft<Draft, Resource extends Held<Draft>, Updated extends DescMessage>(
  session: Session,
  drafts: DraftKind<Draft, Resource, Updated>,
  id: string,
  { tenant, seq, version }: RestoreOptions,
): Promise<{ name: string; draft: Draft }> {
  if ((seq === undefined) === (version === undefined)) {
    throw new UsageError('which draft? Name it with either --seq or --version');
  }
  if (version !== undefined) {
    const draft = await drafts.readVersion(session.clients, tenant, id, version);
    return { name: `version ${version}`, draft };
  }
  const name = `change ${seq}`;
  const { change, afterJson } = await session.clients.audit.getChange({ seq: BigInt(seq!) });
  if (!wrote(change!, { kind: drafts.kind, tenant, id })) {
    throw new UsageError(
      `${name} wrote no draft of ${drafts.name} ${tenant}/${id}; those that did are listed by\n` +
        `  platen ${drafts.name} history ${id} --tenant ${tenant}`,
    );
  }
  return { name, draft: drafts.parse({ name, text: documentText(afterJson) }) };
}

function wrote(change: Change, { kind, tenant, id }: Drafted): boolean {
  const isOfIt = change.entityKind === kind && change.tenant === tenant && change.entityId === id;
  return isOfIt && isWriteOfDraft(change);
}
