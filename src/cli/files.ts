import { create, type JsonObject } from '@bufbuild/protobuf';
import { readFile } from 'node:fs/promises';
import { RenderViewSchema, type RenderView } from '../../gen/platen/v1/render_service_pb.js';
import {
  BundleDraftSchema,
  CapturePolicySchema,
  ConstraintSchema,
  MessageListSchema,
  PhraseListSchema,
  PromptTypeSchema,
  RoleSchema,
  SectionSchema,
  SeveritySchema,
  TemplateDraftSchema,
  TemplateRefSchema,
  TemplateSyntaxSchema,
  VariableSchema,
  VariableType,
  VariableTypeSchema,
  type BundleDraft,
  type CapturePolicy,
  type Constraint,
  type MessageList,
  type PhraseList,
  type PromptType,
  type Section,
  type TemplateDraft,
  type TemplateRef,
  type Variable,
} from '../../gen/platen/v1/resources_pb.js';
import { FileError } from './failure.ts';
import type { Terminal } from './terminal.ts';
import { toValue } from './value.ts';
import { YamlSource, type YamlValue } from './yaml-source.ts';

/** The kinds of rules of a constraint, as files name them. */
export const RULES = [
  'max_chars',
  'min_chars',
  'max_words',
  'required_phrases',
  'forbidden_phrases',
  'required_pattern',
  'forbidden_pattern',
  'json_schema',
] as const;
type Rule = (typeof RULES)[number];

const FRONT_MATTER = ['type', 'syntax', 'description', 'version', 'allow_literal_braces', 'variables'] as const;
const LATE_FRONT_MATTER = new RegExp(`^---[ \\t]*\\r?\\n\\s*(?:${FRONT_MATTER.join('|')})[ \\t]*:`, 'm');
const PRINTED_FACTS = /^\s*(?:template|bundle|tenant) +\S+\s+edit_version +\d+\s/;

/** A file that was read. */
export interface Source {
  /** Its path, or `<stdin>`. */
  readonly name: string;
  readonly text: string;
}

/** A tenant: `brands/<tenant>/tenant.yaml`. */
export interface TenantFile {
  readonly parent: string;
  readonly displayName: string;
  readonly variables: JsonObject;
  readonly capturePolicy: CapturePolicy;
  /** 0: as the parent says. */
  readonly receiptRetentionDays: number;
}

/** A template: YAML front matter between lines of `---`, then the content. */
export interface TemplateFile {
  /** UNSPECIFIED if the file does not say. */
  readonly type: PromptType;
  /** The semver to publish; empty: none. */
  readonly version: string;
  readonly draft: TemplateDraft;
}

/** A bundle. */
export interface BundleFile {
  /** UNSPECIFIED if the file does not say. */
  readonly type: PromptType;
  /** The semver to publish; empty: none. */
  readonly version: string;
  /** The channel to release it on; empty: none. */
  readonly channel: string;
  readonly activate: boolean;
  readonly draft: BundleDraft;
}

/** A render request. */
export interface RenderFile {
  readonly tenant: string;
  readonly type: PromptType;
  /** Unset: by type. */
  readonly bundle: { readonly bundleId: string; readonly version: string; readonly channel: string } | undefined;
  readonly channel: string;
  readonly variables: JsonObject;
  readonly placeholders: Record<string, MessageList>;
  readonly labels: Record<string, string>;
  readonly minSeq: number;
  readonly requestId: string;
  readonly fallbackText: string;
  readonly view: RenderView;
}

/** Reads a file, or standard input for `-`. @throws FileError */
export async function readSource(path: string, stdin: Terminal['stdin']): Promise<Source> {
  if (path !== '-') return readSourceFile(path);
  const parts: Uint8Array[] = [];
  for await (const part of stdin) parts.push(Buffer.from(part as Uint8Array));
  return { name: '<stdin>', text: decoded('<stdin>', Buffer.concat(parts)) };
}

/** Reads a file. @throws FileError */
export async function readSourceFile(path: string): Promise<Source> {
  return { name: path, text: decoded(path, await readBytes(path)) };
}

/** @throws FileError */
export function parseTenantFile({ name, text }: Source): TenantFile {
  return parsed(new YamlSource(name, text), (root) => {
    const file = root.fields([
      'parent',
      'display_name',
      'capture_policy',
      'receipt_retention_days',
      'variables',
    ]);
    return {
      parent: file.parent.text(),
      displayName: file.display_name.text(),
      variables: file.variables.object(),
      capturePolicy: file.capture_policy.choice(CapturePolicySchema),
      receiptRetentionDays: file.receipt_retention_days.integer(),
    };
  });
}

