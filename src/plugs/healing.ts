/**
 * A plug that opens its network again when the other end goes away.
 *
 * ```
 *          inner.down               open() fails: wait 0.1, 0.2, 0.4 … 2 s
 *   UP ───────────────▶ DOWN ──▶ trying ──────────────┐
 *    ▲                             ▲──────────────────┘
 *    └──────── open() works, and the network lasts ───┘
 * ```
 *
 * Some networks can be opened although nobody is there (a command that ends at once): those are back when they
 * have lasted for a moment, or delivered a frame. A network that goes away again soon does not shorten the
 * pauses, so nothing spins. Frames sent meanwhile are dropped and counted as `down`.
 *
 * A network that waits for somebody to come (a line between two), or comes back by itself (one over UDP), is left alone.
 *
 * That nobody is there is no news while the network is down; any other reason for which it cannot be opened is told,
 * as `trouble`, once until it is back.
 */
import { VdensError } from '../errors.ts';
import type { FrameBatch } from '../frames/batch.ts';
import { PlugCounters } from './counters.ts';
import type { KernelEnd, Lender } from './kernel-end.ts';
import type { Line } from './line.ts';
import type { FrameReceiver, Plug, PlugEvents } from './plug.ts';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2000;
/** How many different reasons are told until the network is back. */
const MAX_TROUBLES = 8;
/** What connecting fails with where nobody is, or somebody is just coming or going. */
const ABSENCE: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET']);

/** Opens the network; the plug is to count in these counters, and to give up when the signal says so. */
export type OpenInner = (counters: PlugCounters, signal: AbortSignal) => Promise<Plug>;

/** How a network heals. */
export interface HealingOptions {
  /**
   * How long a network that was opened again has to last before it counts as back, in milliseconds.
   * @defaultValue 0: when it was opened, somebody is there
   */
  readonly settleMs?: number;
  /**
   * The longest pause between two tries, in milliseconds.
   * @defaultValue 2000
   */
  readonly longestPauseMs?: number;
  /** Gives up the first opening. */
  readonly signal?: AbortSignal | undefined;
}

export class HealingPlug implements Plug, Lender {
  readonly label: string;
  readonly comesBack: boolean = true;
  readonly counters: PlugCounters;
  readonly #open: OpenInner;
  readonly #settleMs: number;
  readonly #longestPauseMs: number;
  readonly #abort = new AbortController();
  #inner: Plug;
  /** Whether the inner plug can be used. */
  #up = true;
  /** Whether `down` was said, and `up` not yet. */
  #isDownSaid = false;
  #hasBeenUp = false;
  /** Why it could not be opened, as far as it was told. */
  readonly #troubles = new Set<string>();
  #receiver: FrameReceiver | undefined;
  #events: PlugEvents = {};
  #paused = false;
  #closed = false;
  #pauseMs = FIRST_PAUSE_MS;
  #upSince = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #trying: Promise<void> | undefined;

  private constructor(label: string, open: OpenInner, options: HealingOptions, counters: PlugCounters, inner: Plug) {
    this.label = label;
    this.#open = open;
    this.#settleMs = options.settleMs ?? 0;
    this.#longestPauseMs = options.longestPauseMs ?? LONGEST_PAUSE_MS;
    this.#inner = inner;
    this.counters = counters;
  }

  /** Opens it for the first time; a failure of that is the caller's. */
  static async open(label: string, open: OpenInner, options: HealingOptions = {}): Promise<HealingPlug> {
    const counters = new PlugCounters();
    const inner = await open(counters, options.signal ?? new AbortController().signal);
    return new HealingPlug(label, open, options, counters, inner);
  }

  get interior(): Plug | undefined {
    return this.#up ? this.#inner : undefined;
  }

  get takesSuperFrames(): boolean {
    return this.#inner.takesSuperFrames;
  }

  get maxFrameBytes(): number {
    return this.#inner.maxFrameBytes;
  }

  get mtu(): number | undefined {
    return this.#inner.mtu;
  }

  get busy(): boolean {
    return this.#up && this.#inner.busy;
  }

  get isServedHere(): boolean {
    return this.#up && this.#inner.isServedHere === true;
  }

  get hasBeenUp(): boolean {
    return this.#hasBeenUp || this.#inner.hasBeenUp !== false;
  }

  report(): readonly string[] {
    return this.#inner.report?.() ?? [];
  }

  start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    this.#receiver = receiver;
    this.#events = events;
    if (this.#up && !this.#closed) this.#startInner();
  }

