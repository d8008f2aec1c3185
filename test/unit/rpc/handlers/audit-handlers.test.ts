import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { auditHandlers } from '../../../../src/rpc/handlers/audit-handlers.ts';
import { valueOf } from '../../../../src/rpc/mapping/struct.ts';
import type { AuditService } from '../../../../src/services/audit-service.ts';
import type { ReplayProgress, VerificationProgress } from '../../../../src/services/trail-jobs.ts';
import type { CapturedInputs, ChainedReceipt, ChangeRecord } from '../../../../src/services/trail.ts';
import {
  AuditPart,
  AuditService as AuditRpc,
  ChangeAction,
  EntityKind,
  ReplayOutcome,
  VerifyAuditRequestSchema,
} from '../../../../gen/platen/v1/audit_service_pb.js';
import { Role } from '../../../../gen/platen/v1/resources_pb.js';
import { MemoryWrites, call, callStream, partOf, refusal } from '../../../support/handler-call.ts';

const { method } = AuditRpc;
const TIME = new Date('2026-03-01T12:00:00.123Z');

function changeOf(seq: number): ChangeRecord {
  return {
    seq,
    time: TIME,
    actor: 'key:1',
    action: 'CREATE',
    tenant: 'acme',
    entityKind: 'TENANT',
    entityId: 'acme',
    beforeHash: '',
    afterHash: 'a'.repeat(64),
    detail: {},
    requestId: '',
    traceId: '',
    chainHash: 'b'.repeat(64),
  };
}

function renderId(n: number): string {
  return `01920000-0000-7000-8000-00000000000${n}`;
}

function receiptOf(id: string): ChainedReceipt {
  return {
    renderId: id,
    time: TIME,
    durationUs: 1,
    requestedTenant: 'acme',
    requestedBundleId: 'welcome',
    requestedVersion: '',
    requestedType: '',
    capturePolicy: 'VARIABLES',
    tenant: 'acme',
    bundleId: 'welcome',
    version: '1.0.0',
    channel: 'production',
    revision: 1,
    seq: 9,
    source: 'ACTIVE',
    renderedHash: '',
    bundleHash: '',
    personalityHash: '',
    constraintsHash: '',
    variablesHash: '',
    placeholdersHash: '',
    messagesHash: '',
    rendererVersion: 2,
    caller: 'key:1',
    requestId: '',
    labels: {},
    traceId: '',
    receiptHash: '',
    batch: 1,
  };
}

function progressOf(replayed: number): ReplayProgress {
  const counts = { total: 2, matched: replayed, mismatched: 0, inputMissing: 0, rendererUnknown: 0 };
  return { ...counts, replayed, deviations: [] };
}

const asked: unknown[] = [];
let captured: CapturedInputs | undefined;
const audit = partOf<AuditService>({
  listChanges: async (filter, before, limit) => {
    asked.push(filter);
    return [30, 20, 10].filter((seq) => before === 0 || seq < before).slice(0, limit).map(changeOf);
  },
  getChange: async (seq) => ({ change: changeOf(seq), beforeJson: '{"a":1}', afterJson: '{"a":2}' }),
  listReceipts: async (filter, before, limit) => {
    asked.push(filter);
    const ids = [3, 2, 1].map(renderId);
    return ids.filter((id) => before === '' || id < before).slice(0, limit).map(receiptOf);
  },
  getReceipt: async (id) => ({ receipt: receiptOf(id), inputs: captured }),
  replay: async (id, supplied) => {
    asked.push({ id, supplied });
    return { outcome: 'MATCH', expectedHash: 'a', actualHash: 'a', text: 'Hello', missingInputs: [] };
  },
  async *replayAll(filter, signal) {
    asked.push({ filter, signal });
    yield progressOf(1);
    yield progressOf(2);
  },
  async *verify(checkpoint, signal) {
    asked.push({ checkpoint, signal });
    const parts: VerificationProgress['part'][] = ['DOCUMENTS', 'CHANGES', 'RECEIPTS'];
    for (const part of parts) yield { part, verified: 1, total: 1 };
  },
  eraseInputs: async (tx, filter) => {
    asked.push({ actor: tx.actor, filter });
    return { erased: 3, seq: 44 };
  },
});
const writes = new MemoryWrites();
const served = auditHandlers(writes, audit);

