import type { MessageInitShape } from '@bufbuild/protobuf';
import { Option, type Command } from 'commander';
import {
  PreviewResponseSchema,
  TokenEncoding,
  TokenEncodingSchema,
  type PreviewRequestSchema,
  type PreviewResponse,
  type TokenCounts,
  type UntrustedVariable,
} from '../../gen/platen/v1/render_service_pb.js';
import { enumName, enumNames, enumValue } from './enum-name.ts';
import { UsageError } from './failure.ts';
import { parseBundleFile, parseTemplateFile, readSourceFile } from './files.ts';
import { promptText } from './messages.ts';
import { assignments, wholeNumber } from './options.ts';
import { fields, warningLines } from './output.ts';
import { inputsOf, renderFileOf, withInputs, type InputOptions } from './render-inputs.ts';
import { calling, clientCommand } from './session.ts';
import type { Terminal } from './terminal.ts';
import { parseAssignments, toValues } from './value.ts';

type Subject = NonNullable<MessageInitShape<typeof PreviewRequestSchema>['subject']>;

interface PreviewOptions extends InputOptions {
  readonly tenant?: string;
  readonly bundle?: string;
  readonly template?: string;
  readonly version?: string;
  readonly file?: string;
  readonly inputs?: string;
  readonly tenantVar: readonly string[];
  readonly encoding?: string;
  readonly tokenBudget?: number;
}

/** Most characters of an untrusted value that are shown; the text has them all. */
const MAX_SHOWN = 100;

/** `platen preview`: a prompt as it would be; nothing is written. */
export function addPreviewCommand(program: Command, terminal: Terminal): void {
  const preview = clientCommand(program, 'preview', 'render a draft, a version or a file with sample values')
    .option('--tenant <id>', 'the tenant that the prompt would be for (default: "default")')
    .option('--bundle <id>', 'the draft of this bundle')
    .option('--template <id>', 'the draft of this template')
    .option('--version <semver>', 'with --bundle or --template: this version in place of the draft')
    .option('--file <x.md|x.yaml>', 'an unsaved template (.md) or bundle (.yaml)')
    .option('--inputs <request.yaml>', 'tenant, variables and placeholders of a render request');
  withInputs(preview)
    .addOption(assignments('--tenant-var <name=value>', "in place of the tenant's variable of that name"))
    .addOption(encodingOption())
    .option('--token-budget <n>', 'warn if the text has more tokens', wholeNumber)
    .action(
      calling(terminal, async (session, options: PreviewOptions) => {
        const file = await renderFileOf(options.inputs, terminal);
        const inputs = await inputsOf(file, options, terminal);
        const response = await session.clients.renders.preview({
          tenant: options.tenant ?? file.tenant,
          subject: await subjectOf(options),
          variables: toValues(inputs.variables),
          placeholders: inputs.placeholders,
          tenantVariables: toValues(parseAssignments(options.tenantVar)),
          tokenEncoding: encodingOf(options.encoding),
          tokenBudget: options.tokenBudget ?? 0,
        });
        session.print(PreviewResponseSchema, response, promptText(response.text, terminal));
        if (!session.json) session.note(findings(response));
      }),
    );
}

/** Encodings go by the names that they were published under, as o200k_base. */
function encodingOption(): Option {
  const names = enumNames(TokenEncodingSchema).map((name) => name.toLowerCase());
  return new Option('--encoding <encoding>', 'how tokens are counted (default: "o200k_base")').choices(names);
}

function encodingOf(name: string | undefined): TokenEncoding {
  return name === undefined ? TokenEncoding.UNSPECIFIED : enumValue(TokenEncodingSchema, name.toUpperCase())!;
}

async function subjectOf({ bundle, template, version, file }: PreviewOptions): Promise<Subject> {
  const named = [bundle, template, file].filter((subject) => subject !== undefined);
  if (named.length !== 1) throw new UsageError('name one of --bundle, --template and --file');
  if (file !== undefined) {
    if (version !== undefined) throw new UsageError('--version goes with --bundle or --template');
    return contentOf(file);
  }
  if (bundle !== undefined) {
    return version === undefined
      ? { case: 'bundleDraft', value: bundle }
      : { case: 'bundleVersion', value: { id: bundle, version } };
  }
  return version === undefined
    ? { case: 'templateDraft', value: template! }
    : { case: 'templateVersion', value: { id: template!, version } };
}

async function contentOf(path: string): Promise<Subject> {
  const source = await readSourceFile(path);
  if (/\.ya?ml$/.test(path)) {
    const { type, draft } = parseBundleFile(source);
    return { case: 'bundleContent', value: { type, draft } };
  }
  return { case: 'templateContent', value: parseTemplateFile(source).draft };
}

function findings(response: PreviewResponse): string {
  const facts = fields([
    ['renderable', response.renderable ? 'yes' : 'no'],
    ['length', `${response.characters} characters, ${response.words} words`],
    ['tokens', response.tokens ? tokensText(response.tokens) : ''],
    ['rendered_hash', response.renderedHash],
    ['bundle_hash', response.bundleHash],
    ['personality_hash', response.personalityHash],
    ['constraints_hash', response.constraintsHash],
    ['variables_hash', response.variablesHash],
    ['placeholders_hash', response.placeholdersHash],
    ['messages_hash', response.messagesHash],
    ['missing', response.missingVariables.join(' ')],
    ['unused', response.unusedVariables.join(' ')],
    ...each('invalid', response.invalidVariables, ({ name, message }) => (name ? `${name}: ${message}` : message)),
    ...each('untrusted', response.untrustedVariables, untrustedText),
    ...each('pinned', response.pins, ({ tenant, templateId, version }) => `${tenant}/${templateId}@${version}`),
  ]);
  return facts + warningLines(response.warnings);
}

function each<T>(label: string, items: readonly T[], text: (item: T) => string): [string, string][] {
  return items.map((item) => [label, text(item)]);
}

function tokensText({ encoding, text, messages }: TokenCounts): string {
  const byMessage = messages.length > 1 ? `, by message ${messages.join(' ')}` : '';
  return `${text} in ${enumName(TokenEncodingSchema, encoding).toLowerCase()}${byMessage}`;
}

function untrustedText({ name, rendered, removedCharacters }: UntrustedVariable): string {
  const shown = rendered.length > MAX_SHOWN ? `${rendered.slice(0, MAX_SHOWN)}…` : rendered;
  const removed = removedCharacters > 0 ? ` (characters removed: ${removedCharacters})` : '';
  return `${name}: ${shown || 'nothing'}${removed}`;
}
