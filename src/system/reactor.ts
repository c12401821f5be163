/**
 * Readiness of descriptors on the way of the frames.
 *
 * All watched descriptors are in one epoll set, which is itself a single descriptor of Node's event loop.
 * When the loop wakes us, we serve the set again and again while there is traffic, waiting in the kernel
 * for a moment in between, and go back to the event loop when it was quiet for {@link QUIET_US} or after
 * {@link ROUNDS} rounds: a busy descriptor then costs one epoll_wait, not a turn of the event loop.
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
const QUIET_US = 100;
const ROUNDS = 64;

/** Called with the events that are ready. Must not throw. */
export type ReadyHandler = (events: number) => void;

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
  for (let round = 0; round < ROUNDS; round++) {
    const count = native.reactorWait(epoll, ready, round === 0 ? 0 : QUIET_US);
    while (retiredTokens.length > 0) freeTokens.push(retiredTokens.pop()!);
    if (count === 0) return;
    for (let i = 0; i < count; i++) {
      // A handler may have ended another's watch in this very round.
      watches[ready[2 * i]!]?.handler(ready[2 * i + 1]!);
    }
  }
}

function check(result: number, syscall: string): number {
  if (result >= 0) return result;
  const errno = errnoName(result);
  throw new VdensError('ERR_NATIVE', `cannot watch a descriptor (${syscall}: ${errno})`, { errno, syscall });
}
