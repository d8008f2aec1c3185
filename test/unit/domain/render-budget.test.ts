import assert from 'node:assert/strict';
import { RenderedTooLarge, RenderTooCostly } from '../../../src/domain/errors.ts';
import { MAX_LIQUID_STEPS, MAX_RENDERED_BYTES } from '../../../src/domain/limits.ts';
import { RenderBudget } from '../../../src/domain/render-budget.ts';

describe('LIQUID work is counted', () => {
  it('a render has 20,000 steps, and not a fraction of one more', () => {
    const budget = new RenderBudget();
    budget.takeSteps(MAX_LIQUID_STEPS - 0.5);
    budget.takeSteps(0.5);
    budget.takeSteps(0);
    assert.throws(() => budget.takeSteps(0.125), new RenderTooCostly(20_000));
  });

  it('what was refused once stays refused', () => {
    const budget = new RenderBudget();
    assert.throws(() => budget.takeSteps(Infinity), RenderTooCostly);
    assert.throws(() => budget.takeSteps(0), RenderTooCostly);
  });
});

describe('Rendered text is bounded', () => {
  it('a render has 1 MiB, whatever its steps', () => {
    const budget = new RenderBudget();
    budget.takeSteps(MAX_LIQUID_STEPS);
    budget.takeBytes(MAX_RENDERED_BYTES);
    assert.throws(() => budget.takeBytes(1), new RenderedTooLarge(1_048_576));
  });
});
