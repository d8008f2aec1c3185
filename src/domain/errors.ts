/**
 * The closed set of errors that the domain and the services throw. Whatever is thrown and is not a DomainError is a
 * defect and reaches callers as INTERNAL. `rpc/errors.ts` holds the only table from these to statuses.
 */
import { MAX_VIOLATIONS } from './limits.ts';

/** Why a field was refused; clients may switch on it. */
export type ViolationReason =
  | 'REQUIRED'
  | 'UNSPECIFIED'
  | 'BLANK'
  | 'TOO_LONG'
  | 'TOO_MANY'
  | 'TOO_LARGE'
  | 'OUT_OF_RANGE'
  | 'BAD_FORMAT'
  | 'NUL'
  | 'NOT_UNICODE'
  | 'NOT_FINITE'
  | 'LONE_BRACE'
  | 'DOUBLE_BRACE'
  | 'UNKNOWN_PLACEHOLDER'
  | 'DUPLICATE'
  | 'CONFLICT'
  | 'CONTRADICTION'
  | 'DOES_NOT_COMPILE'
  | 'MISSING'
  | 'WRONG_TYPE'
  | 'UNRESOLVED'
  | 'NOT_APPLICABLE'
  | 'CYCLE'
  | 'TOO_DEEP'
  | 'REUSED'
  | 'BAD_SYNTAX'
  | 'NOT_ALLOWED'
  | 'TOO_COMPLEX';

/** One breach of a rule. */
export interface Violation {
  /** Path of the field in the request, as `draft.sections[2].template.template.version`. */
  readonly field: string;
  readonly reason: ViolationReason;
  /** What is wrong and how to mend it, in English. */
  readonly description: string;
}

export abstract class DomainError extends Error {
  override get name(): string {
    return this.constructor.name;
  }
}

/** Most violations that an error's message tells of. */
const MOST_TOLD = 10;

function tell(violations: readonly Violation[], total: number): string {
  const told = violations.slice(0, MOST_TOLD);
  const text = told.map(({ field, description }) => `${field}: ${description}`).join('; ');
  return total > told.length ? `${text}; … and ${total - told.length} more` : text;
}

/** The request breaks rules; all of them are named, unless there are more than 500. */
export class InvalidInput extends DomainError {
  readonly reason: 'INVALID_INPUT' | 'VARIABLES_INVALID' | 'REQUEST_ID_REUSED';
  readonly violations: readonly Violation[];
  readonly metadata: Readonly<Record<string, string>>;
  /** How many there are, those counted that `violations` leaves out. */
  readonly total: number;

  constructor(
    violations: readonly Violation[],
    reason: InvalidInput['reason'] = 'INVALID_INPUT',
    metadata: Readonly<Record<string, string>> = {},
    total = violations.length,
  ) {
    super(tell(violations, total));
    this.violations = violations;
    this.reason = reason;
    this.metadata = metadata;
    this.total = total;
  }
}

/** The bytes are not a message of the method's request type. */
export class MalformedRequest extends DomainError {
  constructor() {
    super("the request cannot be decoded as the method's request message");
  }
}

/** The rendered text is over the bound. */
export class RenderedTooLarge extends DomainError {
  readonly maxBytes: number;

  /** @param what has more than that, and what to do about it */
  constructor(maxBytes: number, what = 'the rendered text', advice = 'send shorter values, or fewer messages') {
    super(`${what} has more than ${maxBytes} bytes of UTF-8; ${advice}`);
    this.maxBytes = maxBytes;
  }
}

/** The LIQUID templates of a prompt need more steps than a render may take; the count depends on the input only. */
export class RenderTooCostly extends DomainError {
  readonly maxSteps: number;

  constructor(maxSteps: number) {
    super(
      `the LIQUID templates need more than ${maxSteps} steps to render these values; ` +
        'loop over less, or send smaller values',
    );
    this.maxSteps = maxSteps;
  }
}

/** Work on the input was ended because it took too long. */
export class WorkTooLong extends DomainError {
  /** What was done, as `check_output`. */
  readonly work: string;
  readonly limitMs: number;

  constructor(work: string, limitMs: number) {
    super(`${work} was ended after ${limitMs} ms; make what it works on shorter or simpler`);
    this.work = work;
    this.limitMs = limitMs;
  }
}

export type ResourceType =
  | 'tenant'
  | 'template'
  | 'template_version'
  | 'bundle'
  | 'bundle_version'
  | 'channel'
  | 'activation'
  | 'change'
  | 'receipt';

/** It does not exist. */
export class NotFound extends DomainError {
  readonly resourceType: ResourceType;
  readonly resourceName: string;

