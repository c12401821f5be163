/** Time as whoever waits sees it, so that a test can let it pass. */

/** A clock that never goes back, and its alarms. */
export interface Clock {
  /** In milliseconds since some moment. */
  now(): number;
  /** Calls once, so many milliseconds from now. @returns what cancels it */
  after(ms: number, callback: () => void): () => void;
}

/** What one timer of Node.js takes: 2^31 - 1. */
const MAX_TIMER_MS = 2_147_483_647;

/** The clock of this process. Its alarms keep no process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, callback) => {
    let timer: NodeJS.Timeout;
    const arm = (left: number): void => {
      const piece = Math.min(left, MAX_TIMER_MS);
      timer = setTimeout(() => (left > piece ? arm(left - piece) : callback()), piece).unref();
    };
    arm(Math.max(0, ms));
    return () => clearTimeout(timer);
  },
};

/** One alarm at a time: a new one takes the place of the last. */
export class Alarm {
  readonly #clock: Clock;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  set(ms: number, callback: () => void): void {
    this.cancel();
    this.#cancel = this.#clock.after(ms, () => {
      this.#cancel = undefined;
      callback();
    });
  }

  cancel(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
