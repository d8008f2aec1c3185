import { durationMs } from '@bufbuild/protobuf/wkt';
import { ConnectError } from '@connectrpc/connect';
import { Code } from '../../gen/google/rpc/code_pb.js';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.js';

/** The command line is wrong; exit code 2. */
export class UsageError extends Error {}

/** A file cannot be read as what it should be; every problem is named with its line. */
export class FileError extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
  }
}

/** An error of the server, with what this side found out about it. */
export class ExplainedError extends Error {
  readonly explanation: string;

  constructor(cause: ConnectError, explanation: string) {
    super(cause.message, { cause });
    this.explanation = explanation;
  }
}

/** No server answers at the address. */
export class UnreachableError extends Error {
  constructor(server: string, nodeCode: string) {
    const what = nodeCode === 'ECONNREFUSED' ? 'the connection was refused' : nodeCode;
    super(
      `no server answers at ${server} (${what})\n` +
        'Start one with `platen serve`, or name another with --server or PLATEN_SERVER.',
    );
  }
}

/** The exit code of a command that failed with this. */
export function exitCodeOf(error: unknown): number {
  return error instanceof UsageError ? 2 : 1;
}

/** What a person is told: code, reason, message and every detail; never a stack. Ends with a newline. */
export function failureText(error: unknown): string {
  if (error instanceof ExplainedError) return failureText(error.cause) + error.explanation;
  if (error instanceof ConnectError) return connectErrorText(error);
  if (error instanceof FileError) return error.message.replace(/^/gm, 'error: ') + '\n';
  return `error: ${error instanceof Error ? error.message : String(error)}\n`;
}

/** The reason of google.rpc.ErrorInfo; empty if the error carries none. */
export function reasonOf(error: ConnectError): string {
  return error.findDetails(ErrorInfoSchema)[0]?.reason ?? '';
}

/** The code of the network error beneath, as ECONNREFUSED; undefined: the server itself answered. */
export function networkCodeOf(error: unknown): string | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string' && /^E(?!RR_)[A-Z_]+$/.test(cause.code)) return cause.code;
  }
  return undefined;
}

function connectErrorText(error: ConnectError): string {
  const lines: string[] = [];
  const summaries: string[] = [];
  for (const { fieldViolations } of error.findDetails(BadRequestSchema)) {
    for (const { field, reason, description } of fieldViolations) {
      lines.push(`  ${field}${reason && ` (${reason})`}: ${description}`);
      summaries.push(`${field}: ${description}`);
    }
  }
  for (const { violations } of error.findDetails(PreconditionFailureSchema)) {
    for (const { type, subject, description } of violations) {
      lines.push(`  ${subject} (${type}): ${description}`);
      summaries.push(`${subject}: ${description}`);
    }
  }
  for (const { resourceType, resourceName } of error.findDetails(ResourceInfoSchema)) {
    lines.push(`  ${resourceType}: ${resourceName}`);
  }
  for (const { metadata } of error.findDetails(ErrorInfoSchema)) {
    for (const [name, value] of Object.entries(metadata)) lines.push(`  ${name}: ${value}`);
  }
  for (const { retryDelay } of error.findDetails(RetryInfoSchema)) {
    if (retryDelay) lines.push(`  try again in ${durationMs(retryDelay) / 1000} s`);
  }
  // The server's message of several violations is their concatenation; it would say everything twice.
  const message = summaries.length > 0 && error.rawMessage === summaries.join('; ') ? '' : error.rawMessage;
  const head = [[Code[error.code], reasonOf(error)].filter(Boolean).join(' '), message].filter(Boolean).join(': ');
  return [`error: ${head}`, ...lines].join('\n') + '\n';
}
