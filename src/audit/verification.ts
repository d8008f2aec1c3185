import { createHash, type Hash } from 'node:crypto';
import { canonicalJson, sha256 } from '../domain/document.ts';
import type { JsonObject } from '../domain/json.ts';
import { parseJson } from '../domain/parse-json.ts';
import type {
  AuditFinding,
  AuditHeads,
  AuditPart,
  VerificationProgress,
  VerificationResult,
} from '../services/trail-jobs.ts';
import { batchHash, CHAIN_ORIGIN, changeHash, dayOf, receiptHash } from './hash-chain.ts';
import { PointerVerification } from './pointer-verification.ts';
import type {
  BatchRange,
  Link,
  PrunedDays,
  ReceiptPlace,
  StoredBatch,
  StoredChange,
  StoredDocument,
  StoredReceipt,
  TrailReader,
} from './stored-trail.ts';

/** Verifies a part: yields how many more entries fit, and ends with the first one that does not. */
type PartVerification = AsyncGenerator<number, AuditFinding | undefined>;

/** So many receipts, or those of one batch, are read together. */
const RECEIPTS_TOGETHER = 2_000;

/** The hashes of documents in a change's detail. No value can look like that: its quotation marks are escaped. */
const NAMED_DOCUMENT = /"(?:bundle|draft)_hash":"([0-9a-f]{64})"/g;

/**
 * Recomputes the whole trail up to the heads of now (docs/hashes.md): every document, every change, every receipt and
 * both chains; and whether what is served is what the changes say (`pointer-verification.ts`). Each of the three parts
 * ends at the first entry that does not fit. Pruning must not run meanwhile; everything else may.
 *
 * @param checkpoint what the chains must lead through, from wherever it was kept
 */
export async function* verifyTrail(
  reader: TrailReader,
  checkpoint: AuditHeads | undefined,
): AsyncGenerator<VerificationProgress> {
  const heads = await reader.heads();
  const removed = removedReceipts(await reader.prunes(heads.changes?.number ?? 0));
  const [changeMark, batchMark] = checkpoint ? marks(checkpoint) : [];
  const parts: { part: AuditPart; total: number; entries: PartVerification }[] = [
    { part: 'DOCUMENTS', total: await reader.countDocuments(), entries: documents(reader, heads.changes) },
    { part: 'CHANGES', total: heads.changes?.number ?? 0, entries: changes(reader, heads.changes, changeMark) },
    {
      part: 'RECEIPTS',
      total: await reader.countReceipts(heads.batches?.number ?? 0, removed.days),
      entries: receipts(reader, heads.batches, removed, batchMark),
    },
  ];
  const verified = { DOCUMENTS: 0, CHANGES: 0, RECEIPTS: 0 };
  let intact = true;
  let progress: VerificationProgress;
  for (const { part, total, entries } of parts) {
    progress = { part, verified: 0, total };
    yield progress;
    let step = await entries.next();
    for (; !step.done; step = await entries.next()) {
      verified[part] += step.value;
      // More documents may have come since they were counted.
      progress = { part, verified: verified[part], total: Math.max(total, verified[part]) };
      yield progress;
    }
    if (step.value !== undefined) {
      intact = false;
      yield { ...progress, finding: step.value };
    }
  }
  const result: VerificationResult = {
    intact,
    heads: intact ? auditHeads(heads.changes!, heads.batches!) : undefined,
    documents: verified.DOCUMENTS,
    changes: verified.CHANGES,
    receipts: verified.RECEIPTS,
    prunedReceipts: removed.receipts,
  };
  yield { ...progress!, result };
}

function auditHeads(changes: Link, batches: Link): AuditHeads {
  return { changeSeq: changes.number, changeHash: changes.hash, batch: batches.number, batchHash: batches.hash };
}

function marks({ changeSeq, changeHash, batch, batchHash }: AuditHeads): [Link, Link] {
  return [
    { number: changeSeq, hash: changeHash },
    { number: batch, hash: batchHash },
  ];
}

