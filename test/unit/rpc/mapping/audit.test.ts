import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { Violations } from '../../../../src/domain/errors.ts';
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
} from '../../../../src/rpc/mapping/audit.ts';
import type { CapturedInputs, ChainedReceipt, ChangeRecord } from '../../../../src/services/trail.ts';
import {
  AuditHeadsSchema,
  AuditPart,
  AuditProblem,
  ChangeAction,
  ChangeSchema,
  EntityKind,
  EraseInputsRequestSchema,
  ListChangesRequestSchema,
  ListReceiptsRequestSchema,
  ReceiptSchema,
  RenderInputsSchema,
  ReplayOutcome,
  ReplayReceiptsRequestSchema,
  ReplayReceiptsResponseSchema,
  ReplayResponseSchema,
  VerifyAuditResponseSchema,
} from '../../../../gen/platen/v1/audit_service_pb.js';
import { CapturePolicy, PromptType, Role } from '../../../../gen/platen/v1/resources_pb.js';
import { brief } from '../../../support/handler-call.ts';
import { overTheWire, unsetFields } from '../../../support/wire.ts';

const TIME = new Date('2026-03-01T12:00:00.123Z');
const LATER = new Date('2026-03-02T12:00:00.123Z');

describe('A change tells who, what and when', () => {
  const record: ChangeRecord = {
    seq: 42,
    time: TIME,
    actor: 'key:1',
    action: 'RELEASE',
    tenant: 'acme',
    entityKind: 'BUNDLE',
    entityId: 'welcome',
    beforeHash: 'a'.repeat(64),
    afterHash: 'b'.repeat(64),
    detail: { channel: 'production', revision: 3 },
    requestId: 'r-1',
    traceId: 't'.repeat(32),
    chainHash: 'c'.repeat(64),
  };

  it('a change is answered with all that is kept of it', () => {
    const change = overTheWire(ChangeSchema, writeChange(record));
    assert.deepEqual(unsetFields(ChangeSchema, change), []);
    assert.equal(change.action, ChangeAction.RELEASE);
    assert.equal(change.entityKind, EntityKind.BUNDLE);
    assert.deepEqual(change.time, timestampFromDate(TIME));
    assert.deepEqual(change.detail, { channel: 'production', revision: 3 });
  });

  it('changes are filtered by all that a request can name', () => {
    const request = overTheWire(ListChangesRequestSchema, {
      tenant: 'acme',
      entityKind: EntityKind.TEMPLATE,
      entityId: 'hello',
      action: ChangeAction.PUBLISH,
      actor: 'key:1',
      hash: 'a'.repeat(64),
      startTime: timestampFromDate(TIME),
      endTime: timestampFromDate(LATER),
    });
    assert.deepEqual(readChangeFilter(new Violations(), request), {
      tenant: 'acme',
      entityKind: 'TEMPLATE',
      entityId: 'hello',
      action: 'PUBLISH',
      actor: 'key:1',
      hash: 'a'.repeat(64),
      startTime: TIME,
      endTime: LATER,
    });
  });

  it('a filter that names nothing means all', () => {
    assert.deepEqual(readChangeFilter(new Violations(), create(ListChangesRequestSchema)), {
      tenant: '',
      entityKind: undefined,
      entityId: '',
      action: undefined,
      actor: '',
      hash: '',
      startTime: undefined,
      endTime: undefined,
    });
  });

  it('numbers that the contract does not have are refused, all at once', () => {
    const violations = new Violations();
    const request = { entityKind: 77 as EntityKind, action: 88 as ChangeAction };
    readChangeFilter(violations, create(ListChangesRequestSchema, request));
    assert.throws(() => violations.throwIfAny(), /entity_kind: 77 is not a value .*; action: 88 is not a value/);
  });
});

