import assert from 'node:assert/strict';
import type { DescEnum } from '@bufbuild/protobuf';
import { Violations } from '../../../../src/domain/errors.ts';
import * as tables from '../../../../src/rpc/mapping/enums.ts';
import {
  AuditPartSchema,
  AuditProblemSchema,
  ChangeActionSchema,
  EntityKindSchema,
  ReplayOutcomeSchema,
} from '../../../../gen/platen/v1/audit_service_pb.js';
import {
  RenderSourceSchema,
  RenderViewSchema,
  RouteFindingSchema,
  TokenEncodingSchema,
} from '../../../../gen/platen/v1/render_service_pb.js';
import {
  CapturePolicySchema,
  PromptType,
  PromptTypeSchema,
  ReleaseKindSchema,
  RoleSchema,
  SeveritySchema,
  TemplateSyntaxSchema,
  VariableTypeSchema,
  WarningCodeSchema,
} from '../../../../gen/platen/v1/resources_pb.js';
import { brief } from '../../../support/handler-call.ts';

interface Table {
  name(value: number): string | undefined;
  number(name: string): number;
}

const PAIRS: readonly (readonly [DescEnum, unknown])[] = [
  [PromptTypeSchema, tables.promptTypes],
  [TemplateSyntaxSchema, tables.templateSyntaxes],
  [RoleSchema, tables.roles],
  [VariableTypeSchema, tables.variableTypes],
  [SeveritySchema, tables.severities],
  [CapturePolicySchema, tables.capturePolicies],
  [ReleaseKindSchema, tables.releaseKinds],
  [RenderSourceSchema, tables.renderSources],
  [RenderViewSchema, tables.renderViews],
  [RouteFindingSchema, tables.routeFindings],
  [TokenEncodingSchema, tables.tokenEncodings],
  [WarningCodeSchema, tables.warningCodes],
  [EntityKindSchema, tables.entityKinds],
  [ChangeActionSchema, tables.changeActions],
  [ReplayOutcomeSchema, tables.replayOutcomes],
  [AuditPartSchema, tables.auditParts],
  [AuditProblemSchema, tables.auditProblems],
];

function violationsOf(read: (violations: Violations) => unknown): string[] {
  const violations = new Violations();
  read(violations);
  try {
    violations.throwIfAny();
    return [];
  } catch (error) {
    return (error as { violations: Parameters<typeof brief>[0][] }).violations.map(brief);
  }
}

describe('Prompt types are a closed enumeration', () => {
  for (const [schema, table] of PAIRS) {
    it(`every value of ${schema.name} but UNSPECIFIED has a short name, and back`, () => {
      const prefix = schema.sharedPrefix!.toUpperCase();
      for (const { name, number } of schema.values) {
        const short = name.slice(prefix.length);
        if (number === 0) {
          assert.equal((table as Table).name(0), undefined);
        } else {
          assert.equal((table as Table).name(number), short);
          assert.equal((table as Table).number(short), number);
        }
      }
    });
  }

  it('UNSPECIFIED is no value where one may be left out', () => {
    const violations = new Violations();
    assert.equal(tables.promptTypes.optional(violations, 'type', PromptType.UNSPECIFIED), undefined);
    assert.equal(tables.promptTypes.optional(violations, 'type', PromptType.HANDOFF), 'HANDOFF');
    assert.equal(violations.size, 0);
  });

  it('UNSPECIFIED is refused where a value is required', () => {
    assert.deepEqual(
      violationsOf((violations) => tables.promptTypes.required(violations, 'type', PromptType.UNSPECIFIED)),
      ['type UNSPECIFIED'],
    );
  });

  it('a number that the contract does not have is refused, with the choices', () => {
    assert.deepEqual(
      violationsOf((violations) => tables.promptTypes.optional(violations, 'type', 99)),
      ['type OUT_OF_RANGE'],
    );
    assert.deepEqual(
      violationsOf((violations) => tables.promptTypes.required(violations, 'type', -1)),
      ['type OUT_OF_RANGE'],
    );
    const violations = new Violations();
    tables.severities.required(violations, 'severity', 7);
    assert.throws(() => violations.throwIfAny(), /severity: 7 is not a value .* choose one of ERROR, WARNING/);
  });

  it('another value stands in for what is refused, so that the rest can be checked', () => {
    assert.equal(tables.promptTypes.required(new Violations(), 'type', 99), 'SYSTEM_PROMPT');
  });
});