async function* documents(reader: TrailReader, head: Link | undefined): PartVerification {
  for await (const page of pages<StoredDocument>((last) => reader.documents(last?.hash ?? ''))) {
    const altered = page.findIndex(({ hash, content }) => sha256(content) !== hash);
    yield altered < 0 ? page.length : altered;
    if (altered >= 0) return alteredDocument(page[altered]!);
  }
  const last = head?.number ?? 0;
  for await (const page of pages<StoredChange>((previous) => reader.changes(previous?.seq ?? 0, last))) {
    const missing = new Set(await reader.missingDocuments([...new Set(page.flatMap(namedDocuments))]));
    yield 0;
    for (const change of missing.size > 0 ? page : []) {
      const documentHash = namedDocuments(change).find((hash) => missing.has(hash));
      if (documentHash !== undefined) return missingDocument(change.seq, documentHash);
    }
  }
  return undefined;
}

function namedDocuments({ beforeHash, afterHash, detail }: StoredChange): string[] {
  const named = Array.from(detail.matchAll(NAMED_DOCUMENT), ([, hash]) => hash!);
  return [beforeHash, afterHash, ...named].filter((hash) => hash !== '');
}

function alteredDocument({ hash, content }: StoredDocument): AuditFinding {
  return finding('DOCUMENTS', 'ALTERED', {
    documentHash: hash,
    expected: hash,
    actual: sha256(content),
    description: `document ${hash} does not have that hash`,
  });
}

function missingDocument(seq: number, documentHash: string): AuditFinding {
  return finding('DOCUMENTS', 'MISSING', {
    seq,
    documentHash,
    expected: documentHash,
    description: `change ${seq} names document ${documentHash}, which is not there`,
  });
}

async function* changes(reader: TrailReader, head: Link | undefined, mark: Link | undefined): PartVerification {
  if (head === undefined) return CHANGE_CHAIN.headless();
  const pointers = new PointerVerification(reader);
  const walk = new ChangeWalk(reader, pointers, mark);
  const unfit = yield* walk.to(head.number);
  if (unfit) return unfit;
  const broken = CHANGE_CHAIN.end(walk.end, head, mark, await reader.changeOutside());
  return broken ?? (yield* pointers.compare((later) => uncounted(walk.to(later))));
}

/** Takes the changes one after the other, in pages. */
class ChangeWalk {
  readonly #reader: TrailReader;
  readonly #pointers: PointerVerification;
  readonly #mark: Link | undefined;
  #end: Link = { number: 0, hash: CHAIN_ORIGIN };

  /** @param mark a link of the checkpoint */
  constructor(reader: TrailReader, pointers: PointerVerification, mark: Link | undefined) {
    this.#reader = reader;
    this.#pointers = pointers;
    this.#mark = mark;
  }

  /** The last change that was taken. */
  get end(): Link {
    return this.#end;
  }

