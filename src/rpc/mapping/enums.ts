import { SEVERITIES } from '../../domain/constraint.ts';
import type { Violations } from '../../domain/errors.ts';
import { CAPTURE_POLICIES, PROMPT_TYPES, ROLES } from '../../domain/prompt-type.ts';
import { ROUTE_FINDINGS } from '../../domain/route-map.ts';
import { TEMPLATE_SYNTAXES } from '../../domain/template-content.ts';
import { TOKEN_ENCODINGS } from '../../domain/token-count.ts';
import { VARIABLE_TYPES } from '../../domain/variable-rules.ts';
import { REPLAY_OUTCOMES } from '../../services/replay.ts';
import type { ReleaseKind as ReleaseKindName } from '../../services/stores.ts';
import { AUDIT_PARTS, AUDIT_PROBLEMS } from '../../services/trail-jobs.ts';
import { CHANGE_ACTIONS, ENTITY_KINDS, RENDER_SOURCES } from '../../services/trail.ts';
import type { WarningCode as WarningCodeName } from '../../services/warning.ts';
import {
  AuditPart,
  AuditProblem,
  ChangeAction,
  EntityKind,
  ReplayOutcome,
} from '../../../gen/platen/v1/audit_service_pb.js';
import { RenderSource, RenderView, RouteFinding, TokenEncoding } from '../../../gen/platen/v1/render_service_pb.js';
import {
  CapturePolicy,
  PromptType,
  ReleaseKind,
  Role,
  Severity,
  TemplateSyntax,
  VariableType,
  WarningCode,
} from '../../../gen/platen/v1/resources_pb.js';

/** An enumeration of the contract by the short names that the domain uses. Its zero value is UNSPECIFIED. */
export class EnumTable<N extends string, E extends number> {
  readonly #names: readonly N[];
  readonly #numbers: Readonly<Record<N, E>>;
  readonly #byNumber: ReadonlyMap<number, N>;

  constructor(names: readonly N[], numbers: Readonly<Record<N, E>>) {
    this.#names = names;
    this.#numbers = numbers;
    this.#byNumber = new Map(names.map((name) => [numbers[name], name]));
  }

  /** The number on the wire. */
  number(name: N): E {
    return this.#numbers[name];
  }

  /** Undefined for UNSPECIFIED and for numbers that the contract does not have: enumerations are open on the wire. */
  name(value: number): N | undefined {
    return this.#byNumber.get(value);
  }

  /**
   * Undefined for UNSPECIFIED. A number that the contract does not have is a violation; another name then stands in,
   * so that the rest of the request can be checked too.
   */
  optional(violations: Violations, field: string, value: number): N | undefined {
    return value === 0 ? undefined : this.required(violations, field, value);
  }

  /** As `optional`, with UNSPECIFIED as a violation too. */
  required(violations: Violations, field: string, value: number): N {
    const name = this.name(value);
    if (name !== undefined) return name;
    const choices = `choose one of ${this.#names.join(', ')}`;
    if (value === 0) violations.add(field, 'UNSPECIFIED', `a value is required: ${choices}`);
    else violations.add(field, 'OUT_OF_RANGE', `${value} is not a value of this enumeration: ${choices}`);
    return this.#names[0]!;
  }
}

const RELEASE_KINDS: readonly ReleaseKindName[] = ['RELEASE', 'ROLLBACK', 'WITHDRAW'];
const WARNING_CODES: readonly WarningCodeName[] = [
  'TENANT_UNKNOWN',
  'VARIABLE_UNDECLARED',
  'VARIABLE_UNUSED',
  'PLACEHOLDER_UNKNOWN',
  'FALLBACK_USED',
  'RECEIPT_NOT_RECORDED',
  'POINTERS_UNVERIFIED',
  'SECTION_EMPTY',
  'INSTRUCTION_REPEATED',
  'TOKEN_BUDGET_EXCEEDED',
  'TYPE_MISSING',
  'TOKENS_NOT_COUNTED',
];

export const promptTypes = new EnumTable(PROMPT_TYPES, PromptType);
export const templateSyntaxes = new EnumTable(TEMPLATE_SYNTAXES, TemplateSyntax);
export const roles = new EnumTable(ROLES, Role);
export const variableTypes = new EnumTable(VARIABLE_TYPES, VariableType);
export const severities = new EnumTable(SEVERITIES, Severity);
export const capturePolicies = new EnumTable(CAPTURE_POLICIES, CapturePolicy);
export const releaseKinds = new EnumTable(RELEASE_KINDS, ReleaseKind);
export const renderSources = new EnumTable(RENDER_SOURCES, RenderSource);
export const renderViews = new EnumTable(['TEXT', 'MESSAGES', 'FULL'] as const, RenderView);
export const routeFindings = new EnumTable(ROUTE_FINDINGS, RouteFinding);
export const tokenEncodings = new EnumTable(TOKEN_ENCODINGS, TokenEncoding);
export const warningCodes = new EnumTable(WARNING_CODES, WarningCode);
export const entityKinds = new EnumTable(ENTITY_KINDS, EntityKind);
export const changeActions = new EnumTable(CHANGE_ACTIONS, ChangeAction);
export const replayOutcomes = new EnumTable(REPLAY_OUTCOMES, ReplayOutcome);
export const auditParts = new EnumTable(AUDIT_PARTS, AuditPart);
export const auditProblems = new EnumTable(AUDIT_PROBLEMS, AuditProblem);
