import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { TimestampSchema, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { Violations } from '../../../../src/domain/errors.ts';
import { readBound } from '../../../../src/rpc/mapping/time.ts';

function read(seconds: bigint, nanos = 0): { time: Date | undefined; refused: boolean } {
  const violations = new Violations();
  const time = readBound(violations, 'start_time', create(TimestampSchema, { seconds, nanos }));
  return { time, refused: violations.size > 0 };
}

describe('Every render leaves a receipt', () => {
  it('a time that is not set is no bound', () => {
    const violations = new Violations();
    assert.equal(readBound(violations, 'start_time', undefined), undefined);
    assert.equal(violations.size, 0);
  });

  it('milliseconds survive, before 1970 too', () => {
    for (const iso of ['2026-03-01T12:00:00.123Z', '1969-12-31T23:59:59.999Z', '0001-01-01T00:00:00.000Z']) {
      const time = timestampFromDate(new Date(iso));
      assert.equal(readBound(new Violations(), 'start_time', time)?.toISOString(), iso);
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
