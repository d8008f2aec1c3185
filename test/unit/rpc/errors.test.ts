import assert from 'node:assert/strict';
import { toJson } from '@bufbuild/protobuf';
import { Code } from '../../../gen/google/rpc/code_pb.js';
import {
  type BadRequest,
  BadRequestSchema,
  type ErrorInfo,
  type PreconditionFailure,
} from '../../../gen/google/rpc/error_details_pb.js';
import { ErrorReasonSchema } from '../../../gen/platen/v1/errors_pb.js';
import * as domain from '../../../src/domain/errors.ts';
import {
  AlreadyExists,
  Cancelled,
  DeadlineExceeded,
  DomainError,
  InvalidInput,
  MalformedRequest,
  NotFound,
  PreconditionFailed,
  RenderedTooLarge,
  RenderTooCostly,
  Stale,
  Unavailable,
  type ViolationReason,
  Violations,
  WorkTooLong,
} from '../../../src/domain/errors.ts';
import { type Status, StatusError, UnreadableRequest, outcomeOf, statusOf } from '../../../src/rpc/errors.ts';
import { memoryLogger } from '../../support/rpc-server.ts';

const current = { value: 7, expected: 6, draftHash: 'ab12', actor: 'jo', time: '2026-01-31T08:00:00.000Z' };
const obstacle = { type: 'BUNDLE_DRAFT', subject: 'acme/greeting', description: 'its draft names the template' };
const obstacleJson = { type: 'BUNDLE_DRAFT', subject: 'acme/greeting', description: 'its draft names the template' };
const violation = { field: 'draft.content', reason: 'LONE_BRACE' as ViolationReason, description: "a lone '}'" };
const violationJson = { field: 'draft.content', reason: 'LONE_BRACE', description: "a lone '}'" };

interface Row {
  error: DomainError;
  code: keyof typeof Code;
  reason: string;
  metadata?: Record<string, string>;
  /** The detail beside ErrorInfo, by the name of its message. */
  detail?: Record<string, unknown>;
}

