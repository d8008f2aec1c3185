import type { Command } from 'commander';
import { VerifyAuditResponseSchema } from '../../gen/platen/v1/audit_service_pb.js';
import { resultText, verifyAudit } from './audit-verification.ts';
import { readCheckpoint } from './checkpoint-file.ts';
import { UsageError } from './failure.ts';
import { calling, clientCommand } from './session.ts';
import type { Terminal } from './terminal.ts';

interface VerifyOptions {
  readonly checkpoint?: string;
  readonly publicKey?: string;
}

/** `platen audit verify`: whether the trail is as it was written. */
export function addVerifyCommand(audit: Command, terminal: Terminal): void {
  clientCommand(audit, 'verify', 'recompute documents, changes and receipts with their chains')
    .option('--checkpoint <file>', 'the chains must lead through this checkpoint, signed in <file>.sig')
    .option('--public-key <pem>', 'a file with the Ed25519 public key of who signed it')
    .addHelpText('after', '\nExit code: 0 if all is intact, 1 if it is not or cannot be verified.')
    .action(
      calling(terminal, async (session, { checkpoint, publicKey }: VerifyOptions) => {
        if ((checkpoint === undefined) !== (publicKey === undefined)) {
          throw new UsageError('--checkpoint and --public-key go together: only a genuine one proves anything');
        }
        const heads = checkpoint === undefined ? undefined : await readCheckpoint(checkpoint, publicKey!);
        const { last, result } = await verifyAudit(session, heads);
        session.print(VerifyAuditResponseSchema, last, resultText(result));
        terminal.exitCode = result.intact ? 0 : 1;
      }),
    );
}
