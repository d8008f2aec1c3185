import type { Command } from 'commander';
import {
  ChangeActionSchema,
  ChangeSchema,
  EntityKindSchema,
  GetChangeResponseSchema,
  ListChangesResponseSchema,
  type Change,
  type GetChangeResponse,
} from '../../gen/platen/v1/audit_service_pb.js';
import { documentText } from './draft-text.ts';
import { enumName, enumValue } from './enum-name.ts';
import { exportable, printListing, type ListingOptions } from './listing.ts';
import { choice, seqNumber, timed, timesOf, type TimeOptions } from './options.ts';
import { fields, time, unifiedDiff } from './output.ts';
import { calling, clientCommand } from './session.ts';
import type { Terminal } from './terminal.ts';

interface ChangesOptions extends ListingOptions, TimeOptions {
  readonly tenant: string;
  readonly kind?: string;
  readonly id: string;
  readonly action?: string;
  readonly actor: string;
  readonly hash: string;
}

/** `platen audit changes` and `change`: what was written. */
export function addChangeCommands(audit: Command, terminal: Terminal): void {
  const changes = clientCommand(audit, 'changes', 'list changes, the latest first')
    .option('--tenant <id>', 'only this tenant', '')
    .addOption(choice('--kind <kind>', 'only this kind of thing', EntityKindSchema))
    .option('--id <id>', 'only the thing of this id', '')
    .addOption(choice('--action <action>', 'only this action', ChangeActionSchema))
    .option('--actor <actor>', 'only this actor', '')
    .option('--hash <hash>', 'only from or to the document with this hash', '');
  exportable(timed(changes)).action(
    calling(terminal, async (session, options: ChangesOptions) => {
      const { tenant, id, kind, action, actor, hash } = options;
      const filter = {
        tenant,
        entityId: id,
        actor,
        hash,
        ...(kind && { entityKind: enumValue(EntityKindSchema, kind)! }),
        ...(action && { action: enumValue(ChangeActionSchema, action)! }),
        ...timesOf(options),
      };
      await printListing(session, options, {
        page: ListChangesResponseSchema,
        item: ChangeSchema,
        fetch: (page) => session.clients.audit.listChanges({ ...filter, ...page }),
        items: (page) => page.changes,
        header: ['SEQ', 'TIME', 'ACTION', 'WHAT', 'DETAIL', 'BY'],
        row: (one) => [
          one.seq,
          time(one.time),
          enumName(ChangeActionSchema, one.action),
          entityOf(one),
          detailOf(one, (value) => typeof value !== 'object'),
          one.actor,
        ],
      });
    }),
  );

  clientCommand(audit, 'change', 'show a change and what it changed')
    .argument('<seq>', 'its place in the log', seqNumber)
    .action(
      calling(terminal, async (session, seq: number) => {
        const response = await session.clients.audit.getChange({ seq: BigInt(seq) });
        session.print(GetChangeResponseSchema, response, shownChange(response));
      }),
    );
}

// A tenant is its own id, and erasures and removals of receipts have none.
function entityOf({ entityKind, tenant, entityId }: Change): string {
  const kind = enumName(EntityKindSchema, entityKind).toLowerCase();
  return kind === 'tenant' || entityId === '' ? `${kind} ${tenant}` : `${kind} ${tenant}/${entityId}`;
}

function detailOf({ detail }: Change, isShown: (value: unknown) => boolean = () => true): string {
  return Object.entries(detail ?? {})
    .filter(([, value]) => isShown(value))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
}

function shownChange({ change, beforeJson, afterJson }: GetChangeResponse): string {
  const one = change!;
  const head = fields([
    ['seq', one.seq],
    ['time', time(one.time)],
    ['actor', one.actor],
    ['action', enumName(ChangeActionSchema, one.action)],
    ['what', entityOf(one)],
    ['detail', detailOf(one)],
    ['before_hash', one.beforeHash],
    ['after_hash', one.afterHash],
    ['request_id', one.requestId],
    ['trace_id', one.traceId],
    ['chain_hash', one.chainHash],
  ]);
  const [before, after] = [documentText(beforeJson), documentText(afterJson)];
  if (before === after) return head;
  return `${head}\n${unifiedDiff('before', before, 'after', after)}`;
}