  constructor(resourceType: ResourceType, resourceName: string, hint = '') {
    super(`${resourceType} ${resourceName} does not exist${hint && `; ${hint}`}`);
    this.resourceType = resourceType;
    this.resourceName = resourceName;
  }
}

/** The id or semver is taken. */
export class AlreadyExists extends DomainError {
  readonly resourceType: ResourceType;
  readonly resourceName: string;

  constructor(resourceType: ResourceType, resourceName: string, hint: string) {
    super(`${resourceType} ${resourceName} exists; ${hint}`);
    this.resourceType = resourceType;
    this.resourceName = resourceName;
  }
}

/** Somebody else wrote since the caller read. */
export class Stale extends DomainError {
  readonly reason: 'STALE_EDIT_VERSION' | 'STALE_REVISION';
  readonly metadata: Readonly<Record<string, string>>;

  /**
   * @param current what holds now: its counter, the hash of the current draft, who wrote it and when (ISO 8601)
   */
  constructor(
    reason: Stale['reason'],
    current: { value: number; expected: number; draftHash: string; actor: string; time: string },
  ) {
    const counter = reason === 'STALE_EDIT_VERSION' ? 'edit_version' : 'revision';
    super(
      `${counter} is ${current.value}, not ${current.expected}: ${current.actor || 'nobody'} wrote it` +
        `${current.time && ` at ${current.time}`}; read it again, merge, and send ${counter} ${current.value}`,
    );
    this.reason = reason;
    this.metadata = {
      [counter]: String(current.value),
      expected: String(current.expected),
      draft_hash: current.draftHash,
      update_actor: current.actor,
      update_time: current.time,
    };
  }
}

/** One thing that stands in the way. */
export interface Obstacle {
  readonly type: string;
  readonly subject: string;
  readonly description: string;
}

/** The state of the resource does not allow it. */
export class PreconditionFailed extends DomainError {
  readonly reason: 'VERSION_IMMUTABLE' | 'RESOURCE_IN_USE' | 'RESOURCE_ARCHIVED' | 'NOTHING_TO_ROLL_BACK';
  readonly obstacles: readonly Obstacle[];

  constructor(reason: PreconditionFailed['reason'], obstacles: readonly Obstacle[]) {
    super(obstacles.map((o) => `${o.subject}: ${o.description}`).join('; '));
    this.reason = reason;
    this.obstacles = obstacles;
  }
}

/** It may work later, or on another replica. */
export class Unavailable extends DomainError {
  readonly reason: 'SEQ_NOT_APPLIED' | 'DATABASE_UNAVAILABLE' | 'DRAINING' | 'OVERLOADED' | 'RECEIPT_NOT_RECORDED';
  readonly retryDelayMs: number;
  readonly metadata: Readonly<Record<string, string>>;

  constructor(
    reason: Unavailable['reason'],
    message: string,
    retryDelayMs: number,
    metadata: Readonly<Record<string, string>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.reason = reason;
    this.retryDelayMs = retryDelayMs;
    this.metadata = metadata;
  }
}

/** The call's deadline passed. A write took no effect, unless it was being committed at that moment. */
export class DeadlineExceeded extends DomainError {
  constructor() {
    super("the call's deadline passed; repeat a write under its request_id to learn whether it took effect");
  }
}

/** The caller went away. A write took no effect, unless it was being committed at that moment. */
export class Cancelled extends DomainError {
  constructor() {
    super('the caller cancelled; repeat a write under its request_id to learn whether it took effect');
  }
}

/** Collects the breaches of a request, so that all are reported at once. */
export class Violations {
  readonly #list: Violation[] = [];
  #size = 0;

  add(field: string, reason: ViolationReason, description: string): void {
    this.#size += 1;
    if (this.#list.length < MAX_VIOLATIONS) this.#list.push({ field, reason, description });
  }

  /** Adds what somebody else found, those counted that it left out. */
  addAll({ violations, total }: { readonly violations: readonly Violation[]; readonly total: number }): void {
    for (const { field, reason, description } of violations) this.add(field, reason, description);
    this.#size += total - violations.length;
  }

  /** How many were added. */
  get size(): number {
    return this.#size;
  }

  /** Those that were added, at most the first 500. */
  get list(): readonly Violation[] {
    return this.#list;
  }

  /** @throws InvalidInput with the violations that were added, the first 500 of them by name */
  throwIfAny(): void {
    if (this.#size > 0) throw new InvalidInput(this.#list, 'INVALID_INPUT', {}, this.#size);
  }
}
