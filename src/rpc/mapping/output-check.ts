import type { MessageInitShape } from '@bufbuild/protobuf';
import type { OutputViolation } from '../../domain/output-check.ts';
import { ROOT_TENANT } from '../../domain/tenant.ts';
import type { OutputCheckInput, OutputCheckResult } from '../../services/output-check-service.ts';
import type {
  CheckOutputRequest,
  CheckOutputResponseSchema,
  OutputViolationSchema,
} from '../../../gen/platen/v1/render_service_pb.js';
import { severities } from './enums.ts';

export function readOutputCheck({ tenant, bundleId, version, output }: CheckOutputRequest): OutputCheckInput {
  return { tenant: tenant || ROOT_TENANT, bundleId, version, output };
}

export function writeOutputCheck(result: OutputCheckResult): MessageInitShape<typeof CheckOutputResponseSchema> {
  return {
    passed: result.passed,
    violations: result.violations.map(writeOutputViolation),
    violationCount: result.violationCount,
    tenant: result.tenant,
    bundleHash: result.bundleHash,
    constraintsHash: result.constraintsHash,
  };
}

function writeOutputViolation(violation: OutputViolation): MessageInitShape<typeof OutputViolationSchema> {
  return {
    constraintId: violation.constraintId,
    severity: severities.number(violation.severity),
    message: violation.message,
    place: violation.place,
    jsonPointer: violation.jsonPointer,
  };
}
