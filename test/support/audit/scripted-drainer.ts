/** A thread that tells every command that it gets. A flush crashes it; told to stop it ends, or hangs as it was told. */
import { parentPort, workerData } from 'node:worker_threads';
import type { DrainCommand } from '../../../src/audit/drain-thread.ts';
import type { Failed } from '../../../src/audit/drainer.ts';

const port = parentPort!;
port.on('message', (command: DrainCommand) => {
  const told: Failed = { kind: 'failed', work: 'read', reason: JSON.stringify(command) };
  port.postMessage(told);
  if (command.kind === 'flush') throw new Error('crashed');
  if (command.kind !== 'stop') return;
  if (workerData === 'hangs at its end') port.postMessage({ kind: 'ended' });
  if (workerData === 'ends') port.close();
});