const TABLE: Row[] = [
  {
    error: new InvalidInput([violation]),
    code: 'INVALID_ARGUMENT',
    reason: 'INVALID_INPUT',
    detail: { BadRequest: { fieldViolations: [violationJson] } },
  },
  {
    error: new InvalidInput([violation], 'VARIABLES_INVALID'),
    code: 'INVALID_ARGUMENT',
    reason: 'VARIABLES_INVALID',
    detail: { BadRequest: { fieldViolations: [violationJson] } },
  },
  {
    error: new InvalidInput([violation], 'REQUEST_ID_REUSED', { request_id: 'save-17' }),
    code: 'INVALID_ARGUMENT',
    reason: 'REQUEST_ID_REUSED',
    metadata: { request_id: 'save-17' },
    detail: { BadRequest: { fieldViolations: [violationJson] } },
  },
  { error: new MalformedRequest(), code: 'INVALID_ARGUMENT', reason: 'MALFORMED_REQUEST' },
  { error: new UnreadableRequest('premature EOF'), code: 'INVALID_ARGUMENT', reason: 'MALFORMED_REQUEST' },
  {
    error: new RenderedTooLarge(1_048_576),
    code: 'INVALID_ARGUMENT',
    reason: 'RENDERED_TOO_LARGE',
    metadata: { max_bytes: '1048576' },
    detail: {
      BadRequest: {
        fieldViolations: [
          {
            field: 'variables',
            reason: 'TOO_LARGE',
            description:
              'the rendered text has more than 1048576 bytes of UTF-8; send shorter values, or fewer messages',
          },
        ],
      },
    },
  },
  {
    error: new RenderTooCostly(25_000),
    code: 'INVALID_ARGUMENT',
    reason: 'RENDER_TOO_COSTLY',
    metadata: { max_steps: '25000' },
    detail: {
      BadRequest: {
        fieldViolations: [
          {
            field: 'variables',
            reason: 'TOO_COMPLEX',
            description:
              'the LIQUID templates need more than 25000 steps to render these values; ' +
              'loop over less, or send smaller values',
          },
        ],
      },
    },
  },
  {
    error: new NotFound('bundle', 'acme/greeting'),
    code: 'NOT_FOUND',
    reason: 'RESOURCE_NOT_FOUND',
    detail: {
      ResourceInfo: {
        resourceType: 'bundle',
        resourceName: 'acme/greeting',
        description: 'bundle acme/greeting does not exist',
      },
    },
  },
  {
    error: new AlreadyExists('template', 'acme/tone', 'ids are never reused'),
    code: 'ALREADY_EXISTS',
    reason: 'RESOURCE_EXISTS',
    detail: {
      ResourceInfo: {
        resourceType: 'template',
        resourceName: 'acme/tone',
        description: 'template acme/tone exists; ids are never reused',
      },
    },
  },
  {
    error: new AlreadyExists('bundle_version', 'acme/greeting@1.2.0', 'publish under another'),
    code: 'ALREADY_EXISTS',
    reason: 'VERSION_EXISTS',
    detail: {
      ResourceInfo: {
        resourceType: 'bundle_version',
        resourceName: 'acme/greeting@1.2.0',
        description: 'bundle_version acme/greeting@1.2.0 exists; publish under another',
      },
    },
  },
  {
    error: new Stale('STALE_EDIT_VERSION', current),
    code: 'ABORTED',
    reason: 'STALE_EDIT_VERSION',
    metadata: {
      edit_version: '7',
      expected: '6',
      draft_hash: 'ab12',
      update_actor: 'jo',
      update_time: '2026-01-31T08:00:00.000Z',
    },
  },
  {
    error: new Stale('STALE_REVISION', current),
    code: 'ABORTED',
    reason: 'STALE_REVISION',
    metadata: {
      revision: '7',
      expected: '6',
      draft_hash: 'ab12',
      update_actor: 'jo',
      update_time: '2026-01-31T08:00:00.000Z',
    },
  },
  {
    error: new PreconditionFailed('VERSION_IMMUTABLE', [obstacle]),
    code: 'FAILED_PRECONDITION',
    reason: 'VERSION_IMMUTABLE',
    detail: { PreconditionFailure: { violations: [obstacleJson] } },
  },
  {
    error: new PreconditionFailed('RESOURCE_IN_USE', [obstacle]),
    code: 'FAILED_PRECONDITION',
    reason: 'RESOURCE_IN_USE',
    metadata: { referrers: '1' },
    detail: { PreconditionFailure: { violations: [obstacleJson] } },
  },
  {
    error: new PreconditionFailed('RESOURCE_ARCHIVED', [obstacle]),
    code: 'FAILED_PRECONDITION',
    reason: 'RESOURCE_ARCHIVED',
    detail: { PreconditionFailure: { violations: [obstacleJson] } },
  },
  {
    error: new PreconditionFailed('NOTHING_TO_ROLL_BACK', [obstacle]),
    code: 'FAILED_PRECONDITION',
    reason: 'NOTHING_TO_ROLL_BACK',
    detail: { PreconditionFailure: { violations: [obstacleJson] } },
  },
  {
    error: new Unavailable('SEQ_NOT_APPLIED', 'not yet', 250, { min_seq: '812', applied_seq: '809' }),
    code: 'UNAVAILABLE',
    reason: 'SEQ_NOT_APPLIED',
    metadata: { min_seq: '812', applied_seq: '809' },
    detail: { RetryInfo: { retryDelay: '0.250s' } },
  },
  {
    error: new Unavailable('DATABASE_UNAVAILABLE', 'away', 1000),
    code: 'UNAVAILABLE',
    reason: 'DATABASE_UNAVAILABLE',
    detail: { RetryInfo: { retryDelay: '1s' } },
  },
  {
    error: new Unavailable('DRAINING', 'bye', 1000),
    code: 'UNAVAILABLE',
    reason: 'DRAINING',
    detail: { RetryInfo: { retryDelay: '1s' } },
  },
  {
    error: new Unavailable('OVERLOADED', 'too much waits', 1000),
    code: 'UNAVAILABLE',
    reason: 'OVERLOADED',
    detail: { RetryInfo: { retryDelay: '1s' } },
  },
  {
    error: new Unavailable('RECEIPT_NOT_RECORDED', 'the disk is full', 1000, { render_id: '0197' }),
    code: 'UNAVAILABLE',
    reason: 'RECEIPT_NOT_RECORDED',
    metadata: { render_id: '0197' },
    detail: { RetryInfo: { retryDelay: '1s' } },
  },
  {
    error: new WorkTooLong('check_output', 2_000),
    code: 'RESOURCE_EXHAUSTED',
    reason: 'WORK_TOO_LONG',
    metadata: { work: 'check_output', limit_ms: '2000' },
  },
  { error: new DeadlineExceeded(), code: 'DEADLINE_EXCEEDED', reason: 'DEADLINE_EXCEEDED' },
  { error: new Cancelled(), code: 'CANCELLED', reason: 'CANCELLED' },
];

const { logger, lines } = memoryLogger();

function detailOf<T>(status: Status, name: string): T | undefined {
  return status.details.find(({ desc }) => desc.name === name)?.message as T | undefined;
}

describe('Every error carries one ErrorInfo', () => {
  for (const { error, code, reason, metadata = {}, detail = {} } of TABLE) {
    it(`${error.name} as ${code}, reason ${reason}`, () => {
      const status = statusOf(error, logger);
      assert.equal(Code[status.code], code);
      assert.equal(status.message, error.message);
      assert.equal(status.reason, reason);
      const details = status.details.map(({ desc, message }) => [desc.name, toJson(desc, message)]);
      const info = { reason, domain: 'platen', ...(Object.keys(metadata).length > 0 && { metadata }) };
      assert.deepEqual(Object.fromEntries(details), { ErrorInfo: info, ...detail });
      assert.equal(details.length, 1 + Object.keys(detail).length);
    });
  }

  it('knows every class of domain errors', () => {
    const classes = Object.values(domain).filter(
      (exported) => typeof exported === 'function' && exported.prototype instanceof DomainError,
    );
    const known = new Set(TABLE.map(({ error }) => error.constructor));
    assert.deepEqual(classes.filter((exported) => !known.has(exported)), []);
  });

  it('uses every reason that the contract declares', () => {
    const declared = ErrorReasonSchema.values.slice(1).map(({ localName }) => localName);
    const used = new Set([...TABLE.map(({ reason }) => reason), statusOf(new Error('x'), logger).reason]);
    assert.deepEqual(declared.filter((reason) => !used.has(reason)), []);
  });
});