describe('Every render leaves a receipt', () => {
  const record: ChainedReceipt = {
    renderId: '01920000-0000-7000-8000-000000000000',
    time: TIME,
    durationUs: 120,
    requestedTenant: 'acme',
    requestedBundleId: 'welcome',
    requestedVersion: '1.0.0',
    requestedType: 'GREETING',
    capturePolicy: 'FULL',
    tenant: 'default',
    bundleId: 'welcome',
    version: '1.0.0',
    channel: 'production',
    revision: 3,
    seq: 42,
    source: 'PINNED',
    renderedHash: 'a'.repeat(64),
    bundleHash: 'b'.repeat(64),
    personalityHash: 'c'.repeat(64),
    constraintsHash: 'd'.repeat(64),
    variablesHash: 'e'.repeat(64),
    placeholdersHash: 'f'.repeat(64),
    messagesHash: '0'.repeat(64),
    rendererVersion: 2,
    caller: 'key:1',
    requestId: 'r-1',
    labels: { chat: 'c-1' },
    traceId: 't'.repeat(32),
    receiptHash: '1'.repeat(64),
    batch: 7,
  };

  it('a receipt is answered with all that is kept of it', () => {
    const receipt = overTheWire(ReceiptSchema, writeReceipt(record));
    assert.deepEqual(unsetFields(ReceiptSchema, receipt), []);
    assert.equal(receipt.requestedType, PromptType.GREETING);
    assert.equal(receipt.capturePolicy, CapturePolicy.FULL);
    assert.equal(receipt.durationUs, 120n);
    assert.equal(receipt.batch, 7n);
    assert.equal(receipt.placeholdersHash, 'f'.repeat(64));
  });

  it('a render by bundle asked for no type', () => {
    const receipt = overTheWire(ReceiptSchema, writeReceipt({ ...record, requestedType: '' }));
    assert.deepEqual(unsetFields(ReceiptSchema, receipt), ['requested_type']);
  });

  it('receipts are filtered by all that a request can name', () => {
    const request = create(ListReceiptsRequestSchema, {
      tenant: 'acme',
      bundleHash: 'a'.repeat(64),
      personalityHash: 'b'.repeat(64),
      caller: 'key:1',
      requestId: 'r-1',
      bundleId: 'welcome',
      labels: { chat: 'c-1' },
      startTime: timestampFromDate(TIME),
      endTime: timestampFromDate(LATER),
    });
    assert.deepEqual(readReceiptFilter(new Violations(), request), {
      tenant: 'acme',
      bundleHash: 'a'.repeat(64),
      personalityHash: 'b'.repeat(64),
      caller: 'key:1',
      requestId: 'r-1',
      bundleId: 'welcome',
      labels: { chat: 'c-1' },
      startTime: TIME,
      endTime: LATER,
    });
  });

  it('a hash that is none is a violation, and not one that nothing has', () => {
    const violations = new Violations();
    readReceiptFilter(violations, create(ListReceiptsRequestSchema, { bundleHash: 'ab', personalityHash: 'A'.repeat(64) }));
    readChangeFilter(violations, create(ListChangesRequestSchema, { hash: `${'a'.repeat(64)}zz` }));
    assert.deepEqual(
      violations.list.map(({ field, reason }) => `${field} ${reason}`),
      ['bundle_hash BAD_FORMAT', 'personality_hash BAD_FORMAT', 'hash BAD_FORMAT'],
    );
  });

  it('a filter that names nothing means all', () => {
    assert.deepEqual(readReceiptFilter(new Violations(), create(ListReceiptsRequestSchema)), {
      tenant: '',
      bundleHash: '',
      personalityHash: '',
      caller: '',
      requestId: '',
      bundleId: '',
      labels: {},
      startTime: undefined,
      endTime: undefined,
    });
  });
});

describe('The capture policy decides what is kept', () => {
  const captured: CapturedInputs = {
    variables: { name: 'Ada', none: null },
    placeholders: { history: [{ role: 'USER', content: 'Hi' }], empty: [] },
    fallbackText: 'Hello',
  };

  it('captured values go both ways', () => {
    const inputs = overTheWire(RenderInputsSchema, writeRenderInputs(captured));
    assert.deepEqual(unsetFields(RenderInputsSchema, inputs), ['placeholders.empty.messages']);
    assert.deepEqual(readRenderInputs(new Violations(), 'inputs', inputs), captured);
  });

  it('what was not captured is not there', () => {
    const inputs = overTheWire(RenderInputsSchema, writeRenderInputs({}));
    assert.deepEqual(inputs, create(RenderInputsSchema));
    assert.deepEqual(readRenderInputs(new Violations(), 'inputs', inputs), {});
  });

  it('supplied messages without a role are refused', () => {
    const history = { messages: [{ role: Role.UNSPECIFIED }] };
    const inputs = create(RenderInputsSchema, { placeholders: { history } });
    const violations = new Violations();
    readRenderInputs(violations, 'inputs', inputs);
    assert.throws(() => violations.throwIfAny(), /inputs\.placeholders\.history\.messages\[0\]\.role: a value/);
  });
});

