import type { Command } from 'commander';
import { VerifyAuditResponseSchema } from '../../gen/platen/v1/audit_service_pb.js';
import { resultText, verifyAudit } from './audit-verification.ts';
import {
  checkpointText,
  refuseTarget,
  signatureFile,
  signingKey,
  SIGNING_KEY_SETTING,
  writeCheckpoint,
} from './checkpoint-file.ts';
import { shellWord } from './command-line.ts';
import { calling, clientCommand } from './session.ts';
import type { Terminal } from './terminal.ts';

interface CheckpointOptions {
  readonly out: string;
  readonly force?: true;
}

/** `platen audit checkpoint`: the ends of the chains, signed, to be kept where the server cannot reach. */
export function addCheckpointCommand(audit: Command, terminal: Terminal): void {
  clientCommand(audit, 'checkpoint', 'verify the trail, and sign the ends of its chains if it is intact')
    .requiredOption('--out <file>', 'the checkpoint; its signature goes to <file>.sig')
    .option('--force', 'replace a checkpoint that is there')
    .addHelpText(
      'after',
      `\n${SIGNING_KEY_SETTING} is the Ed25519 private key, or a file with it, as PEM. It stays with whoever signs.` +
        '\n  openssl genpkey -algorithm ed25519 -out private.pem' +
        '\n  openssl pkey -in private.pem -pubout -out public.pem\n' +
        '\nExit code: 0 if the checkpoint was written, 1 if the trail is not intact or it cannot be written.',
    )
    .action(
      calling(terminal, async (session, { out, force }: CheckpointOptions) => {
        const key = await signingKey(terminal.env[SIGNING_KEY_SETTING]);
        await refuseTarget(out, force === true);
        const { last, result } = await verifyAudit(session);
        if (result.intact) {
          await writeCheckpoint(out, checkpointText(result.heads!, new Date()), key);
          session.print(VerifyAuditResponseSchema, last, resultText(result) + signedText(out));
        } else {
          session.print(VerifyAuditResponseSchema, last, resultText(result));
          session.note('No checkpoint was written: what is not intact is not signed.\n');
          terminal.exitCode = 1;
        }
      }),
    );
}

function signedText(out: string): string {
  const [file, signature] = [shellWord(out), shellWord(signatureFile(out))];
  return (
    `\nsigned ${out}; with the public key, anybody can check it offline:\n` +
    `  openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in ${file} -sigfile ${signature}\n`
  );
}
