/**
 * `ptp://`: a line between two.
 *
 * Opening works for whoever comes first, too: the plug is down until there is another end, and again whenever that
 * leaves, dies, or is replaced. Who meets whom, and where, is in ptp-endpoint.ts.
 */
import type { FrameBatch } from '../frames/batch.ts';
import { PlugCounters } from './counters.ts';
import { type ForeignTap, HandoverChannel } from './handover.ts';
import type { KernelEnd, Lender } from './kernel-end.ts';
import { type Line, layLine } from './line.ts';
import type { FrameReceiver, Plug, PlugEvents } from './plug.ts';
import type { PtpLine } from './ptp-connection.ts';
import { PtpEndpoint } from './ptp-endpoint.ts';
import { SocketPlug } from './socket-plug.ts';

/** The originals of either protocol read as much as this at once. */
const PTP_FRAME_BYTES = 9234;
const NOBODY = 'the other end is not there yet';
const LEFT = 'the other end of the line left';
const REASONS = { closed: LEFT, left: LEFT, babbles: LEFT };

/** How to open one end. */
export interface PtpOptions {
  /** Whether another end is waited for when the first one left. @defaultValue true */
  readonly reconnect?: boolean;
  /** Gives up opening, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A line that is up. */
interface Connected {
  readonly line: PtpLine;
  readonly plug: SocketPlug;
  readonly channel: HandoverChannel | undefined;
  /** On the clock of `performance.now()`. */
  readonly since: number;
}

/** One end of a line between two. */
export class PtpPlug implements Plug, Lender {
  readonly label: string;
  readonly maxFrameBytes: number = PTP_FRAME_BYTES;
  readonly takesSuperFrames: boolean = false;
  readonly counters: PlugCounters = new PlugCounters();
  readonly #endpoint: PtpEndpoint;
  readonly #reconnects: boolean;
  #connected: Connected | undefined;
  /** The plug whose socket is lent. */
  #lent: SocketPlug | undefined;
  #receiver: FrameReceiver | undefined;
  #events: PlugEvents = {};
  #isDownSaid = false;
  #hasBeenUp = false;
  /** What `down` says when it is said next. */
  #reason = NOBODY;
  /** What the other end of our cable lends, and the line that moves its frames. */
  #adopted: { readonly other: Lender; line: Line | undefined } | undefined;
  /** The TAP of the process at the other end of the line. */
  #foreign: ForeignTap | undefined;
  /** Whether the other end would take our TAP. */
  #isInvited = false;
  #paused = false;
  #closing: Promise<void> | undefined;
  #closed = false;

