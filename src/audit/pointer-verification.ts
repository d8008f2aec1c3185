import { canonicalJson } from '../domain/document.ts';
import type { JsonObject } from '../domain/json.ts';
import { parseJson } from '../domain/parse-json.ts';
import { HASH_WORDS, RowTable } from '../domain/row-table.ts';
import type { AuditFinding } from '../services/trail-jobs.ts';
import type { StoredChange } from './stored-trail.ts';

/** Tables whose rows change; the last change of each says what it must be. */
export const MOVING_TABLES = ['tenant', 'template', 'bundle', 'activation', 'channel'] as const;
export type MovingTable = (typeof MOVING_TABLES)[number];

/** Tables whose rows never change; one change each says what they must be. */
export const LASTING_TABLES = ['template_version', 'bundle_version', 'release'] as const;
export type LastingTable = (typeof LASTING_TABLES)[number];

/** By their names in the database, as far as the log says what they hold. */
export type Columns = Readonly<Record<string, string | number | boolean>>;

/** A row under its primary key, in its order. */
export interface PointerRow {
  readonly key: readonly string[];
  readonly columns: Columns;
}

/** Rows with the head of the changes of the same moment. */
export interface PointerPage {
  readonly head: number;
  readonly rows: readonly PointerRow[];
}

/** Reads what changes are compared with, in pages that take little memory; an empty page is the last one. */
export interface PointerReader {
  /**
   * Those with a greater key, in its order. Of a tenant also `content_hash`, that of the document which its columns
   * make up; empty: they make up none.
   */
  moving(table: MovingTable, after: PointerRow | undefined): Promise<PointerPage>;
  /** Those of these keys, in any order. Of a bundle version also its `pins`, each as `tenant/id@version`. */
  lasting(table: LastingTable, keys: PointerRow['key'][]): Promise<PointerRow[]>;
  /** How many `rows` there are of each owner: of what their keys name but for the last part. */
  owners(table: LastingTable, after: PointerRow | undefined): Promise<PointerPage>;
}

/** Yields now and then, and ends with what does not fit. */
export type PointerComparison = AsyncGenerator<0, AuditFinding | undefined>;

/** How rows are called, and what stands between the parts of their names. */
const NAMES: Readonly<Record<MovingTable | LastingTable, readonly [noun: string, ...separators: string[]]>> = {
  tenant: ['tenant'],
  template: ['template', '/'],
  bundle: ['bundle', '/'],
  activation: ['activation', '/'],
  channel: ['channel', '/', '#'],
  template_version: ['template version', '/', '@'],
  bundle_version: ['bundle version', '/', '@'],
  release: ['release', '/', '#', '@'],
};

/** What rows are those of. */
const OWNERS = { template_version: 'template', bundle_version: 'bundle', release: 'channel' } as const;

/** What the last changes say of a row. */
interface Said {
  /** The last change that says something of its columns. */
  readonly seq: number;
  /** edit_version, or revision. */
  readonly number: number;
  /** The type of a draft, the bundle of an activation, else empty. */
  readonly name: string;
  /** Of the document. */
  readonly hash: string;
  readonly archived: boolean;
  /** How many rows of a table that only grows are its own. */
  readonly rows: number;
}

/** Numbers of the database are less than that. */
const MAX_INTEGER = 2 ** 31;

const NO_HASH = '0'.repeat(64);
const NOTHING: Said = { seq: 0, number: 0, name: '', hash: NO_HASH, archived: false, rows: 0 };

const COLUMNS: Readonly<Record<MovingTable, (said: Said) => Columns>> = {
  tenant: ({ number, hash }) => ({ edit_version: number, document_hash: hash, content_hash: hash }),
  template: draftColumns,
  bundle: draftColumns,
  activation: ({ number, name }) => ({ bundle_id: name, revision: number }),
  channel: ({ number }) => ({ revision: number }),
};

function draftColumns({ number, name, hash, archived }: Said): Columns {
  return { type: name, edit_version: number, draft_hash: hash, archived };
}

/**
 * Compares what is served with what the changes say: tenants with all that their documents hold; templates and bundles
 * with type, draft, edit_version and whether they are archived; their versions with the hashes, pins, type and
 * publisher; every release with its targets; the head of every channel; activations. A row that no change made does not
 * fit either.
 *
 * What the log does not say is not compared: the times of rows, personality_hash and constraints_hash of bundle
 * versions (they follow from the snapshot), the index of the templates that drafts name, and the stored answers to
 * requests. Nor is what nothing is served by: who wrote a tenant, a draft or an activation last, the seq of an
 * activation, latest_version of drafts.
 *
 * Rows that change are held in memory as the changes leave them, some 150 bytes each, of which the heap has 90; those
 * that never change are compared with their change at once. Not by `domain/route-map.ts`: it resolves, and holds
 * neither drafts nor versions, nor which change said something.
 */
