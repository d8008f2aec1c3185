import { PromptType, PromptTypeSchema } from '../../gen/platen/v1/resources_pb.js';
import { enumName, enumNames, enumValue } from './enum-name.ts';
import { UsageError } from './failure.ts';

/** The type of something new: as the option says, else as its file says. @throws UsageError if neither does */
export function requireType(option: string | undefined, inFile: PromptType): PromptType {
  const type = option === undefined ? inFile : enumValue(PromptTypeSchema, option)!;
  if (type !== PromptType.UNSPECIFIED) return type;
  const names = enumNames(PromptTypeSchema).join(', ');
  throw new UsageError(`a type is required: name it in the file (type: …) or with --type, one of ${names}`);
}

/** The type of a filter; UNSPECIFIED is any. */
export function typeFilter(option: string | undefined): PromptType {
  return option === undefined ? PromptType.UNSPECIFIED : enumValue(PromptTypeSchema, option)!;
}

/** A warning if a file names another type than the one that the resource keeps for ever. */
export function typeKept(inFile: PromptType, kept: PromptType): string {
  if (inFile === PromptType.UNSPECIFIED || inFile === kept) return '';
  const [named, actual] = [enumName(PromptTypeSchema, inFile), enumName(PromptTypeSchema, kept)];
  return `warning: the file says ${named}, but a type never changes: it stays ${actual}\n`;
}
