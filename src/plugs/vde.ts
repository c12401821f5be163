/**
 * `vde://`: a port of a VDE switch, ours or anybody's.
 *
 * To a switch of ours that the same user runs, the TAP at the other end of the cable is handed over (handover.ts).
 */
import { basename, join } from 'node:path';
import { native } from '../system/native.ts';
import type { PlugCounters } from './counters.ts';
import { HandoverChannel, isHandoverWanted } from './handover.ts';
import type { Lender } from './kernel-end.ts';
import type { Line } from './line.ts';
import { SocketPlug } from './socket-plug.ts';
import { connectToSwitch, type VdeConnection, type VdeConnectionOptions } from './vde-connection.ts';

/** The original vde_switch cuts what is longer; its data sockets are called `007.12`. */
const VDE_SWITCH_FRAME_BYTES = 1518;
/** The plugs of the original library (`switch://`, `hub://`) take as much as they plan for; theirs are called `fd7`. */
export const NETNODE_FRAME_BYTES = 9234;

const REASONS = {
  closed: 'the switch closed our port',
  left: 'the switch went away',
  babbles: 'the switch sends what no switch sends',
};

/** The private socket of a switch of ours, beside `ctl`: for processes of ours, which hand their TAPs over there. */
export const PRIVATE_SOCKET = '.vdens';

/** A port of a switch. */
export class VdePlug extends SocketPlug {
  readonly #connection: VdeConnection;
  #channel: HandoverChannel | undefined;

  private constructor(label: string, connection: VdeConnection, counters: PlugCounters | undefined) {
    const { data, control, peer } = connection;
    const maxFrameBytes = /^\d+\.\d+$/.test(basename(peer)) ? VDE_SWITCH_FRAME_BYTES : NETNODE_FRAME_BYTES;
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

  adopt(other: Lender, given: () => void): Line | undefined {
    if (!isHandoverWanted() || !this.isUp) return undefined;
    const { directory, peerAddress } = this.#connection;
    this.#channel ??= HandoverChannel.connect(join(directory, PRIVATE_SOCKET), {
      ended: () => {
        this.#channel = undefined;
      },
    });
    return this.#channel?.offer(other, this.counters, peerAddress, given);
  }

  protected override ended(): void {
    this.#channel?.close();
  }
}
