import { timestampFromDate, type Timestamp } from '@bufbuild/protobuf/wkt';
import { InvalidArgumentError, type Command } from 'commander';
import { stringify } from 'yaml';
import {
  ChangeActionSchema,
  EntityKindSchema,
  GetChangeResponseSchema,
  GetReceiptResponseSchema,
  ListChangesResponseSchema,
  ListReceiptsResponseSchema,
  ReplayOutcome,
  ReplayOutcomeSchema,
  ReplayResponseSchema,
  type Change,
  type GetChangeResponse,
  type GetReceiptResponse,
  type Receipt,
  type ReplayResponse,
} from '../../gen/platen/v1/audit_service_pb.js';
import { RenderSourceSchema } from '../../gen/platen/v1/render_service_pb.js';
import { PromptTypeSchema } from '../../gen/platen/v1/resources_pb.js';
import { documentText } from './draft-text.ts';
import { enumName, enumValue } from './enum-name.ts';
import { messagesText } from './messages.ts';
import { choice, paged, seqNumber, type PageOptions } from './options.ts';
import { fields, table, time, unifiedDiff } from './output.ts';
import { inputsOf, renderFileOf, withInputs, type InputOptions } from './render-inputs.ts';
import { calling, clientCommand } from './session.ts';
import type { Terminal } from './terminal.ts';
import { fromValues, toValues } from './value.ts';

interface ChangesOptions extends PageOptions {
  readonly tenant: string;
  readonly kind?: string;
  readonly id: string;
  readonly action?: string;
  readonly actor: string;
}

interface ReceiptsOptions extends PageOptions {
  readonly tenant: string;
  readonly bundleHash: string;
  readonly personalityHash: string;
  readonly caller: string;
  readonly requestId: string;
  readonly since?: Timestamp;
  readonly until?: Timestamp;
}

interface ReplayOptions extends InputOptions {
  readonly file?: string;
  readonly fallbackText?: string;
}

