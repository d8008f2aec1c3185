/** The files of a journal's slot: `00000001.log`, `00000002.log` … Never truncated, never reopened for writing. */
import { readdirSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

const DIGITS = 8;
const NAME = /^(\d{8,})\.log$/;

/** A place in the segments of one slot: so many bytes into that segment. */
export interface Position {
  readonly segment: number;
  readonly offset: number;
}

/** Before everything. */
export const START: Position = Object.freeze({ segment: 0, offset: 0 });

/** @returns less than 0 if `a` is before `b`, 0 if they are the same place */
export function comparePositions(a: Position, b: Position): number {
  return a.segment - b.segment || a.offset - b.offset;
}

export function segmentPath(directory: string, segment: number): string {
  return join(directory, `${String(segment).padStart(DIGITS, '0')}.log`);
}

/** Of the names those that are segments', as numbers, ascending. */
function numbers(names: readonly string[]): number[] {
  return names.flatMap((name) => NAME.exec(name)?.slice(1).map(Number) ?? []).toSorted((a, b) => a - b);
}

/** The segments there are, ascending. */
export async function listSegments(directory: string): Promise<number[]> {
  return numbers(await readdir(directory));
}

/** Blocks. */
export function hasSegments(directory: string): boolean {
  return readdirSync(directory).some((name) => NAME.test(name));
}

/** What a slot holds at its start. */
export interface SlotContent {
  /** 0: there is none. */
  readonly lastSegment: number;
  /** Of all segments together. */
  readonly bytes: number;
}

/** Of a slot that the process owns; blocks. */
export function slotContent(directory: string): SlotContent {
  const segments = numbers(readdirSync(directory));
  const bytes = segments.reduce((sum, segment) => sum + statSync(segmentPath(directory, segment)).size, 0);
  return { lastSegment: segments.at(-1) ?? 0, bytes };
}
