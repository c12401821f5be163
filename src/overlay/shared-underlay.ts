/**
 * Sockets that several VXLAN networks of this process have in common: all stations of a host listen at one port, and
 * only one socket can.
 */
import { formatSocketAddress } from '../net/socket-address.ts';
import { Underlay, type UnderlayOptions } from './underlay.ts';

interface Entry {
  readonly underlay: Underlay;
  users: number;
}

const entries = new Map<string, Entry>();

/** The sockets, and what lets go of them. */
export interface SharedUnderlay {
  readonly underlay: Underlay;
  /** To be called once. */
  release(): void;
}

/**
 * Opens sockets, or finds those that were opened in the same way.
 *
 * @throws VdensError `ERR_NETWORK_OPEN` when somebody else has the port, or we have and otherwise
 */
export function shareUnderlay(options: UnderlayOptions, interfaceName: string | undefined): SharedUnderlay {
  const { local, group, unicastTtl, multicastTtl, receiveBufferBytes, hasLoop } = options;
  const key = JSON.stringify([
    formatSocketAddress(local),
    group === undefined ? '' : formatSocketAddress(group),
    [unicastTtl, multicastTtl, receiveBufferBytes, hasLoop, interfaceName],
  ]);
  const entry = entries.get(key) ?? { underlay: new Underlay(options), users: 0 };
  entries.set(key, entry);
  entry.users++;
  return {
    underlay: entry.underlay,
    release: () => {
      if (--entry.users > 0) return;
      entries.delete(key);
      entry.underlay.close();
    },
  };
}
