/** How attempts follow one another. */
export interface Staggering<T> {
  /** Milliseconds after which another attempt begins beside those that neither succeed nor fail. */
  readonly everyMs: number;
  /** Ends all attempts. */
  readonly signal: AbortSignal;
  /** Is told why an attempt failed, unless all were over by then; must not throw. */
  readonly failed: (error: Error) => void;
  /** Ends what an attempt brought too late. */
  readonly discard: (late: T) => void;
}

/**
 * The first success of several attempts, which begin one after the other while the earlier ones hang: one whose packets
 * were lost holds up nothing, and one that is merely slow still succeeds. The others are then aborted.
 *
 * @throws the last attempt's error, once no attempt is under way any more
 */
export async function firstOfStaggered<T>(
  attempt: (signal: AbortSignal) => Promise<T>,
  { everyMs, signal, failed, discard }: Staggering<T>,
): Promise<T> {
  const over = new AbortController();
  const ended = AbortSignal.any([over.signal, signal]);
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let underWay = 0;

  const begin = async (): Promise<void> => {
    underWay += 1;
    try {
      const success = await attempt(ended);
      if (ended.aborted) discard(success);
      ended.throwIfAborted();
      over.abort();
      resolve(success);
    } catch (error) {
      underWay -= 1;
      if (!ended.aborted) failed(error as Error);
      if (underWay === 0) reject(error);
    }
  };

  const timer = setInterval(() => void begin(), everyMs);
  void begin();
  try {
    return await promise;
  } finally {
    clearInterval(timer);
    over.abort();
  }
}
