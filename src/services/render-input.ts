import type { Message } from '../domain/assembly.ts';
import type { Violations } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import {
  MAX_ASKED_ID_CHARACTERS,
  MAX_LABEL_CHARACTERS,
  MAX_LABELS,
  MAX_MESSAGES,
  MAX_PLACEHOLDER_BYTES,
  MAX_PLACEHOLDERS,
  MAX_RENDERED_BYTES,
  MAX_REQUEST_ID_CHARACTERS,
} from '../domain/limits.ts';
import type { PromptType } from '../domain/prompt-type.ts';
import { checkVersion } from '../domain/semver.ts';
import { isLongerThan, checkLength } from '../domain/text.ts';
import { checkSentValues } from '../domain/variables.ts';

/** What to render: a bundle, by exact version or by channel, or whatever is activated for a type. */
export type RenderTarget =
  | { readonly bundleId: string; readonly version: string | undefined; readonly channel: string | undefined }
  | { readonly type: PromptType };

/** All that a caller sends with a render. */
export interface RenderInput {
  readonly tenant: string;
  readonly target: RenderTarget | undefined;
  /** For a render by type. */
  readonly channel: string;
  readonly variables: JsonObject;
  readonly placeholders: ReadonlyMap<string, readonly Message[]>;
  readonly minSeq: number;
  readonly requestId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly fallbackText: string;
}

/**
 * The bounds of what a caller may send with a render. Of ids only the length is checked: one that cannot exist is
 * unknown, and a render by type answers an unknown tenant too.
 */
export function checkRenderInput(violations: Violations, input: RenderInput): void {
  const { target } = input;
  checkLength(violations, 'tenant', input.tenant, MAX_ASKED_ID_CHARACTERS);
  checkLength(violations, 'channel', input.channel, MAX_ASKED_ID_CHARACTERS);
  if (target === undefined) violations.add('target', 'REQUIRED', 'name a bundle or a type');
  else if ('bundleId' in target) {
    if (target.bundleId === '') violations.add('bundle.bundle_id', 'REQUIRED', 'name the bundle');
    checkLength(violations, 'bundle.bundle_id', target.bundleId, MAX_ASKED_ID_CHARACTERS);
    checkLength(violations, 'bundle.channel', target.channel ?? '', MAX_ASKED_ID_CHARACTERS);
    if (target.version !== undefined) checkVersion(violations, 'bundle.version', target.version);
  }
  checkInputs(violations, input.variables, input.placeholders);
  checkLabels(violations, input.labels);
  checkLength(violations, 'request_id', input.requestId, MAX_REQUEST_ID_CHARACTERS);
  if (input.minSeq < 0) violations.add('min_seq', 'OUT_OF_RANGE', 'it is the seq of a change, or 0');
  if (Buffer.byteLength(input.fallbackText) > MAX_RENDERED_BYTES) {
    violations.add('fallback_text', 'TOO_LARGE', `at most ${MAX_RENDERED_BYTES} bytes of UTF-8 are allowed`);
  }
}

/**
 * How many placeholders and messages a caller may send: to be checked before they are read, and not again.
 * @param field path of the placeholders in the request
 * @returns whether there was nothing to say
 */
export function checkCounts(violations: Violations, field: string, placeholders: number, messages: number): boolean {
  const before = violations.size;
  if (placeholders > MAX_PLACEHOLDERS) {
    violations.add(field, 'TOO_MANY', `at most ${MAX_PLACEHOLDERS} placeholders are allowed, not ${placeholders}`);
  }
  if (messages > MAX_MESSAGES) {
    violations.add(field, 'TOO_MANY', `at most ${MAX_MESSAGES} messages are allowed in all, not ${messages}`);
  }
  return violations.size === before;
}

/** The bounds of values and messages, for a render and a preview alike. */
export function checkInputs(
  violations: Violations,
  variables: JsonObject,
  placeholders: ReadonlyMap<string, readonly Message[]>,
): void {
  checkSentValues(violations, 'variables', variables);
  let bytes = 0;
  for (const messages of placeholders.values()) {
    for (const { content } of messages) bytes += Buffer.byteLength(content);
  }
  if (bytes > MAX_PLACEHOLDER_BYTES) {
    violations.add('placeholders', 'TOO_LARGE', `at most ${MAX_PLACEHOLDER_BYTES} bytes of content are allowed in all`);
  }
}

/** The labels of a render, or of renders that are looked for. */
export function checkLabels(violations: Violations, labels: Readonly<Record<string, string>>): void {
  const keys = Object.keys(labels);
  if (keys.length > MAX_LABELS) {
    violations.add('labels', 'TOO_MANY', `at most ${MAX_LABELS} labels are allowed, not ${keys.length}`);
  }
  for (const key of keys.slice(0, MAX_LABELS)) {
    if (isLongerThan(key, MAX_LABEL_CHARACTERS) || isLongerThan(labels[key] as string, MAX_LABEL_CHARACTERS)) {
      const description = `a label's key and value have at most ${MAX_LABEL_CHARACTERS} characters each`;
      violations.add(`labels.${key.slice(0, MAX_LABEL_CHARACTERS)}`, 'TOO_LONG', description);
    }
  }
}
