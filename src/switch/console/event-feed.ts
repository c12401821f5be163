/** Tells the sessions of a console what happens in the switch; finding out about stations is done while somebody asks. */
import type { ManagedSwitchApi } from '../managed/managed-switch-api.ts';
import { describeEvent } from './switch-events.ts';

const STATIONS = 'hash/';

/** A session, or several. */
export interface Audience {
  /** Whether anybody wants to be told of anything whose path begins with the prefix. */
  wants(prefix: string): boolean;
  tell(path: string, text: string): void;
}

export class EventFeed {
  readonly #managed: ManagedSwitchApi;
  readonly #audiences: () => readonly Audience[];
  #withStations = false;
  #stop: (() => void) | undefined;

  /** @param audiences all that there are now */
  constructor(managed: ManagedSwitchApi, audiences: () => readonly Audience[]) {
    this.#managed = managed;
    this.#audiences = audiences;
    this.#listen();
  }

  /** To be called when somebody wants to be told of other things than before. */
  refresh(): void {
    const withStations = this.#audiences().some((audience) => audience.wants(STATIONS));
    if (this.#stop === undefined || withStations === this.#withStations) return;
    this.#withStations = withStations;
    this.#stop();
    this.#listen();
  }

  /** Idempotent. */
  close(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  #listen(): void {
    const stations = this.#withStations;
    this.#stop = this.#managed.listen(
      (event) => {
        const { path, text } = describeEvent(event);
        for (const audience of this.#audiences()) audience.tell(path, text);
      },
      { stations },
    );
  }
}
