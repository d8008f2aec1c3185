import { RenderService } from '../../../gen/platen/v1/render_service_pb.js';
import { Code } from '../../../gen/google/rpc/code_pb.js';
import { type Call, isRead } from '../call.ts';
import { OK, type Outcome, outcomeOf } from '../errors.ts';
import type { InterceptorFactory } from '../interceptor.ts';
import type { ServedMethod } from '../method.ts';

type Level = 'debug' | 'info' | 'warn' | 'error';

/** What the server, not the caller, has to answer for. */
const FAILURE_LEVELS: ReadonlyMap<number, Level> = new Map([
  [Code.DEADLINE_EXCEEDED, 'warn'],
  [Code.UNAVAILABLE, 'warn'],
  [Code.INTERNAL, 'error'],
]);

/** What is called on every turn of a chat. */
const RENDERS: ReadonlySet<ServedMethod> = new Set([
  RenderService.method.render,
  RenderService.method.batchRender,
  RenderService.method.renderStream,
]);

/** Logs one line a call: reads and renders at debug, writes and callers' failures at info, the server's above. */
export const logging: InterceptorFactory = (method, { logger }) => {
  const successLevel: Level = isRead(method) || RENDERS.has(method) ? 'debug' : 'info';

  function log(call: Call, start: number, level: Level, outcome: Outcome): void {
    if (!logger.isLevelEnabled(level)) return;
    logger[level](
      {
        call_id: call.callId,
        rpc: call.rpc,
        code: outcome.name,
        ...(outcome.reason && { reason: outcome.reason }),
        duration_ms: Math.round((performance.now() - start) * 1000) / 1000,
        caller: call.caller,
        trace_id: call.traceId,
        peer: call.peer,
        transport: call.transport,
      },
      'call',
    );
  }

  return async (call, request, next) => {
    const start = performance.now();
    try {
      const answer = await next(call, request);
      log(call, start, successLevel, OK);
      return answer;
    } catch (error) {
      const outcome = outcomeOf(error);
      log(call, start, FAILURE_LEVELS.get(outcome.code) ?? 'info', outcome);
      throw error;
    }
  };
};
