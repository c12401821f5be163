/**
 * TAP handover: between our own processes of one user frames need not cross a socket. The client passes its TAP's
 * descriptor to whoever serves the network, which moves the frames from TAP to TAP.
 *
 * ```
 * client                                     server
 *   lends its TAP  ──offer, TAP, counters──▶  checks, moves its frames
 *                  ◀──────────answer────────
 *   …
 *   takes it back  ──────────take-back─────▶  lets go          either side's end does the same
 * ```
 *
 * Both count in memory that they share, so that both have true counters whoever dies. The client keeps its copy of the
 * descriptor, and watches the connection. Who captures what passes the TAP has it captured over there: the capture's ring
 * goes along, before the offer or at any time after it.
 */
import { constants } from 'node:os';
import { native } from '../system/native.ts';
import { HUNG_UP, READABLE, Watch } from '../system/reactor.ts';
import { AF_UNIX, SOCK_SEQPACKET, UNIX_ADDRESS_BYTES, unixAddress } from '../system/unix-address.ts';
import { emitHandover, type HandoverMessage, MAX_HANDOVER_BYTES, parseHandover } from '../wire/handover.ts';
import type { CaptureTarget } from './capture-point.ts';
import { CaptureRing } from './capture-ring.ts';
import { COUNTER_VALUES, PlugCounters } from './counters.ts';
import type { KernelEnd, Lender } from './kernel-end.ts';
import type { Line } from './line.ts';

const { EBUSY, EINVAL } = constants.errno;

/** How long the server may take to answer an offer before the client moves its frames itself, in milliseconds. */
const ANSWER_TIMEOUT_MS = 1000;
/** receiveDescriptors takes a count, and as many as one message holds (unix(7)). */
const DESCRIPTOR_WORDS = 254;
/** The interface, and the memory; a ring, and what wakes its reader. */
const OFFERED_DESCRIPTORS = 2;
/** Captures of one TAP at a time. */
const MAX_CAPTURES_PER_CHANNEL = 32;
const COUNTER_BYTES = COUNTER_VALUES * Float64Array.BYTES_PER_ELEMENT;
const LONGEST_FRAME_BYTES = 65600;

/** Whether this process hands TAPs over and takes them: not with `VDENS_HANDOVER=0` in its environment. */
export function isHandoverWanted(): boolean {
  return process.env['VDENS_HANDOVER'] !== '0';
}

/** A TAP of another process, which lends it through this one. */
export class ForeignTap implements Lender {
  /** What both processes count in. */
  readonly counters: PlugCounters;
  readonly #fd: number;
  readonly #takesSuperFrames: boolean;
  readonly #gone: () => void;
  #takeBack: (() => void) | undefined;
  #closed = false;

  /**
   * @param fd the interface; from now on ours
   * @param gone called when the interface turns out to be deleted
   */
  constructor(fd: number, takesSuperFrames: boolean, counters: PlugCounters, gone: () => void) {
    this.#fd = fd;
    this.#takesSuperFrames = takesSuperFrames;
    this.counters = counters;
    this.#gone = gone;
  }

