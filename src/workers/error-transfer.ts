/** Errors as plain data: what is thrown in a thread loses its class on the way to another one. */
import { InvalidInput, RenderedTooLarge, RenderTooCostly, type Violation, WorkTooLong } from '../domain/errors.ts';

/** A domain error that tasks throw, as what it is made of; or a defect. */
export type PackedError =
  | {
      readonly kind: 'InvalidInput';
      readonly violations: readonly Violation[];
      readonly reason: InvalidInput['reason'];
      readonly metadata: Readonly<Record<string, string>>;
      readonly total: number;
    }
  | { readonly kind: 'RenderedTooLarge'; readonly maxBytes: number }
  | { readonly kind: 'RenderTooCostly'; readonly maxSteps: number }
  | { readonly kind: 'WorkTooLong'; readonly work: string; readonly limitMs: number }
  | { readonly kind: 'Defect'; readonly name: string; readonly message: string; readonly stack: string | undefined };

/** Whatever a task threw. An error that is not one of the table is a defect, be it of the domain or not. */
export function packError(error: unknown): PackedError {
  if (error instanceof InvalidInput) {
    const { violations, reason, metadata, total } = error;
    return { kind: 'InvalidInput', violations, reason, metadata, total };
  }
  if (error instanceof RenderedTooLarge) return { kind: 'RenderedTooLarge', maxBytes: error.maxBytes };
  if (error instanceof RenderTooCostly) return { kind: 'RenderTooCostly', maxSteps: error.maxSteps };
  if (error instanceof WorkTooLong) return { kind: 'WorkTooLong', work: error.work, limitMs: error.limitMs };
  const { name, message, stack } = error as Error;
  return { kind: 'Defect', name, message, stack };
}

/** The error that packError was given; of a defect, an Error with its name, message and stack. */
export function unpackError(packed: PackedError): Error {
  switch (packed.kind) {
    case 'InvalidInput':
      return new InvalidInput(packed.violations, packed.reason, packed.metadata, packed.total);
    case 'RenderedTooLarge':
      return new RenderedTooLarge(packed.maxBytes);
    case 'RenderTooCostly':
      return new RenderTooCostly(packed.maxSteps);
    case 'WorkTooLong':
      return new WorkTooLong(packed.work, packed.limitMs);
    case 'Defect': {
      const { name, message, stack } = packed;
      return Object.assign(new Error(message), { name, stack });
    }
  }
}
