/**
 * `agno://`: another network, on which nobody without the key reads along.
 *
 * Super-frames are cut before. Frames that do not open are dropped and counted: by another key, of another time, twice
 * the same, of a wrong length. That keys or clocks are not the same is said once in words, until the network is back.
 */
import { VdensError } from '../errors.ts';
import type { FrameBatch } from '../frames/batch.ts';
import {
  AGNO_ETHERTYPE,
  AGNO_NEWEST_SECONDS,
  AGNO_OLDEST_SECONDS,
  AGNO_OVERHEAD_BYTES,
  type AgnoEtherType,
  AgnoOpener,
  AgnoSealer,
  LARGEST_ETHERTYPE,
  longestPlainFrame,
  type OpenedCounts,
  SMALLEST_ETHERTYPE,
} from './agno-cipher.ts';
import { BatchRoom } from './batch-room.ts';
import { batchBytes, type DropReason } from './counters.ts';
import { OutputQueue } from './output-queue.ts';
import type { FrameReceiver, Plug, PlugEvents } from './plug.ts';
import { USUAL_MTU, WrapperPlug } from './wrapper.ts';

const ETHERNET_HEADER_BYTES = 14;
/** When frames have been opened, some that cannot be may just be damaged: so many are not. */
const MANY_UNDECIPHERED = 8;

/** What opening leaves out, and why that is. */
const REASONS: readonly (readonly ['malformed' | 'undeciphered' | 'outOfWindow' | 'replayed', DropReason])[] = [
  ['malformed', 'malformed'],
  ['undeciphered', 'undeciphered'],
  ['outOfWindow', 'out-of-window'],
  ['replayed', 'replayed'],
];

/** How frames are enciphered. */
export interface AgnoOptions {
  /** 16 bytes; see {@link readAgnoKey}. */
  readonly key: Uint8Array;
  /** The EtherType of the enciphered frames: a number, that of the frame, or any. @defaultValue 0xA6DE */
  readonly etherType?: AgnoEtherType;
  /** Where the key is from, for people. @defaultValue `our key` */
  readonly keyName?: string;
  /** The time in milliseconds since 1970. @defaultValue the system's */
  readonly now?: () => number;
  /** Something to say when it is started. */
  readonly warning?: string;
}

