import { type DestinationStream, type Logger, destination, pino, stdTimeFunctions } from 'pino';

export type { Logger };

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const STDERR = 2;

/** What waits for a log that takes nothing, in characters; further lines are dropped. */
const MAX_WAITING = 1024 * 1024;

/**
 * A logger that writes one JSON object a line: level by name, time in ISO 8601, msg, and whatever the caller adds.
 * Lines go to stderr, so that stdout is left to what a command prints; they are written at once, so that a crash
 * loses none. Where they cannot be, as on a disk that is full, they are dropped: no work fails because of its log.
 */
export function createLogger(level: LogLevel, stream: DestinationStream = standardError()): Logger {
  return pino(
    { level, base: null, timestamp: stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    stream,
  );
}

function standardError(): DestinationStream {
  const stream = destination({ dest: STDERR, sync: true, maxLength: MAX_WAITING });
  // Without a listener an error is thrown at whoever logs.
  stream.on('error', () => {});
  return stream;
}
