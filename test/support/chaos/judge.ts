import { createHash } from 'node:crypto';
import { Code, ConnectError } from '@connectrpc/connect';
import { ErrorInfoSchema } from '../../../gen/google/rpc/error_details_pb.js';
import { RenderSource, type RenderResponse } from '../../../gen/platen/v1/render_service_pb.js';
import { AnswerLog, outcomeOf } from './answer-log.ts';
import { isReceiptKept } from './callers.ts';
import type { Ledger } from './ledger.ts';
import type { Outages } from './outages.ts';
import type { Seat } from './seat.ts';
import type { Question } from './world.ts';

/** A render that was sent. */
export interface Asked {
  readonly seat: Seat;
  readonly question: Question;
  readonly minSeq: bigint;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Milliseconds of a clock that only goes forward. */
  readonly clock: number;
}

/** A release that was answered. */
interface Acknowledged {
  readonly revision: number;
  readonly seq: bigint;
  readonly clock: number;
  readonly seat: Seat;
}

/** What one reader was shown so far. */
export class ReaderMemory {
  readonly revisions = new Map<string, number>();
  seq = 0n;
}

const PROVED: ReadonlySet<RenderSource> = new Set([RenderSource.ACTIVE, RenderSource.INHERITED, RenderSource.PINNED]);

/** Longest wait for a render, in milliseconds. */
export const DEADLINE_MS = 3_000;

/** Judges every answer as it comes. */
export class Judge {
  readonly answers = new AnswerLog();
  /** The render_ids of receipts that were said to be kept. */
  readonly receipts = new Set<string>();
  readonly #ledger: Ledger;
  readonly #outages: Outages;
  /** By channel; by revision, ascending. */
  readonly #releases = new Map<string, Acknowledged[]>();
  #acknowledgedSeq = 0n;

  constructor(ledger: Ledger, outages: Outages) {
    this.#ledger = ledger;
    this.#outages = outages;
  }

  /** The latest change that was answered to a writer. */
  get acknowledgedSeq(): bigint {
    return this.#acknowledgedSeq;
  }

  /** A write was answered. @param release the channel that it moved, as `tenant/bundle#channel`, and how far */
  acknowledged(seat: Seat, seq: bigint, release?: { channel: string; revision: number }): void {
    if (seq > this.#acknowledgedSeq) this.#acknowledgedSeq = seq;
    if (release === undefined) return;
    const known = this.#releases.get(release.channel) ?? [];
    this.#releases.set(release.channel, known);
    known.push({ revision: release.revision, seq, clock: performance.now(), seat });
    known.sort((a, b) => a.revision - b.revision);
  }

  answered(asked: Asked, answer: RenderResponse, memory: ReaderMemory): void {
    const { seat, question, minSeq, at, clock } = asked;
    const took = performance.now() - clock;
    const { source, seq, revision } = answer;
    const told = () => {
      const way = `${RenderSource[source]} at ${seq}: ${outcomeOf(answer)}`;
      return `${seat.name} answered "${question.name}" after ${Math.round(took)} ms with ${way}`;
    };
    this.#ledger.tally(`renders answered ${RenderSource[source]}`);
    if (isReceiptKept(answer)) this.receipts.add(answer.renderId);
    else this.#ledger.tally('renders whose receipt was not kept');
    if (question.target.kind === 'type') this.#ledger.check('typeNeverFails', true, told);
    this.#ledger.check('inTime', took <= DEADLINE_MS, told);
    this.#ledger.check('hashMatches', sha256(answer.text) === answer.renderedHash, told);

    const proved = PROVED.has(source);
    if (this.#outages.unproved(at)) this.#ledger.check('staleWhenUnproved', !proved, told);
    const met = this.#outages.met(at);
    if (source === RenderSource.STALE) this.#ledger.check('freshWhenProved', met, told);
    if (source !== RenderSource.FALLBACK || !met) {
      const other = this.answers.note(seq, question.name, outcomeOf(answer));
      this.#ledger.check('oneHistory', other === undefined, () => `${told()}, and at the same seq with ${other}`);
    }
    if (minSeq > 0n) this.#ledger.check('minSeq', seq >= minSeq, told);
    if (proved) {
      this.#ledger.check('neverBack', seq >= memory.seq, () => `${told()}, after ${memory.seq}`);
      memory.seq = seq;
    }
    if (revision === 0) return;

    const channel = `${answer.tenant}/${answer.bundleId}#${answer.channel}`;
    const shown = memory.revisions.get(channel) ?? 0;
    this.#ledger.check('neverBack', revision >= shown, () => `${told()}, after revision ${shown}`);
    memory.revisions.set(channel, revision);
    const releases = this.#releases.get(channel) ?? [];
    const own = releases.findLast((each) => each.seat === seat && each.clock < clock)?.revision ?? 0;
    this.#ledger.check('ownWrite', revision >= own, () => `${told()}, after it answered revision ${own} to a writer`);
    if (minSeq === 0n) return;
    const wanted = releases.findLast((each) => each.seq <= minSeq)?.revision ?? 0;
    this.#ledger.check('minSeq', revision >= wanted, () => `${told()}, not revision ${wanted} as of ${minSeq}`);
  }

  failed(asked: Asked, reason: unknown): void {
    const { seat, question, minSeq, at, clock } = asked;
    if (!seat.up) return this.#ledger.tally('renders cut off with their replica');
    const error = ConnectError.from(reason);
    const took = Math.round(performance.now() - clock);
    const told = () => `"${question.name}" of ${seat.name} failed after ${took} ms: ${said(error)}`;
    const waited = minSeq > 0n && reasonOf(error) === 'SEQ_NOT_APPLIED';
    this.#ledger.check('inTime', error.code !== Code.DeadlineExceeded, told);
    if (question.target.kind === 'type') this.#ledger.check('typeNeverFails', waited, told);
    else this.#ledger.check('neverUnforeseen', error.code === Code.Unavailable, told);
    this.#ledger.check('refusedOnlyWhileAway', this.#outages.met(at), told);
    this.#ledger.tally(waited ? 'renders that could not wait for min_seq' : 'renders refused');
  }

  /** A write failed, and will be sent again. */
  refused(seat: Seat, at: number, what: string, reason: unknown): void {
    if (!seat.up) return this.#ledger.tally('writes cut off with their replica');
    const error = ConnectError.from(reason);
    const told = () => `${what} on ${seat.name}: ${said(error)}`;
    const away = error.code === Code.Unavailable || error.code === Code.DeadlineExceeded;
    this.#ledger.check('neverUnforeseen', away, told);
    this.#ledger.check('refusedOnlyWhileAway', this.#outages.met(at), told);
    this.#ledger.tally('writes refused, and sent again');
  }
}

export function reasonOf(error: ConnectError): string {
  return error.findDetails(ErrorInfoSchema)[0]?.reason ?? '';
}

function said(error: ConnectError): string {
  return `${Code[error.code]} ${reasonOf(error)} ${error.rawMessage}`;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
