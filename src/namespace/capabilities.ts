/** What a command in a namespace may do: capabilities(7), as a bit mask. */

const CAP_NET_BIND_SERVICE = 10n;
const CAP_NET_BROADCAST = 11n;
const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;
const CAP_SYS_ADMIN = 21n;

const NETWORK = [CAP_NET_BIND_SERVICE, CAP_NET_BROADCAST, CAP_NET_ADMIN, CAP_NET_RAW];

/** The ambient capabilities of a command: those of the network, and CAP_SYS_ADMIN when it was asked for. */
export function commandCapabilities(sysAdmin: boolean): bigint {
  const capabilities = sysAdmin ? [...NETWORK, CAP_SYS_ADMIN] : NETWORK;
  return capabilities.reduce((mask, capability) => mask | (1n << capability), 0n);
}
