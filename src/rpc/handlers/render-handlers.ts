import { Violations } from '../../domain/errors.ts';
import type { OutputCheckService } from '../../services/output-check-service.ts';
import type { PreviewService } from '../../services/preview-service.ts';
import type { RendererService } from '../../services/renderer-service.ts';
import type { RouteService } from '../../services/route-service.ts';
import { RenderService as RenderRpc } from '../../../gen/platen/v1/render_service_pb.js';
import { readOutputCheck, writeOutputCheck } from '../mapping/output-check.ts';
import { readPreview, writePreview } from '../mapping/preview.ts';
import { readRender, writeRender } from '../mapping/render.ts';
import { readRoute, writeRoute } from '../mapping/route.ts';
import { serve, type ServedService } from '../method.ts';
import { reporting } from '../reporting.ts';

/** The handlers of RenderService. */
export function renderHandlers(
  renderer: RendererService,
  previews: PreviewService,
  outputs: OutputCheckService,
  routes: RouteService,
): ServedService {
  return serve(RenderRpc, {
    render: async (context, request) => {
      const violations = new Violations();
      const input = readRender(violations, request);
      return writeRender(await renderer.render(context, input, violations), request.view);
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
