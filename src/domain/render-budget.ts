import { RenderedTooLarge, RenderTooCostly } from './errors.ts';
import { MAX_LIQUID_STEPS, MAX_RENDERED_BYTES } from './limits.ts';

/**
 * What one render may take: counted, not timed, so that the same templates and values pass or fail alike on every run
 * and machine.
 */
export class RenderBudget {
  #bytes = MAX_RENDERED_BYTES;
  #steps = MAX_LIQUID_STEPS;

  /** Takes bytes of rendered text, before they are built. @throws RenderedTooLarge if they are not left */
  takeBytes(count: number): void {
    this.#bytes -= count;
    if (this.#bytes < 0) throw new RenderedTooLarge(MAX_RENDERED_BYTES);
  }

  /** Takes steps of LIQUID templates, before they are made. @throws RenderTooCostly if they are not left */
  takeSteps(count: number): void {
    this.#steps -= count;
    if (this.#steps < 0) throw new RenderTooCostly(MAX_LIQUID_STEPS);
  }
}
