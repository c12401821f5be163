/** Tells those who listen what happens. */
export class EventSource<Event> {
  readonly #listeners = new Set<{ readonly tell: (event: Event) => void }>();

  /** Returns what ends it. */
  listen(tell: (event: Event) => void): () => void {
    const listener = { tell };
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(event: Event): void {
    for (const { tell } of [...this.#listeners]) tell(event);
  }
}