describe('Replay tells match from mismatch', () => {
  it('a replay is answered with all that it came to', () => {
    const answer = overTheWire(
      ReplayResponseSchema,
      writeReplay({
        outcome: 'INPUT_MISSING',
        expectedHash: 'a'.repeat(64),
        actualHash: 'b'.repeat(64),
        text: 'Hello',
        missingInputs: ['variables'],
      }),
    );
    assert.deepEqual(unsetFields(ReplayResponseSchema, answer), []);
    assert.equal(answer.outcome, ReplayOutcome.INPUT_MISSING);
  });
});

describe('Ranges of receipts are replayed', () => {
  it('receipts to replay are named by all that a request can name', () => {
    const request = create(ReplayReceiptsRequestSchema, {
      tenant: 'acme',
      bundleId: 'welcome',
      bundleHash: 'a'.repeat(64),
      personalityHash: 'b'.repeat(64),
      caller: 'key:1',
      labels: { chat: 'c-1' },
      startTime: timestampFromDate(TIME),
      endTime: timestampFromDate(LATER),
    });
    assert.deepEqual(unsetFields(ReplayReceiptsRequestSchema, request), []);
    assert.deepEqual(readReceiptFilter(new Violations(), request), {
      tenant: 'acme',
      bundleId: 'welcome',
      bundleHash: 'a'.repeat(64),
      personalityHash: 'b'.repeat(64),
      caller: 'key:1',
      requestId: '',
      labels: { chat: 'c-1' },
      startTime: TIME,
      endTime: LATER,
    });
  });

  it('progress is answered with all counts and deviations', () => {
    const progress = overTheWire(
      ReplayReceiptsResponseSchema,
      writeReplayProgress({
        total: 2 ** 40,
        replayed: 10,
        matched: 4,
        mismatched: 3,
        inputMissing: 2,
        rendererUnknown: 1,
        deviations: [
          {
            renderId: '01920000-0000-7000-8000-000000000000',
            outcome: 'RENDERER_UNKNOWN',
            expectedHash: 'a'.repeat(64),
            actualHash: 'b'.repeat(64),
            missingInputs: ['variables'],
            rendererVersion: 9,
          },
        ],
      }),
    );
    assert.deepEqual(unsetFields(ReplayReceiptsResponseSchema, progress), []);
    const { total, replayed, matched, mismatched, inputMissing, rendererUnknown } = progress;
    assert.deepEqual([total, replayed, matched, mismatched], [2n ** 40n, 10n, 4n, 3n]);
    assert.deepEqual([inputMissing, rendererUnknown], [2n, 1n]);
    const [deviation] = progress.deviations;
    assert.equal(deviation?.outcome, ReplayOutcome.RENDERER_UNKNOWN);
    assert.equal(deviation.expectedHash, 'a'.repeat(64));
    assert.equal(deviation.actualHash, 'b'.repeat(64));
  });
});

describe('Captured values can be erased', () => {
  it('renders are named by all that a request can name', () => {
    const request = create(EraseInputsRequestSchema, {
      tenant: 'acme',
      caller: 'key:1',
      labels: { user: '42' },
      startTime: timestampFromDate(TIME),
      endTime: timestampFromDate(LATER),
    });
    assert.deepEqual(readErasureFilter(new Violations(), request), {
      tenant: 'acme',
      caller: 'key:1',
      labels: { user: '42' },
      startTime: TIME,
      endTime: LATER,
    });
  });
});

