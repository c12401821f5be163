/**
 * A plug whose network can be made worse on purpose, and pulled out, while frames pass.
 *
 * As long as nothing is the matter with it, it is not there: what the network lends it lends on, and frames move without
 * JavaScript. When something is, it takes the loan back, and frames pass here; when nothing is any more, it says so
 * (`lendable`), at which a cable lays its line again. What that takes is loaded when something is set for the first time.
 *
 * ```
 * send ─────▶ channel LR ─▶ … until its time ─▶ inner.send
 * receiver ◀─ … until its time ◀─ channel RL ◀─ inner's receiver
 * ```
 */
import { type FrameBatch, SLOT_WORDS } from '../frames/batch.ts';
import { batchBytes } from '../plugs/counters.ts';
import type { KernelEnd, Lender } from '../plugs/kernel-end.ts';
import type { Line } from '../plugs/line.ts';
import type { Plug, PlugEvents } from '../plugs/plug.ts';
import { WrapperPlug } from '../plugs/wrapper.ts';
import type { PreciseTimer } from '../system/precise-timer.ts';
import type { Losses, Measure } from './channel.ts';
import type { Direction } from './value.ts';
import type { ManagedWire, Wire } from './wire.ts';

const CUT_REASON = 'the cable was cut (vde cut)';
/**
 * What is due so soon is done at once, in milliseconds: the timer, too, is set so much earlier, as whoever waits for it
 * wakes up a little later than it ends.
 */
const SOON_MS = 0.2;

/** How a plug is impaired. */
export interface ImpairedPlugOptions {
  /** What people call it. @defaultValue the network's */
  readonly label?: string;
  /** How frames are measured. @defaultValue as they are */
  readonly measure?: Measure;
  /** @defaultValue a random one */
  readonly seed?: number | undefined;
  /** Called when frames have to pass here from now on: whoever moves them past it lets go. */
  readonly needed?: () => void;
  /** Called when they need not any more. */
  readonly unneeded?: () => void;
}

/** What hardly any plug ever needs. */
interface Works {
  readonly wire: Wire;
  readonly Timer: typeof PreciseTimer;
}

export class ImpairedPlug extends WrapperPlug implements Plug, Lender {
  /** Called for each frame that has passed, with its length in bytes. */
  passed: ((direction: Direction, length: number) => void) | undefined;
  readonly #options: ImpairedPlugOptions;
  #works: Works | undefined;
  #loading: Promise<Works> | undefined;
  /** While frames pass here. */
  #timer: PreciseTimer | undefined;
  /** Whether frames pass here because something is the matter, or was and some still wait. */
  #isActive = false;
  #isWorking = false;
  #isCut = false;
  #isClosed = false;
  /** The network itself went away, and is not back yet. */
  #isInnerDown = false;
  /** Whoever takes our frames takes none for now. */
  #isPaused = false;
  /** Whether the network is paused. */
  #isInnerPaused = false;
  /** Somebody waits for {@link PlugEvents.drain}. */
  #isAwaited = false;
  /** Ends the loan of what the network lends. */
  #takeBack: (() => void) | undefined;
  /** While the network moves the frames of the other end. */
  #adopted: Line | undefined;

  constructor(inner: Plug, options: ImpairedPlugOptions = {}) {
    super(options.label ?? inner.label, inner, inner.counters);
    this.#options = options;
  }

  /** What is set, in canonical words. */
  get impairment(): readonly string[] {
    return this.#works?.wire.words ?? [];
  }

  /** What networks inside of this one have set by themselves, as `wirefilter://[...]{...}` has; from the outermost on. */
  get innerImpairment(): readonly string[] {
    const words: string[] = [];
    for (let plug: Plug | undefined = this.inner; plug !== undefined; plug = plug.interior) {
      if (plug instanceof ImpairedPlug) words.push(...(plug.isCut ? ['cut'] : []), ...plug.impairment);
    }
    return words;
  }

  /**
   * Sets what the words say, and leaves the rest as it is. Calls take effect in their order.
   *
   * @param words such as `delay=20`, `loss=1%`; none, or `none`, clears everything
   * @throws VdensError `ERR_USAGE`, and nothing is set
   */
  async impair(words: readonly string[]): Promise<void> {
    const { wire } = await this.#load();
    wire.impair(words);
    this.#follow();
  }

