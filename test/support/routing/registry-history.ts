import assert from 'node:assert/strict';
import type { LoggedChange } from '../../../src/routing/route-feed.ts';
import { EMPTY, written, type Registry, type Write } from './registry-model.ts';

/** A point of a history: a change, and all that is written after it. */
export interface Point {
  readonly seq: number;
  readonly change: LoggedChange;
  readonly registry: Registry;
  readonly before: Point | undefined;
}

/** The model's memory: what was written as of every change, of abandoned histories too. */
export class RegistryHistory {
  #log: Point[] = [];
  readonly #points = new Map<string, Point>();
  #writes = 0;

  /** The last change. */
  get head(): Point {
    return this.#log.at(-1)!;
  }

  /** Whether a transaction of these writes is allowed now. */
  accepts(writes: readonly Write[]): boolean {
    let registry: Registry | undefined = this.head.registry;
    for (const write of writes) registry = registry && written(registry, write, '')?.registry;
    return registry !== undefined;
  }

  /** Carries out a transaction of writes that are allowed. */
  commit(writes: readonly Write[], time: Date): Point {
    for (const write of writes) {
      this.#writes += 1;
      const before = this.#log.at(-1);
      const outcome = written(before?.registry ?? EMPTY, write, `#${this.#writes}`);
      assert(outcome, `${write.act} is allowed`);
      const seq = this.#log.length + 1;
      const change = { seq, chainHash: `chain-${this.#writes}`, time, ...outcome.content };
      const point = { seq, change, registry: outcome.registry, before };
      this.#log.push(point);
      this.#points.set(change.chainHash, point);
    }
    return this.head;
  }

  /** Goes back to an earlier change; what is written from here on is another history. */
  restore(seq: number): void {
    this.#log = this.#log.slice(0, seq);
  }

  /** At most `limit` changes from `seq` on. */
  from(seq: number, limit: number): LoggedChange[] {
    return this.#log.slice(seq - 1, seq - 1 + limit).map(({ change }) => change);
  }

  /** Whether the change is in the log, and not in a history that was abandoned. */
  holds(point: Point): boolean {
    return this.#log[point.seq - 1] === point;
  }

  /** The change of any history that has this chain hash. */
  point(chainHash: string): Point {
    const point = this.#points.get(chainHash);
    assert(point, `no change has the chain hash ${chainHash}`);
    return point;
  }
}

/** Whether a point is another, or was written after it in the same history. */
export function follows(point: Point, other: Point): boolean {
  let at: Point | undefined = point;
  while (at && at.seq > other.seq) at = at.before;
  return at === other;
}