describe('Every effect is one change', () => {
  it('ListChanges', async () => {
    const filter = { tenant: 'acme', entityKind: EntityKind.BUNDLE, action: ChangeAction.RELEASE };
    const first = await call(served, method.listChanges, { ...filter, pageSize: 2 });
    assert.deepEqual(asked.pop(), {
      tenant: 'acme',
      entityKind: 'BUNDLE',
      entityId: '',
      action: 'RELEASE',
      actor: '',
      hash: '',
      startTime: undefined,
      endTime: undefined,
    });
    assert.deepEqual(first.changes.map(({ seq }) => seq), [30n, 20n]);
    const last = await call(served, method.listChanges, { ...filter, pageToken: first.nextPageToken });
    assert.deepEqual(last.changes.map(({ seq }) => seq), [10n]);
    assert.equal(last.nextPageToken, '');
  });

  it('GetChange', async () => {
    const answer = await call(served, method.getChange, { seq: 42n });
    assert.equal(answer.change?.seq, 42n);
    assert.equal(answer.beforeJson, '{"a":1}');
    assert.equal(answer.afterJson, '{"a":2}');
  });
});

describe('Every render leaves a receipt', () => {
  it('ListReceipts', async () => {
    const first = await call(served, method.listReceipts, { caller: 'key:1', pageSize: 2 });
    assert.equal((asked.pop() as { caller: string }).caller, 'key:1');
    assert.deepEqual(first.receipts.map((receipt) => receipt.renderId), [renderId(3), renderId(2)]);
    const { nextPageToken: pageToken } = first;
    const last = await call(served, method.listReceipts, { caller: 'key:1', pageToken });
    assert.deepEqual(last.receipts.map((receipt) => receipt.renderId), [renderId(1)]);
  });

  it('ListReceipts refuses times that are none, together with the rest', async () => {
    const never = { seconds: 2n ** 60n };
    const answer = call(served, method.listReceipts, { startTime: never, endTime: { nanos: -1 }, pageSize: -1 });
    assert.deepEqual(await refusal(answer), [
      'start_time OUT_OF_RANGE',
      'end_time OUT_OF_RANGE',
      'page_size OUT_OF_RANGE',
    ]);
  });

  it('GetReceipt', async () => {
    captured = { variables: { name: 'Ada' } };
    const answer = await call(served, method.getReceipt, { renderId: renderId(1) });
    assert.equal(answer.receipt?.renderId, renderId(1));
    assert.deepEqual(Object.keys(answer.inputs!.variables), ['name']);
    captured = undefined;
    assert.equal((await call(served, method.getReceipt, { renderId: renderId(1) })).inputs, undefined);
  });
});

describe('The trail can be filtered and exported', () => {
  it('ListChanges and ListReceipts refuse a span that holds nothing', async () => {
    const span = { startTime: { seconds: 2n }, endTime: { seconds: 2n } };
    assert.deepEqual(await refusal(call(served, method.listChanges, span)), ['end_time CONFLICT']);
    assert.deepEqual(await refusal(call(served, method.listReceipts, span)), ['end_time CONFLICT']);
  });
});

describe('Replay tells match from mismatch', () => {
  it('Replay with the captured inputs, or with supplied ones', async () => {
    const answer = await call(served, method.replay, { renderId: renderId(1) });
    assert.equal(answer.outcome, ReplayOutcome.MATCH);
    assert.equal(answer.text, 'Hello');
    assert.deepEqual(asked.pop(), { id: renderId(1), supplied: undefined });
    await call(served, method.replay, { renderId: renderId(1), inputs: { variables: { name: valueOf('Ada') } } });
    assert.deepEqual(asked.pop(), { id: renderId(1), supplied: { variables: { name: 'Ada' } } });
  });

  it('Replay refuses supplied messages without a role', async () => {
    const placeholders = { history: { messages: [{ role: Role.UNSPECIFIED }] } };
    assert.deepEqual(await refusal(call(served, method.replay, { renderId: renderId(1), inputs: { placeholders } })), [
      'inputs.placeholders.history.messages[0].role UNSPECIFIED',
    ]);
  });
});

