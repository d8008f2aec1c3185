import { Violations } from '../../domain/errors.ts';
import { checkErasure, type AuditService } from '../../services/audit-service.ts';
import type { Writes } from '../../services/stores.ts';
import { AuditService as AuditRpc } from '../../../gen/platen/v1/audit_service_pb.js';
import {
  readChangeFilter,
  readErasureFilter,
  readHeads,
  readReceiptFilter,
  readRenderInputs,
  writeChange,
  writeReceipt,
  writeRenderInputs,
  writeReplay,
  writeReplayProgress,
  writeVerificationProgress,
} from '../mapping/audit.ts';
import { readSeq } from '../mapping/seq.ts';
import { serve, type ServedService } from '../method.ts';
import { mutation } from '../mutation.ts';
import { BY_NUMBER, BY_RENDER_ID, fetchPage, listing } from '../pagination.ts';
import { reporting } from '../reporting.ts';

/** The handlers of AuditService. */
export function auditHandlers(writes: Writes, audit: AuditService): ServedService {
  const { method } = AuditRpc;
  return serve(AuditRpc, {
    listChanges: listing(method.listChanges, BY_NUMBER, (violations, request) => {
      const filter = readChangeFilter(violations, request);
      return async (page) => {
        const { items, nextPageToken } = await fetchPage(
          page,
          (before, limit) => audit.listChanges(filter, before, limit),
          ({ seq }) => seq,
        );
        return { changes: items.map(writeChange), nextPageToken };
      };
    }),

    getChange: async (_context, request) => {
      const { change, beforeJson, afterJson } = await audit.getChange(readSeq(request.seq));
      return { change: writeChange(change), beforeJson, afterJson };
    },

    listReceipts: listing(method.listReceipts, BY_RENDER_ID, (violations, request) => {
      const filter = readReceiptFilter(violations, request);
      return async (page) => {
        const { items, nextPageToken } = await fetchPage(
          page,
          (before, limit) => audit.listReceipts(filter, before, limit),
          ({ renderId }) => renderId,
        );
        return { receipts: items.map(writeReceipt), nextPageToken };
      };
    }),

    getReceipt: async (_context, request) => {
      const { receipt, inputs } = await audit.getReceipt(request.renderId);
      return { receipt: writeReceipt(receipt), inputs: inputs && writeRenderInputs(inputs) };
    },

    replay: async (_context, request) => {
      const violations = new Violations();
      const supplied = request.inputs && readRenderInputs(violations, 'inputs', request.inputs);
      return writeReplay(await reporting(violations, () => audit.replay(request.renderId, supplied)));
    },

    replayReceipts: async ({ signal }, request, send) => {
      const violations = new Violations();
      const filter = readReceiptFilter(violations, request);
      violations.throwIfAny();
      for await (const progress of audit.replayAll(filter, signal)) await send(writeReplayProgress(progress));
    },

    verifyAudit: async ({ signal }, { checkpoint }, send) => {
      const violations = new Violations();
      const heads = checkpoint && readHeads(violations, 'checkpoint', checkpoint);
      violations.throwIfAny();
      for await (const progress of audit.verify(heads, signal)) await send(writeVerificationProgress(progress));
    },

    eraseInputs: mutation(writes, method.eraseInputs, (violations, request) => {
      const filter = readErasureFilter(violations, request);
      checkErasure(violations, filter);
      return async (tx) => {
        // The request is refused: there is nothing to learn from erasing first.
        if (violations.size > 0) return {};
        const { erased, seq } = await audit.eraseInputs(tx, filter);
        return { erased: BigInt(erased), seq: BigInt(seq) };
      };
    }),
  });
}