/**
 * Front matter may be absent. The newline that ends the file is no part of the content.
 * @throws FileError also for content alone that looks like what `get` prints beside a file, or like front matter below
 *   the first line: it would be stored as the text of a prompt
 */
export function parseTemplateFile({ name, text }: Source): TemplateFile {
  const { yaml, content } = splitFrontMatter(name, text);
  return parsed(new YamlSource(name, yaml, 1), (root) => {
    const file = root.fields(FRONT_MATTER);
    return {
      type: file.type.choice(PromptTypeSchema),
      version: file.version.text(),
      draft: create(TemplateDraftSchema, {
        syntax: file.syntax.choice(TemplateSyntaxSchema),
        content,
        variables: file.variables.items().map(readVariable),
        description: file.description.text(),
        allowLiteralBraces: file.allow_literal_braces.flag(),
      }),
    };
  });
}

/** @throws FileError */
export function parseBundleFile({ name, text }: Source): BundleFile {
  return parsed(new YamlSource(name, text), (root) => {
    const file = root.fields([
      'type',
      'description',
      'version',
      'channel',
      'activate',
      'personality',
      'sections',
      'constraints',
      'model_config',
    ]);
    return {
      type: file.type.choice(PromptTypeSchema),
      version: file.version.text(),
      channel: file.channel.text(),
      activate: file.activate.flag(),
      draft: create(BundleDraftSchema, {
        ...(file.personality.present && { personality: readTemplateRef(file.personality) }),
        sections: file.sections.items().map(readSection),
        constraints: file.constraints.items().map(readConstraint),
        ...(file.model_config.present && { modelConfig: file.model_config.object() }),
        description: file.description.text(),
      }),
    };
  });
}

/** @throws FileError */
export function parseRenderFile({ name, text }: Source): RenderFile {
  return parsed(new YamlSource(name, text), (root) => {
    const file = root.fields([
      'tenant',
      'type',
      'bundle',
      'channel',
      'variables',
      'placeholders',
      'labels',
      'min_seq',
      'request_id',
      'fallback_text',
      'view',
    ]);
    const bundle = file.bundle.fields(['bundle_id', 'version', 'channel']);
    if (file.bundle.present && file.type.present) root.problem('either bundle or type is rendered, not both');
    if (bundle.version.present && bundle.channel.present) {
      file.bundle.problem('either version or channel selects, not both');
    }
    return {
      tenant: file.tenant.text(),
      type: file.type.choice(PromptTypeSchema),
      bundle: file.bundle.present
        ? {
            bundleId: bundle.bundle_id.required().text(),
            version: bundle.version.text(),
            channel: bundle.channel.text(),
          }
        : undefined,
      channel: file.channel.text(),
      variables: file.variables.object(),
      placeholders: Object.fromEntries(file.placeholders.entries().map(([key, value]) => [key, readMessages(value)])),
      labels: Object.fromEntries(file.labels.entries().map(([key, value]) => [key, value.text()])),
      minSeq: file.min_seq.integer(Number.MAX_SAFE_INTEGER),
      requestId: file.request_id.text(),
      fallbackText: file.fallback_text.text(),
      view: file.view.choice(RenderViewSchema),
    };
  });
}

/** A list of messages, each with `role` and `content`. @throws FileError */
export function parseHistoryFile({ name, text }: Source): MessageList {
  return parsed(new YamlSource(name, text), readMessages);
}

/** Reads the bytes of a file. @throws FileError */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new FileError([`${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`]);
  }
}

function decoded(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new FileError([`${name}: is not UTF-8`]);
  }
}

function parsed<T>(source: YamlSource, read: (root: YamlValue) => T): T {
  const result = read(source.root());
  source.throwIfAny();
  return result;
}

function splitFrontMatter(name: string, text: string): { yaml: string; content: string } {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  if (lines[0]!.trimEnd() !== '---') return { yaml: '', content: contentAlone(name, text) };
  const end = lines.findIndex((line, i) => i > 0 && line.trimEnd() === '---');
  if (end < 0) throw new FileError([`${name}:1: the front matter is not closed by a line of ---`]);
  return { yaml: lines.slice(1, end).join('\n'), content: withoutFinalNewline(lines.slice(end + 1).join('\n')) };
}

