import { create } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import {
  ReplayOutcome,
  ReplayOutcomeSchema,
  ReplayReceiptsResponseSchema,
  ReplayResponseSchema,
  type ReplayDeviation,
  type ReplayReceiptsResponse,
  type ReplayResponse,
} from '../../gen/platen/v1/audit_service_pb.js';
import { LONG_JOB } from './client.ts';
import { enumName } from './enum-name.ts';
import { UsageError } from './failure.ts';
import { fields } from './output.ts';
import { Progress } from './progress.ts';
import { receiptFilter, withReceiptFilter, type ReceiptFilterOptions } from './receipt-filter.ts';
import { inputsOf, renderFileOf, withInputs, type InputOptions } from './render-inputs.ts';
import { calling, clientCommand, type Session } from './session.ts';
import type { Terminal } from './terminal.ts';
import { toValues } from './value.ts';

interface ReplayInputOptions extends InputOptions {
  readonly file?: string;
  readonly fallbackText?: string;
}

type ReplayOptions = ReplayInputOptions & ReceiptFilterOptions;

const RANGE_OPTIONS = ['tenant', 'bundle', 'bundleHash', 'personalityHash', 'caller', 'label', 'since', 'until'];
const INPUT_OPTIONS = ['var', 'history', 'file', 'fallbackText'];

/** `platen audit replay`: whether what was rendered can be rendered again. */
export function addReplayCommand(audit: Command, terminal: Terminal): void {
  const description = "render again from a receipt's snapshot, or from those of many receipts, and compare";
  const replay = withInputs(clientCommand(audit, 'replay [render_id]', description))
    .option('--file <request.yaml>', 'of one: variables, placeholders and fallback_text that were not captured')
    .option('--fallback-text <text>', 'of one: the fallback text, if it was not captured');
  withReceiptFilter(replay)
    .addHelpText(
      'after',
      '\nExit code: 0 for MATCH, 1 for MISMATCH, 3 for INPUT_MISSING, 4 for RENDERER_UNKNOWN; of many, the first of' +
        '\nMISMATCH, INPUT_MISSING and RENDERER_UNKNOWN that occurs, else 0.',
    )
    .action(
      calling(terminal, async (session, renderId: string | undefined, options: ReplayOptions) => {
        terminal.exitCode =
          renderId === undefined ? await replayRange(session, options) : await replayOne(session, renderId, options);
      }),
    );
}

async function replayOne(session: Session, renderId: string, options: ReplayOptions): Promise<number> {
  refuseTyped(session, RANGE_OPTIONS, 'names many receipts: it does not go with a render_id');
  const file = await renderFileOf(options.file, session.terminal);
  const { variables, placeholders } = await inputsOf(file, options, session.terminal);
  const fallbackText = options.fallbackText ?? file.fallbackText;
  const inputs = { variables: toValues(variables), placeholders, fallbackText };
  const given = Object.keys({ ...variables, ...placeholders }).length > 0 || fallbackText !== '';
  const response = await session.clients.audit.replay({ renderId, ...(given && { inputs }) });
  session.print(ReplayResponseSchema, response, outcomeText(response));
  return EXIT_CODES[response.outcome];
}

async function replayRange(session: Session, options: ReplayOptions): Promise<number> {
  refuseTyped(session, INPUT_OPTIONS, 'gives values to one render: name its render_id');
  if (typed(session, RANGE_OPTIONS).length === 0) {
    throw new UsageError('which receipts? Name one by its render_id, or many with --since, --bundle and the like');
  }
  const filter = receiptFilter(options);
  const progress = new Progress(session.terminal.stderr);
  const deviations: ReplayDeviation[] = [];
  let last = create(ReplayReceiptsResponseSchema);
  try {
    for await (const message of session.clients.audit.replayReceipts(filter, LONG_JOB)) {
      progress.show('replaying', message.replayed, message.total);
      if (!session.json && message.deviations.length > 0) {
        progress.aside(() => session.terminal.stdout.write(message.deviations.map(deviationLine).join('')));
      }
      deviations.push(...message.deviations);
      last = message;
    }
  } finally {
    progress.end();
  }
  session.print(ReplayReceiptsResponseSchema, { ...last, deviations }, summary(last));
  if (last.total === 0n) session.note('no receipt is like that: nothing was replayed\n');
  if (BigInt(deviations.length) < last.mismatched + last.inputMissing + last.rendererUnknown) {
    session.note('Not all that did not match are named: only the first of each outcome.\n');
  }
  return EXIT_CODES[worstOutcome(last)];
}

function refuseTyped(session: Session, names: readonly string[], problem: string): void {
  const [flag] = typed(session, names);
  if (flag !== undefined) throw new UsageError(`${flag} ${problem}`);
}

/** The flags of these options that stand on the command line. */
function typed({ command }: Session, names: readonly string[]): string[] {
  return command.options
    .filter((option) => names.includes(option.attributeName()))
    .filter((option) => command.getOptionValueSource(option.attributeName()) === 'cli')
    .map((option) => option.long!);
}

const EXIT_CODES = {
  [ReplayOutcome.UNSPECIFIED]: 1,
  [ReplayOutcome.MATCH]: 0,
  [ReplayOutcome.MISMATCH]: 1,
  [ReplayOutcome.INPUT_MISSING]: 3,
  [ReplayOutcome.RENDERER_UNKNOWN]: 4,
};

function worstOutcome({ mismatched, inputMissing, rendererUnknown }: ReplayReceiptsResponse): ReplayOutcome {
  if (mismatched > 0n) return ReplayOutcome.MISMATCH;
  if (inputMissing > 0n) return ReplayOutcome.INPUT_MISSING;
  return rendererUnknown > 0n ? ReplayOutcome.RENDERER_UNKNOWN : ReplayOutcome.MATCH;
}

function outcomeText({ outcome, expectedHash, actualHash, missingInputs }: ReplayResponse): string {
  return fields([
    ['outcome', enumName(ReplayOutcomeSchema, outcome)],
    ['expected_hash', expectedHash],
    ['actual_hash', actualHash],
    ['missing', missingInputs.join(' ')],
  ]);
}

function deviationLine(deviation: ReplayDeviation): string {
  return `${deviation.renderId} ${enumName(ReplayOutcomeSchema, deviation.outcome)} ${detailOf(deviation)}\n`;
}

function detailOf({ outcome, expectedHash, actualHash, missingInputs, rendererVersion }: ReplayDeviation): string {
  if (outcome === ReplayOutcome.INPUT_MISSING) return missingInputs.join(' ');
  if (outcome === ReplayOutcome.RENDERER_UNKNOWN) return `renderer_version ${rendererVersion}`;
  return `expected ${expectedHash} actual ${actualHash}`;
}

function summary(last: ReplayReceiptsResponse): string {
  return fields([
    ['replayed', last.replayed],
    ['matched', last.matched],
    ['mismatched', last.mismatched],
    ['input_missing', last.inputMissing],
    ['renderer_unknown', last.rendererUnknown],
  ]);
}