  lend(takeBack: () => void): KernelEnd | undefined {
    if (this.#closed) return undefined;
    this.#takeBack = takeBack;
    const { counters } = this;
    const takesSuperFrames = this.#takesSuperFrames;
    return { fd: this.#fd, kind: 'tap', maxFrameBytes: LONGEST_FRAME_BYTES, takesSuperFrames, counters };
  }

  restore(isGone: boolean): void {
    this.#takeBack = undefined;
    if (isGone && !this.#closed) this.#gone();
  }

  /** Lets go of it. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#takeBack?.();
    native.closeDescriptor(this.#fd);
  }
}

/** What happens on a channel. */
export interface HandoverEvents {
  /**
   * The other process offers its TAP for the port with this address. Returns what moves its frames, or `undefined` to
   * refuse it. The line is closed when the owner takes its TAP back; `tap` is the channel's.
   */
  offered?(tap: ForeignTap, address: Uint8Array): Line | undefined;
  /** The other process would take an offer. */
  invited?(): void;
  /** The channel is closed: the other process ended it, or is gone. */
  ended?(): void;
}

/** A TAP of ours that was offered, and perhaps taken. */
interface GivenTap {
  /** Ends it: on our account, or on that of the other process. */
  readonly end: (isOwn: boolean) => void;
  readonly timer: NodeJS.Timeout;
  isAnswered: boolean;
}

/** A connection between two processes over which TAPs are handed over, in one direction at a time. */
export class HandoverChannel {
  readonly #fd: number;
  readonly #events: HandoverEvents;
  readonly #watch: Watch;
  readonly #buffer = new Uint8Array(MAX_HANDOVER_BYTES + 1);
  readonly #descriptors = new Int32Array(DESCRIPTOR_WORDS);
  /** Our TAP over there. */
  #given: GivenTap | undefined;
  /** Offers without an answer, which come in the same order: some may have been taken back meanwhile. */
  readonly #unanswered: GivenTap[] = [];
  /** Their TAP here. */
  #taken: { readonly tap: ForeignTap; readonly line: Line } | undefined;
  /** Ends that the counters of our TAP, and of the plug that handed it over, count what is counted over there. */
  #counting: readonly (() => void)[] = [];
  /** Captures of our TAP over there, by their numbers on this connection. */
  readonly #asked = new Map<number, CaptureTarget>();
  #captures = 0;
  /** Captures of their TAP here. */
  readonly #recorded = new Map<number, CaptureTarget>();
  #closed = false;

  /** @param fd a connected seqpacket socket; from now on the channel's */
  constructor(fd: number, events: HandoverEvents) {
    this.#fd = fd;
    this.#events = events;
    this.#watch = new Watch(fd, READABLE, (ready) => this.#receive(ready));
  }

  /**
   * Connects to the private socket of a process of ours.
   *
   * @returns `undefined` when there is none, or it belongs to another user
   */
  static connect(path: string, events: HandoverEvents): HandoverChannel | undefined {
    const fd = native.openSocket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (fd < 0) return undefined;
    if (native.connectSocket(fd, unixAddress(path)) === 0 && isSameUser(fd)) return new HandoverChannel(fd, events);
    native.closeDescriptor(fd);
    return undefined;
  }

  /**
   * Offers what the lender lends, when that is a TAP.
   *
   * @param given called when the other process refuses it or gives it back (then with true), does not answer, or is
   * gone; not when the line is closed here
   * @returns the line, which closing ends; `undefined` when there is nothing to offer
   */
  offer(
    lender: Lender,
    counters: PlugCounters,
    address: Uint8Array | undefined,
    given: (isRefused: boolean) => void,
  ): Line | undefined {
    if (this.#closed || this.#given !== undefined) return undefined;
    let end = (_isOwn: boolean): void => undefined;
    const lent = lender.lend(() => end(true));
    if (lent === undefined) return undefined;
    const shared = lent.kind === 'tap' ? shareCounters() : undefined;
    if (shared === undefined) {
      lender.restore(false);
      return undefined;
    }
    // Before the other process has it, which begins to count at once.
    this.#stopCounting();
    shared.counters.capture.moveElsewhere({
      start: (target) => this.#askForCapture(target),
      stop: (target) => this.#endCapture(target),
    });
    this.#counting = [lent.counters.follow(shared.counters), counters.mirror(shared.counters)];
    const isSent = this.#sendOffer(lent, shared.fd, address);
    native.closeDescriptor(shared.fd);
    if (!isSent) {
      this.#stopCounting();
      lender.restore(false);
      return undefined;
    }
    const finish = (isOwn: boolean): void => {
      if (this.#given?.end !== finish) return;
      clearTimeout(this.#given.timer);
      this.#given = undefined;
      // Until it is given back, frames are moved, and counted, over there.
      if (isOwn) this.#send({ kind: 'take-back' });
      else this.#stopCounting();
      lender.restore(false);
      if (!isOwn) given(!this.#closed);
    };
    end = finish;
    const timer = setTimeout(() => this.#given?.isAnswered === false && this.close(), ANSWER_TIMEOUT_MS);
    this.#given = { end: finish, isAnswered: false, timer };
    this.#unanswered.push(this.#given);
    return { close: () => finish(true) };
  }

  /** Asks for an offer. */
  invite(): void {
    this.#send({ kind: 'invite' });
  }

  /** Lets go of what was handed over here. */
  giveBack(): void {
    if (this.#taken === undefined) return;
    this.#letGo();
    this.#send({ kind: 'given-back' });
  }

  /** Ends it; what was handed over goes back. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.end();
    native.closeDescriptor(this.#fd);
    this.#letGo();
    this.#given?.end(false);
    this.#stopCounting();
    for (const number of this.#recorded.keys()) this.#stopRecording(number);
    this.#events.ended?.();
  }

  #sendOffer({ fd, takesSuperFrames }: KernelEnd, memory: number, address: Uint8Array | undefined): boolean {
    const offer = emitHandover({
      kind: 'offer',
      takesSuperFrames,
      address: address ?? new Uint8Array(UNIX_ADDRESS_BYTES),
    });
    return native.sendDescriptors(this.#fd, offer, Int32Array.of(fd, memory)) === offer.length;
  }

  /** What cannot be said ends the channel: both sides would think differently of who moves the frames. */
  #send(message: HandoverMessage): void {
    if (this.#closed) return;
    const bytes = emitHandover(message);
    if (native.send(this.#fd, bytes) !== bytes.length) this.close();
  }

  #receive(ready: number): void {
    const length = native.receiveDescriptors(this.#fd, this.#buffer, this.#descriptors);
    if (length < 0 && (ready & HUNG_UP) === 0) return;
    // An empty packet can carry some, too.
    const descriptors = [...this.#descriptors.subarray(1, 1 + this.#descriptors[0]!)];
    const message = length > 0 ? parseHandover(this.#buffer.subarray(0, length)) : undefined;
    const isKept =
      (message?.kind === 'offer' && this.#take(message, descriptors)) ||
      (message?.kind === 'capture' && this.#startRecording(message, descriptors));
    for (const fd of descriptors.slice(isKept ? OFFERED_DESCRIPTORS : 0)) native.closeDescriptor(fd);
    if (message === undefined) this.close();
    else this.#obey(message);
  }

  #obey(message: HandoverMessage): void {
    if (message.kind === 'answer') {
      const answered = this.#unanswered.shift();
      if (answered === undefined || answered !== this.#given) return;
      answered.isAnswered = true;
      if (message.errno !== 0) answered.end(false);
    } else if (message.kind === 'take-back') {
      this.#letGo();
      this.#send({ kind: 'given-back' });
    } else if (message.kind === 'invite') {
      this.#events.invited?.();
    } else if (message.kind === 'given-back') {
      if (this.#given?.isAnswered === true) this.#given.end(false);
      else if (this.#given === undefined) this.#stopCounting();
    } else if (message.kind === 'end-capture') {
      this.#stopRecording(message.number);
    } else if (message.kind === 'refuse-capture') {
      const target = this.#asked.get(message.number);
      this.#asked.delete(message.number);
      target?.refused?.();
    }
  }

  /** Has the other process record what passes our TAP. */
  #askForCapture(target: CaptureTarget): void {
    if (this.#closed) return;
    const number = this.#captures++;
    const { index, snap, outbound, ring } = target;
    const bytes = emitHandover({ kind: 'capture', number, index, snap, receivedIsOutbound: outbound === 'received' });
    this.#asked.set(number, target);
    const sent = native.sendDescriptors(this.#fd, bytes, Int32Array.of(ring.memory, ring.notice));
    if (sent !== bytes.length) this.close();
  }

  #endCapture({ ring, index }: CaptureTarget): void {
    for (const [number, target] of this.#asked) {
      if (target.ring !== ring || target.index !== index) continue;
      this.#asked.delete(number);
      this.#send({ kind: 'end-capture', number });
    }
  }

  /** Records what passes their TAP, or says that it cannot. Returns whether the first two descriptors were taken. */
  #startRecording(message: HandoverMessage & { kind: 'capture' }, descriptors: readonly number[]): boolean {
    const errno = this.#record(message, descriptors);
    if (errno !== 0) this.#send({ kind: 'refuse-capture', number: message.number, errno });
    return errno === 0;
  }

  /** Records what passes their TAP, this one or the next one. Returns an errno; the first two descriptors are taken when it is 0. */
  #record(
    { number, index, snap, receivedIsOutbound }: HandoverMessage & { kind: 'capture' },
    [memory, notice]: readonly number[],
  ): number {
    if (memory === undefined || notice === undefined || this.#recorded.has(number)) return EINVAL;
    if (this.#recorded.size >= MAX_CAPTURES_PER_CHANNEL) return EBUSY;
    const ring = CaptureRing.open(memory, notice);
    if (typeof ring === 'number') return -ring;
    const target: CaptureTarget = { ring, index, snap, outbound: receivedIsOutbound ? 'received' : 'sent' };
    this.#recorded.set(number, target);
    if (this.#taken?.tap.counters.capture.start(target) === false) this.#refuse(number, target);
    return 0;
  }

  /** Those of a TAP that is taken only now. */
  #startAll(counters: PlugCounters): void {
    for (const [number, target] of this.#recorded) {
      if (!counters.capture.start(target)) this.#refuse(number, target);
    }
  }

  #refuse(number: number, { ring }: CaptureTarget): void {
    this.#recorded.delete(number);
    ring.close();
    this.#send({ kind: 'refuse-capture', number, errno: EBUSY });
  }

  #stopRecording(number: number): void {
    const target = this.#recorded.get(number);
    if (target === undefined) return;
    this.#recorded.delete(number);
    this.#taken?.tap.counters.capture.stop(target);
    target.ring.close();
  }

  /** Takes what is offered, or refuses it. Returns whether the first two descriptors were taken. */
  #take(offer: HandoverMessage & { kind: 'offer' }, [fd, memory]: readonly number[]): boolean {
    this.#letGo();
    const values = memory === undefined ? undefined : native.memoryMap(memory, COUNTER_BYTES);
    if (fd === undefined || memory === undefined || values === undefined || native.tapCheck(fd) !== 0) {
      this.#send({ kind: 'answer', errno: EINVAL });
      return false;
    }
    // The flag is shared with whoever opened it, and a read that waits would stop all ports.
    native.setNonBlocking(fd);
    const counters = new PlugCounters(new Float64Array(values));
    // Before the first frame.
    this.#startAll(counters);
    if (this.#closed) return false;
    const tap = new ForeignTap(fd, offer.takesSuperFrames, counters, () => this.giveBack());
    const line = this.#events.offered?.(tap, offer.address);
    if (line === undefined) {
      for (const target of this.#recorded.values()) counters.capture.stop(target);
      this.#send({ kind: 'answer', errno: EBUSY });
      return false;
    }
    native.closeDescriptor(memory);
    this.#taken = { tap, line };
    this.#send({ kind: 'answer', errno: 0 });
    return true;
  }

  #stopCounting(): void {
    for (const stop of this.#counting) stop();
    this.#counting = [];
  }

  #letGo(): void {
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.line.close();
    for (const target of this.#recorded.values()) taken?.tap.counters.capture.stop(target);
    taken?.tap.close();
  }
}

/** Memory for counters, and its descriptor. */
function shareCounters(): { readonly fd: number; readonly counters: PlugCounters } | undefined {
  const fd = native.memoryOpen(COUNTER_BYTES);
  if (fd < 0) return undefined;
  const buffer = native.memoryMap(fd, COUNTER_BYTES);
  if (buffer !== undefined) return { fd, counters: new PlugCounters(new Float64Array(buffer)) };
  native.closeDescriptor(fd);
  return undefined;
}

/** Whether the process at the other end of a connected unix socket is one of ours (SO_PEERCRED, unix(7)). */
export function isSameUser(fd: number): boolean {
  const credentials = new Int32Array(3);
  return native.peerCredentials(fd, credentials) === 0 && credentials[1]! >>> 0 === process.geteuid?.();
}