function contentAlone(name: string, text: string): string {
  const remedy = 'if it is meant as content, put two lines of --- before it';
  if (PRINTED_FACTS.test(text)) {
    throw new FileError([
      `${name}:1: this is what get and show-version print on standard error, not a template; ` +
        `keep standard output only, or ${remedy}`,
    ]);
  }
  const late = LATE_FRONT_MATTER.exec(text);
  if (late !== null) {
    const line = text.slice(0, late.index).split('\n').length;
    throw new FileError([`${name}:${line}: front matter begins on the first line of a file; ${remedy}`]);
  }
  return withoutFinalNewline(text);
}

function withoutFinalNewline(text: string): string {
  return text.replace(/\r?\n$/, '');
}

function readVariable(value: YamlValue): Variable {
  const file = value.fields([
    'name',
    'type',
    'required',
    'untrusted',
    'default',
    'description',
    'max_length',
    'pattern',
    'enum_values',
  ]);
  return create(VariableSchema, {
    name: file.name.required().text(),
    type: file.type.present ? file.type.choice(VariableTypeSchema) : VariableType.STRING,
    required: file.required.flag(),
    untrusted: file.untrusted.flag(),
    ...(file.default.present && { default: toValue(file.default.json()) }),
    description: file.description.text(),
    maxLength: file.max_length.integer(),
    pattern: file.pattern.text(),
    enumValues: file.enum_values.items().map((item) => item.text()),
  });
}

function readTemplateRef(value: YamlValue): TemplateRef {
  const file = value.fields(['template', 'version']);
  return create(TemplateRefSchema, {
    templateId: file.template.required().text(),
    version: file.version.required().text(),
  });
}

function readSection(value: YamlValue): Section {
  const file = value.fields(['template', 'version', 'role', 'placeholder']);
  if (file.placeholder.present) {
    for (const other of [file.template, file.version, file.role]) {
      if (other.present) other.problem('does not go with placeholder; make it a section of its own');
    }
    return create(SectionSchema, { part: { case: 'placeholder', value: file.placeholder.text() } });
  }
  const template = { templateId: file.template.required().text(), version: file.version.required().text() };
  const role = file.role.required().choice(RoleSchema);
  return create(SectionSchema, { part: { case: 'template', value: { template, role } } });
}

function readConstraint(value: YamlValue): Constraint {
  const file = value.fields(['id', 'severity', 'instruction', ...RULES]);
  const rules = RULES.filter((rule) => file[rule].present);
  if (rules.length !== 1) {
    const found = rules.length > 0 ? ` and there are ${rules.join(', ')}` : '';
    value.problem(`one rule is required${found}; allowed: ${RULES.join(', ')}`);
  }
  return create(ConstraintSchema, {
    id: file.id.required().text(),
    severity: file.severity.required().choice(SeveritySchema),
    instruction: file.instruction.text(),
    rule: rules.length === 1 ? readRule(rules[0]!, file[rules[0]!]) : { case: undefined },
  });
}

function readRule(rule: Rule, value: YamlValue): Constraint['rule'] {
  switch (rule) {
    case 'max_chars':
      return { case: 'maxChars', value: value.integer() };
    case 'min_chars':
      return { case: 'minChars', value: value.integer() };
    case 'max_words':
      return { case: 'maxWords', value: value.integer() };
    case 'required_phrases':
      return { case: 'requiredPhrases', value: readPhrases(value) };
    case 'forbidden_phrases':
      return { case: 'forbiddenPhrases', value: readPhrases(value) };
    case 'required_pattern':
      return { case: 'requiredPattern', value: value.text() };
    case 'forbidden_pattern':
      return { case: 'forbiddenPattern', value: value.text() };
    case 'json_schema':
      return { case: 'jsonSchema', value: value.object() };
  }
}

function readPhrases(value: YamlValue): PhraseList {
  return create(PhraseListSchema, { phrases: value.items().map((item) => item.text()) });
}

function readMessages(value: YamlValue): MessageList {
  const messages = value.items().map((item) => {
    const file = item.fields(['role', 'content']);
    return { role: file.role.required().choice(RoleSchema), content: file.content.required().text() };
  });
  return create(MessageListSchema, { messages });
}
