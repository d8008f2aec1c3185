import assert from 'node:assert/strict';
import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { remoteContext } from '../../../src/telemetry/tracing.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN_ID = '00f067aa0ba902b7';

describe('Calls are traced', () => {
  it('under the W3C traceparent and tracestate of the caller', () => {
    const context = remoteContext(`00-${TRACE_ID}-${SPAN_ID}-01`, 'vendor=1');
    const { traceState, ...spanContext } = trace.getSpanContext(context) ?? assert.fail();
    assert.deepEqual(spanContext, { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1, isRemote: true });
    assert.equal(traceState?.get('vendor'), '1');
    assert.equal(trace.getSpanContext(remoteContext(`00-${TRACE_ID}-${SPAN_ID}-00`, undefined))?.traceFlags, 0);
  });

  it('also of a version to come', () => {
    const context = remoteContext(`01-${TRACE_ID}-${SPAN_ID}-01-more`, undefined);
    assert.equal(trace.getSpanContext(context)?.traceId, TRACE_ID);
  });

  const invalid: [what: string, header: string | undefined][] = [
    ['none', undefined],
    ['an empty one', ''],
    ['a short one', `00-${TRACE_ID}-${SPAN_ID}`],
    ['upper case', `00-${TRACE_ID.toUpperCase()}-${SPAN_ID}-01`],
    ['version ff', `ff-${TRACE_ID}-${SPAN_ID}-01`],
    ['version 00 with more', `00-${TRACE_ID}-${SPAN_ID}-01-more`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN_ID}-01`],
    ['a span id of zeros', `00-${TRACE_ID}-${'0'.repeat(16)}-01`],
  ];
  for (const [what, header] of invalid) {
    it(`but not under ${what}`, () => assert.equal(remoteContext(header, 'vendor=1'), ROOT_CONTEXT));
  }
});