describe('Every violation is reported at once', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ ...violation, field: `draft.variables[${i}].name` }));

  it('lists all of a realistic request', () => {
    const status = statusOf(new InvalidInput(many(400)), logger);
    assert.equal(detailOf<BadRequest>(status, 'BadRequest')?.fieldViolations.length, 400);
    assert.deepEqual(detailOf<ErrorInfo>(status, 'ErrorInfo')?.metadata, {});
  });

  it('lists as many of a hostile one as an HTTP trailer carries, and tells their number', () => {
    const status = statusOf(new InvalidInput(many(10_000), 'INVALID_INPUT', { request_id: 'r' }), logger);
    const badRequest = detailOf<BadRequest>(status, 'BadRequest') as BadRequest;
    assert.ok(badRequest.fieldViolations.length > 400);
    assert.ok(JSON.stringify(toJson(BadRequestSchema, badRequest)).length < 64 * 1024);
    assert.deepEqual(detailOf<ErrorInfo>(status, 'ErrorInfo')?.metadata, { request_id: 'r', violations: '10000' });
  });

  it('bounds the message, which repeats the details', () => {
    const long = many(10).map((each) => ({ ...each, description: 'x'.repeat(200) }));
    const { message } = statusOf(new InvalidInput(long), logger);
    assert.equal(message.length, 1001);
    assert.ok(message.endsWith('…'));
  });

  it('tells how many there are, also those that were counted only', () => {
    const violations = new Violations();
    for (let index = 0; index < 1_000_000; index += 1) violations.add('labels', 'TOO_LONG', 'x');
    assert.throws(
      () => violations.throwIfAny(),
      (error) => {
        const status = statusOf(error, logger);
        assert.equal(detailOf<BadRequest>(status, 'BadRequest')?.fieldViolations.length, 500);
        assert.deepEqual(detailOf<ErrorInfo>(status, 'ErrorInfo')?.metadata, { violations: '1000000' });
        return true;
      },
    );
  });

  it('caps referrers at 20 and tells their whole number', () => {
    const obstacles = Array.from({ length: 35 }, (_, i) => ({ ...obstacle, subject: `acme/bundle-${i}` }));
    const status = statusOf(new PreconditionFailed('RESOURCE_IN_USE', obstacles), logger);
    assert.equal(detailOf<PreconditionFailure>(status, 'PreconditionFailure')?.violations.length, 20);
    assert.deepEqual(detailOf<ErrorInfo>(status, 'ErrorInfo')?.metadata, { referrers: '35' });
  });

  it('makes text well-formed, which the transports cannot escape otherwise', () => {
    const { message, details } = statusOf(new NotFound('tenant', 'a\ud800'), logger);
    assert.equal(message, 'tenant a\ufffd does not exist');
    assert.ok(JSON.stringify(details.map(({ message: detail }) => detail)).includes('a\ufffd'));
  });
});

describe('Unforeseen errors leak nothing', () => {
  const thrown: [string, unknown][] = [
    ['an error of a driver', Object.assign(new Error('select secret from table'), { code: '42P01' })],
    ['a string', 'select secret from table'],
    ['nothing', undefined],
  ];
  for (const [what, error] of thrown) {
    it(`answers ${what} with INTERNAL, a fixed message and an id that the log holds`, () => {
      lines.length = 0;
      const status = statusOf(error, logger);
      assert.equal(status.code, Code.INTERNAL);
      assert.equal(status.message, 'internal error; the server logged it under error_id');
      assert.equal(status.details.length, 1);
      const info = detailOf<ErrorInfo>(status, 'ErrorInfo') as ErrorInfo;
      assert.deepEqual({ reason: info.reason, domain: info.domain }, { reason: 'INTERNAL', domain: 'platen' });
      assert.deepEqual(Object.keys(info.metadata), ['error_id']);
      assert.match(info.metadata['error_id'] as string, /^[0-9a-f-]{36}$/);
      assert.doesNotMatch(JSON.stringify([status.message, info]), /secret/);
      assert.equal(lines.length, 1);
      assert.equal(lines[0]?.['error_id'], info.metadata['error_id']);
      assert.equal(lines[0]?.['level'], 'error');
      if (error !== undefined) assert.match(JSON.stringify(lines[0]?.['err']), /secret/);
    });
  }

  it('keeps the cause on the error that leaves the chain', () => {
    const cause = new NotFound('tenant', 'x');
    const error = new StatusError(statusOf(cause, logger), cause);
    assert.equal(error.cause, cause);
    assert.deepEqual(outcomeOf(error), { code: Code.NOT_FOUND, name: 'NOT_FOUND', reason: 'RESOURCE_NOT_FOUND' });
  });
});