  /** Goes on up to this change: each must fit the chain, and what was written with it must be what it says. */
  async *to(last: number): PartVerification {
    for await (const page of pages<StoredChange>(() => this.#reader.changes(this.#end.number, last))) {
      const { fitting, end, broken } = CHANGE_CHAIN.follow(page.map(changeEntry), this.#end, this.#mark);
      this.#end = end;
      const unfit = (await this.#pointers.follow(page.slice(0, fitting))) ?? broken;
      yield fitting;
      if (unfit) return unfit;
    }
    return undefined;
  }
}

/** Changes that came after the head up to which all is verified. */
async function* uncounted(entries: PartVerification): AsyncGenerator<0, AuditFinding | undefined> {
  let step = await entries.next();
  for (; !step.done; step = await entries.next()) yield 0;
  return step.value;
}

function changeEntry(change: StoredChange): ChainEntry {
  const { seq, prevHash, chainHash } = change;
  const hash = () => changeHash({ ...change, detail: canonicalObject(change.detail) }, prevHash);
  return { number: seq, prevHash, chainHash, hash };
}

/** What PRUNE changes say is gone. */
interface Removed {
  readonly receipts: number;
  readonly days: PrunedDays;
  /** The last batch that is gone itself; the chain goes on after it. */
  readonly through: Link;
}

/** As `storage/receipt-pruning.ts` writes it. */
interface PruneDetail {
  readonly days: readonly string[];
  readonly through: number;
  readonly receipts: number;
  readonly batches?: { readonly removed_through: number; readonly chain_hash: string };
}

function isPruneDetail(detail: unknown): detail is PruneDetail {
  const { days, through, receipts, batches } = detail as Partial<PruneDetail>;
  return (
    Array.isArray(days) &&
    days.every((day) => typeof day === 'string') &&
    Number.isSafeInteger(through) &&
    Number.isSafeInteger(receipts) &&
    (batches === undefined || (Number.isSafeInteger(batches.removed_through) && typeof batches.chain_hash === 'string'))
  );
}

/**
 * @param prunes a change that is not what was chained is found where changes are verified, and says nothing here; nor
 *   does one that pruning does not write, so that what it was to excuse is found
 */
function removedReceipts(prunes: readonly StoredChange[]): Removed {
  const days = new Map<string, number>();
  let receipts = 0;
  let through: Link = { number: 0, hash: CHAIN_ORIGIN };
  for (const change of prunes) {
    if (recomputed(changeEntry(change).hash) !== change.chainHash) continue;
    const detail = parseJson(change.detail);
    if (!isPruneDetail(detail)) continue;
    for (const day of detail.days) days.set(day, detail.through);
    receipts += detail.receipts;
    if (detail.batches) through = { number: detail.batches.removed_through, hash: detail.batches.chain_hash };
  }
  return { receipts, days, through };
}

async function* receipts(
  reader: TrailReader,
  head: Link | undefined,
  removed: Removed,
  mark: Link | undefined,
): PartVerification {
  if (head === undefined) return BATCH_CHAIN.headless();
  const start = removed.through;
  const afterStart = mark !== undefined && mark.number >= start.number ? mark : undefined;
  let link = start;
  for await (const page of pages<StoredBatch>((last) => reader.batches(last?.batch ?? start.number, head.number))) {
    const { fitting, end, broken } = BATCH_CHAIN.follow(page.map(batchEntry), link, afterStart);
    const unfit = fitting > 0 ? yield* receiptsOf(reader, page.slice(0, fitting), removed.days) : undefined;
    if (unfit ?? broken) return unfit ?? broken;
    link = end;
  }
  const broken = BATCH_CHAIN.end(link, head, afterStart, await reader.batchOutside(start.number));
  return broken ?? unchainedReceipt(await reader.receiptOutside(start.number));
}

function batchEntry(batch: StoredBatch): ChainEntry {
  const { prevHash, chainHash } = batch;
  return { number: batch.batch, prevHash, chainHash, hash: () => batchHash(batch, prevHash) };
}

/** Splits batches so that their receipts can be read together. */
function* together(batches: readonly StoredBatch[]): Generator<StoredBatch[]> {
  let group: StoredBatch[] = [];
  let count = 0;
  for (const batch of batches) {
    if (group.length > 0 && count + batch.count > RECEIPTS_TOGETHER) {
      yield group;
      [group, count] = [[], 0];
    }
    group.push(batch);
    count += batch.count;
  }
  if (group.length > 0) yield group;
}

/** Reads the days of these batches only; whether other days hold receipts of theirs is asked once for all. */
async function* receiptsOf(
  reader: TrailReader,
  batches: readonly StoredBatch[],
  pruned: PrunedDays,
): PartVerification {
  const days = batches.map(({ day }) => day).toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1));
  const range = rangeOf(batches, days);
  for (const group of together(batches)) {
    const unfit = yield* receiptsTogether(reader, group, rangeOf(group, days), pruned);
    if (unfit) return unfit;
  }
  const other = await reader.receiptOfOtherDay(range);
  if (other === undefined) return undefined;
  const { day } = batches.find(({ batch }) => batch === other.batch)!;
  return receiptOfOtherDay(other, day);
}

/** @param days in ascending order */
function rangeOf(batches: readonly StoredBatch[], days: readonly string[]): BatchRange {
  return { first: batches[0]!.batch, last: batches.at(-1)!.batch, firstDay: days[0]!, lastDay: days.at(-1)! };
}

function receiptOfOtherDay({ renderId, batch }: ReceiptPlace, day: string): AuditFinding {
  const actual = dayOf(renderId);
  const description = `receipt ${renderId} of ${actual} is in batch ${batch}, which is of ${day}`;
  return finding('RECEIPTS', 'UNEXPECTED', { batch, renderId, expected: day, actual, description });
}

async function* receiptsTogether(
  reader: TrailReader,
  batches: readonly StoredBatch[],
  range: BatchRange,
  pruned: PrunedDays,
): PartVerification {
  const open = batches.map((batch) => new BatchVerification(batch, (pruned.get(batch.day) ?? 0) >= batch.batch));
  for await (const page of pages<StoredReceipt>((previous) => reader.receipts(range, previous))) {
    for (const [fitting, receipt] of page.entries()) {
      let unfit: AuditFinding | undefined;
      while (!unfit && open[0]!.batch < receipt.batch) unfit = open.shift()!.end();
      unfit ??= open[0]!.add(receipt);
      if (unfit) {
        yield fitting;
        return unfit;
      }
    }
    yield page.length;
  }
  for (const batch of open) {
    const unfit = batch.end();
    if (unfit) return unfit;
  }
  return undefined;
}

/** Takes the receipts of a batch in their order. */
class BatchVerification {
  readonly #stored: StoredBatch;
  readonly #mayBeGone: boolean;
  readonly #root: Hash = createHash('sha256');
  #count = 0;