/** `platen audit`: what was written and rendered, and whether it can be rendered again. */
export function addAuditCommands(program: Command, terminal: Terminal): void {
  const audit = program.command('audit').description('read changes and receipts, and replay renders');

  paged(clientCommand(audit, 'changes', 'list changes, the latest first'))
    .option('--tenant <id>', 'only this tenant', '')
    .addOption(choice('--kind <kind>', 'only this kind of thing', EntityKindSchema))
    .option('--id <id>', 'only the thing of this id', '')
    .addOption(choice('--action <action>', 'only this action', ChangeActionSchema))
    .option('--actor <actor>', 'only this actor', '')
    .action(
      calling(terminal, async (session, options: ChangesOptions) => {
        const { id, kind, action, ...rest } = options;
        const response = await session.clients.audit.listChanges({
          ...rest,
          entityId: id,
          ...(kind && { entityKind: enumValue(EntityKindSchema, kind)! }),
          ...(action && { action: enumValue(ChangeActionSchema, action)! }),
        });
        const rows = response.changes.map((one) => [
          one.seq,
          time(one.time),
          enumName(ChangeActionSchema, one.action),
          entityOf(one),
          detailOf(one, (value) => typeof value !== 'object'),
          one.actor,
        ]);
        const header = ['SEQ', 'TIME', 'ACTION', 'WHAT', 'DETAIL', 'BY'];
        session.printPage(ListChangesResponseSchema, response, table(header, rows));
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

  paged(clientCommand(audit, 'receipts', 'list receipts, the latest first'))
    .option('--tenant <id>', 'only renders that this tenant asked for', '')
    .option('--bundle-hash <hash>', 'only this snapshot', '')
    .option('--personality-hash <hash>', 'only this personality', '')
    .option('--caller <caller>', 'only this caller', '')
    .option('--request-id <id>', 'only this request_id', '')
    .option('--since <time>', 'only from this time on, as 2026-01-31T08:00:00Z', timestamp)
    .option('--until <time>', 'only before this time', timestamp)
    .action(
      calling(terminal, async (session, options: ReceiptsOptions) => {
        const { since, until, ...rest } = options;
        const times = { ...(since && { startTime: since }), ...(until && { endTime: until }) };
        const response = await session.clients.audit.listReceipts({ ...rest, ...times });
        const rows = response.receipts.map((one) => [
          one.renderId,
          time(one.time),
          one.requestedTenant,
          enumName(RenderSourceSchema, one.source),
          answeredBy(one) || '-',
          one.renderedHash.slice(0, 12),
          one.caller,
        ]);
        const header = ['RECEIPT', 'TIME', 'TENANT', 'SOURCE', 'BUNDLE', 'RENDERED', 'CALLER'];
        session.printPage(ListReceiptsResponseSchema, response, table(header, rows));
      }),
    );

  clientCommand(audit, 'receipt <render_id>', 'show a receipt and the values that were captured').action(
    calling(terminal, async (session, renderId: string) => {
      const response = await session.clients.audit.getReceipt({ renderId });
      session.print(GetReceiptResponseSchema, response, shownReceipt(response));
    }),
  );

  withInputs(clientCommand(audit, 'replay <render_id>', "render again from a receipt's snapshot and compare"))
    .option('--file <request.yaml>', 'variables, placeholders and fallback_text that were not captured')
    .option('--fallback-text <text>', 'the fallback text, if it was not captured')
    .addHelpText('after', '\nExit code: 0 for MATCH, 1 for MISMATCH, 3 for INPUT_MISSING.')
    .action(
      calling(terminal, async (session, renderId: string, options: ReplayOptions) => {
        const file = await renderFileOf(options.file, terminal);
        const { variables, placeholders } = await inputsOf(file, options, terminal);
        const fallbackText = options.fallbackText ?? file.fallbackText;
        const inputs = { variables: toValues(variables), placeholders, fallbackText };
        const given = Object.keys({ ...variables, ...placeholders }).length > 0 || fallbackText !== '';
        const response = await session.clients.audit.replay({ renderId, ...(given && { inputs }) });
        session.print(ReplayResponseSchema, response, outcomeText(response));
        terminal.exitCode = REPLAY_EXIT_CODES[response.outcome];
      }),
    );
}

const REPLAY_EXIT_CODES = {
  [ReplayOutcome.UNSPECIFIED]: 1,
  [ReplayOutcome.MATCH]: 0,
  [ReplayOutcome.MISMATCH]: 1,
  [ReplayOutcome.INPUT_MISSING]: 3,
};

function timestamp(text: string): Timestamp {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) throw new InvalidArgumentError('It must be a time, as 2026-01-31T08:00:00Z.');
  return timestampFromDate(date);
}

function entityOf({ entityKind, tenant, entityId }: Change): string {
  const kind = enumName(EntityKindSchema, entityKind).toLowerCase();
  return kind === 'tenant' ? `${kind} ${tenant}` : `${kind} ${tenant}/${entityId}`;
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

function answeredBy({ tenant, bundleId, version }: Receipt): string {
  return bundleId && `${tenant}/${bundleId}@${version}`;
}

function shownReceipt({ receipt, inputs }: GetReceiptResponse): string {
  const one = receipt!;
  const head = fields([
    ['receipt', one.renderId],
    ['time', time(one.time)],
    ['duration', `${one.durationUs} µs`],
    ['caller', one.caller],
    ['asked by', one.requestedTenant],
    ['asked for', askedFor(one)],
    ['source', enumName(RenderSourceSchema, one.source)],
    ['bundle', answeredBy(one)],
    ['channel', one.channel && `${one.channel}, revision ${one.revision}`],
    ['seq', one.seq],
    ['rendered_hash', one.renderedHash],
    ['bundle_hash', one.bundleHash],
    ['personality_hash', one.personalityHash],
    ['constraints_hash', one.constraintsHash],
    ['variables_hash', one.variablesHash],
    ['placeholders_hash', one.placeholdersHash],
    ['messages_hash', one.messagesHash],
    ['renderer_version', one.rendererVersion],
    ['request_id', one.requestId],
    ['trace_id', one.traceId],
    ...Object.entries(one.labels).map(([name, value]) => ['label', `${name}=${value}`] as const),
    ['receipt_hash', one.receiptHash],
    ['batch', one.batch],
  ]);
  if (inputs === undefined) return `${head}\nNo values were captured, or they were erased.\n`;
  const variables = stringify({ variables: fromValues(inputs.variables) }, { lineWidth: 0 });
  const messages = Object.entries(inputs.placeholders).map(
    ([name, list]) => `placeholder ${name}\n${messagesText(list.messages)}`,
  );
  const fallback = inputs.fallbackText && `fallback text\n${inputs.fallbackText}\n`;
  return [head, variables, ...messages, fallback].filter(Boolean).join('\n');
}

function askedFor({ requestedType, requestedBundleId, requestedVersion }: Receipt): string {
  const bundle = [requestedBundleId, requestedVersion].filter(Boolean).join('@');
  return bundle ? `bundle ${bundle}` : `type ${enumName(PromptTypeSchema, requestedType)}`;
}

function outcomeText({ outcome, expectedHash, actualHash, missingInputs }: ReplayResponse): string {
  return fields([
    ['outcome', enumName(ReplayOutcomeSchema, outcome)],
    ['expected_hash', expectedHash],
    ['actual_hash', actualHash],
    ['missing', missingInputs.join(' ')],
  ]);
}
