import { type MessageInitShape, create } from '@bufbuild/protobuf';
import { Code } from '../../gen/google/rpc/code_pb.js';
import {
  type RenderOutcomeSchema,
  type RenderRequest,
  RenderRequestSchema,
} from '../../gen/platen/v1/render_service_pb.js';
import { InvalidInput, Violations } from '../domain/errors.ts';
import type { RenderCall, RendererService } from '../services/renderer-service.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { statusOf } from './errors.ts';
import { readRender, writeRender } from './mapping/render.ts';
import { writeStatus } from './mapping/status.ts';
import { compileTextCheck } from './text-check.ts';

export type RenderOutcomeInit = MessageInitShape<typeof RenderOutcomeSchema>;

const checkText = compileTextCheck(RenderRequestSchema);

/** Renders one of many: what a call of its own would be answered with, its error included, is its outcome. */
export class RenderOutcomes {
  readonly #renderer: RendererService;
  readonly #logger: Logger;
  readonly #failures: Metrics['renderErrors'];

  constructor(renderer: RendererService, { logger, metrics }: { logger: Logger; metrics: Metrics }) {
    this.#renderer = renderer;
    this.#logger = logger;
    this.#failures = metrics.renderErrors;
  }

  /** Never rejects. @param request undefined: an empty one */
  async of(call: RenderCall, request: RenderRequest = create(RenderRequestSchema)): Promise<RenderOutcomeInit> {
    try {
      const ill = checkText(request);
      if (ill.length > 0) throw new InvalidInput(ill);
      const violations = new Violations();
      const input = readRender(violations, request);
      const result = await this.#renderer.render(call, input, violations);
      return { outcome: { case: 'response', value: writeRender(result, request.view) } };
    } catch (error) {
      const status = statusOf(error, this.#logger);
      this.#failures.inc({ code: Code[status.code] });
      return { outcome: { case: 'error', value: writeStatus(status) } };
    }
  }
}
