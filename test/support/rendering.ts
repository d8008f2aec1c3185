import type { MessageInitShape } from '@bufbuild/protobuf';
import { ConnectError } from '@connectrpc/connect';
import { RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { RenderSource, type RenderRequestSchema } from '../../gen/platen/v1/render_service_pb.js';
import { type PromptType, Role, type Warning, WarningCode } from '../../gen/platen/v1/resources_pb.js';

export type RenderInit = MessageInitShape<typeof RenderRequestSchema>;

/** The target of a render by bundle. */
export function byBundle(bundleId: string, at: { version?: string; channel?: string } = {}) {
  return { case: 'bundle' as const, value: { bundleId, selector: selector(at) } };
}

function selector({ version, channel }: { version?: string; channel?: string }) {
  if (version !== undefined) return { case: 'version' as const, value: version };
  return channel === undefined ? { case: undefined } : { case: 'channel' as const, value: channel };
}

/** The target of a render by type. */
export function byType(type: PromptType) {
  return { case: 'type' as const, value: type };
}

/** Warnings as `CODE subject`. */
export function warned(warnings: readonly Warning[]): string[] {
  return warnings.map(({ code, subject }) => `${WarningCode[code]} ${subject}`);
}

/** Who answered, as `SOURCE tenant/bundle@version#channel.revision`. */
export function origin(answer: {
  source: RenderSource;
  tenant: string;
  bundleId: string;
  version: string;
  channel: string;
  revision: number;
}): string {
  const { source, tenant, bundleId, version, channel, revision } = answer;
  return `${RenderSource[source]} ${tenant}/${bundleId}@${version}#${channel}.${revision}`;
}

/** Messages as `ROLE: content`. */
export function spoken(messages: readonly { role: Role; content: string }[]): string[] {
  return messages.map(({ role, content }) => `${Role[role]}: ${content}`);
}

/** When a failed call says to try again, in milliseconds. */
export async function retryDelay(call: Promise<unknown>): Promise<number> {
  const error = await call.catch((reason: unknown) => ConnectError.from(reason));
  const [retry] = (error as ConnectError).findDetails(RetryInfoSchema);
  return Number(retry!.retryDelay!.seconds) * 1_000 + retry!.retryDelay!.nanos / 1e6;
}