export class PointerVerification {
  readonly #reader: PointerReader;
  readonly #held: Readonly<Record<MovingTable, HeldRows>>;

  constructor(reader: PointerReader) {
    const names = new Names();
    this.#reader = reader;
    this.#held = {
      tenant: new HeldRows(names),
      template: new HeldRows(names),
      bundle: new HeldRows(names),
      activation: new HeldRows(names),
      channel: new HeldRows(names),
    };
  }

  /** Takes the changes that follow, which fit their chain. @returns the first one whose row does not fit it */
  async follow(changes: readonly StoredChange[]): Promise<AuditFinding | undefined> {
    const written: Written[] = [];
    let illegible: AuditFinding | undefined;
    for (const change of changes) {
      try {
        const row = this.#effect(change);
        if (row) written.push(row);
      } catch (error) {
        illegible = illegibleChange(change.seq, error);
        break;
      }
    }
    return (await this.#firstUnfit(written)) ?? illegible;
  }

  /**
   * Compares the rows that change, once all changes up to some head were followed. Writes may go on.
   * @param advance follows the changes up to a later head; yields now and then, and ends with one that does not fit
   */
  async *compare(advance: (head: number) => PointerComparison): PointerComparison {
    for (const table of MOVING_TABLES) {
      const unfit = yield* this.#compareTable(table, advance);
      if (unfit) return unfit;
    }
    for (const table of LASTING_TABLES) {
      const unfit = yield* this.#compareOwners(table, advance);
      if (unfit) return unfit;
    }
    return undefined;
  }

  async *#compareTable(table: MovingTable, advance: (head: number) => PointerComparison): PointerComparison {
    const held = this.#held[table];
    let last: PointerRow | undefined;
    for (;;) {
      const { head, rows } = await this.#reader.moving(table, last);
      // What a page holds is what the changes up to its own head say, whatever is written meanwhile.
      const broken = yield* advance(head);
      if (broken) return broken;
      // Rows that are made from now on may come too late for the pages.
      if (last === undefined) held.settle();
      for (const row of rows) {
        const name = nameOf(table, row.key);
        const said = held.see(name);
        if (said === undefined) return unexpected(table, name, row.columns);
        const unfit = altered(table, name, said.seq, COLUMNS[table](said), row.columns);
        if (unfit) return unfit;
      }
      last = rows.at(-1);
      if (last === undefined) break;
      yield 0;
    }
    const missed = held.unseen();
    return missed && missing(table, missed.name, missed.said.seq, COLUMNS[table](missed.said));
  }

  /** That rows are missing shows when their changes are followed; here only those show that are too many. */
  async *#compareOwners(table: LastingTable, advance: (head: number) => PointerComparison): PointerComparison {
    const owner = OWNERS[table];
    for (let last: PointerRow | undefined; ; ) {
      const { head, rows } = await this.#reader.owners(table, last);
      const broken = yield* advance(head);
      if (broken) return broken;
      for (const { key, columns } of rows) {
        const name = nameOf(owner, key);
        const said = this.#held[owner].get(name).rows;
        if (Number(columns['rows']) > said) return tooMany(table, name, said, columns);
      }
      last = rows.at(-1);
      if (last === undefined) return undefined;
      yield 0;
    }
  }

  /** @throws TypeError if a change does not say what one of its kind must say */
  #effect(change: StoredChange): Written | undefined {
    const { seq, entityKind, action, tenant, entityId, afterHash } = change;
    const detail = (): JsonObject => parseJson(change.detail) as JsonObject;
    switch (entityKind) {
      case 'TENANT':
        this.#held.tenant.put(tenant, { seq, number: integer(detail(), 'edit_version'), hash: afterHash });
        return undefined;
      case 'ACTIVATION': {
        const { activation } = this.#held;
        const [number, name] = [integer(detail(), 'revision'), text(detail(), 'bundle_id')];
        activation.put(nameOf('activation', [tenant, entityId]), { seq, number, name });
        return undefined;
      }
      case 'TEMPLATE':
      case 'BUNDLE':
        switch (action) {
          case 'RELEASE':
          case 'ROLLBACK':
          case 'WITHDRAW':
            return this.#release(change, detail());
          default:
            return this.#draft(entityKind === 'BUNDLE' ? 'bundle' : 'template', change, detail());
        }
      default:
        return undefined;
    }
  }

  #draft(table: 'template' | 'bundle', change: StoredChange, detail: JsonObject): Written | undefined {
    const { seq, action, tenant, entityId, afterHash } = change;
    const held = this.#held[table];
    const name = nameOf(table, [tenant, entityId]);
    switch (action) {
      case 'CREATE':
        held.put(name, { seq, number: integer(detail, 'edit_version'), name: text(detail, 'type'), hash: afterHash });
        return undefined;
      case 'UPDATE':
        held.put(name, { seq, number: integer(detail, 'edit_version'), hash: afterHash });
        return undefined;
      case 'ARCHIVE':
        held.put(name, { seq, archived: true });
        return undefined;
      default: {
        const { name: type, rows } = held.get(name);
        held.put(name, { rows: rows + 1 });
        return version(table, change, detail, type);
      }
    }
  }

  #release({ seq, action, tenant, entityId, actor }: StoredChange, detail: JsonObject): Written {
    const channel = [tenant, entityId, text(detail, 'channel')];
    const revision = integer(detail, 'revision');
    this.#held.channel.put(nameOf('channel', channel), { seq, number: revision, rows: revision });
    const targets = (detail['targets'] as JsonObject[]).map((target) => ({
      version: text(target, 'version'),
      bundleHash: text(target, 'bundle_hash'),
      weight: integer(target, 'weight'),
    }));
    return {
      table: 'release',
      seq,
      key: [...channel, String(revision)],
      columns: {
        kind: action,
        targets: canonicalJson(targets),
        origin_revision: integer(detail, 'origin_revision'),
        seq,
        create_actor: actor,
      },
    };
  }

  async #firstUnfit(written: readonly Written[]): Promise<AuditFinding | undefined> {
    const found = new Map<string, Columns>();
    for (const table of LASTING_TABLES) {
      const keys = written.filter((row) => row.table === table).map(({ key }) => key);
      const rows = keys.length > 0 ? await this.#reader.lasting(table, keys) : [];
      for (const { key, columns } of rows) found.set(`${table} ${nameOf(table, key)}`, columns);
    }
    for (const { table, key, seq, columns } of written) {
      const name = nameOf(table, key);
      const row = found.get(`${table} ${name}`);
      const unfit = row ? altered(table, name, seq, columns, row) : missing(table, name, seq, columns);
      if (unfit) return unfit;
    }
    return undefined;
  }
}

