/**
 * Readiness of descriptors, first of all of those on the way of the frames.
 *
 * All watched descriptors are in one epoll set, and so is the descriptor on which Node's event loop waits. While
 * anything is watched, we do the waiting in its place: whoever moves frames is served on the spot, again
 * and again, and the loop gets its turn when one of its own descriptors or timers is due, or when a handler
 * did something that the loop has to go on with (a promise, a callback to the user).
 *
 * ```
 * event loop ──▶ serve() ──▶ reactorWait()  a TAP is ready    ──▶ its handler, then wait again
 *      ▲                        │           the loop has work ──┐
 *      └────────────────────────┴───────────────────────────────┘
 * ```
 */
import { VdensError } from '../errors.ts';
import { errnoName, native } from './native.ts';

export const READABLE = 1;
export const WRITABLE = 4;
/** Reported whether asked for or not. */
export const FAILED = 8;
/** The other end is gone; reported whether asked for or not. */
export const HUNG_UP = 16;

const ADD = 1;
const REMOVE = 2;
const MODIFY = 3;

const MAX_EVENTS = 64;
/** In the result of reactorWait: the event loop is to take its turn. */
const LOOP_WAITS = 0x10000;

/**
 * Called with the events that are ready. Must not throw.
 *
 * Returns true when it moved frames and nothing else: there is nothing then that the event loop, or a
 * promise, would have to go on with before the next descriptor is served.
 */
export type ReadyHandler = (events: number) => boolean | undefined | void;

let epoll = -1;
let watching = 0;
const ready = new Int32Array(2 * MAX_EVENTS);
const watches: (Watch | undefined)[] = [];
const freeTokens: number[] = [];
/** Tokens of watches that ended in the round being served: events for them may still be in `ready`. */
const retiredTokens: number[] = [];

/** One watched descriptor. The descriptor stays the caller's, who ends the watch before closing it. */
export class Watch {
  readonly #fd: number;
  readonly #token: number;
  readonly handler: ReadyHandler;
  #events: number;
  #ended = false;

  constructor(fd: number, events: number, handler: ReadyHandler) {
    if (epoll < 0) epoll = check(native.reactorOpen(serve), 'epoll_create1');
    this.#fd = fd;
    this.#events = events;
    this.handler = handler;
    this.#token = freeTokens.pop() ?? watches.length;
    watches[this.#token] = this;
    check(native.reactorWatch(epoll, ADD, fd, this.#token, events), 'epoll_ctl');
    if (watching++ === 0) native.reactorHold(1);
  }

  /** Changes which events are waited for; 0 leaves only the end of the connection. */
  set events(events: number) {
    if (this.#ended || events === this.#events) return;
    this.#events = events;
    native.reactorWatch(epoll, MODIFY, this.#fd, this.#token, events);
  }

  get events(): number {
    return this.#events;
  }

  /** Stops watching. Idempotent. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    native.reactorWatch(epoll, REMOVE, this.#fd, 0, 0);
    watches[this.#token] = undefined;
    retiredTokens.push(this.#token);
    if (--watching === 0) native.reactorHold(0);
  }
}

function serve(): void {
  for (let stay = true; stay; ) {
    const result = native.reactorWait(ready);
    const count = result & (LOOP_WAITS - 1);
    stay = result === count;
    for (let i = 0; i < count; i++) {
      // A handler may have ended another's watch in this very round.
      const watch = watches[ready[2 * i]!];
      if (watch !== undefined && watch.handler(ready[2 * i + 1]!) !== true) stay = false;
    }
    while (retiredTokens.length > 0) freeTokens.push(retiredTokens.pop()!);
  }
}

function check(result: number, syscall: string): number {
  if (result >= 0) return result;
  const errno = errnoName(result);
  throw new VdensError('ERR_NATIVE', `cannot watch a descriptor (${syscall}: ${errno})`, { errno, syscall });
}