  private constructor(label: string, path: string, reconnects: boolean) {
    this.label = label;
    this.#reconnects = reconnects;
    this.#endpoint = new PtpEndpoint(label, path, {
      connected: (line) => this.#connect(line),
      left: () => this.#lose(this.#connected?.plug, LEFT),
    });
  }

  /**
   * Opens one end. Without another end it is down, and waits.
   *
   * @param label what people call it
   * @param path absolute
   * @throws VdensError `ERR_NETWORK_OPEN` when the line has two ends already, or the path is of no use;
   * `ERR_NETWORK_TIMEOUT` when who is there does not answer; `ERR_LOCATOR` without a path, or with options; the
   * signal's reason
   */
  static async open(label: string, path: string, options: PtpOptions = {}): Promise<PtpPlug> {
    const plug = new PtpPlug(label, path, options.reconnect ?? true);
    try {
      await plug.#endpoint.open(options.signal);
      return plug;
    } catch (error) {
      // There may have been a line already.
      await plug.close();
      throw error;
    }
  }

  get hasBeenUp(): boolean {
    return this.#hasBeenUp;
  }

  get busy(): boolean {
    return this.#connected?.plug.busy ?? false;
  }

  start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    this.#receiver = receiver;
    this.#events = events;
    if (this.#closed) return;
    if (this.#connected === undefined) this.#sayDown();
    else this.#startPlug(this.#connected.plug);
  }

  send(batch: FrameBatch): void {
    if (this.#connected === undefined || this.#closed) this.counters.drop('sent', 'down', batch.count);
    else this.#connected.plug.send(batch);
  }

  pause(): void {
    this.#paused = true;
    this.#connected?.plug.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#connected?.plug.resume();
  }

  get lender(): Lender {
    return this;
  }

  lend(takeBack: () => void): KernelEnd | undefined {
    const plug = this.#connected?.plug;
    const end = plug?.lend(takeBack);
    this.#lent = end === undefined ? undefined : plug;
    return end;
  }

  restore(isGone: boolean): void {
    this.#lent?.restore(isGone);
    this.#lent = undefined;
  }

  /**
   * Moves the frames of what is at the other end of the cable: over the socket, or, when a process of ours is at the
   * other end of the line, from TAP to TAP. Then who accepted the line is handed the TAP of who connected.
   */
  adopt(other: Lender): Line | undefined {
    if (this.#connected?.channel === undefined || this.#adopted !== undefined) return undefined;
    this.#adopted = { other, line: undefined };
    this.#layAgain();
    if (this.#connected.line.role === 'accepted') this.#connected.channel.invite();
    return { close: () => this.#endAdoption() };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#endAdoption();
    this.#connected?.channel?.close();
    const connected = this.#connected;
    const gone = this.#endpoint.close();
    connected?.line.end();
    await Promise.all([gone, connected?.plug.close(), this.#closing]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #connect(line: PtpLine): void {
    const { maxFrameBytes, counters } = this;
    const options = { data: line.fd, maxFrameBytes, emptyIsEnd: true, reasons: REASONS, counters };
    const plug = new SocketPlug(this.label, options);
    this.#isInvited = false;
    const channel = line.channel === undefined ? undefined : this.#openChannel(line.channel);
    this.#connected = { line, plug, channel, since: performance.now() };
    this.#hasBeenUp = true;
    if (this.#receiver === undefined) return;
    this.#startPlug(plug);
    if (!this.#isDownSaid || this.#connected === undefined) return;
    this.#isDownSaid = false;
    this.#events.up?.();
  }

  #openChannel(fd: number): HandoverChannel {
    return new HandoverChannel(fd, {
      invited: () => {
        this.#isInvited = true;
        this.#layAgain();
      },
      offered: (tap) => this.#take(tap),
    });
  }

  /** Takes the TAP of the process at the other end, unless there is nothing on our side to join it with. */
  #take(tap: ForeignTap): Line | undefined {
    if (this.#adopted === undefined) return undefined;
    this.#foreign = tap;
    const stopCounting = this.counters.follow(tap.counters);
    this.#layAgain();
    return {
      close: () => {
        if (this.#foreign !== tap) return;
        this.#foreign = undefined;
        stopCounting();
        this.#layAgain();
      },
    };
  }

  /** Lays the best line that there is at present for what we adopted. */
  #layAgain(): void {
    const adopted = this.#adopted;
    if (adopted === undefined) return;
    adopted.line?.close();
    adopted.line = this.#layToTap(adopted.other) ?? layLine(adopted.other, this);
  }

  #layToTap(other: Lender): Line | undefined {
    if (this.#foreign !== undefined) return layLine(other, this.#foreign);
    if (!this.#isInvited) return undefined;
    return this.#connected?.channel?.offer(other, this.counters, undefined, () => {
      this.#isInvited = false;
      this.#layAgain();
    });
  }

  #endAdoption(): void {
    const line = this.#adopted?.line;
    this.#adopted = undefined;
    line?.close();
    this.#connected?.channel?.giveBack();
  }

  #startPlug(plug: SocketPlug): void {
    if (this.#paused) plug.pause();
    plug.start(this.#receiver!, {
      drain: () => this.#events.drain?.() === true,
      down: (reason) => this.#lose(plug, reason),
    });
  }

  #lose(plug: SocketPlug | undefined, reason: string): void {
    const connected = this.#connected;
    if (connected === undefined || connected.plug !== plug || this.#closed) return;
    this.#endAdoption();
    this.#connected = undefined;
    connected.channel?.close();
    connected.line.end();
    this.#closing = connected.plug.close();
    // Whoever waits for room need not wait any longer.
    this.#events.drain?.();
    this.#reason = reason;
    if (this.#receiver !== undefined) this.#sayDown();
    if (this.#reconnects) this.#endpoint.lineEnded(performance.now() - connected.since);
    else void this.#endpoint.close();
  }

  #sayDown(): void {
    if (this.#isDownSaid) return;
    this.#isDownSaid = true;
    this.#events.down?.(this.#reason);
  }
}