describe('Verification shows tampering', () => {
  const HEADS = { changeSeq: 42n, changeHash: 'a'.repeat(64), batch: 7n, batchHash: 'b'.repeat(64) };

  function violationsOf(given: Partial<typeof HEADS>): string[] {
    const violations = new Violations();
    readHeads(violations, 'checkpoint', create(AuditHeadsSchema, { ...HEADS, ...given }));
    return violations.list.map(brief);
  }

  it('a checkpoint names a change, and a batch or none', () => {
    const violations = new Violations();
    assert.deepEqual(readHeads(violations, 'checkpoint', create(AuditHeadsSchema, HEADS)), {
      changeSeq: 42,
      changeHash: 'a'.repeat(64),
      batch: 7,
      batchHash: 'b'.repeat(64),
    });
    assert.deepEqual(violationsOf({ batch: 0n, batchHash: '0'.repeat(64) }), []);
  });

  it('one that nothing could match is refused', () => {
    assert.deepEqual(violationsOf({ changeSeq: 0n }), ['checkpoint.change_seq OUT_OF_RANGE']);
    assert.deepEqual(violationsOf({ batch: -1n }), ['checkpoint.batch OUT_OF_RANGE']);
    for (const hash of ['', 'a'.repeat(63), 'A'.repeat(64), 'g'.repeat(64), `${'a'.repeat(64)}\n`]) {
      assert.deepEqual(violationsOf({ changeHash: hash }), ['checkpoint.change_hash BAD_FORMAT']);
      assert.deepEqual(violationsOf({ batchHash: hash }), ['checkpoint.batch_hash BAD_FORMAT']);
    }
  });

  it('one that is empty lacks all but the batch', () => {
    const violations = new Violations();
    readHeads(violations, 'checkpoint', create(AuditHeadsSchema));
    assert.deepEqual(violations.list.map(brief), [
      'checkpoint.change_seq OUT_OF_RANGE',
      'checkpoint.change_hash BAD_FORMAT',
      'checkpoint.batch_hash BAD_FORMAT',
    ]);
  });

  it('one beyond all changes stays beyond them', () => {
    const heads = create(AuditHeadsSchema, { ...HEADS, changeSeq: 2n ** 62n, batch: 2n ** 62n });
    const { changeSeq, batch } = readHeads(new Violations(), 'checkpoint', heads);
    assert.deepEqual([changeSeq, batch], [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]);
  });

  it('progress is answered with all that was found', () => {
    const progress = overTheWire(
      VerifyAuditResponseSchema,
      writeVerificationProgress({
        part: 'RECEIPTS',
        verified: 3,
        total: 2 ** 40,
        finding: {
          part: 'RECEIPTS',
          problem: 'BROKEN_LINK',
          seq: 17,
          batch: 4,
          renderId: '01920000-0000-7000-8000-000000000000',
          documentHash: 'c'.repeat(64),
          expected: 'd',
          actual: 'e',
          description: 'it does not follow',
        },
        result: {
          intact: true,
          heads: { changeSeq: 42, changeHash: 'a'.repeat(64), batch: 7, batchHash: 'b'.repeat(64) },
          documents: 1,
          changes: 2,
          receipts: 5,
          prunedReceipts: 6,
        },
      }),
    );
    assert.deepEqual(unsetFields(VerifyAuditResponseSchema, progress), []);
    const { part, verified, total, finding, result } = progress;
    assert.deepEqual([part, verified, total], [AuditPart.RECEIPTS, 3n, 2n ** 40n]);
    assert.deepEqual([finding?.part, finding?.problem], [AuditPart.RECEIPTS, AuditProblem.BROKEN_LINK]);
    assert.deepEqual([finding?.seq, finding?.batch, finding?.expected, finding?.actual], [17n, 4n, 'd', 'e']);
    assert.deepEqual(result?.heads, create(AuditHeadsSchema, HEADS));
    assert.deepEqual([result.documents, result.changes, result.receipts, result.prunedReceipts], [1n, 2n, 5n, 6n]);
  });

  it('progress in between tells no result and finds nothing', () => {
    const progress = writeVerificationProgress({ part: 'DOCUMENTS', verified: 1, total: 2 });
    const answer = overTheWire(VerifyAuditResponseSchema, progress);
    assert.deepEqual(unsetFields(VerifyAuditResponseSchema, answer), ['finding', 'result']);
  });

  it('a trail that is not intact has no heads', () => {
    const result = { intact: false, heads: undefined, documents: 1, changes: 1, receipts: 1, prunedReceipts: 1 };
    const progress = writeVerificationProgress({ part: 'RECEIPTS', verified: 1, total: 1, result });
    const answer = overTheWire(VerifyAuditResponseSchema, progress);
    assert.deepEqual(unsetFields(VerifyAuditResponseSchema, answer), ['finding', 'result.intact', 'result.heads']);
  });
});
