import {
  hashesOf,
  placeholdersHash,
  RENDERER_VERSION,
  variablesHash,
  type CompiledBundle,
  type Message,
} from '../../src/domain/assembly.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import type { CapturedInputs, ReceiptRecord } from '../../src/services/trail.ts';
import { receiptRecord } from './storage/records.ts';

/** A render of a bundle as it leaves its receipt, with all of its inputs. */
export function rendered(
  bundle: CompiledBundle,
  variables: JsonObject,
  sent: Readonly<Record<string, readonly Message[]>> = {},
  changes: Partial<ReceiptRecord> = {},
): { receipt: ReceiptRecord; inputs: CapturedInputs } {
  const placeholders = new Map(Object.entries(sent));
  const assembled = bundle.assemble(bundle.variables.resolve({}, variables), placeholders);
  const receipt = receiptRecord(new Date('2026-03-01T12:00:00.123Z'), {
    ...hashesOf(assembled),
    variablesHash: variablesHash(variables),
    placeholdersHash: placeholdersHash(placeholders),
    bundleHash: bundle.bundleHash,
    rendererVersion: RENDERER_VERSION,
    ...changes,
  });
  return { receipt, inputs: { variables, placeholders: sent as unknown as JsonObject } };
}

/** What a render leaves that nothing answered but its fallback text. */
export function fellBack(fallbackText: string): { receipt: ReceiptRecord; inputs: CapturedInputs } {
  const receipt = receiptRecord(new Date('2026-03-01T12:00:00.123Z'), {
    ...hashesOf({ text: fallbackText, messages: [{ role: 'SYSTEM', content: fallbackText }] }),
    bundleHash: '',
    source: 'FALLBACK',
    rendererVersion: RENDERER_VERSION,
  });
  return { receipt, inputs: { variables: {}, fallbackText } };
}
