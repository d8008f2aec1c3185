import { randomUUID } from 'node:crypto';
import { type DescMessage, type Message, create, toBinary } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { Code } from '../../gen/google/rpc/code_pb.js';
import {
  BadRequestSchema,
  BadRequest_FieldViolationSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.js';
import type { ErrorReason } from '../../gen/platen/v1/errors_pb.js';
import {
  AlreadyExists,
  Cancelled,
  DeadlineExceeded,
  InvalidInput,
  MalformedRequest,
  NotFound,
  PreconditionFailed,
  RenderedTooLarge,
  RenderTooCostly,
  Stale,
  Unavailable,
  type Violation,
  type ViolationReason,
  WorkTooLong,
} from '../domain/errors.ts';
import type { Logger } from '../telemetry/logger.ts';

/** A google.rpc detail. */
export interface StatusDetail {
  readonly desc: DescMessage;
  readonly message: Message;
}

/** How a call failed, in the form that both transports encode. All text in it is well-formed Unicode. */
export interface Status {
  readonly code: Code;
  readonly message: string;
  /** google.rpc.ErrorInfo first, then what the reason's comment in errors.proto names. */
  readonly details: readonly StatusDetail[];
  /** A name of ErrorReason. */
  readonly reason: Reason;
}

/** The names that ErrorInfo.reason carries. */
export type Reason = Exclude<keyof typeof ErrorReason, 'UNSPECIFIED'>;

/** What leaves the error mapping interceptor; `cause` is what was thrown. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly status: Status;

  constructor(status: Status, cause: unknown) {
    super(status.message, { cause });
    this.status = status;
  }
}

/** The body is not a message of the method's request type, for a reason that helps the caller. */
export class UnreadableRequest extends MalformedRequest {
  /** @param detail what the decoder said of the caller's bytes */
  constructor(detail: string) {
    super();
    this.message += `: ${detail}`;
  }
}

/** How a call ended, for logs, spans and metrics. */
export interface Outcome {
  readonly code: number;
  /** The code's name in google.rpc.Code. */
  readonly name: string;
  /** Empty for OK. */
  readonly reason: Reason | '';
}

export const OK: Outcome = { code: Code.OK, name: Code[Code.OK], reason: '' };

/** The outcome of a call that failed. What is no StatusError was thrown outside the error mapping: a defect. */
export function outcomeOf(error: unknown): Outcome {
  const { code, reason } = (error as StatusError).status;
  return { code, name: Code[code], reason };
}

/** The code of each reason, as errors.proto documents it. */
const CODES: Readonly<Record<Reason, Code>> = {
  INVALID_INPUT: Code.INVALID_ARGUMENT,
  MALFORMED_REQUEST: Code.INVALID_ARGUMENT,
  REQUEST_ID_REUSED: Code.INVALID_ARGUMENT,
  VARIABLES_INVALID: Code.INVALID_ARGUMENT,
  RENDERED_TOO_LARGE: Code.INVALID_ARGUMENT,
  RENDER_TOO_COSTLY: Code.INVALID_ARGUMENT,
  RESOURCE_NOT_FOUND: Code.NOT_FOUND,
  RESOURCE_EXISTS: Code.ALREADY_EXISTS,
  VERSION_EXISTS: Code.ALREADY_EXISTS,
  STALE_EDIT_VERSION: Code.ABORTED,
  STALE_REVISION: Code.ABORTED,
  VERSION_IMMUTABLE: Code.FAILED_PRECONDITION,
  RESOURCE_IN_USE: Code.FAILED_PRECONDITION,
  RESOURCE_ARCHIVED: Code.FAILED_PRECONDITION,
  NOTHING_TO_ROLL_BACK: Code.FAILED_PRECONDITION,
  SEQ_NOT_APPLIED: Code.UNAVAILABLE,
  DATABASE_UNAVAILABLE: Code.UNAVAILABLE,
  DRAINING: Code.UNAVAILABLE,
  OVERLOADED: Code.UNAVAILABLE,
  RECEIPT_NOT_RECORDED: Code.UNAVAILABLE,
  WORK_TOO_LONG: Code.RESOURCE_EXHAUSTED,
  DEADLINE_EXCEEDED: Code.DEADLINE_EXCEEDED,
  CANCELLED: Code.CANCELLED,
  INTERNAL: Code.INTERNAL,
};

const DOMAIN = 'platen';
const INTERNAL_MESSAGE = 'internal error; the server logged it under error_id';
/** errors.proto, RESOURCE_IN_USE. */
const MAX_OBSTACLES = 20;
/**
 * Details travel in an HTTP trailer, in base64. Clients on Node take 64 KiB of headers; beyond that they would see a
 * broken stream instead of the error.
 */
const MAX_VIOLATION_BYTES = 32 * 1024;
const MAX_MESSAGE_LENGTH = 1000;

interface Explanation {
  readonly reason: Reason;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly details?: readonly StatusDetail[];
}

/**
 * The status of whatever was thrown. Domain errors have their row here; anything else is unforeseen: it is logged with
 * an id, and the caller learns the id and nothing more.
 */
export function statusOf(error: unknown, logger: Logger): Status {
  const explanation = explain(error);
  if (explanation === undefined) {
    const errorId = randomUUID();
    logger.error({ err: error, error_id: errorId }, 'unforeseen error');
    return status({ reason: 'INTERNAL', metadata: { error_id: errorId } }, INTERNAL_MESSAGE);
  }
  return status(explanation, (error as Error).message);
}

function explain(error: unknown): Explanation | undefined {
  if (error instanceof InvalidInput) return explainInvalidInput(error);
  if (error instanceof MalformedRequest) return { reason: 'MALFORMED_REQUEST' };
  if (error instanceof RenderedTooLarge) {
    const metadata = { max_bytes: String(error.maxBytes) };
    return { reason: 'RENDERED_TOO_LARGE', metadata, details: [aboutVariables('TOO_LARGE', error)] };
  }
  if (error instanceof RenderTooCostly) {
    const metadata = { max_steps: String(error.maxSteps) };
    return { reason: 'RENDER_TOO_COSTLY', metadata, details: [aboutVariables('TOO_COMPLEX', error)] };
  }
  if (error instanceof NotFound) return { reason: 'RESOURCE_NOT_FOUND', details: [resourceInfo(error)] };
  if (error instanceof AlreadyExists) {
    const reason = error.resourceType.endsWith('_version') ? 'VERSION_EXISTS' : 'RESOURCE_EXISTS';
    return { reason, details: [resourceInfo(error)] };
  }
  if (error instanceof Stale) return { reason: error.reason, metadata: error.metadata };
  if (error instanceof PreconditionFailed) return explainPrecondition(error);
  if (error instanceof Unavailable) {
    const retryInfo = create(RetryInfoSchema, { retryDelay: durationFromMs(error.retryDelayMs) });
    const details = [{ desc: RetryInfoSchema, message: retryInfo }];
    return { reason: error.reason, metadata: error.metadata, details };
  }
  if (error instanceof WorkTooLong) {
    return { reason: 'WORK_TOO_LONG', metadata: { work: error.work, limit_ms: String(error.limitMs) } };
  }
  if (error instanceof DeadlineExceeded) return { reason: 'DEADLINE_EXCEEDED' };
  if (error instanceof Cancelled) return { reason: 'CANCELLED' };
  return undefined;
}

/** The violations, as far as they were kept and fit in a trailer; if not all are, the metadata has their number. */
function explainInvalidInput({ reason, violations, metadata, total }: InvalidInput): Explanation {
  const listed = listViolations(violations);
  const details = [{ desc: BadRequestSchema, message: create(BadRequestSchema, { fieldViolations: listed }) }];
  if (listed.length === total) return { reason, metadata, details };
  return { reason, metadata: { ...metadata, violations: String(total) }, details };
}

/** Names the values of a render as what is to be changed. */
function aboutVariables(reason: ViolationReason, { message }: Error): StatusDetail {
  const fieldViolations = [{ field: 'variables', reason, description: message }];
  return { desc: BadRequestSchema, message: create(BadRequestSchema, { fieldViolations }) };
}

function listViolations(violations: readonly Violation[]) {
  const listed = [];
  let bytes = 0;
  for (const { field, reason, description } of violations) {
    const violation = create(BadRequest_FieldViolationSchema, {
      field: field.toWellFormed(),
      reason,
      description: description.toWellFormed(),
    });
    bytes += toBinary(BadRequest_FieldViolationSchema, violation).byteLength;
    if (bytes > MAX_VIOLATION_BYTES) break;
    listed.push(violation);
  }
  return listed;
}

function explainPrecondition({ reason, obstacles }: PreconditionFailed): Explanation {
  const violations = obstacles.slice(0, MAX_OBSTACLES).map(({ type, subject, description }) => ({
    type: type.toWellFormed(),
    subject: subject.toWellFormed(),
    description: description.toWellFormed(),
  }));
  const message = create(PreconditionFailureSchema, { violations });
  const metadata = reason === 'RESOURCE_IN_USE' ? { referrers: String(obstacles.length) } : {};
  return { reason, metadata, details: [{ desc: PreconditionFailureSchema, message }] };
}

function resourceInfo({ resourceType, resourceName, message }: NotFound | AlreadyExists): StatusDetail {
  const info = {
    resourceType,
    resourceName: resourceName.toWellFormed(),
    description: shorten(message),
  };
  return { desc: ResourceInfoSchema, message: create(ResourceInfoSchema, info) };
}

function status({ reason, metadata = {}, details = [] }: Explanation, message: string): Status {
  const wellFormed = Object.entries(metadata).map(([key, value]) => [key, value.toWellFormed()]);
  const errorInfo = create(ErrorInfoSchema, { reason, domain: DOMAIN, metadata: Object.fromEntries(wellFormed) });
  return {
    code: CODES[reason],
    message: shorten(message),
    details: [{ desc: ErrorInfoSchema, message: errorInfo }, ...details],
    reason,
  };
}

/** Bounds a message, which travels in a trailer too, and makes it well-formed: the transports escape it as a URI. */
function shorten(message: string): string {
  const text = message.length <= MAX_MESSAGE_LENGTH ? message : `${message.slice(0, MAX_MESSAGE_LENGTH)}…`;
  return text.toWellFormed();
}
