import { RenderSource, type RenderResponse } from '../../../gen/platen/v1/render_service_pb.js';

/** What an answer says of the pointers, in one line. */
export function outcomeOf(answer: RenderResponse): string {
  if (answer.source === RenderSource.FALLBACK) return NOTHING;
  const { tenant, bundleId, version, revision, text } = answer;
  return `${tenant}/${bundleId}@${version}.${revision}: ${text}`;
}

/** Nothing answers but a stand-in. */
export const NOTHING = 'nothing';

/** What each question was answered at each change. */
export class AnswerLog {
  readonly #bySeq = new Map<bigint, Map<string, string>>();

  /** @returns how the same question was answered at the same change before, if that was otherwise */
  note(seq: bigint, question: string, outcome: string): string | undefined {
    let answers = this.#bySeq.get(seq);
    if (answers === undefined) this.#bySeq.set(seq, (answers = new Map()));
    const before = answers.get(question);
    if (before === undefined) answers.set(question, outcome);
    return before === undefined || before === outcome ? undefined : before;
  }

  /** The answers at a change, by question. */
  at(seq: bigint): ReadonlyMap<string, string> {
    return this.#bySeq.get(seq) ?? new Map();
  }

  /** The changes at which something was answered, ascending. */
  get seqs(): bigint[] {
    return [...this.#bySeq.keys()].toSorted((a, b) => (a < b ? -1 : 1));
  }
}
