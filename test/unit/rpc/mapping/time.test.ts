import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { TimestampSchema, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { Violations } from '../../../../src/domain/errors.ts';
import { readSpan } from '../../../../src/rpc/mapping/time.ts';
import { brief } from '../../../support/handler-call.ts';

function read(seconds: bigint, nanos = 0): { time: Date | undefined; refused: boolean } {
  const violations = new Violations();
  const { startTime: time } = readSpan(violations, { startTime: create(TimestampSchema, { seconds, nanos }) });
  return { time, refused: violations.size > 0 };
}

describe('Every render leaves a receipt', () => {
  it('a time that is not set is no bound', () => {
    const violations = new Violations();
    assert.deepEqual(readSpan(violations, {}), { startTime: undefined, endTime: undefined });
    assert.equal(violations.size, 0);
  });

  it('milliseconds survive, before 1970 too', () => {
    for (const iso of ['2026-03-01T12:00:00.123Z', '1969-12-31T23:59:59.999Z', '0001-01-01T00:00:00.000Z']) {
      const time = timestampFromDate(new Date(iso));
      assert.equal(readSpan(new Violations(), { endTime: time }).endTime?.toISOString(), iso);
    }
  });

  it('what is finer than milliseconds is rounded up', () => {
    assert.equal(read(1n, 1).time?.getTime(), 1_001);
    assert.equal(read(1n, 999_999_999).time?.getTime(), 2_000);
  });

  it('but not into the year 10000, which the database does not know', () => {
    assert.equal(read(253_402_300_799n, 999_999_999).time?.toISOString(), '9999-12-31T23:59:59.999Z');
    assert.equal(read(253_402_300_799n, 998_999_999).time?.toISOString(), '9999-12-31T23:59:59.999Z');
    assert.equal(read(253_402_300_799n).time?.toISOString(), '9999-12-31T23:59:59.000Z');
  });

  it('what is no valid Timestamp is refused', () => {
    assert.deepEqual(read(-62_135_596_801n), { time: undefined, refused: true });
    assert.deepEqual(read(253_402_300_800n), { time: undefined, refused: true });
    assert.deepEqual(read(0n, -1), { time: undefined, refused: true });
    assert.deepEqual(read(0n, 1_000_000_000), { time: undefined, refused: true });
    assert.equal(read(253_402_300_799n).refused, false);
  });
});

describe('The trail can be filtered and exported', () => {
  function violationsOf(start: [seconds: bigint, nanos: number], end: [seconds: bigint, nanos: number]): string[] {
    const violations = new Violations();
    const [startTime, endTime] = [start, end].map(([seconds, nanos]) => create(TimestampSchema, { seconds, nanos }));
    readSpan(violations, { startTime, endTime });
    return violations.list.map(brief);
  }

  it('a span holds at least a nanosecond', () => {
    assert.deepEqual(violationsOf([5n, 0], [5n, 1]), []);
    assert.deepEqual(violationsOf([5n, 999], [6n, 0]), []);
    assert.deepEqual(violationsOf([-1n, 0], [0n, 0]), []);
  });

  it('one that holds nothing is refused', () => {
    assert.deepEqual(violationsOf([5n, 1], [5n, 1]), ['end_time CONFLICT']);
    assert.deepEqual(violationsOf([5n, 2], [5n, 1]), ['end_time CONFLICT']);
    assert.deepEqual(violationsOf([6n, 0], [5n, 999]), ['end_time CONFLICT']);
  });

  it('times that are none are not compared', () => {
    assert.deepEqual(violationsOf([6n, -1], [5n, 0]), ['start_time OUT_OF_RANGE']);
    assert.deepEqual(violationsOf([6n, 0], [5n, -1]), ['end_time OUT_OF_RANGE']);
  });
});
