/**
 * A tunnel as a plug (native/io/tunnel.h).
 */
import { MAX_FRAME_BYTES } from '../frames/batch.ts';
import { formatMac } from '../net/mac.ts';
import { formatSocketAddress } from '../net/socket-address.ts';
import { DatapathPlug } from '../plugs/datapath-plug.ts';
import type { Station, Tunnel } from './tunnel.ts';

/** How many stations are named in a report, those heard last. */
const REPORTED_STATIONS = 16;

/** The tunnel, and what is known of its way. */
export interface TunnelPlugOptions {
  readonly label: string;
  readonly tunnel: Tunnel;
  /** The longest frame that it takes, in bytes. */
  readonly maxFrameBytes: number;
  /** The largest IP packet whose frame gets through whole, in bytes. */
  readonly mtu: number;
  /** Lets go of the tunnel, and of what it needs. */
  release(): Promise<void>;
}

/** One end of a network over UDP. */
export class TunnelPlug extends DatapathPlug {
  readonly tunnel: Tunnel;

  /** @throws VdensError `ERR_NATIVE` when the process has no descriptors left; the tunnel is still the caller's then */
  constructor({ tunnel, release, ...options }: TunnelPlugOptions) {
    const releaseAll = async (): Promise<void> => {
      tunnel.close();
      await release();
    };
    super({ ...options, kind: 'tunnel', id: tunnel.id, release: releaseAll });
    this.tunnel = tunnel;
  }

  /** The stations that are known on the other side, in no order. */
  stations(): Station[] {
    return this.tunnel.stations();
  }

  report(): readonly string[] {
    const stations = this.stations();
    const lines = stations
      .toSorted((a, b) => a.ageSeconds - b.ageSeconds)
      .slice(0, REPORTED_STATIONS)
      .map(({ mac, vlan, endpoint, ageSeconds }) => {
        const name = `${formatMac(mac)}${vlan === 0 ? '' : ` (VLAN ${vlan})`}`;
        return `${name} at ${formatSocketAddress(endpoint)}, heard ${Math.round(ageSeconds)} s ago`;
      });
    const more = stations.length - lines.length;
    return more > 0 ? [...lines, `and ${more} more stations`] : lines;
  }
}

/** What one packet has room for: 65,535 bytes less the headers of IPv4 and UDP. */
export const MAX_PACKET_PAYLOAD_BYTES = 65_507;

/** The longest frame behind a header of so many bytes. */
export function longestFrameBytes(headerBytes: number): number {
  return Math.min(MAX_FRAME_BYTES, MAX_PACKET_PAYLOAD_BYTES - headerBytes);
}
