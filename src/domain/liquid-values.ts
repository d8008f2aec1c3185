/** What LIQUID templates work on: values, their text and numbers, and what handling them costs. */
import { Drop, toValue } from 'liquidjs';
import { canonicalJson } from './document.ts';
import type { Json } from './json.ts';
import { MAX_JSON_LEVELS } from './limits.ts';
import type { RenderBudget } from './render-budget.ts';

/** A value from people who must not give instructions: conditions see what it is, output shows it delimited. */
export class UntrustedValue extends Drop {
  readonly delimited: string;
  readonly #value: Json;

  /** @param delimited how it is inserted */
  constructor(value: Json, delimited: string) {
    super();
    this.#value = value;
    this.delimited = delimited;
  }

  override valueOf(): Json {
    return this.#value;
  }
}

/** Stands in a preview for a value that is not there: its members show as `{user.name}`, as a number it is 1. */
export class StandIn extends Drop {
  readonly #path: string;

  /** @param path how it is reached, as `user` */
  constructor(path: string) {
    super();
    this.#path = path;
  }

  override valueOf(): string {
    return `{${this.#path}}`;
  }

  member(name: unknown): StandIn {
    return new StandIn(`${this.#path}.${String(name)}`);
  }
}

/** Measured: what one step of about 1 µs does. UTF-16 code units: */
const TEXT_PER_STEP = 64;
/** Members of objects that are listed: */
const MEMBERS_PER_STEP = 4;
/** Values that are written as JSON; a member of an object takes more, as members are sorted: */
const JSON_PER_STEP = 8;
const JSON_MEMBERS_PER_STEP = 2;

/** Whether the value is a list or an object, which templates make of no other kind than JSON has. */
export function isContainer(value: unknown): value is Json[] | Record<string, Json> {
  return typeof value === 'object' && value !== null;
}

/** Takes the steps of handling text. */
export function chargeText(budget: RenderBudget, length: number): void {
  budget.takeSteps(length / TEXT_PER_STEP);
}

/** How many items, members or characters a value has; undefined if it is none of those. */
export function sizeOf(budget: RenderBudget, value: unknown): number | undefined {
  if (typeof value === 'string') {
    chargeText(budget, value.length);
    let count = 0;
    for (const _ of value) count += 1;
    return count;
  }
  if (Array.isArray(value)) return value.length;
  chargeMembers(budget, value);
  return isContainer(value) ? Object.keys(value).length : undefined;
}

/** Takes the steps of listing the members of an object, which are not counted before that. */
export function chargeMembers(budget: RenderBudget, value: unknown): void {
  if (isContainer(value) && !Array.isArray(value)) budget.takeSteps(Object.keys(value).length / MEMBERS_PER_STEP);
}

/**
 * Takes the steps of writing a value as JSON. Filters make lists that hold the same list many times over, and within
 * one another, so that steps are taken as it goes.
 * @throws Error if there are more levels than values may have
 */
function chargeJson(budget: RenderBudget, value: unknown, level: number): void {
  if (typeof value === 'string') return chargeText(budget, value.length);
  if (!isContainer(value)) return;
  if (level === MAX_JSON_LEVELS) throw new Error(`lists and objects have at most ${MAX_JSON_LEVELS} levels`);
  if (Array.isArray(value)) {
    budget.takeSteps((value.length + 1) / JSON_PER_STEP);
    for (const item of value) chargeJson(budget, item, level + 1);
  } else {
    const members = Object.entries(value);
    budget.takeSteps((members.length + 1) / JSON_MEMBERS_PER_STEP);
    for (const [name, member] of members) {
      chargeText(budget, name.length);
      chargeJson(budget, member, level + 1);
    }
  }
}

/**
 * The one text form of a value (spec section 3, "Template syntax"); nothing for nil.
 * @throws Error if it has too many levels, RenderTooCostly
 */
export function textOf(budget: RenderBudget, value: unknown): string {
  if (value instanceof UntrustedValue) return value.delimited;
  const plain: unknown = toValue(value);
  if (typeof plain === 'string') return plain;
  if (!isContainer(plain)) return String(plain ?? '');
  chargeJson(budget, plain, 0);
  return canonicalJson(plain);
}

/**
 * The number that a value is, or is the text of; 0 for nil, 1 for a StandIn.
 * @throws Error if it is none
 */
export function numberOf(budget: RenderBudget, value: unknown): number {
  if (value instanceof StandIn) return 1;
  const plain: unknown = toValue(value);
  if (isContainer(plain)) throw new Error('a list or an object is no number');
  if (typeof plain !== 'string') return Number(plain ?? 0);
  chargeText(budget, plain.length);
  const number = plain.trim() === '' ? NaN : Number(plain);
  if (Number.isFinite(number)) return number;
  throw new Error('a number is needed, and this text is none');
}

/** @throws Error if the number is not finite */
export function finite(number: number): number {
  if (Number.isFinite(number)) return number;
  throw new Error(`the number came to ${number}`);
}

/** @throws Error if the number is not a whole one that can be counted to, or less than `least` */
export function wholeNumberOf(budget: RenderBudget, value: unknown, least = Number.MIN_SAFE_INTEGER): number {
  const number = (toValue(value) ?? null) === null ? NaN : numberOf(budget, value);
  if (Number.isSafeInteger(number) && number >= least) return number;
  throw new Error(`a whole number ${least === 0 ? 'from 0' : 'from -(2^53 - 1)'} to 2^53 - 1 is needed`);
}
