/**
 * Pairs whose ends are on two hosts: network namespaces joined by a veth pair, with an MTU of 1500.
 *
 *     [client 10.98.0.1] ── eth0 10.99.0.1 ══ veth ══ eth0 10.99.0.2 ── [server 10.98.0.2, iperf3 -s]
 *           host 1                                                            host 2
 *
 * An end is a `vdens`, ours or the original, or the kernel's own vxlan device. Both hosts belong to a user namespace
 * of ours: no packet reaches an interface of the machine.
 */

import { Lab, type LabHost, UNDERLAY } from '../test/fixtures/lab.ts';
import { original } from '../test/interop/harness.ts';
import type { NamespaceCommand } from '../test/interop/original-vdens.ts';
import { END_ADDRESSES, type End, openPair, type PairOpener, pairCommands, vdensEnd } from './segment-pair.ts';

/** Commands that hosts need. */
export const hostCommands: readonly string[] = ['unshare', 'nsenter', ...pairCommands];

/** Makes an end on its host; undefined when something for it is missing. */
export type EndMaker = ((host: LabHost, address: string) => Promise<End>) | undefined;

/** What of an end that is a `vdens` depends on its host. */
export type VdensOnHost = Omit<NamespaceCommand, 'vdens' | 'address' | 'command' | 'isQuiet'>;

/** An end that is a `vdens`, on a network that may be another on each host. */
export function vdensOn(vdens: string | undefined, on: (host: LabHost) => VdensOnHost): EndMaker {
  if (vdens === undefined) return undefined;
  return async (host, address) => {
    const end = vdensEnd({ vdens, address, ...on(host) });
    return (command) => host.command(end(command));
  };
}

/** An end that is the kernel's vxlan device, in the multicast group that is everybody's default. */
export const kernelVxlan: EndMaker = async (host, address) => {
  const device = `vx0 type vxlan id 1 group 239.0.0.1 dev ${UNDERLAY} dstport 4789`;
  await host.must(`ip link add ${device}; ip addr add ${address} dev vx0; ip link set vx0 up`);
  return (command) => host.command(command);
};

/** A pair on two hosts of its own. Undefined when an end or a command is missing. */
export function onTwoHosts(client: EndMaker, server: EndMaker): PairOpener | undefined {
  if (client === undefined || server === undefined) return undefined;
  if (hostCommands.some((command) => original(command) === undefined)) return undefined;
  return async (owner) => {
    const lab = await Lab.start(owner, { hosts: 2, direct: true });
    const ends = {
      client: await client(lab.host(1), END_ADDRESSES.client),
      server: await server(lab.host(2), END_ADDRESSES.server),
    };
    return await openPair(owner, ends);
  };
}
