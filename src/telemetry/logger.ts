import { type DestinationStream, type Logger, destination, pino, stdTimeFunctions } from 'pino';

export type { Logger };

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const STDERR = 2;

/**
 * A logger that writes one JSON object a line: level by name, time in ISO 8601, msg, and whatever the caller adds.
 * Lines go to stderr, so that stdout is left to what a command prints; they are written at once, so that a crash
 * loses none.
 */
export function createLogger(level: LogLevel, stream: DestinationStream = destination(STDERR)): Logger {
  return pino(
    { level, base: null, timestamp: stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    stream,
  );
}