/** A row that a change says was written. */
interface Written extends PointerRow {
  readonly table: LastingTable;
  readonly seq: number;
}

function version(table: 'template' | 'bundle', change: StoredChange, detail: JsonObject, type: string): Written {
  const { seq, tenant, entityId, actor, afterHash } = change;
  const key = [tenant, entityId, text(detail, 'version')];
  const columns = { type, edit_version: integer(detail, 'edit_version'), create_actor: actor };
  if (table === 'template') {
    return { table: 'template_version', seq, key, columns: { document_hash: afterHash, ...columns } };
  }
  const pins = (detail['pins'] as JsonObject[]).map((pin) =>
    nameOf('template_version', [text(pin, 'tenant'), text(pin, 'template_id'), text(pin, 'version')]),
  );
  const hashes = { snapshot_hash: afterHash, draft_hash: text(detail, 'draft_hash') };
  return { table: 'bundle_version', seq, key, columns: { ...hashes, pins: pins.join(' '), ...columns } };
}

/** As messages say it; ids hold none of the separators. */
function nameOf(table: MovingTable | LastingTable, key: PointerRow['key']): string {
  const [, ...separators] = NAMES[table];
  return key.map((part, index) => (index === 0 ? part : separators[index - 1]! + part)).join('');
}

/** @throws TypeError */
function integer(detail: JsonObject, member: string): number {
  const value = detail[member];
  if (typeof value === 'number' && Math.trunc(value) === value && Math.abs(value) < MAX_INTEGER) return value;
  throw new TypeError(`its ${member} is no whole number of 32 bits`);
}

/** @throws TypeError */
function text(detail: JsonObject, member: string): string {
  const value = detail[member];
  if (typeof value === 'string') return value;
  throw new TypeError(`its ${member} is no text`);
}

function altered(
  table: MovingTable | LastingTable,
  name: string,
  seq: number,
  said: Columns,
  row: Columns,
): AuditFinding | undefined {
  const differs = Object.entries(said).find(([column, value]) => row[column] !== value);
  if (differs === undefined) return undefined;
  const [column, expected] = differs;
  const description = `${column} of ${NAMES[table][0]} ${name} is not what change ${seq} says`;
  return finding('ALTERED', seq, String(expected), String(row[column]), description);
}

