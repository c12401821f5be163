/**
 * Sockets that several VXLAN networks of this process have in common: all stations of a host listen at one port, and
 * only one socket can.
 */
import { VdensError } from '../errors.ts';
import { isUnspecifiedIp } from '../net/ip.ts';
import { formatSocketAddress } from '../net/socket-address.ts';
import { Underlay, type UnderlayOptions } from './underlay.ts';

interface Entry {
  readonly options: UnderlayOptions;
  readonly interfaceName: string | undefined;
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
  const entry = entries.get(key) ?? { options, interfaceName, underlay: openAlone(options, interfaceName), users: 0 };
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

function openAlone(options: UnderlayOptions, interfaceName: string | undefined): Underlay {
  try {
    return new Underlay(options);
  } catch (error) {
    if (!(error instanceof VdensError) || error.errno !== 'EADDRINUSE') throw error;
    const holder = [...entries.values()].find((entry) => isInTheWay(entry.options, options));
    if (holder === undefined) throw error;
    const { port } = options.local;
    const difference = differenceOf(holder, { options, interfaceName });
    const why = `another network of this process has UDP port ${port}, and they cannot share it: they differ in ${difference}`;
    const message = `${options.label}: ${why}. Write the same in both, or take another port for one`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { errno: 'EADDRINUSE', value: String(port), cause: error });
  }
}

/** Whether sockets cannot be bound to both. */
function isInTheWay({ local: a }: UnderlayOptions, { local: b }: UnderlayOptions): boolean {
  if (a.port !== b.port || a.address.length !== b.address.length) return false;
  return isUnspecifiedIp(a.address) || isUnspecifiedIp(b.address) || Buffer.compare(a.address, b.address) === 0;
}

type Station = Pick<Entry, 'options' | 'interfaceName'>;

/** Which options of the locators it is. */
function differenceOf(a: Station, b: Station): string {
  const of = <T>(read: (station: Station) => T): boolean => read(a) !== read(b);
  const bind = of(({ options }) => formatSocketAddress(options.local));
  const hops = of(({ options }) => options.multicastTtl);
  const differences = [
    bind ? 'bind=' : '',
    // Sockets with an address have another one for the group.
    !bind && of(({ options }) => options.group && formatSocketAddress(options.group)) ? 'the group' : '',
    hops ? 'ttl=' : '',
    !hops && of(({ options }) => options.unicastTtl)
      ? 'ttl=, which is for the group of one and the peers of the other'
      : '',
    of(({ interfaceName }) => interfaceName) ? 'if=' : '',
    of(({ options }) => options.receiveBufferBytes) ? 'rcvbuf=' : '',
  ];
  return differences.filter((text) => text !== '').join(', ');
}
