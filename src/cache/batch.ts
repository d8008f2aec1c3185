/** Most keys of one question: documents may have megabytes. */
const KEYS_MAX = 64;

/**
 * Options of a loader that asks a store at once for what is asked for in one turn of the event loop, and remembers
 * nothing: that is for the levels to do.
 */
export const BATCH = {
  cache: false,
  maxBatchSize: KEYS_MAX,
  // After all that came in over sockets meanwhile, so that a busy server asks for it together.
  batchScheduleFn: (ask: () => void): void => void setImmediate(ask),
} as const;
