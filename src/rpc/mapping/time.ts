import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type { Violations } from '../../domain/errors.ts';

/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, the bounds of google.protobuf.Timestamp, in seconds. */
const MIN_SECONDS = -62_135_596_800n;
const MAX_SECONDS = 253_402_300_799n;
/** The last millisecond that a Timestamp, and the database, can tell. */
const MAX_MS = Number(MAX_SECONDS) * 1_000 + 999;

/** From start, inclusive, to end, exclusive. */
interface Span<T> {
  readonly startTime: T | undefined;
  readonly endTime: T | undefined;
}

/**
 * A span of time by the fields start_time and end_time. One that ends before it begins, or when it begins, holds
 * nothing: a violation.
 */
export function readSpan(violations: Violations, request: Partial<Span<Timestamp>>): Span<Date> {
  const { startTime, endTime } = request;
  const span = {
    startTime: readBound(violations, 'start_time', startTime),
    endTime: readBound(violations, 'end_time', endTime),
  };
  if (span.startTime && span.endTime && !isBefore(startTime!, endTime!)) {
    violations.add('end_time', 'CONFLICT', 'must be after start_time');
  }
  return span;
}

function isBefore(a: Timestamp, b: Timestamp): boolean {
  return a.seconds < b.seconds || (a.seconds === b.seconds && a.nanos < b.nanos);
}

/**
 * The bound of a span of time, in milliseconds: rounded up, so that what has milliseconds only is before or after it
 * as it is before or after the Timestamp, but not beyond the year 9999. One that is no valid Timestamp is a violation.
 */
function readBound(violations: Violations, field: string, time: Timestamp | undefined): Date | undefined {
  if (time === undefined) return undefined;
  const { seconds, nanos } = time;
  if (seconds < MIN_SECONDS || seconds > MAX_SECONDS || nanos < 0 || nanos > 999_999_999) {
    const description = 'must be from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z, with nanos from 0 to 999,999,999';
    violations.add(field, 'OUT_OF_RANGE', description);
    return undefined;
  }
  return new Date(Math.min(Number(seconds) * 1_000 + Math.ceil(nanos / 1_000_000), MAX_MS));
}
