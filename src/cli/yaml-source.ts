import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { GenEnum } from '@bufbuild/protobuf/codegenv2';
import { isMap, isNode, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import { enumNames, enumValue } from './enum-name.ts';
import { FileError } from './failure.ts';

const MAX_INT32 = 2 ** 31 - 1;

type Path = readonly (string | number)[];

/** YAML that is read into something definite; collects every problem with its line. */
export class YamlSource {
  readonly #name: string;
  readonly #lineOffset: number;
  readonly #lines = new LineCounter();
  readonly #document: Document;
  readonly #problems: { line: number; text: string }[] = [];

  /**
   * @param name what problems call it: a path
   * @param lineOffset the lines of the file before the YAML
   */
  constructor(name: string, yaml: string, lineOffset = 0) {
    this.#name = name;
    this.#lineOffset = lineOffset;
    // A tag could make anything but JSON of a value: none is resolved, and each is a warning, thus a problem.
    this.#document = parseDocument(yaml, {
      lineCounter: this.#lines,
      prettyErrors: false,
      resolveKnownTags: false,
      stringKeys: true,
      logLevel: 'silent',
    });
    for (const { pos, message } of [...this.#document.errors, ...this.#document.warnings]) {
      this.#add(this.#lines.linePos(pos[0]).line, message);
    }
  }

  /** The whole. @throws FileError if it is no YAML */
  root(): YamlValue {
    this.throwIfAny();
    try {
      return new YamlValue(this, [], this.#document.toJS());
    } catch (error) {
      // An alias without an anchor, or aliases that multiply beyond measure: the library gives no position.
      throw new FileError([`${this.#name}: ${(error as Error).message}`]);
    }
  }

  /** Records a problem with what is at the path. */
  problem(path: Path, message: string): void {
    this.#add(this.#line(path), path.length > 0 ? `${pathText(path)}: ${message}` : message);
  }

  /** Records a problem with a key of the mapping at the path. */
  keyProblem(path: Path, key: string, message: string): void {
    const mapping = this.#document.getIn(path, true);
    const keys = isMap(mapping) ? mapping.items.map((item) => item.key) : [];
    const node = keys.find((one) => isScalar(one) && one.value === key);
    const line = isScalar(node) ? this.#lineAt(node.range![0]) : this.#line(path);
    this.#add(line, `${pathText([...path, key])}: ${message}`);
  }

  /** @throws FileError with every problem so far, by line */
  throwIfAny(): void {
    if (this.#problems.length === 0) return;
    const sorted = this.#problems.toSorted((a, b) => a.line - b.line);
    throw new FileError(sorted.map(({ line, text }) => `${this.#name}:${line + this.#lineOffset}: ${text}`));
  }

  #add(line: number, text: string): void {
    this.#problems.push({ line, text });
  }

  // What is missing, and what is behind an alias, stands where its parent does.
  #line(path: Path): number {
    const node = this.#document.getIn(path, true);
    if (isNode(node)) return this.#lineAt(node.range![0]);
    return path.length === 0 ? 1 : this.#line(path.slice(0, -1));
  }

  #lineAt(offset: number): number {
    return this.#lines.linePos(offset).line;
  }
}

/** A value in a YAML source. What is absent or null reads as the empty value of the type that is asked for. */
export class YamlValue {
  readonly #source: YamlSource;
  readonly #path: Path;
  readonly #value: unknown;

  constructor(source: YamlSource, path: Path, value: unknown) {
    this.#source = source;
    this.#path = path;
    this.#value = value;
  }

  get present(): boolean {
    return this.#value !== undefined && this.#value !== null;
  }

  problem(message: string): void {
    this.#source.problem(this.#path, message);
  }

  /** Itself, after a problem if it is absent. */
  required(): this {
    if (!this.present) this.problem('is required');
    return this;
  }

  /** The values of a mapping with these keys and no other. */
  fields<K extends string>(keys: readonly K[]): Record<K, YamlValue> {
    const held = this.#mapping();
    for (const key of Object.keys(held)) {
      if (!(keys as readonly string[]).includes(key)) {
        this.#source.keyProblem(this.#path, key, `unknown key; allowed: ${keys.join(', ')}`);
      }
    }
    return Object.fromEntries(keys.map((key) => [key, this.#child(key, held[key])])) as Record<K, YamlValue>;
  }

  /** The values of a mapping with any keys. */
  entries(): [string, YamlValue][] {
    return Object.entries(this.#mapping()).map(([key, value]) => [key, this.#child(key, value)]);
  }

  /** The values of a list. */
  items(): YamlValue[] {
    if (!this.present) return [];
    if (Array.isArray(this.#value)) return this.#value.map((value, i) => this.#child(i, value));
    this.problem('must be a list');
    return [];
  }

  text(): string {
    if (!this.present) return '';
    if (typeof this.#value === 'string') return this.#value;
    this.problem(typeof this.#value === 'object' ? 'must be text' : 'must be text; put it in quotes');
    return '';
  }

  integer(max = MAX_INT32): number {
    if (!this.present) return 0;
    if (Number.isSafeInteger(this.#value) && Math.abs(this.#value as number) <= max) return this.#value as number;
    this.problem(`must be a whole number, at most ${max}`);
    return 0;
  }

  flag(): boolean {
    if (!this.present) return false;
    if (typeof this.#value === 'boolean') return this.#value;
    this.problem('must be true or false');
    return false;
  }

  /** The value of a short name; the UNSPECIFIED zero if absent. */
  choice<E extends number>(schema: GenEnum<E>): E {
    if (!this.present) return 0 as E;
    const value = enumValue(schema, String(this.#value));
    if (value !== undefined) return value;
    this.problem(`${JSON.stringify(this.#value)} is no ${schema.name}; allowed: ${enumNames(schema).join(', ')}`);
    return 0 as E;
  }

  /** Any JSON. */
  json(): JsonValue {
    if (typeof this.#value === 'object' && this.#value !== null) {
      const children = Array.isArray(this.#value) ? this.items() : this.entries().map(([, child]) => child);
      for (const child of children) child.json();
    } else if (typeof this.#value === 'number' && !Number.isFinite(this.#value)) {
      this.problem('must be a finite number');
    }
    return this.#value as JsonValue;
  }

  /** A JSON object. */
  object(): JsonObject {
    return Object.fromEntries(this.entries().map(([key, child]) => [key, child.json()]));
  }

  #mapping(): Record<string, unknown> {
    if (!this.present) return {};
    if (typeof this.#value === 'object' && !Array.isArray(this.#value)) return this.#value as Record<string, unknown>;
    this.problem('must be a mapping of names to values');
    return {};
  }

  #child(key: string | number, value: unknown): YamlValue {
    return new YamlValue(this.#source, [...this.#path, key], value);
  }
}

function pathText(path: Path): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`)).join('');
}