  /** For a console, which sets it without words. */
  async manage(): Promise<ManagedWire> {
    const { wire } = await this.#load();
    return { wire, changed: () => this.#follow(), cut: () => this.cut(), join: () => this.join() };
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  /** Pulls the cable out: nothing passes, and the other end is told so. Idempotent. */
  cut(): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#passHere();
    this.#forget();
    if (!this.#isInnerDown) this.events.down?.(CUT_REASON);
    this.#tellDrained();
  }

  /** Puts it back. Idempotent. */
  join(): void {
    if (!this.#isCut) return;
    this.#isCut = false;
    if (!this.#isInnerDown) this.events.up?.();
    this.#sayLendable();
  }

  /** Whether the network is there, and it is only the cable that is cut. */
  get isOnlyCut(): boolean {
    return this.#isCut && !this.#isInnerDown;
  }

  /** Whoever asks after a cut waits for somebody to put the cable back, as for one who was never there. */
  override get hasBeenUp(): boolean {
    return !this.#isCut && super.hasBeenUp;
  }

  /** While something is the matter, super-frames are cut here. */
  override get takesSuperFrames(): boolean {
    return !this.#isActive && this.inner.takesSuperFrames;
  }

  override get busy(): boolean {
    if (this.#isCut) return false;
    const isBusy = this.inner.busy || this.#isBlocked('LR');
    if (isBusy) this.#isAwaited = true;
    return isBusy;
  }

  override pause(): void {
    this.#isPaused = true;
    this.#updatePause();
  }

  override resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#updatePause();
    // Not at once: whoever resumes may be in the middle of sending.
    if (this.#isActive) this.#timer?.set(performance.now());
  }

  override close(): Promise<void> {
    this.#isClosed = true;
    this.#forget();
    this.#timer?.close();
    this.#timer = undefined;
    return super.close();
  }

  get lender(): Lender {
    return this;
  }

  lend(takeBack: () => void): KernelEnd | undefined {
    if (this.isNeeded) return undefined;
    const end = this.inner.lender?.lend(takeBack);
    if (end !== undefined) this.#takeBack = takeBack;
    return end;
  }

  restore(isGone: boolean): void {
    this.#takeBack = undefined;
    this.inner.lender?.restore(isGone);
  }

  adopt(other: Lender, given: () => void): Line | undefined {
    if (this.isNeeded) return undefined;
    const line = this.inner.adopt?.(other, () => {
      this.#adopted = undefined;
      given();
    });
    if (line === undefined) return undefined;
    this.#adopted = {
      close: () => {
        this.#adopted = undefined;
        line.close();
      },
    };
    return this.#adopted;
  }

  protected override wrap(batch: FrameBatch): void {
    if (this.#isCut) this.counters.drop('sent', 'down', batch.count);
    else if (this.#isActive) this.#take('LR', batch);
    else this.inner.send(batch);
  }

  protected override unwrap(batch: FrameBatch): boolean {
    if (!this.#isCut) return this.#isActive ? this.#take('RL', batch) : this.deliver(batch);
    this.dropReceived('down', batch.count, batchBytes(batch));
    return true;
  }

  protected override innerEvents(): ReturnType<WrapperPlug['innerEvents']> & Pick<PlugEvents, 'lendable'> {
    return {
      ...super.innerEvents(),
      drain: () => (this.#isActive ? this.#work() : this.events.drain?.() === true),
      down: (reason) => {
        this.#isInnerDown = true;
        this.events.down?.(reason);
      },
      up: () => {
        this.#isInnerDown = false;
        if (!this.#isCut) this.events.up?.();
      },
      lendable: () => this.#sayLendable(),
    };
  }

  #load(): Promise<Works> {
    this.#loading ??= loadWorks(this.#options).then((works) => {
      this.#works = works;
      return works;
    });
    return this.#loading;
  }

  /** Does as the wire was told. */
  #follow(): void {
    const { wire, Timer } = this.#works!;
    if (this.#isClosed) return;
    if (this.#isClear) {
      for (const channel of Object.values(wire.channels)) channel.unblock(performance.now());
    } else {
      this.#timer ??= new Timer(() => this.#work());
      this.#isActive = true;
    }
    if (!this.#isActive) return;
    this.#passHere();
    const now = performance.now();
    wire.follow(now);
    wire.step(now);
    this.#workAt(now);
  }

  /** Whether nothing has to be done to frames. */
  get #isClear(): boolean {
    return (this.#works?.wire.settings.isClear ?? true) && this.passed === undefined;
  }

  /** Whether frames have to pass here. */
  get isNeeded(): boolean {
    return this.#isCut || this.#isActive;
  }

  #isBlocked(direction: Direction): boolean {
    return this.#isActive && this.#wire.channels[direction].blockedUntil > performance.now() + SOON_MS;
  }

  /** Has frames pass through here from now on. */
  #passHere(): void {
    this.#options.needed?.();
    this.#takeBack?.();
    this.#adopted?.close();
  }

  #sayLendable(): void {
    if (this.isNeeded || this.#isClosed) return;
    this.#options.unneeded?.();
    if (this.#takeBack === undefined && this.#adopted === undefined) this.events.lendable?.();
  }

  /** Takes frames in; what is due already goes on. Returns what a {@link FrameReceiver} does. */
  #take(direction: Direction, batch: FrameBatch): boolean {
    const now = performance.now();
    const { count } = batch;
    const losses = this.#wire.take(direction, batch, this.inner.maxFrameBytes, now);
    this.#count(direction, losses, count);
    return this.#workAt(now);
  }

  #count(direction: Direction, losses: Losses, count: number): void {
    const { impaired, tooLong, queueFull, malformed, lostBytes, copies, copiedBytes, pieces } = losses;
    const side = direction === 'LR' ? 'sent' : 'received';
    const { counters } = this;
    counters.drop(side, 'impaired', impaired);
    counters.drop(side, 'too-long', tooLong);
    counters.drop(side, 'queue-full', queueFull);
    counters.drop(side, 'malformed', malformed);
    if (side === 'sent') return;
    // The network has counted what came in.
    const lost = Math.min(impaired + tooLong + queueFull + malformed, count + pieces + copies);
    counters.received.count(pieces + copies - lost, copiedBytes - lostBytes);
  }

  /** Does what is due. Returns what a {@link FrameReceiver} does. */
  #work(): boolean {
    return this.#workAt(performance.now());
  }

  #workAt(now: number): boolean {
    if (this.#isClosed) return true;
    // What happens within is looked at before it is over.
    if (this.#isWorking) return true;
    this.#isWorking = true;
    if (this.#wire.stepAt <= now + SOON_MS) this.#wire.step(now + SOON_MS);
    let onlyFrames = this.#release(now + SOON_MS);
    this.#updatePause();
    if (!this.inner.busy && !this.#isBlocked('LR')) onlyFrames = this.#tellDrained() && onlyFrames;
    this.#isWorking = false;
    if (this.#isClosed) return false;
    if (this.#isOver) this.#rest();
    else this.#timer?.set(this.#nextMoment() - SOON_MS);
    return onlyFrames;
  }

  #release(due: number): boolean {
    const { LR, RL } = this.#wire.channels;
    let onlyFrames = true;
    if (!this.#isPaused) {
      RL.store.release(due, (batch) => {
        this.#tellPassed('RL', batch);
        onlyFrames = this.deliver(batch) && onlyFrames;
        return !this.#isPaused;
      });
    }
    if (!this.inner.busy) {
      LR.store.release(due, (batch) => {
        this.#tellPassed('LR', batch);
        this.inner.send(batch);
        return !this.inner.busy;
      });
    }
    return onlyFrames;
  }

  /** When there is something to do again, but for what others tell. */
  #nextMoment(): number {
    const { LR, RL } = this.#wire.channels;
    let next = this.#wire.stepAt;
    if (!this.#isPaused) next = Math.min(next, RL.store.nextTime);
    if (!this.inner.busy) next = Math.min(next, LR.store.nextTime);
    if (this.#isInnerPaused && this.#isBlocked('RL')) next = Math.min(next, RL.blockedUntil);
    if (this.#isAwaited && this.#isBlocked('LR')) next = Math.min(next, LR.blockedUntil);
    return next;
  }

  /** Whether nothing is the matter any more, and nothing waits. */
  get #isOver(): boolean {
    const { LR, RL } = this.#wire.channels;
    return this.#isActive && this.#isClear && LR.store.count === 0 && RL.store.count === 0;
  }

  #rest(): void {
    this.#isActive = false;
    for (const channel of Object.values(this.#wire.channels)) channel.free();
    this.#timer?.close();
    this.#timer = undefined;
    this.#updatePause();
    this.#sayLendable();
  }

  #tellPassed(direction: Direction, { slots, count }: FrameBatch): void {
    if (this.passed === undefined) return;
    for (let i = 0; i < count; i++) this.passed(direction, slots[i * SLOT_WORDS + 1]!);
  }

  #updatePause(): void {
    const isPaused = this.#isPaused || this.#isBlocked('RL');
    if (isPaused === this.#isInnerPaused) return;
    this.#isInnerPaused = isPaused;
    if (isPaused) this.inner.pause();
    else this.inner.resume();
  }

  #tellDrained(): boolean {
    if (!this.#isAwaited) return true;
    this.#isAwaited = false;
    return this.events.drain?.() === true;
  }

  /** What waits is lost. */
  #forget(): void {
    if (this.#works === undefined) return;
    const { LR, RL } = this.#wire.channels;
    this.counters.drop('sent', 'down', LR.clear());
    this.counters.drop('received', 'down', RL.clear());
  }

  /** Of a plug that is, or was, impaired. */
  get #wire(): Wire {
    return this.#works!.wire;
  }
}

async function loadWorks({ measure, seed }: ImpairedPlugOptions): Promise<Works> {
  const [{ Wire }, { PreciseTimer }] = await Promise.all([import('./wire.ts'), import('../system/precise-timer.ts')]);
  return { wire: new Wire(measure, seed), Timer: PreciseTimer };
}
