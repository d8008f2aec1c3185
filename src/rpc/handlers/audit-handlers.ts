import { Violations } from '../../domain/errors.ts';
import type { AuditService } from '../../services/audit-service.ts';
import { AuditService as AuditRpc } from '../../../gen/platen/v1/audit_service_pb.js';
import {
  readChangeFilter,
  readReceiptFilter,
  readRenderInputs,
  writeChange,
  writeReceipt,
  writeRenderInputs,
  writeReplay,
} from '../mapping/audit.ts';
import { readSeq } from '../mapping/seq.ts';
import { serve, type ServedService } from '../method.ts';
import { BY_NUMBER, BY_RENDER_ID, fetchPage, listing } from '../pagination.ts';
import { reporting } from '../reporting.ts';

/** The handlers of AuditService. */
export function auditHandlers(audit: AuditService): ServedService {
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
  });
}
