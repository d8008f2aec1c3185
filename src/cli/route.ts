import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import {
  ExplainRouteResponseSchema,
  RenderSource,
  RenderSourceSchema,
  RouteFinding,
  RouteFindingSchema,
  type ExplainRouteResponse,
  type RouteStep,
} from '../../gen/platen/v1/render_service_pb.js';
import { PromptTypeSchema } from '../../gen/platen/v1/resources_pb.js';
import { enumName } from './enum-name.ts';
import { UsageError } from './failure.ts';
import { choice } from './options.ts';
import { fields, table, time } from './output.ts';
import { typeFilter } from './prompt-type.ts';
import { calling, clientCommand } from './session.ts';
import type { Terminal } from './terminal.ts';

interface ExplainOptions {
  readonly tenant: string;
  readonly bundle?: string;
  readonly type?: string;
  readonly channel: string;
}

/** `platen route`: which pointer answers a render. */
export function addRouteCommands(program: Command, terminal: Terminal): void {
  const route = program.command('route').description('see which pointer answers a render');

  clientCommand(route, 'explain', 'tell which release answers, and every place that is looked at on the way to it')
    .option('--tenant <id>', 'the tenant that the prompt would be for', 'default')
    .option('--bundle <id>', 'for this bundle')
    .addOption(choice('--type <type>', 'for whatever is activated for this type', PromptTypeSchema))
    .option('--channel <channel>', 'the channel', 'production')
    .addHelpText('after', '\nIt is the view of the server that is asked: replicas can be compared by seq.')
    .action(
      calling(terminal, async (session, options: ExplainOptions) => {
        const { tenant, channel } = options;
        const response = await session.clients.renders.explainRoute({ tenant, channel, target: targetOf(options) });
        const now = Date.now();
        session.print(ExplainRouteResponseSchema, response, explanation(response, options, now));
      }),
    );
}

function targetOf({ bundle, type }: ExplainOptions) {
  if ((bundle === undefined) === (type === undefined)) throw new UsageError('name either --bundle or --type');
  if (bundle !== undefined) return { case: 'bundleId', value: bundle } as const;
  return { case: 'type', value: typeFilter(type) } as const;
}

function explanation(response: ExplainRouteResponse, options: ExplainOptions, now: number): string {
  const { seq, steps } = response;
  const facts = fields([
    ['source', source(response)],
    ['seq', seq],
    ['verified', verified(response, now)],
  ]);
  const rows = steps.map((step) => [step.tenant, words(step, response, options)]);
  return `${outcome(response, options)}\n${facts}\n${table(['TENANT', 'FINDING'], rows)}`;
}

function outcome({ tenant, bundleId, version, channel, revision }: ExplainRouteResponse, { type }: ExplainOptions) {
  if (bundleId !== '') return `${tenant}/${bundleId}@${version} answers on ${channel} (revision ${revision})`;
  const otherwise = type === undefined ? 'fails with NOT_FOUND' : `takes the built-in default for ${type}`;
  return `nothing answers on ${channel}: a render takes its fallback_text; without one it ${otherwise}`;
}

function source({ source }: ExplainRouteResponse): string {
  const name = enumName(RenderSourceSchema, source);
  return source === RenderSource.STALE ? `${name}: not verified lately, the release may have moved` : name;
}

// By this machine's clock; the time itself is there for whoever doubts it.
function verified({ verifiedTime }: ExplainRouteResponse, now: number): string {
  if (verifiedTime === undefined) return '';
  const seconds = Math.max(0, now - timestampMs(verifiedTime)) / 1_000;
  const ago = seconds < 120 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds / 60)} min`;
  return `${ago} ago, at ${time(verifiedTime)}`;
}

/** What a step says of its tenant. */
function words(step: RouteStep, { version }: ExplainRouteResponse, { type, channel }: ExplainOptions): string {
  const { finding, bundleId, revision } = step;
  switch (finding) {
    case RouteFinding.TENANT_UNKNOWN:
      return type === undefined ? 'does not exist' : 'does not exist: going on as for default';
    case RouteFinding.NOT_ACTIVATED:
      return `activates nothing for ${type}`;
    case RouteFinding.ACTIVATED:
      return `activates ${bundleId} for ${type}`;
    case RouteFinding.NO_BUNDLE:
      return `has no bundle ${bundleId}`;
    case RouteFinding.ARCHIVED:
      return `has ${bundleId}, but archived`;
    case RouteFinding.OTHER_TYPE:
      return `has ${bundleId}, but of another type than ${type}`;
    case RouteFinding.NOT_RELEASED:
      return `has ${bundleId}, but nothing released on ${channel}`;
    case RouteFinding.WITHDRAWN:
      return `has ${bundleId}, but withdrawn at revision ${revision}`;
    case RouteFinding.ANSWERS:
      return `has ${bundleId}: revision ${revision} answers: ${version}`;
    default:
      return `${enumName(RouteFindingSchema, finding)} ${bundleId}`.trim();
  }
}