function missing(table: MovingTable | LastingTable, name: string, seq: number, said: Columns): AuditFinding {
  const description = `${NAMES[table][0]} ${name} is missing: change ${seq} says that it is there`;
  return finding('MISSING', seq, canonicalJson(said), '', description);
}

function unexpected(table: MovingTable, name: string, row: Columns): AuditFinding {
  const description = `${NAMES[table][0]} ${name} is there, which no change made`;
  return finding('UNEXPECTED', 0, '', canonicalJson(row), description);
}

function tooMany(table: LastingTable, owner: string, said: number, { rows }: Columns): AuditFinding {
  const [[noun], [plural]] = [NAMES[OWNERS[table]], NAMES[table]];
  const description = `${noun} ${owner} has ${rows} ${plural}s, of which changes made ${said}`;
  return finding('UNEXPECTED', 0, String(said), String(rows), description);
}

function illegibleChange(seq: number, error: unknown): AuditFinding {
  const description = `change ${seq} does not say what one of its kind must say: ${(error as Error).message}`;
  return finding('ALTERED', seq, '', '', description);
}

function finding(
  problem: AuditFinding['problem'],
  seq: number,
  expected: string,
  actual: string,
  description: string,
): AuditFinding {
  const nowhere = { batch: 0, renderId: '', documentHash: '' };
  return { part: 'CHANGES', problem, seq, ...nowhere, expected, actual, description };
}

/** Names as numbers; 0 is the empty one. */
class Names {
  readonly #numbers = new Map([['', 0]]);
  readonly #names = [''];

  number(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.#names.length);
    return this.#names.push(name) - 1;
  }

  name(number: number): string {
    return this.#names[number]!;
  }
}

// The words of a row.
const SEQ_HIGH = 0;
const SEQ_LOW = 1;
const NUMBER = 2;
const NAME = 3;
const ARCHIVED = 4;
const ROWS = 5;
const DUE = 6;
const HASH = 7;
const WORDS = HASH + HASH_WORDS;

const WORD = 2 ** 32;

/** What changes say of the rows of a table, by name; outside of the heap but for the names. */
class HeldRows {
  readonly #rows = new Map<string, number>();
  readonly #words = new RowTable(WORDS);
  readonly #names: Names;
  #settled = false;

  constructor(names: Names) {
    this.#names = names;
  }

  /** What is not given stays as it is. @throws TypeError if the hash is none */
  put(name: string, said: Partial<Said>): void {
    const row = this.#rows.get(name) ?? this.#add(name);
    const words = this.#words;
    const { seq, number, name: other, hash, archived, rows } = { ...this.#at(row), ...said };
    words.setHash(row, HASH, hash);
    words.set(row, SEQ_HIGH, Math.floor(seq / WORD));
    words.set(row, SEQ_LOW, seq % WORD);
    words.set(row, NUMBER, number);
    words.set(row, NAME, this.#names.number(other));
    words.set(row, ARCHIVED, Number(archived));
    words.set(row, ROWS, rows);
  }

  get(name: string): Said {
    const row = this.#rows.get(name);
    return row === undefined ? NOTHING : this.#at(row);
  }

  /** From now on, rows are added that need not be seen. */
  settle(): void {
    this.#settled = true;
  }

  /** What is said of a row that was seen; undefined: nothing. */
  see(name: string): Said | undefined {
    const row = this.#rows.get(name);
    if (row === undefined) return undefined;
    this.#words.set(row, DUE, 0);
    return this.#at(row);
  }

  /** The first row that was not seen. */
  unseen(): { name: string; said: Said } | undefined {
    for (const [name, row] of this.#rows) {
      if (this.#words.get(row, DUE) === 1) return { name, said: this.#at(row) };
    }
    return undefined;
  }

  #add(name: string): number {
    const row = this.#words.append();
    this.#words.set(row, DUE, this.#settled ? 0 : 1);
    this.#rows.set(name, row);
    return row;
  }

  #at(row: number): Said {
    const words = this.#words;
    return {
      seq: words.get(row, SEQ_HIGH) * WORD + (words.get(row, SEQ_LOW) >>> 0),
      number: words.get(row, NUMBER),
      name: this.#names.name(words.get(row, NAME)),
      hash: words.hash(row, HASH),
      archived: words.get(row, ARCHIVED) === 1,
      rows: words.get(row, ROWS),
    };
  }
}
