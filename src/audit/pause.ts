/** A wait that can be cut short. */
export class Pause {
  #end: (() => void) | undefined;

  /** Resolves after so many milliseconds, or at the next `end`. One at a time. */
  wait(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#end = () => {
      clearTimeout(timer);
      resolve();
    };
    return promise;
  }

  /** Without effect on later waits. */
  end(): void {
    this.#end?.();
  }
}
