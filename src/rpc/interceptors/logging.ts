import { RenderService } from '../../../gen/platen/v1/render_service_pb.js';
import { Code } from '../../../gen/google/rpc/code_pb.js';
import { isRead } from '../call.ts';
import type { ObserverFactory } from '../interceptor.ts';
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
export const logging: ObserverFactory = (method, { logger }) => {
  const successLevel: Level = isRead(method) || RENDERS.has(method) ? 'debug' : 'info';
  return (call, { code, name, reason }, seconds) => {
    const level = code === Code.OK ? successLevel : (FAILURE_LEVELS.get(code) ?? 'info');
    if (!logger.isLevelEnabled(level)) return;
    logger[level](
      {
        call_id: call.callId,
        rpc: call.rpc,
        code: name,
        ...(reason && { reason }),
        duration_ms: Math.round(seconds * 1e6) / 1000,
        caller: call.caller,
        trace_id: call.traceId,
        peer: call.peer,
        transport: call.transport,
      },
      'call',
    );
  };
};
