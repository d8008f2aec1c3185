import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import {
  PreviewResponseSchema,
  type PreviewRequestSchema,
  type PreviewResponse,
} from '../../gen/platen/v1/render_service_pb.js';
import { UsageError } from './failure.ts';
import { parseBundleFile, parseTemplateFile, readSourceFile } from './files.ts';
import { promptText } from './messages.ts';
import { assignments } from './options.ts';
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
}

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
        });
        session.print(PreviewResponseSchema, response, promptText(response.text, terminal));
        if (!session.json) session.note(findings(response));
      }),
    );
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
    ['rendered_hash', response.renderedHash],
    ['bundle_hash', response.bundleHash],
    ['personality_hash', response.personalityHash],
    ['constraints_hash', response.constraintsHash],
    ['variables_hash', response.variablesHash],
    ['placeholders_hash', response.placeholdersHash],
    ['messages_hash', response.messagesHash],
    ['missing', response.missingVariables.join(' ')],
    ['unused', response.unusedVariables.join(' ')],
    ...response.invalidVariables.map(({ name, message }) => ['invalid', name ? `${name}: ${message}` : message] as const),
    ...response.pins.map((pin) => ['pinned', `${pin.tenant}/${pin.templateId}@${pin.version}`] as const),
  ]);
  return facts + warningLines(response.warnings);
}
