import type { PromptType } from './prompt-type.ts';
import { HASH_WORDS, NONE, RowTable } from './row-table.ts';

/** Where a channel points. */
export interface ChannelHead {
  readonly revision: number;
  /** None: the channel is withdrawn. */
  readonly targets: readonly { version: string; bundleHash: string }[];
}

/** What stands where the release of a bundle on a channel is looked for. */
export type HeadFinding = 'ARCHIVED' | 'OTHER_TYPE' | 'NOT_RELEASED' | 'WITHDRAWN' | 'ANSWERS';

// The words of a bundle's row.
const TYPE = 0;
const ARCHIVED = 1;
const VERSIONS = 2;
const CHANNELS = 3;
const FIRST_HEAD = 4;
const BUNDLE_WORDS = 5;

// The words of the row of a channel's head.
const CHANNEL = 0;
const NEXT_HEAD = 1;
const REVISION = 2;
const VERSION = 3;
const HASH = 4;
const HEAD_WORDS = 4 + HASH_WORDS;

/** A bundle with more channels finds them by a map, not one after the other. */
const FEW_CHANNELS = 8;

/**
 * Bundles and the heads of their channels as rows of numbers, in less than a hundred bytes for both. Names (types,
 * channels, versions) are numbers too: whoever looks for one in many bundles asks for its number once.
 */
export class PointerTable {
  readonly #bundles = new RowTable(BUNDLE_WORDS);
  readonly #heads = new RowTable(HEAD_WORDS);
  /** Channel → head, of bundles with more than a few channels. */
  readonly #manyHeads = new Map<number, Map<number, number>>();
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];

  /** The same name, held once however often it is given. */
  shared(name: string): string {
    return this.#names[this.#name(name)]!;
  }

  /** The number of a type or channel, or NONE if no row has it. */
  number(name: string): number {
    return this.#numbers.get(name) ?? NONE;
  }

  /** Adds a bundle without channels. @returns its row, for the methods that take one */
  addBundle(type: PromptType, archived: boolean, versions: number): number {
    const bundle = this.#bundles.append();
    this.#bundles.set(bundle, TYPE, this.#name(type));
    this.#bundles.set(bundle, ARCHIVED, archived ? 1 : 0);
    this.#bundles.set(bundle, VERSIONS, versions);
    this.#bundles.set(bundle, FIRST_HEAD, NONE);
    return bundle;
  }

  archive(bundle: number): void {
    this.#bundles.set(bundle, ARCHIVED, 1);
  }

  addVersion(bundle: number): void {
    this.#bundles.set(bundle, VERSIONS, this.versions(bundle) + 1);
  }

  archived(bundle: number): boolean {
    return this.#bundles.get(bundle, ARCHIVED) === 1;
  }

  versions(bundle: number): number {
    return this.#bundles.get(bundle, VERSIONS);
  }

  /** Points a channel of the bundle to the first of the targets. @throws TypeError if its hash is none */
  release(bundle: number, channelName: string, { revision, targets: [target] }: ChannelHead): void {
    const channel = this.#name(channelName);
    const known = this.head(bundle, channel);
    const head = known === NONE ? this.#addHead(bundle, channel) : known;
    if (target) this.#heads.setHash(head, HASH, target.bundleHash);
    this.#heads.set(head, VERSION, target ? this.#name(target.version) : NONE);
    this.#heads.set(head, REVISION, revision);
  }

  /** The row of a channel's head, for the methods that take one; NONE: nothing was ever released on it. */
  head(bundle: number, channel: number): number {
    if (this.#bundles.get(bundle, CHANNELS) > FEW_CHANNELS) return this.#manyHeads.get(bundle)!.get(channel) ?? NONE;
    let head = this.#bundles.get(bundle, FIRST_HEAD);
    while (head !== NONE && this.#heads.get(head, CHANNEL) !== channel) head = this.#heads.get(head, NEXT_HEAD);
    return head;
  }

  /**
   * What stands at a head of a bundle, which may be NONE.
   * @param type the number of the only type that answers; undefined: any does
   */
  finding(bundle: number, head: number, type: number | undefined): HeadFinding {
    if (this.archived(bundle)) return 'ARCHIVED';
    if (type !== undefined && this.#bundles.get(bundle, TYPE) !== type) return 'OTHER_TYPE';
    if (head === NONE) return 'NOT_RELEASED';
    return this.#heads.get(head, VERSION) === NONE ? 'WITHDRAWN' : 'ANSWERS';
  }

  /** 0 for NONE. */
  revision(head: number): number {
    return head === NONE ? 0 : this.#heads.get(head, REVISION);
  }

  /** The version of a head that answers. */
  version(head: number): string {
    return this.#names[this.#heads.get(head, VERSION)]!;
  }

  /** The bundle_hash of a head that answers. */
  bundleHash(head: number): string {
    return this.#heads.hash(head, HASH);
  }

  #addHead(bundle: number, channel: number): number {
    const head = this.#heads.append();
    this.#heads.set(head, CHANNEL, channel);
    this.#heads.set(head, VERSION, NONE);
    this.#heads.set(head, NEXT_HEAD, this.#bundles.get(bundle, FIRST_HEAD));
    this.#bundles.set(bundle, FIRST_HEAD, head);
    const channels = this.#bundles.get(bundle, CHANNELS) + 1;
    this.#bundles.set(bundle, CHANNELS, channels);
    if (channels === FEW_CHANNELS + 1) this.#manyHeads.set(bundle, this.#headsOf(bundle));
    if (channels > FEW_CHANNELS) this.#manyHeads.get(bundle)!.set(channel, head);
    return head;
  }

  #headsOf(bundle: number): Map<number, number> {
    const heads = new Map<number, number>();
    for (let head = this.#bundles.get(bundle, FIRST_HEAD); head !== NONE; head = this.#heads.get(head, NEXT_HEAD)) {
      heads.set(this.#heads.get(head, CHANNEL), head);
    }
    return heads;
  }

  /** The number of a name, which gets one if it has none. */
  #name(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.#names.length);
    return this.#names.push(name) - 1;
  }
}
