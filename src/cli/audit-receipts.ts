import type { Command } from 'commander';
import { stringify } from 'yaml';
import {
  GetReceiptResponseSchema,
  ListReceiptsResponseSchema,
  ReceiptSchema,
  type GetReceiptResponse,
  type Receipt,
} from '../../gen/platen/v1/audit_service_pb.js';
import { RenderSourceSchema } from '../../gen/platen/v1/render_service_pb.js';
import { CapturePolicy, CapturePolicySchema, PromptTypeSchema } from '../../gen/platen/v1/resources_pb.js';
import { enumName } from './enum-name.ts';
import { exportable, printListing, type ListingOptions } from './listing.ts';
import { messagesText } from './messages.ts';
import { fields, time } from './output.ts';
import { receiptFilter, withReceiptFilter, type ReceiptFilterOptions } from './receipt-filter.ts';
import { calling, clientCommand } from './session.ts';
import type { Terminal } from './terminal.ts';
import { fromValues } from './value.ts';

type ReceiptsOptions = ListingOptions & ReceiptFilterOptions & { readonly requestId: string };

/** `platen audit receipts` and `receipt`: what was rendered. */
export function addReceiptCommands(audit: Command, terminal: Terminal): void {
  const receipts = withReceiptFilter(clientCommand(audit, 'receipts', 'list receipts, the latest first'));
  exportable(receipts.option('--request-id <id>', 'only this request_id', '')).action(
    calling(terminal, async (session, options: ReceiptsOptions) => {
      const filter = { ...receiptFilter(options), requestId: options.requestId };
      await printListing(session, options, {
        page: ListReceiptsResponseSchema,
        item: ReceiptSchema,
        fetch: (page) => session.clients.audit.listReceipts({ ...filter, ...page }),
        items: (page) => page.receipts,
        header: ['RECEIPT', 'TIME', 'TENANT', 'SOURCE', 'BUNDLE', 'RENDERED', 'CALLER'],
        row: (one) => [
          one.renderId,
          time(one.time),
          one.requestedTenant,
          enumName(RenderSourceSchema, one.source),
          answeredBy(one) || '-',
          one.renderedHash.slice(0, 12),
          one.caller,
        ],
      });
    }),
  );

  clientCommand(audit, 'receipt <render_id>', 'show a receipt and the values that were captured').action(
    calling(terminal, async (session, renderId: string) => {
      const response = await session.clients.audit.getReceipt({ renderId });
      session.print(GetReceiptResponseSchema, response, shownReceipt(response));
    }),
  );
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
    ['capture_policy', enumName(CapturePolicySchema, one.capturePolicy)],
    ['receipt_hash', one.receiptHash],
    ['batch', one.batch],
  ]);
  if (inputs === undefined) return `${head}\n${NO_VALUES[one.capturePolicy]}\n`;
  const variables = stringify({ variables: fromValues(inputs.variables) }, { lineWidth: 0 });
  const messages = Object.entries(inputs.placeholders).map(
    ([name, list]) => `placeholder ${name}\n${messagesText(list.messages)}`,
  );
  const fallback = inputs.fallbackText && `fallback text\n${inputs.fallbackText}\n`;
  return [head, variables, ...messages, fallback].filter(Boolean).join('\n');
}

const NO_VALUES: Readonly<Record<CapturePolicy, string>> = {
  [CapturePolicy.UNSPECIFIED]: 'No values were captured, or they were erased.',
  [CapturePolicy.FULL]: 'The values that were captured were erased.',
  [CapturePolicy.VARIABLES]: 'The values that were captured were erased.',
  [CapturePolicy.HASH_ONLY]: 'No values were captured.',
};

function askedFor({ requestedType, requestedBundleId, requestedVersion }: Receipt): string {
  const bundle = [requestedBundleId, requestedVersion].filter(Boolean).join('@');
  return bundle ? `bundle ${bundle}` : `type ${enumName(PromptTypeSchema, requestedType)}`;
}
