/** What has to hold, whatever happens to the stores. */
export const INVARIANTS = {
  typeNeverFails: 'no render by type fails',
  inTime: 'every render answers within its deadline',
  refusedOnlyWhileAway: 'a call is unavailable only while the database is away',
  neverUnforeseen: 'nothing fails in an unforeseen way',
  staleWhenUnproved: 'nothing asked for 3 s after the database went is said to be proved',
  freshWhenProved: 'nothing is STALE or a stand-in while the database is reachable',
  neverBack: 'for no reader does a revision or a change go back',
  ownWrite: 'the replica that answered a write never shows what was before',
  minSeq: 'with min_seq no replica shows what was before',
  oneHistory: 'every answer is that of the change log at its seq',
  hashMatches: 'rendered_hash is the hash of the text',
  recovers: 'a second after the database accepts connections all replicas are at its head',
  sameAsFresh: 'every replica ends with the answers of one that loads everything anew',
  nothingLost: 'no acknowledged write is lost or done twice',
  serving: 'health stays SERVING',
  startsAway: 'a replica starts from Redis while the database is away',
  receiptsKept: 'every receipt that was said to be kept is in the chain, once',
  trailFits: 'documents, changes and receipts are what their chains say',
} as const;

export type Invariant = keyof typeof INVARIANTS;

const EXAMPLES_MAX = 5;

interface Count {
  checked: number;
  broken: number;
  readonly examples: string[];
}

/** Counts how often each invariant was looked at, and keeps examples of those that did not hold. */
export class Ledger {
  readonly #counts = new Map<Invariant, Count>(
    Object.keys(INVARIANTS).map((name) => [name as Invariant, { checked: 0, broken: 0, examples: [] }]),
  );
  readonly #tallies = new Map<string, number>();
  readonly #onBroken: (line: string) => void;

  /** @param onBroken told of every example as it is found */
  constructor(onBroken: (line: string) => void) {
    this.#onBroken = onBroken;
  }

  /** @param say what was found instead; asked for only if it does not hold */
  check(invariant: Invariant, holds: boolean, say: () => string): void {
    const count = this.#counts.get(invariant)!;
    count.checked += 1;
    if (holds) return;
    count.broken += 1;
    if (count.examples.length === EXAMPLES_MAX) return;
    const example = say();
    count.examples.push(example);
    this.#onBroken(`BROKEN: ${INVARIANTS[invariant]}: ${example}`);
  }

  /** Tells what may explain what did not hold. */
  evidence(line: string): void {
    this.#onBroken(line);
  }

  /** Counts what is neither right nor wrong. */
  tally(what: string, times = 1): void {
    this.#tallies.set(what, (this.#tallies.get(what) ?? 0) + times);
  }

  /** Every example, of all invariants. */
  get violations(): string[] {
    return [...this.#counts].flatMap(([name, { examples }]) => examples.map((each) => `${INVARIANTS[name]}: ${each}`));
  }

  /** Examples of how an invariant did not hold; empty: it held. */
  broken(invariant: Invariant): readonly string[] {
    return this.#counts.get(invariant)!.examples;
  }

  /** How often an invariant was looked at. */
  checked(invariant: Invariant): number {
    return this.#counts.get(invariant)!.checked;
  }

  /** A table of all, for people. */
  table(): string {
    const rows = [...this.#counts].map(([name, { checked, broken }]) => [INVARIANTS[name], checked, broken] as const);
    const width = Math.max(...rows.map(([what]) => what.length));
    const line = (what: string, checked: unknown, broken: unknown) =>
      `${what.padEnd(width)}  ${String(checked).padStart(9)}  ${String(broken).padStart(7)}`;
    return [
      line('invariant', 'checked', 'broken'),
      ...rows.map((row) => line(...row)),
      '',
      ...[...this.#tallies].toSorted().map(([what, times]) => `${what.padEnd(width)}  ${String(times).padStart(9)}`),
    ].join('\n');
  }
}