describe('Ranges of receipts are replayed', () => {
  it('ReplayReceipts tells how it goes', async () => {
    const { signal } = new AbortController();
    const request = { bundleId: 'welcome', labels: { chat: 'c-1' } };
    const answers = await callStream(served, method.replayReceipts, request, { signal });
    assert.deepEqual(answers.map(({ total, replayed }) => [total, replayed]), [[2n, 1n], [2n, 2n]]);
    const question = asked.pop() as { filter: Record<string, unknown>; signal: AbortSignal };
    assert.deepEqual([question.filter['bundleId'], question.filter['labels']], ['welcome', { chat: 'c-1' }]);
    assert.equal(question.signal, signal);
  });

  it('ReplayReceipts refuses a span that holds nothing', async () => {
    const request = { startTime: { seconds: 2n }, endTime: { seconds: 1n } };
    assert.deepEqual(await refusal(callStream(served, method.replayReceipts, request)), ['end_time CONFLICT']);
  });
});

describe('Verification shows tampering', () => {
  const checkpoint = { changeSeq: 42n, changeHash: 'a'.repeat(64), batch: 7n, batchHash: 'b'.repeat(64) };

  it('VerifyAudit tells how it goes', async () => {
    const { signal } = new AbortController();
    const answers = await callStream(served, method.verifyAudit, {}, { signal });
    assert.deepEqual(answers.map(({ part }) => part), [AuditPart.DOCUMENTS, AuditPart.CHANGES, AuditPart.RECEIPTS]);
    assert.deepEqual(asked.pop(), { checkpoint: undefined, signal });
    await callStream(served, method.verifyAudit, { checkpoint }, { signal });
    assert.deepEqual(asked.pop(), { checkpoint: { ...checkpoint, changeSeq: 42, batch: 7 }, signal });
  });

  it('VerifyAudit refuses a checkpoint that nothing could match, for all reasons at once', async () => {
    const request = create(VerifyAuditRequestSchema, { checkpoint: { ...checkpoint, batch: -1n, batchHash: 'x' } });
    assert.deepEqual(await refusal(callStream(served, method.verifyAudit, request)), [
      'checkpoint.batch OUT_OF_RANGE',
      'checkpoint.batch_hash BAD_FORMAT',
    ]);
  });
});

describe('Captured values can be erased', () => {
  beforeEach(() => asked.splice(0));

  it('EraseInputs, once under its request_id', async () => {
    const request = { labels: { user: '42' }, requestId: 'erase-1' };
    const answer = await call(served, method.eraseInputs, request);
    assert.deepEqual([answer.erased, answer.seq], [3n, 44n]);
    const filter = { tenant: '', caller: '', labels: { user: '42' }, startTime: undefined, endTime: undefined };
    assert.deepEqual(asked.splice(0), [{ actor: 'anonymous@loopback', filter }]);
    assert.deepEqual(await call(served, method.eraseInputs, request), answer);
    assert.deepEqual(asked, []);
  });

  it('EraseInputs that is refused erases nothing on the way', async () => {
    const request = { startTime: { seconds: 2n }, endTime: { seconds: 2n }, requestId: 'x'.repeat(129) };
    assert.deepEqual(await refusal(call(served, method.eraseInputs, request)), [
      'end_time CONFLICT',
      'request_id TOO_LONG',
    ]);
    const long = { ...request, tenant: 'x'.repeat(129), caller: 'x'.repeat(257), labels: { user: 'x'.repeat(129) } };
    assert.deepEqual(await refusal(call(served, method.eraseInputs, long)), [
      'end_time CONFLICT',
      'tenant TOO_LONG',
      'caller TOO_LONG',
      'labels.user TOO_LONG',
      'request_id TOO_LONG',
    ]);
    assert.deepEqual(asked, []);
  });
});
