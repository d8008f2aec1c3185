import type { Command } from 'commander';
import { EraseInputsResponseSchema } from '../../gen/platen/v1/audit_service_pb.js';
import { LONG_JOB } from './client.ts';
import { UsageError } from './failure.ts';
import { labels, labelsOf, repeatable, timed, timesOf, type TimeOptions } from './options.ts';
import { time } from './output.ts';
import { calling, clientCommand } from './session.ts';
import type { Terminal } from './terminal.ts';

interface EraseOptions extends TimeOptions {
  readonly label: readonly string[];
  readonly caller: string;
  readonly tenant: string;
  readonly yes?: true;
  readonly requestId: string;
}

/** `platen audit erase`: removes the values that were captured; receipts and chains stay. */
export function addEraseCommand(audit: Command, terminal: Terminal): void {
  const erase = clientCommand(audit, 'erase', 'erase for ever the values that were captured of renders')
    .addOption(labels())
    .option('--caller <caller>', 'only renders of this caller', '')
    .option('--tenant <id>', 'only renders that this tenant asked for', '')
    .option('--yes', 'do not ask whether it is meant');
  repeatable(timed(erase))
    .addHelpText('after', '\nAt least one of --label, --caller, --since and --until is required.')
    .action(
      calling(terminal, async (session, options: EraseOptions) => {
        const { caller, tenant, requestId } = options;
        const filter = { caller, tenant, labels: labelsOf(options.label), ...timesOf(options) };
        if (options.label.length === 0 && !caller && !options.since && !options.until) {
          throw new UsageError('which renders? Name them with --label, --caller, --since or --until');
        }
        if (!options.yes && !(await isMeant(terminal, options))) {
          session.note('Nothing was erased.\n');
          terminal.exitCode = 1;
          return;
        }
        const response = await session.clients.audit.eraseInputs({ ...filter, requestId }, LONG_JOB);
        const text = `erased the values of ${response.erased} renders (seq ${response.seq})\n`;
        session.print(EraseInputsResponseSchema, response, text);
      }),
    );
}

/** Asks whoever sits there. @throws UsageError if nobody does */
async function isMeant({ stdin, stderr }: Terminal, options: EraseOptions): Promise<boolean> {
  if (stdin.isTTY !== true) throw new UsageError('nobody is there to be asked; --yes says that it is meant');
  stderr.write(`Erases for ever the values that were captured of all renders ${filterText(options)}.\nGo on? [y/N] `);
  let answer = '';
  for await (const part of stdin) {
    answer += Buffer.from(part as Uint8Array).toString();
    if (answer.includes('\n')) break;
  }
  return /^y(es)?$/i.test(answer.trim());
}

function filterText({ label, caller, tenant, since, until }: EraseOptions): string {
  return [
    ...label.map((one) => `with label ${one}`),
    caller && `of caller ${caller}`,
    tenant && `of tenant ${tenant}`,
    since && `from ${time(since)} on`,
    until ? `before ${time(until)}` : 'up to now',
  ]
    .filter(Boolean)
    .join(', ');
}
