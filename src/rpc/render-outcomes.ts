import { type MessageInitShape, create } from '@bufbuild/protobuf';
import { Code } from '../../gen/google/rpc/code_pb.js';
import {
  type RenderOutcomeSchema,
  type RenderRequest,
  RenderRequestSchema,
  type RenderResponseSchema,
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
type RenderResponseInit = MessageInitShape<typeof RenderResponseSchema>;

const checkText = compileTextCheck(RenderRequestSchema);

/** Renders: alone, or as one of many, where what a call of its own would be answered with is its outcome. */
export class RenderOutcomes {
  readonly #renderer: RendererService;
  readonly #logger: Logger;
  readonly #failures: Metrics['renderErrors'];

  constructor(renderer: RendererService, { logger, metrics }: { logger: Logger; metrics: Metrics }) {
    this.#renderer = renderer;
    this.#logger = logger;
    this.#failures = metrics.renderErrors;
  }

  /** The prompt of one request whose text is checked. @throws what the renderer throws, InvalidInput */
  async render(call: RenderCall, request: RenderRequest): Promise<RenderResponseInit> {
    const violations = new Violations();
    const input = readRender(violations, request);
    return writeRender(await this.#renderer.render(call, input, violations), request.view);
  }

  /** Never rejects. @param request undefined: an empty one */
  async of(call: RenderCall, request: RenderRequest = create(RenderRequestSchema)): Promise<RenderOutcomeInit> {
    try {
      // It may have waited for longer than its caller.
      call.signal.throwIfAborted();
      const ill = checkText(request);
      if (ill.length > 0) throw new InvalidInput(ill);
      return { outcome: { case: 'response', value: await this.render(call, request) } };
    } catch (error) {
      const status = statusOf(error, this.#logger);
      this.#failures.inc({ code: Code[status.code] });
      return { outcome: { case: 'error', value: writeStatus(status) } };
    }
  }
}
