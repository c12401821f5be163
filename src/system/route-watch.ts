/**
 * Tells that something changed in this process's network namespace: interfaces, addresses, routes, routing rules.
 *
 * What changed is not told: whoever cares looks up what matters to them. All watchers of a process share one socket,
 * which is open while there are any.
 *
 * ```
 * changes     ×××  ×  ×           × ×
 *             ├─100 ms─┤          ├─100 ms─┤
 * onChange             ●                   ●
 * ```
 */
import { constants } from 'node:os';
import { AGAIN, native } from './native.ts';
import { openNetlinkSocket } from './netlink-socket.ts';
import { READABLE, Watch } from './reactor.ts';

/** From the first change until it is told: changes seldom come alone. */
const GATHER_MS = 100;
/** Messages read before others have their turn. */
const MESSAGES_AT_ONCE = 64;
/** What does not fit is cut: the messages are not looked at. */
const BUFFER_BYTES = 256;

/** Masks of linux/rtnetlink.h (RTMGRP_*); the last one has only its number there, RTNLGRP_IPV6_RULE. */
const LINK = 0x1;
const IPV4_ADDRESS = 0x10;
const IPV4_ROUTE = 0x40;
const IPV4_RULE = 0x80;
const IPV6_ADDRESS = 0x100;
const IPV6_ROUTE = 0x400;
const IPV6_RULE = 1 << 18;
const EVERYTHING = LINK | IPV4_ADDRESS | IPV4_ROUTE | IPV4_RULE | IPV6_ADDRESS | IPV6_ROUTE | IPV6_RULE;

/** More changed than the socket could hold: something did. */
const LOST = -constants.errno.ENOBUFS;

/** Tells of changes until it is closed. */
export class RouteWatch {
  readonly onChange: () => void;

  /**
   * @param onChange called some 100 ms after the first of a burst of changes; must not throw
   * @throws VdensError `ERR_NETLINK` when there is no socket to be had
   */
  constructor(onChange: () => void) {
    this.onChange = onChange;
    source ??= new ChangeSource();
    source.watchers.add(this);
  }

  /** Nothing is told any more, not even what happened before. Idempotent. */
  close(): void {
    if (source?.watchers.delete(this) !== true || source.watchers.size > 0) return;
    source.close();
    source = undefined;
  }
}

/** The socket that all share, while there are watchers. */
let source: ChangeSource | undefined;

class ChangeSource {
  readonly watchers = new Set<RouteWatch>();
  readonly #fd = openNetlinkSocket(EVERYTHING);
  readonly #watch: Watch;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    try {
      this.#watch = new Watch(this.#fd, READABLE, () => this.#read());
    } catch (error) {
      native.closeDescriptor(this.#fd);
      throw error;
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#watch.end();
    native.closeDescriptor(this.#fd);
  }

  #read(): void {
    for (let i = 0; i < MESSAGES_AT_ONCE; i++) {
      const result = native.receive(this.#fd, this.#buffer);
      if (result === AGAIN) return;
      this.#timer ??= setTimeout(() => this.#tell(), GATHER_MS);
      if (result > 0 || result === LOST) continue;
      // Anything else would come again at once, for ever.
      this.#watch.end();
      return;
    }
  }

  #tell(): void {
    this.#timer = undefined;
    for (const watcher of [...this.watchers]) {
      // One that was told before may have closed it.
      if (this.watchers.has(watcher)) watcher.onChange();
    }
  }
}
