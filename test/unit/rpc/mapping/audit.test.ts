import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { Violations } from '../../../../src/domain/errors.ts';
import {
  readChangeFilter,
  readReceiptFilter,
  readRenderInputs,
  writeChange,
  writeReceipt,
  writeRenderInputs,
  writeReplay,
} from '../../../../src/rpc/mapping/audit.ts';
import type { CapturedInputs, ChainedReceipt, ChangeRecord } from '../../../../src/services/stores.ts';
import {
  ChangeAction,
  ChangeSchema,
  EntityKind,
  ListChangesRequestSchema,
  ListReceiptsRequestSchema,
  ReceiptSchema,
  RenderInputsSchema,
  ReplayOutcome,
  ReplayResponseSchema,
} from '../../../../gen/platen/v1/audit_service_pb.js';
import { CapturePolicy, PromptType, Role } from '../../../../gen/platen/v1/resources_pb.js';
import { overTheWire, unsetFields } from '../../../support/wire.ts';

const TIME = new Date('2026-03-01T12:00:00.123Z');

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
    });
    assert.deepEqual(readChangeFilter(new Violations(), request), {
      tenant: 'acme',
      entityKind: 'TEMPLATE',
      entityId: 'hello',
      action: 'PUBLISH',
      actor: 'key:1',
    });
  });

  it('a filter that names nothing means all', () => {
    assert.deepEqual(readChangeFilter(new Violations(), create(ListChangesRequestSchema)), {
      tenant: '',
      entityKind: undefined,
      entityId: '',
      action: undefined,
      actor: '',
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
    rendererVersion: 1,
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
      bundleHash: 'a',
      personalityHash: 'b',
      caller: 'key:1',
      requestId: 'r-1',
      startTime: timestampFromDate(TIME),
      endTime: timestampFromDate(TIME),
    });
    assert.deepEqual(readReceiptFilter(new Violations(), request), {
      tenant: 'acme',
      bundleHash: 'a',
      personalityHash: 'b',
      caller: 'key:1',
      requestId: 'r-1',
      startTime: TIME,
      endTime: TIME,
    });
  });

  it('a filter that names nothing means all', () => {
    assert.deepEqual(readReceiptFilter(new Violations(), create(ListReceiptsRequestSchema)), {
      tenant: '',
      bundleHash: '',
      personalityHash: '',
      caller: '',
      requestId: '',
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
