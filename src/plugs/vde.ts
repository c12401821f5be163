/** `vde://`: a port of a VDE switch, ours or anybody's. */
import { basename } from 'node:path';
import { native } from '../system/native.ts';
import type { PlugCounters } from './counters.ts';
import { SocketPlug } from './socket-plug.ts';
import { connectToSwitch, type VdeConnectionOptions } from './vde-connection.ts';

/** The original vde_switch cuts what is longer; its data sockets are called `007.12`. */
const VDE_SWITCH_FRAME_BYTES = 1518;
/** The plugs of the original library (`switch://`, `hub://`) take as much as they plan for; theirs are called `fd7`. */
export const NETNODE_FRAME_BYTES = 9234;

const REASONS = {
  closed: 'the switch closed our port',
  left: 'the switch went away',
  babbles: 'the switch sends what no switch sends',
};

/** A port of a switch. */
export class VdePlug extends SocketPlug {
  /**
   * Gets a port of a switch.
   *
   * @param label what people call it
   * @param counters goes on counting there, when this is not the first connection
   * @throws VdensError `ERR_NETWORK_OPEN` or `ERR_NETWORK_TIMEOUT`
   */
  static async open(label: string, options: VdeConnectionOptions, counters?: PlugCounters): Promise<VdePlug> {
    const { data, control, peer } = await connectToSwitch(label, options);
    const maxFrameBytes = /^\d+\.\d+$/.test(basename(peer)) ? VDE_SWITCH_FRAME_BYTES : NETNODE_FRAME_BYTES;
    const counting = counters === undefined ? {} : { counters };
    try {
      return new VdePlug(label, { data, control, maxFrameBytes, reasons: REASONS, ...counting });
    } catch (error) {
      native.closeDescriptor(data);
      native.closeDescriptor(control);
      throw error;
    }
  }
}
