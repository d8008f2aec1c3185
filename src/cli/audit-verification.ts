import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  AuditPartSchema,
  AuditProblemSchema,
  type AuditFinding,
  type AuditHeads,
  type AuditHeadsSchema,
  type VerifyAuditResponse,
  type VerifyAuditResult,
} from '../../gen/platen/v1/audit_service_pb.js';
import { LONG_JOB } from './client.ts';
import { enumName } from './enum-name.ts';
import { fields } from './output.ts';
import { Progress } from './progress.ts';
import type { Session } from './session.ts';

/** What a verification came to. */
export interface Verification {
  readonly last: VerifyAuditResponse;
  readonly result: VerifyAuditResult;
}

/**
 * Has the server verify the trail. Tells on standard error how far it is, and each finding as it comes: on standard
 * output, or with --json on standard error.
 * @param checkpoint what the chains must lead through
 * @throws Error if the server ends without a result, and whatever the call throws
 */
export async function verifyAudit(
  session: Session,
  checkpoint?: MessageInitShape<typeof AuditHeadsSchema>,
): Promise<Verification> {
  const { stdout, stderr } = session.terminal;
  const progress = new Progress(stderr);
  let last: VerifyAuditResponse | undefined;
  try {
    for await (const message of session.clients.audit.verifyAudit({ ...(checkpoint && { checkpoint }) }, LONG_JOB)) {
      const { part, verified, total, finding } = message;
      progress.show(`verifying ${enumName(AuditPartSchema, part).toLowerCase()}`, verified, total);
      if (finding) progress.aside(() => (session.json ? stderr : stdout).write(findingText(finding)));
      last = message;
    }
  } finally {
    progress.end();
  }
  if (last?.result === undefined) throw new Error('the server ended the verification without a result');
  return { last, result: last.result };
}

/** The result in lines. */
export function resultText({ intact, heads, ...counts }: VerifyAuditResult): string {
  return fields([
    ['intact', intact ? 'yes' : 'no'],
    ...(heads === undefined ? [] : headsFields(heads)),
    ['documents', counts.documents],
    ['changes', counts.changes],
    ['receipts', counts.receipts],
    ['pruned_receipts', counts.prunedReceipts],
  ]);
}

function headsFields({ changeSeq, changeHash, batch, batchHash }: AuditHeads): [string, bigint | string][] {
  return [
    ['change_seq', changeSeq],
    ['change_hash', changeHash],
    ['batch', batch],
    ['batch_hash', batchHash],
  ];
}

function findingText(finding: AuditFinding): string {
  const { part, problem, description } = finding;
  const where = fields([
    ['  change', finding.seq || ''],
    ['  batch', finding.batch || ''],
    ['  receipt', finding.renderId],
    ['  document', finding.documentHash],
    ['  expected', finding.expected],
    ['  actual', finding.actual],
  ]);
  return `${enumName(AuditPartSchema, part)} ${enumName(AuditProblemSchema, problem)}: ${description}\n${where}`;
}