  /** @param mayBeGone all its receipts may have been removed, but not some of them */
  constructor(stored: StoredBatch, mayBeGone: boolean) {
    this.#stored = stored;
    this.#mayBeGone = mayBeGone;
  }

  get batch(): number {
    return this.#stored.batch;
  }

  add(receipt: StoredReceipt): AuditFinding | undefined {
    const { batch, day, count } = this.#stored;
    const { renderId, receiptHash: expected } = receipt;
    const actual = recomputed(() => receiptHash({ ...receipt, labels: canonicalObject(receipt.labels) }));
    if (actual !== expected) {
      const description = `receipt ${renderId} is not what was chained`;
      return finding('RECEIPTS', 'ALTERED', { batch, renderId, expected, actual, description });
    }
    if (dayOf(renderId) !== day) return receiptOfOtherDay(receipt, day);
    if (this.#count === count) {
      const description = `batch ${batch} holds more than the ${count} receipts that were chained`;
      return finding('RECEIPTS', 'UNEXPECTED', { batch, expected: String(count), description });
    }
    this.#count += 1;
    this.#root.update(expected, 'hex');
    return undefined;
  }

  end(): AuditFinding | undefined {
    const { batch, count, root } = this.#stored;
    if (this.#count === 0 && this.#mayBeGone) return undefined;
    if (this.#count < count) {
      const description = `batch ${batch} holds ${this.#count} of the ${count} receipts that were chained`;
      const [expected, actual] = [String(count), String(this.#count)];
      return finding('RECEIPTS', 'MISSING', { batch, expected, actual, description });
    }
    const actual = this.#root.digest('hex');
    if (actual === root) return undefined;
    const description = `batch ${batch} does not hold the receipts that were chained, or not in their order`;
    return finding('RECEIPTS', 'ALTERED', { batch, expected: root, actual, description });
  }
}

function unchainedReceipt(outside: ReceiptPlace | undefined): AuditFinding | undefined {
  if (outside === undefined) return undefined;
  const { renderId, batch } = outside;
  const description = `receipt ${renderId} is in batch ${batch}, which does not exist`;
  return finding('RECEIPTS', 'UNEXPECTED', { batch, renderId, actual: `batch ${batch}`, description });
}

/** A link with what its hash must be. */
interface ChainEntry {
  readonly number: number;
  readonly prevHash: string;
  readonly chainHash: string;
  readonly hash: () => string;
}

/** How far entries of a chain fit. */
interface Followed {
  /** How many of them do. */
  readonly fitting: number;
  /** The last of these. */
  readonly end: Link;
  /** The next one, which does not. */
  readonly broken: AuditFinding | undefined;
}

/** Rules that hold for both chains: no gaps, each link holds the hash of the one before, the head is the last one. */
class Chain {
  readonly #part: 'CHANGES' | 'RECEIPTS';
  readonly #noun: 'change' | 'batch';
  readonly #place: 'seq' | 'batch';

  constructor(part: 'CHANGES' | 'RECEIPTS', noun: 'change' | 'batch', place: 'seq' | 'batch') {
    this.#part = part;
    this.#noun = noun;
    this.#place = place;
  }

  /** @param mark a link of the checkpoint */
  follow(entries: readonly ChainEntry[], before: Link, mark: Link | undefined): Followed {
    let end = before;
    for (const [fitting, entry] of entries.entries()) {
      const broken = this.#compared(end, mark) ?? this.#linked(entry, end);
      if (broken) return { fitting, end, broken };
      end = { number: entry.number, hash: entry.chainHash };
    }
    return { fitting: entries.length, end, broken: undefined };
  }

  /** @param outside the first entry that is not between the beginning and the head of now */
  end(last: Link, head: Link, mark: Link | undefined, outside: number | undefined): AuditFinding | undefined {
    if (last.number !== head.number) return this.#missing(last.number + 1, `the head is ${this.#noun} ${head.number}`);
    const broken = this.#compared(last, mark);
    if (broken) return broken;
    if (last.hash !== head.hash) {
      const description = `the head is not the hash of ${this.#noun} ${last.number}, the last one`;
      return this.#finding('BROKEN_LINK', head.number, { expected: last.hash, actual: head.hash, description });
    }
    if (mark !== undefined && mark.number > last.number) {
      const description = `the chain ends with ${this.#noun} ${last.number}, before that of the checkpoint`;
      return this.#finding('CHECKPOINT_MISMATCH', mark.number, { expected: mark.hash, description });
    }
    if (outside === undefined) return undefined;
    const description = `${this.#noun} ${outside} is outside the chain, which ends with its head`;
    return this.#finding('UNEXPECTED', outside, { actual: `${this.#noun} ${outside}`, description });
  }

  headless(): AuditFinding {
    const description = `the head of the chain of ${this.#part.toLowerCase()} is missing`;
    return this.#finding('MISSING', 0, { description });
  }

  #linked({ number, prevHash, chainHash, hash }: ChainEntry, before: Link): AuditFinding | undefined {
    const next = before.number + 1;
    if (number !== next) return this.#missing(next, `${this.#noun} ${number} follows ${before.number}`);
    if (prevHash !== before.hash) {
      const description = `${this.#noun} ${number} does not follow the one before it`;
      return this.#finding('BROKEN_LINK', number, { expected: before.hash, actual: prevHash, description });
    }
    const actual = recomputed(hash);
    if (actual === chainHash) return undefined;
    const description = `${this.#noun} ${number} is not what was chained`;
    return this.#finding('ALTERED', number, { expected: chainHash, actual, description });
  }

  #compared({ number, hash }: Link, mark: Link | undefined): AuditFinding | undefined {
    if (number !== mark?.number || hash === mark.hash) return undefined;
    const description = `${this.#noun} ${number} does not have the hash that the checkpoint says`;
    return this.#finding('CHECKPOINT_MISMATCH', number, { expected: mark.hash, actual: hash, description });
  }

  #missing(number: number, instead: string): AuditFinding {
    const name = `${this.#noun} ${number}`;
    return this.#finding('MISSING', number, { expected: name, description: `${name} is missing: ${instead}` });
  }