  send(batch: FrameBatch): void {
    if (this.#up && !this.#closed) this.#inner.send(batch);
    else this.counters.drop('sent', 'down', batch.count);
  }

  pause(): void {
    this.#paused = true;
    if (this.#up) this.#inner.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#up) this.#inner.resume();
  }

  get lender(): Lender {
    return this;
  }

  /** A network that has yet to show that somebody is there is not lent: its first frame shows it. */
  lend(takeBack: () => void): KernelEnd | undefined {
    return this.#up && !this.#isDownSaid ? this.#inner.lender?.lend(takeBack) : undefined;
  }

  restore(isGone: boolean): void {
    this.#inner.lender?.restore(isGone);
  }

  adopt(other: Lender, given: () => void): Line | undefined {
    return this.#up && !this.#isDownSaid ? this.#inner.adopt?.(other, given) : undefined;
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      clearTimeout(this.#timer);
      this.#abort.abort(new VdensError('ERR_CLOSED', `${this.label}: the network was closed`));
    }
    await Promise.all([this.#inner.close(), this.#trying]);
    await this.#inner.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #startInner(): void {
    const inner = this.#inner;
    if (this.#paused) inner.pause();
    let isAwaited = inner.hasBeenUp === false;
    this.#hasBeenUp ||= !isAwaited;
    const events: PlugEvents = {
      drain: () => this.#events.drain?.() === true,
      down: (reason) => {
        if (inner !== this.#inner) return;
        if (isAwaited || inner.comesBack === true) this.#await(reason);
        else this.#lose(reason);
      },
      up: () => {
        isAwaited = false;
        this.#hasBeenUp = true;
        if (inner === this.#inner) this.#settle();
      },
      trouble: (error) => {
        if (inner === this.#inner) this.#events.trouble?.(error);
      },
      lendable: () => {
        if (inner === this.#inner) this.#events.lendable?.();
      },
    };
    // While it has to show that somebody is there, a frame shows it; later nothing is in the way of frames.
    if (!this.#isDownSaid) inner.start(this.#receiver!, events);
    else inner.start((batch) => this.#welcome(batch), events);
  }

  #welcome(batch: FrameBatch): boolean {
    if (this.#isDownSaid) {
      this.#settle();
      this.#receiver!(batch);
      return false;
    }
    return this.#receiver!(batch) === true;
  }

  #lose(reason: string): void {
    if (!this.#up || this.#closed) return;
    this.#up = false;
    clearTimeout(this.#timer);
    if (performance.now() - this.#upSince > LONGEST_PAUSE_MS) this.#pauseMs = FIRST_PAUSE_MS;
    // Whoever waits for room need not wait any longer.
    this.#events.drain?.();
    this.#sayDown(reason);
    this.#trying = this.#inner.close();
    this.#schedule();
  }

  /** It is open, and says itself when somebody is there. */
  #await(reason: string): void {
    clearTimeout(this.#timer);
    this.#sayDown(reason);
  }

  #sayDown(reason: string): void {
    if (this.#isDownSaid) return;
    this.#isDownSaid = true;
    this.#events.down?.(reason);
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#trying = this.#tryAgain();
    }, this.#pauseMs);
    this.#pauseMs = Math.min(2 * this.#pauseMs, this.#longestPauseMs);
  }

  async #tryAgain(): Promise<void> {
    await this.#inner.close();
    let inner: Plug;
    try {
      inner = await this.#open(this.counters, this.#abort.signal);
    } catch (error) {
      this.#tell(error);
      this.#schedule();
      return;
    }
    this.#inner = inner;
    if (this.#closed) return;
    this.#up = true;
    this.#upSince = performance.now();
    if (this.#settleMs > 0) this.#timer = setTimeout(() => this.#settle(), this.#settleMs);
    if (this.#receiver !== undefined) this.#startInner();
    // Starting may have shown that it is gone again already.
    if (this.#settleMs === 0 && this.#up && inner.hasBeenUp !== false) this.#settle();
  }

  /** The loss itself was told, and the missing carrier shows that it lasts. */
  #tell(cause: unknown): void {
    const error = cause instanceof VdensError ? cause : this.#unexpected(cause);
    if (this.#closed || isAbsence(error)) return;
    if (this.#troubles.has(error.message) || this.#troubles.size === MAX_TROUBLES) return;
    this.#troubles.add(error.message);
    this.#events.trouble?.(error);
  }

  /** Whoever opens it may fail in a way of their own. */
  #unexpected(cause: unknown): VdensError {
    const [what = ''] = String(cause).split('\n');
    return new VdensError('ERR_NETWORK_OPEN', `${this.label}: opening it again failed (${what})`, {
      cause,
    });
  }

  /** The network is back. */
  #settle(): void {
    if (!this.#isDownSaid || this.#closed) return;
    clearTimeout(this.#timer);
    this.#troubles.clear();
    this.#isDownSaid = false;
    this.#events.up?.();
  }
}

/** Whether an error says no more than that nobody is there: other system calls than connecting fail for other reasons. */
function isAbsence({ code, errno = '', syscall = 'connect' }: VdensError): boolean {
  return code === 'ERR_NETWORK_OPEN' && syscall === 'connect' && ABSENCE.has(errno);
}