/** An enciphered network. */
export class AgnoPlug extends WrapperPlug {
  readonly #sealer: AgnoSealer;
  readonly #opener: AgnoOpener;
  readonly #keyName: string;
  readonly #now: () => number;
  readonly #room = new BatchRoom();
  /** Cuts super-frames, and completes checksums. */
  readonly #cutter: OutputQueue;
  readonly #counts: OpenedCounts = {
    malformed: 0,
    undeciphered: 0,
    outOfWindow: 0,
    replayed: 0,
    droppedBytes: 0,
    removedBytes: 0,
    secondsOff: 0,
  };
  #warning: string | undefined;
  #hasOpened = false;
  #undeciphered = 0;
  #isKeyTold = false;
  #isClockTold = false;
  #isLengthTold = false;

  /**
   * @param inner the network; from now on the plug's, closed with it
   * @param label what people call it
   * @throws RangeError when the key has not 16 bytes, or the EtherType is none
   */
  constructor(inner: Plug, options: AgnoOptions, label = `agno://{${inner.label}}`) {
    super(label, inner);
    const { etherType = AGNO_ETHERTYPE } = options;
    requireEtherType(etherType);
    this.#sealer = new AgnoSealer(options.key, etherType);
    this.#opener = new AgnoOpener(options.key);
    this.#keyName = options.keyName ?? 'our key';
    this.#now = options.now ?? Date.now;
    this.#warning = options.warning;
    this.#cutter = new OutputQueue(this.counters);
  }

  override get takesSuperFrames(): boolean {
    return false;
  }

  override get maxFrameBytes(): number {
    return longestPlainFrame(this.inner.maxFrameBytes);
  }

  override get mtu(): number | undefined {
    const { mtu } = this.inner;
    if (mtu !== undefined) return longestPlainFrame(mtu + ETHERNET_HEADER_BYTES) - ETHERNET_HEADER_BYTES;
    const room = this.maxFrameBytes - ETHERNET_HEADER_BYTES;
    return room < USUAL_MTU ? room : undefined;
  }

  protected override wrap(batch: FrameBatch): void {
    const plain = this.#cutter.batch;
    for (let first = 0; first < batch.count; ) {
      first = this.#cutter.append(batch, first, this.maxFrameBytes);
      const bytes = batchBytes(plain);
      const sealed = this.#seal(plain, bytes);
      // Who gets them may send others at once.
      this.#cutter.clear();
      this.sendGrown(sealed, batchBytes(sealed) - bytes);
      this.#room.release(sealed);
    }
    if (!this.#isLengthTold && this.counters.sent.dropped('too-long') > 0) this.#tellLength();
  }

  protected override unwrap(batch: FrameBatch): boolean {
    if (batch.count === 0) return true;
    const opened = this.#opener.open(batch, this.#seconds(), this.#counts);
    const news = this.#news(opened.count);
    this.#settleReceived();
    for (const error of news) this.tell(error);
    return this.deliver(opened) && news.length === 0;
  }

  override start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    super.start(receiver, events);
    if (this.#warning !== undefined) this.tell(this.#error(this.#warning));
    this.#warning = undefined;
  }

  protected override innerEvents(): ReturnType<WrapperPlug['innerEvents']> {
    const events = super.innerEvents();
    return {
      ...events,
      up: () => {
        this.#hasOpened = false;
        this.#undeciphered = 0;
        this.#isKeyTold = false;
        this.#isClockTold = false;
        events.up();
      },
    };
  }

  #seal(plain: FrameBatch, bytes: number): FrameBatch {
    const sealed = this.#room.prepare(plain.count, bytes + AGNO_OVERHEAD_BYTES * plain.count);
    if (plain.count > 0) this.#sealer.seal(plain, this.#seconds(), sealed);
    return sealed;
  }

  #seconds(): number {
    return Math.floor(this.#now() / 1000);
  }

  /** Who sends such frames does not know that they get longer here. */
  #tellLength(): void {
    this.#isLengthTold = true;
    const longest = this.maxFrameBytes;
    const mtu = longest - ETHERNET_HEADER_BYTES;
    const message = `${this.label}: a frame was dropped because it is longer than ${longest} bytes, and no longer one fits when it is enciphered. Set the MTU of the interfaces to ${mtu} or less`;
    this.tell(new VdensError('ERR_PATH', message));
  }

  /** What the frames that did not open say of keys and clocks, unless it was said. */
  #news(opened: number): VdensError[] {
    const { malformed, undeciphered, outOfWindow, secondsOff } = this.#counts;
    const news: VdensError[] = [];
    this.#undeciphered += undeciphered;
    // Other stations that do not encipher send frames of any length.
    const isOtherKey = this.#hasOpened
      ? this.#undeciphered >= MANY_UNDECIPHERED
      : undeciphered + malformed > 0 && opened + outOfWindow === 0;
    if (opened + outOfWindow > 0) this.#hasOpened = true;
    if (isOtherKey && !this.#isKeyTold) {
      this.#isKeyTold = true;
      news.push(
        this.#error(`frames arrive that ${this.#keyName} does not open: who sends them has another key, or none`),
      );
    }
    if (outOfWindow > 0 && !this.#isClockTold) {
      this.#isClockTold = true;
      news.push(this.#error(clockProblem(secondsOff)));
    }
    return news;
  }

  #error(problem: string): VdensError {
    return new VdensError('ERR_KEY', `${this.label}: ${problem}`);
  }

  /** Counts what did not open; the inner plug has counted the frames as they were. */
  #settleReceived(): void {
    const counts = this.#counts;
    for (const [kind, reason] of REASONS) {
      this.counters.drop('received', reason, counts[kind]);
      this.counters.received.count(-counts[kind], 0);
      counts[kind] = 0;
    }
    this.counters.received.count(0, -counts.droppedBytes - counts.removedBytes);
    counts.droppedBytes = 0;
    counts.removedBytes = 0;
  }
}

function requireEtherType(etherType: AgnoEtherType): void {
  if (etherType === 'copy' || etherType === 'random') return;
  const isNumber = Number.isInteger(etherType) && etherType >= SMALLEST_ETHERTYPE && etherType <= LARGEST_ETHERTYPE;
  if (isNumber) return;
  const [smallest, largest] = [SMALLEST_ETHERTYPE, LARGEST_ETHERTYPE].map((value) => `0x${value.toString(16)}`);
  throw new RangeError(`etherType is ${etherType}, and neither "copy", "random" nor from ${smallest} to ${largest}`);
}

/** What is said of a frame of another time. */
function clockProblem(secondsOff: number): string {
  const off = Math.abs(secondsOff);
  const seconds = `${off} ${off === 1 ? 'second' : 'seconds'}`;
  const where = secondsOff < 0 ? `${seconds} behind ours` : `${seconds} ahead of ours`;
  const taken = `only ${-AGNO_OLDEST_SECONDS} behind to ${AGNO_NEWEST_SECONDS} ahead is taken`;
  return `a frame arrived whose clock is ${where}, and ${taken}. Set the clocks of both (timedatectl), unless somebody sends old frames again`;
}
