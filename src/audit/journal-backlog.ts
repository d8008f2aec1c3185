import { createReadStream } from 'node:fs';
import { listSegments, segmentPath } from './journal-segments.ts';

const LINE_FEED = 0x0a;

/**
 * How many lines a slot's segments hold.
 * @param before only segments with lower numbers count
 * @throws the file system's error
 */
export async function countLines(directory: string, before: number): Promise<number> {
  let lines = 0;
  for (const segment of await listSegments(directory)) {
    if (segment >= before) continue;
    for await (const chunk of createReadStream(segmentPath(directory, segment))) lines += countIn(chunk as Buffer);
  }
  return lines;
}

function countIn(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count += 1;
  return count;
}
