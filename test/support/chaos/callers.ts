import { PromptType, Role, WarningCode } from '../../../gen/platen/v1/resources_pb.js';
import type { RenderResponse } from '../../../gen/platen/v1/render_service_pb.js';
import type { Clients } from '../../../src/cli/client.ts';
import { byType } from '../rendering.ts';

const CALLERS = 32;
const DEADLINE_MS = 5_000;

/** Whether the answer says that its receipt is kept. */
export function isReceiptKept({ warnings }: RenderResponse): boolean {
  return warnings.every(({ code }) => code !== WarningCode.RECEIPT_NOT_RECORDED);
}

/** Many callers who render by type, one render after the other each, and remember what they were promised. */
export class Callers {
  /** The render_ids of receipts that are kept, as their answers say. */
  readonly kept = new Set<string>();
  /** How many answers said that their receipt is not. */
  unkept = 0;
  /** What calls failed with, and how often. */
  readonly failures = new Map<string, number>();
  readonly #note: string;
  #stopped = false;
  #calling: Promise<unknown> = Promise.resolve();

  /** @param note what every receipt has to hold, as a variable */
  constructor(note: string) {
    this.#note = note;
  }

  /** Begins to call, until `stop`. */
  start(clients: Clients): void {
    this.#stopped = false;
    this.#calling = Promise.all(Array.from({ length: CALLERS }, () => this.#call(clients)));
  }

  /** Resolves once no call is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#calling;
  }

  async #call({ renders }: Clients): Promise<void> {
    const variables = { note: { kind: { case: 'stringValue' as const, value: this.#note } } };
    const request = { target: byType(PromptType.GREETING), variables };
    while (!this.#stopped) {
      try {
        const answer = await renders.render(request, { timeoutMs: DEADLINE_MS });
        if (isReceiptKept(answer)) this.kept.add(answer.renderId);
        else this.unkept += 1;
      } catch (error) {
        const { message } = error as Error;
        this.failures.set(message, (this.failures.get(message) ?? 0) + 1);
        // What was cut off with its server stays cut off.
        if (this.#stopped) return;
      }
    }
  }
}

/** Makes, releases and activates the prompt that callers ask for. */
export async function createNotedPrompt({ templates, bundles }: Clients): Promise<void> {
  const type = PromptType.GREETING;
  await templates.createTemplate({ templateId: 'noted', type, draft: { content: 'Take note: {note}' } });
  await templates.publishTemplate({ templateId: 'noted', version: '1.0.0', editVersion: 1 });
  const part = { case: 'template' as const, value: { template: { templateId: 'noted', version: '1.0.0' }, role: Role.SYSTEM } };
  await bundles.createBundle({ bundleId: 'noted', type, draft: { sections: [{ part }] } });
  await bundles.publishBundle({
    bundleId: 'noted',
    version: '1.0.0',
    editVersion: 1,
    channel: 'production',
    activate: true,
  });
}
