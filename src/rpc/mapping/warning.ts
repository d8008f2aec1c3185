import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Warning } from '../../services/warning.ts';
import type { WarningSchema } from '../../../gen/platen/v1/resources_pb.js';
import { warningCodes } from './enums.ts';

export function writeWarning({ code, subject, message }: Warning): MessageInitShape<typeof WarningSchema> {
  return { code: warningCodes.number(code), subject, message };
}
