import type { Command } from 'commander';
import {
  CheckOutputResponseSchema,
  type CheckOutputResponse,
  type OutputViolation,
} from '../../gen/platen/v1/render_service_pb.js';
import { SeveritySchema } from '../../gen/platen/v1/resources_pb.js';
import { enumName } from './enum-name.ts';
import { readSource } from './files.ts';
import { fields, table, type Cell } from './output.ts';
import { calling, clientCommand } from './session.ts';
import type { Terminal } from './terminal.ts';

interface CheckOptions {
  readonly tenant: string;
  readonly version: string;
  readonly file: string;
}

/** `platen bundle check`: whether an answer of a model keeps to the constraints. */
export function addCheckCommand(bundle: Command, terminal: Terminal): void {
  clientCommand(bundle, 'check <id>', "judge a model's answer by the constraints of a published version")
    .requiredOption('--version <semver>', 'the version that was rendered')
    .option('--tenant <id>', 'the tenant that the prompt was for', 'default')
    .option('--file <answer.txt>', 'the answer, taken as it is, a newline at its end too; - for standard input', '-')
    .addHelpText('after', '\nExit code: 0 if the answer passes, 1 if not.')
    .action(
      calling(terminal, async (session, bundleId: string, { tenant, version, file }: CheckOptions) => {
        const { text: output } = await readSource(file, terminal.stdin);
        const response = await session.clients.renders.checkOutput({ tenant, bundleId, version, output });
        session.print(CheckOutputResponseSchema, response, violationTable(response));
        if (!session.json) session.note(judgement(response, `${response.tenant}/${bundleId}@${version}`));
        terminal.exitCode = response.passed ? 0 : 1;
      }),
    );
}

function violationTable({ violations }: CheckOutputResponse): string {
  return table(['SEVERITY', 'CONSTRAINT', 'OFFSET', 'MESSAGE', 'EXCERPT'], violations.map(row));
}

function row({ severity, constraintId, place, jsonPointer, message }: OutputViolation): Cell[] {
  const offset = [place?.offset ?? '-', jsonPointer].join(' ').trimEnd();
  return [enumName(SeveritySchema, severity), constraintId, offset, message, place?.excerpt ?? ''];
}

function judgement(response: CheckOutputResponse, name: string): string {
  const { passed, violations, violationCount, bundleHash, constraintsHash } = response;
  const unlisted = violationCount - violations.length;
  return fields([
    ['passed', passed ? 'yes' : 'no'],
    ['violations', unlisted > 0 ? `${violationCount}, ${unlisted} of them not listed` : violationCount],
    ['bundle', name],
    ['bundle_hash', bundleHash],
    ['constraints_hash', constraintsHash],
  ]);
}
