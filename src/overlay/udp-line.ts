/** A line between two hosts, one frame in each UDP packet: `udp://`. */
import { readFile } from 'node:fs/promises';
import { quote, VdensError } from '../errors.ts';
import { formatIp } from '../net/ip.ts';
import { findHost } from './find-host.ts';
import { ANY_ADDRESS, broadcastAddresses, familyOf, literalAddress } from './host.ts';
import { interfaceOfZone, onLink, splitZone } from './link-scope.ts';
import { OverlayNetwork } from './overlay-network.ts';
import type { UdpLineOptions } from './overlay-options.ts';
import type { TunnelPlug } from './tunnel-plug.ts';
import { Underlay } from './underlay.ts';

/** The names of ports (services(5)). */
const SERVICES = '/etc/services';

/**
 * Opens it. Only the other end is heard, from the very address and port that are written.
 *
 * @throws VdensError `ERR_NETWORK_OPEN` when a name is not known, our port is taken, or there is no way to the other end
 */
export async function openUdpLine(
  label: string,
  { source, destination }: UdpLineOptions,
  signal?: AbortSignal,
): Promise<TunnelPlug> {
  const { host, zone } = splitZone(destination.host);
  const own = source.host === undefined ? undefined : splitZone(source.host);
  const ownLiteral = own === undefined ? undefined : literalAddress(own.host);
  const wanted = ownLiteral === undefined ? undefined : familyOf(ownLiteral);
  const destinationAddress = await findHost(label, host, wanted, signal);
  refuseBroadcast(label, destinationAddress);
  const family = familyOf(destinationAddress);
  const address = own === undefined ? ANY_ADDRESS[family] : await findHost(label, own.host, family, signal);
  const link = zone ?? own?.zone;
  const interfaceName = link === undefined ? undefined : await interfaceOfZone(label, link);
  const local = await onLink(label, { address, port: await findPort(label, source.service) }, interfaceName);
  const port = await findPort(label, destination.service);
  signal?.throwIfAborted();
  const underlay = new Underlay({ label, local, hasLoop: true });
  const ours = { ownPort: underlay.local.port, ...(own === undefined ? {} : { ownAddress: address }) };
  return OverlayNetwork.open(
    {
      label,
      family,
      underlay,
      tunnel: { header: new Uint8Array(), isLine: true, tableSize: 0, expireMs: 0 },
      peers: {
        label,
        peers: [{ host, port }],
        defaultPort: port,
        family,
        ...ours,
        onlyFirst: true,
        startSignal: signal,
      },
      interfaceName,
      release: () => underlay.close(),
    },
    signal,
  );
}

function refuseBroadcast(label: string, address: Uint8Array): void {
  const text = formatIp(address);
  const subnet = broadcastAddresses().get(text);
  if (subnet === undefined) return;
  const message = `${label}: ${text} stands for all hosts of ${subnet}, and a line has one other end. Name one of them`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { value: text, errno: 'EACCES' });
}

async function findPort(label: string, service: string): Promise<number> {
  if (/^\d+$/.test(service)) return Number(service);
  const text = await readFile(SERVICES, 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const [name, portAndProtocol = '', ...aliases] = line.split('#', 1)[0]!.trim().split(/\s+/);
    const [, port] = /^(\d+)\/udp$/.exec(portAndProtocol) ?? [];
    if (port !== undefined && (name === service || aliases.includes(service))) return Number(port);
  }
  const message = `${label}: ${quote(service)} is no port that ${SERVICES} knows for UDP. Write its number`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { value: service });
}
