/** A timer that is precise to the tenth of a millisecond, on the way of the frames (timerfd_create(2)). */
import { VdensError } from '../errors.ts';
import { errnoName, native } from './native.ts';
import { READABLE, type ReadyHandler, Watch } from './reactor.ts';

const US_PER_MS = 1000;
/** As long as one wait may be, in microseconds; who waits for longer is called in between. */
const MAX_WAIT_US = 1_000_000_000;

export class PreciseTimer {
  readonly #fd: number;
  readonly #watch: Watch;
  /** The moment that it is set to. */
  #at = Number.POSITIVE_INFINITY;

  /**
   * @param handler called when it is time, and perhaps earlier; returns what a {@link ReadyHandler} does
   * @throws VdensError `ERR_NATIVE` when the process has no descriptors left
   */
  constructor(handler: () => ReturnType<ReadyHandler>) {
    this.#fd = native.timerOpen();
    if (this.#fd < 0) {
      const errno = errnoName(this.#fd);
      throw new VdensError('ERR_NATIVE', `cannot make a timer (timerfd_create: ${errno})`, { errno });
    }
    this.#watch = new Watch(this.#fd, READABLE, () => {
      this.clear();
      return handler();
    });
  }

  /** @param at the moment, as `performance.now()` has it; infinity is never */
  set(at: number): void {
    if (at === this.#at) return;
    this.#at = at;
    const us = at === Number.POSITIVE_INFINITY ? 0 : Math.ceil((at - performance.now()) * US_PER_MS);
    const isNever = at === Number.POSITIVE_INFINITY;
    native.timerSet(this.#fd, isNever ? 0 : Math.min(Math.max(us, 1), MAX_WAIT_US));
  }

  clear(): void {
    this.set(Number.POSITIVE_INFINITY);
  }

  close(): void {
    this.#watch.end();
    native.closeDescriptor(this.#fd);
  }
}
