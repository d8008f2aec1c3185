/** Loads a key once at a time, however many ask for it meanwhile; what has landed, well or not, is not kept. */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Promise<T>>();

  /** What the flight under way for the key brings, or else what `load` does. */
  do(key: string, load: () => Promise<T>): Promise<T> {
    return this.#flights.get(key) ?? this.#fly(key, load);
  }

  #fly(key: string, load: () => Promise<T>): Promise<T> {
    const flight = load().finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return flight;
  }
}