  #finding(problem: AuditFinding['problem'], number: number, rest: Found): AuditFinding {
    return finding(this.#part, problem, { [this.#place]: number, ...rest });
  }
}

const CHANGE_CHAIN = new Chain('CHANGES', 'change', 'seq');
const BATCH_CHAIN = new Chain('RECEIPTS', 'batch', 'batch');

type Found = Partial<Omit<AuditFinding, 'part' | 'problem'>> & Pick<AuditFinding, 'description'>;

function finding(part: AuditPart, problem: AuditFinding['problem'], found: Found): AuditFinding {
  return { part, problem, seq: 0, batch: 0, renderId: '', documentHash: '', expected: '', actual: '', ...found };
}

/** Pages until an empty one. @param next reads the page after this entry; undefined: the first one */
async function* pages<T>(next: (last: T | undefined) => Promise<T[]>): AsyncGenerator<T[]> {
  for (let page = await next(undefined); page.length > 0; page = await next(page.at(-1))) yield page;
}

/** The hash of an entry; empty: it is not even one, as a text where JSON must be. */
function recomputed(hash: () => string): string {
  try {
    return hash();
  } catch {
    return '';
  }
}

/** An object from the only text that stands for it. @throws Error if it is another one */
function canonicalObject<T extends JsonObject>(text: string): T {
  const value = parseJson(text) as T;
  if (canonicalJson(value) !== text) throw new Error('not canonical');
  return value;
}
