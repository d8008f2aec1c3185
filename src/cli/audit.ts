import type { Command } from 'commander';
import { addChangeCommands } from './audit-changes.ts';
import { addCheckpointCommand } from './audit-checkpoint.ts';
import { addEraseCommand } from './audit-erase.ts';
import { addReceiptCommands } from './audit-receipts.ts';
import { addReplayCommand } from './audit-replay.ts';
import { addVerifyCommand } from './audit-verify.ts';
import type { Terminal } from './terminal.ts';

/** `platen audit`: what was written and rendered, whether it is still what it was, and whether it renders again. */
export function addAuditCommands(program: Command, terminal: Terminal): void {
  const audit = program.command('audit').description('read, verify and replay changes and receipts');
  addChangeCommands(audit, terminal);
  addReceiptCommands(audit, terminal);
  addReplayCommand(audit, terminal);
  addVerifyCommand(audit, terminal);
  addCheckpointCommand(audit, terminal);
  addEraseCommand(audit, terminal);
}
