import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import {
  RenderResponseSchema,
  RenderSourceSchema,
  RenderView,
  RenderViewSchema,
  type BundleTargetSchema,
  type RenderRequestSchema,
  type RenderResponse,
} from '../../gen/platen/v1/render_service_pb.js';
import { PromptType, PromptTypeSchema } from '../../gen/platen/v1/resources_pb.js';
import { constraintsText } from './draft-text.ts';
import { enumName, enumValue } from './enum-name.ts';
import { UsageError } from './failure.ts';
import type { RenderFile } from './files.ts';
import { messagesText, promptText } from './messages.ts';
import { assignments, choice, seqNumber } from './options.ts';
import { fields, warningLines, type Cell } from './output.ts';
import { typeFilter } from './prompt-type.ts';
import { inputsOf, renderFileOf, withInputs, type InputOptions, type Inputs } from './render-inputs.ts';
import { calling, clientCommand } from './session.ts';
import type { Terminal } from './terminal.ts';
import { toValues } from './value.ts';

type RenderRequestInit = MessageInitShape<typeof RenderRequestSchema>;
type BundleTargetInit = MessageInitShape<typeof BundleTargetSchema>;
type Target = NonNullable<RenderRequestInit['target']>;

interface RenderOptions extends InputOptions {
  readonly tenant?: string;
  readonly bundle?: string;
  readonly type?: string;
  readonly channel?: string;
  readonly version?: string;
  readonly file?: string;
  readonly view?: string;
  readonly minSeq?: number;
  readonly label: readonly string[];
  readonly fallbackText?: string;
  readonly requestId?: string;
}

/** `platen render`: a prompt on standard output, where it came from on standard error. */
export function addRenderCommand(program: Command, terminal: Terminal): void {
  const render = clientCommand(program, 'render', 'render a released bundle, and leave a receipt')
    .option('--file <request.yaml>', 'a whole request, which the other options change; - for standard input')
    .option('--tenant <id>', 'the tenant that the prompt is for (default: "default")')
    .option('--bundle <id>', 'render this bundle')
    .addOption(choice('--type <type>', 'render whatever is activated for this type', PromptTypeSchema))
    .option('--channel <channel>', 'the channel (default: "production")')
    .option('--version <semver>', 'with --bundle: exactly this version');
  withInputs(render)
    .addOption(choice('--view <view>', 'what is printed: the text, the messages, or constraints too', RenderViewSchema))
    .option('--min-seq <n>', 'wait until the server has applied this change', seqNumber)
    .addOption(assignments('--label <name=value>', 'a label of the receipt'))
    .option('--fallback-text <text>', 'what is answered where nothing else does')
    .option('--request-id <id>', 'correlates the receipt')
    .action(
      calling(terminal, async (session, options: RenderOptions) => {
        const file = await renderFileOf(options.file, terminal);
        const request = requestOf(file, await inputsOf(file, options, terminal), options);
        const response = await session.clients.renders.render(request);
        session.print(RenderResponseSchema, response, promptOf(response, request.view, terminal));
        if (!session.json) session.note(fields(provenance(response)) + warningLines(response.warnings));
      }),
    );
}

/** The request of a render file. */
export function fileRequest(file: RenderFile): RenderRequestInit {
  return requestOf(file, file, { var: [], label: [] });
}

/** Where a prompt came from: source, version, hashes and receipt. */
export function provenance(response: RenderResponse): [string, Cell][] {
  const { tenant, bundleId, version, channel, revision } = response;
  return [
    ['source', enumName(RenderSourceSchema, response.source)],
    ['bundle', bundleId && `${tenant}/${bundleId}@${version}`],
    ['channel', channel && `${channel}, revision ${revision}`],
    ['seq', response.seq],
    ['rendered_hash', response.renderedHash],
    ['bundle_hash', response.bundleHash],
    ['personality_hash', response.personalityHash],
    ['variables_hash', response.variablesHash],
    ['receipt', response.renderId],
  ];
}

function requestOf(file: RenderFile, inputs: Inputs, options: RenderOptions): RenderRequestInit {
  const target = targetOf(file, options);
  return {
    tenant: options.tenant ?? file.tenant,
    target,
    channel: target.case === 'type' ? (options.channel ?? file.channel) : '',
    variables: toValues(inputs.variables),
    placeholders: inputs.placeholders,
    minSeq: BigInt(options.minSeq ?? file.minSeq),
    requestId: options.requestId ?? file.requestId,
    labels: { ...file.labels, ...Object.fromEntries(options.label.map(labelOf)) },
    fallbackText: options.fallbackText ?? file.fallbackText,
    view: options.view === undefined ? file.view : enumValue(RenderViewSchema, options.view)!,
  };
}

// Options that name a target replace the file's whole; a selector alone changes the file's bundle.
function targetOf(file: RenderFile, options: RenderOptions): Target {
  const { bundle, type, version, channel } = options;
  if (bundle !== undefined && type !== undefined) throw new UsageError('name either --bundle or --type, not both');
  if (version !== undefined && channel !== undefined) {
    throw new UsageError('name either --version or --channel, not both');
  }
  if (type !== undefined || (bundle === undefined && file.type !== PromptType.UNSPECIFIED)) {
    if (version !== undefined) throw new UsageError('--version goes with --bundle: a render by type reads a channel');
    return { case: 'type', value: type === undefined ? file.type : typeFilter(type) };
  }
  const held = bundle === undefined ? file.bundle : { bundleId: bundle, version: '', channel: '' };
  if (held === undefined) throw new UsageError('name what to render: --bundle, --type, or a --file that says it');
  return { case: 'bundle', value: { bundleId: held.bundleId, selector: selectorOf(held, version, channel) } };
}

function selectorOf(
  held: { version: string; channel: string },
  version: string | undefined,
  channel: string | undefined,
): NonNullable<BundleTargetInit['selector']> {
  if (version !== undefined) return { case: 'version', value: version };
  if (channel !== undefined) return { case: 'channel', value: channel };
  return held.version === '' ? { case: 'channel', value: held.channel } : { case: 'version', value: held.version };
}

function labelOf(word: string): [string, string] {
  const split = word.indexOf('=');
  return [word.slice(0, split), word.slice(split + 1)];
}

function promptOf(response: RenderResponse, view: RenderView | undefined, terminal: Terminal): string {
  if (view === RenderView.MESSAGES) return messagesText(response.messages);
  if (view === RenderView.FULL) return messagesText(response.messages) + constraintsText(response.constraints);
  return promptText(response.text, terminal);
}
