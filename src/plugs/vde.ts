/**
 * `vde://`: a port of a VDE switch, ours or anybody's.
 *
 * To a switch of ours that the same user runs, the TAP at the other end of the cable is handed over (handover.ts).
 */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { native } from '../system/native.ts';
import { peerProcess } from '../system/peer-process.ts';
import { frameLimitIn } from '../wire/frame-limit.ts';
import type { PlugCounters } from './counters.ts';
import { HandoverChannel, isHandoverWanted } from './handover.ts';
import type { Lender } from './kernel-end.ts';
import { type Line, layLine } from './line.ts';
import { SocketPlug } from './socket-plug.ts';
import { connectToSwitch, type VdeConnection, type VdeConnectionOptions } from './vde-connection.ts';

/** The original vde_switch cuts what is longer; its data sockets are called `007.12`. */
const VDE_SWITCH_FRAME_BYTES = 1518;
/** The plugs of the original library (`switch://`, `hub://`) take as much as they plan for; theirs are called `fd7`. */
const NETNODE_FRAME_BYTES = 9234;

/** How long a switch of ours that did not take our TAP, because it was busy, is left alone, in milliseconds. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

const REASONS = {
  closed: 'the switch closed our port',
  left: 'the switch went away',
  babbles: 'the switch sends what no switch sends',
};

/** The private socket of a switch of ours, beside `ctl`: for processes of ours, which hand their TAPs over there. */
export const PRIVATE_SOCKET = '.vdens';

/** The longest frame that a switch takes which does not say, by the path of its data socket. */
function usualLimit(peer: string): number {
  return /^\d+\.\d+$/.test(basename(peer)) ? VDE_SWITCH_FRAME_BYTES : NETNODE_FRAME_BYTES;
}

/** A port of a switch. */
export class VdePlug extends SocketPlug {
  readonly #connection: VdeConnection;
  #channel: HandoverChannel | undefined;
  /** What is at the other end of our cable, and the line that moves its frames. */
  #adopted: { readonly other: Lender; line: Line | undefined } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pauseMs = FIRST_PAUSE_MS;

  private constructor(label: string, connection: VdeConnection, counters: PlugCounters | undefined) {
    const { data, control, peer, peerAddress } = connection;
    const maxFrameBytes = frameLimitIn(peerAddress) ?? usualLimit(peer);
    super(label, { data, control, maxFrameBytes, reasons: REASONS, ...(counters === undefined ? {} : { counters }) });
    this.#connection = connection;
  }

  /**
   * Gets a port of a switch.
   *
   * @param label what people call it
   * @param counters goes on counting there, when this is not the first connection
   * @throws VdensError `ERR_NETWORK_OPEN` or `ERR_NETWORK_TIMEOUT`
   */
  static async open(label: string, options: VdeConnectionOptions, counters?: PlugCounters): Promise<VdePlug> {
    const connection = await connectToSwitch(label, options);
    try {
      return new VdePlug(label, connection, counters);
    } catch (error) {
      native.closeDescriptor(connection.data);
      native.closeDescriptor(connection.control);
      throw error;
    }
  }

  /** The process that serves the switch, and its user; `undefined` when the kernel does not tell. */
  get server(): { readonly pid: number; readonly uid: number } | undefined {
    return this.isUp ? peerProcess(this.#connection.control) : undefined;
  }

  /** Hands over what is at the other end of the cable, if that is a TAP, to a switch that is a process of ours. */
  adopt(other: Lender): Line | undefined {
    if (!isHandoverWanted() || !this.isUp || this.#adopted !== undefined) return undefined;
    if (!existsSync(this.#privateSocket)) return undefined;
    this.#adopted = { other, line: undefined };
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#offer();
    return { close: () => this.#endAdoption() };
  }

  protected override ended(): void {
    this.#endAdoption();
    this.#channel?.close();
  }

  get #privateSocket(): string {
    return join(this.#connection.directory, PRIVATE_SOCKET);
  }

  #offer(): void {
    const adopted = this.#adopted;
    if (adopted === undefined) return;
    adopted.line?.close();
    this.#channel ??= HandoverChannel.connect(this.#privateSocket, {
      invited: () => {
        if (this.#adopted !== undefined) this.#offer();
      },
      ended: () => {
        this.#channel = undefined;
      },
    });
    const { peerAddress } = this.#connection;
    const given = (isRefused: boolean): void => this.#moveFrames(isRefused);
    adopted.line = this.#channel?.offer(adopted.other, this.counters, peerAddress, given);
    if (adopted.line === undefined) this.#moveFrames(this.#channel !== undefined);
  }

  /** Moves the frames here; when that is not for good, the switch was busy, and is asked again later. */
  #moveFrames(isForGood: boolean): void {
    const adopted = this.#adopted;
    if (adopted === undefined) return;
    adopted.line = layLine(adopted.other, this);
    if (isForGood) return;
    this.#timer = setTimeout(() => this.#offer(), this.#pauseMs).unref();
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
  }

  #endAdoption(): void {
    clearTimeout(this.#timer);
    const line = this.#adopted?.line;
    this.#adopted = undefined;
    line?.close();
  }
}
