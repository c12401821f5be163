/**
 * Who comes and goes among the stations, for those who look.
 *
 * The table that frames are looked up in tells nobody of its changes: it is compared with what it was, while somebody
 * listens. A station that moves to another port, or comes and goes in between, is not told of.
 */
import type { ForwardingEntry } from '../switch.ts';
import type { SwitchEvent } from './managed-switch-api.ts';

/** How often it is compared, in milliseconds. */
export const COMPARE_MS = 100;

export class StationWatch {
  readonly #table: () => readonly ForwardingEntry[];
  readonly #tell: (event: SwitchEvent) => void;
  #known = new Map<string, ForwardingEntry>();
  #watchers = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(table: () => readonly ForwardingEntry[], tell: (event: SwitchEvent) => void) {
    this.#table = table;
    this.#tell = tell;
  }

  /** Somebody wants to know. Returns what ends it. */
  begin(): () => void {
    if (this.#watchers++ === 0 && !this.#isClosed) {
      this.#known = this.#read();
      this.#timer = setInterval(() => this.compare(), COMPARE_MS).unref();
    }
    let isOver = false;
    return () => {
      if (!isOver && --this.#watchers === 0) clearInterval(this.#timer);
      isOver = true;
    };
  }

  /** There is no table any more. */
  close(): void {
    clearInterval(this.#timer);
    this.#isClosed = true;
  }

  /** Tells what is different from before. */
  compare(): void {
    if (this.#watchers === 0 || this.#isClosed) return;
    const before = this.#known;
    this.#known = this.#read();
    for (const [key, { mac, vlan, port }] of before) {
      if (!this.#known.has(key)) this.#tell({ kind: 'station-forgotten', mac, vlan, port });
    }
    for (const [key, { mac, vlan, port }] of this.#known) {
      if (!before.has(key)) this.#tell({ kind: 'station-learned', mac, vlan, port });
    }
  }

  #read(): Map<string, ForwardingEntry> {
    return new Map(this.#table().map((entry) => [`${entry.vlan} ${entry.mac}`, entry]));
  }
}
