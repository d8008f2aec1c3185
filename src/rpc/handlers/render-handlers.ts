import { RenderedTooLarge, Violations } from '../../domain/errors.ts';
import type { OutputCheckService } from '../../services/output-check-service.ts';
import type { PreviewService } from '../../services/preview-service.ts';
import type { RendererService } from '../../services/renderer-service.ts';
import type { RouteService } from '../../services/route-service.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { RenderService as RenderRpc } from '../../../gen/platen/v1/render_service_pb.js';
import { readOutputCheck, writeOutputCheck } from '../mapping/output-check.ts';
import { readPreview, writePreview } from '../mapping/preview.ts';
import { readRoute, writeRoute } from '../mapping/route.ts';
import { DEFAULT_TIMEOUT_MS } from '../interceptors/deadline.ts';
import { serve, type ServedService } from '../method.ts';
import { type RenderOutcomeInit, RenderOutcomes } from '../render-outcomes.ts';
import { reporting } from '../reporting.ts';
import { Turns } from '../turns.ts';

/** Most renders of one batch. */
const MAX_BATCH = 64;
/** Of the texts of one batch, together. */
const MAX_BATCH_BYTES = 16 * 1024 * 1024;

/** The handlers of RenderService. @param telemetry learns which renders of a batch or stream failed, and of defects */
export function renderHandlers(
  renderer: RendererService,
  previews: PreviewService,
  outputs: OutputCheckService,
  routes: RouteService,
  telemetry: { readonly logger: Logger; readonly metrics: Metrics },
): ServedService {
  const outcomes = new RenderOutcomes(renderer, telemetry);
  const turns = new Turns();
  const turn = (): Promise<void> => turns.next();
  return serve(RenderRpc, {
    render: (context, request) => outcomes.render(context, request),

    batchRender: async (context, { requests }) => {
      checkSize(requests);
      const { caller, traceId, deadline, signal } = context;
      const call = { caller, traceId, deadline, signal, shared: { turn, take: batchBytes() } };
      const begun: Promise<RenderOutcomeInit>[] = [];
      for (const request of requests) {
        begun.push(new Promise((resolve) => turns.begin(() => resolve(outcomes.of(call, request)))));
        // Lets it get on, so that its share of the turn is known before the next one begins.
        await undefined;
      }
      return { outcomes: await Promise.all(begun) };
    },

    renderStream: async ({ caller, traceId, deadline = Infinity, signal }, { id, request }) => {
      const until = Math.min(deadline, Date.now() + DEFAULT_TIMEOUT_MS);
      return { id, outcome: await outcomes.of({ caller, traceId, deadline: until, signal, shared: { turn } }, request) };
    },

    preview: async (context, request) => {
      const violations = new Violations();
      const input = readPreview(violations, request);
      return writePreview(await reporting(violations, () => previews.preview(context, input)));
    },

    checkOutput: async (context, request) =>
      writeOutputCheck(await outputs.check(context, readOutputCheck(request))),

    explainRoute: async (_context, request) => {
      const violations = new Violations();
      const input = readRoute(violations, request);
      return writeRoute(routes.explain(input, violations));
    },
  });
}

/** Takes bytes of the answer to one batch. */
function batchBytes(): (bytes: number) => void {
  let taken = 0;
  return (bytes) => {
    if (taken + bytes > MAX_BATCH_BYTES) {
      throw new RenderedTooLarge(MAX_BATCH_BYTES, 'what this batch renders', 'send several batches');
    }
    taken += bytes;
  };
}

function checkSize({ length }: readonly unknown[]): void {
  const violations = new Violations();
  if (length === 0) violations.add('requests', 'REQUIRED', 'name what to render');
  if (length > MAX_BATCH) violations.add('requests', 'TOO_MANY', `at most ${MAX_BATCH} in one batch; send several`);
  violations.throwIfAny();
}
