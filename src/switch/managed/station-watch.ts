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
/** After each look others have at least so many times its duration. */
const REST_FACTOR = 10;

export class StationWatch {
  readonly #table: () => readonly ForwardingEntry[];
  readonly #tell: (event: SwitchEvent) => void;
  #known = new Map<string, ForwardingEntry>();
  #watchers = 0;
  #timer: NodeJS.Timeout | undefined;
  /** When it may be looked again. */
  #restUntil = 0;
  #isClosed = false;

  constructor(table: () => readonly ForwardingEntry[], tell: (event: SwitchEvent) => void) {
    this.#table = table;
    this.#tell = tell;
  }

  /** Somebody wants to know. Returns what ends it. */
  begin(): () => void {
    if (this.#watchers++ === 0 && !this.#isClosed) {
      this.#known = this.#read();
      this.#wait();
    }
    let isOver = false;
    return () => {
      if (!isOver && --this.#watchers === 0) clearTimeout(this.#timer);
      isOver = true;
    };
  }

  /** There is no table any more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#isClosed = true;
  }

  /** Tells what is different from before, unless that was just looked at: then it is told of later. */
  compare(): void {
    if (this.#watchers > 0 && !this.#isClosed && performance.now() >= this.#restUntil) this.#compare();
  }

  #wait(): void {
    const ms = Math.max(COMPARE_MS, this.#restUntil - performance.now());
    this.#timer = setTimeout(() => {
      this.compare();
      this.#wait();
    }, ms).unref();
  }

  #compare(): void {
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
    const start = performance.now();
    const found = new Map(this.#table().map((entry) => [`${entry.vlan} ${entry.mac}`, entry]));
    const end = performance.now();
    this.#restUntil = end + REST_FACTOR * (end - start);
    return found;
  }
}
