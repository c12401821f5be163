/**
 * Two namespaces of this host on a switch, and behind one of its ports the LAN of other hosts.
 *
 *     node dist/examples/lan-across-hosts.js [NETWORK [HOST]]
 *     node dist/examples/lan-across-hosts.js vxvde:// 1      # on one machine
 *     node dist/examples/lan-across-hosts.js vxvde:// 2      # on another
 *
 * They are 10.0.HOST.1/16 and 10.0.HOST.2/16, and can be reached from everywhere on the network until `^C`.
 */
import { createSwitch, openNamespace, openPlug, VdensError } from '../src/index.ts';

const [network = 'vxvde://', host = '1'] = process.argv.slice(2);

try {
  await using outside = await openPlug(network);
  await using lan = createSwitch();
  lan.attach(outside);
  // Packets of the LAN have to fit those of the network between the hosts.
  const mtu = outside.mtu ?? 1500;
  const of = (number: number): { name: string; addresses: string[]; mtu: number } => {
    return { name: 'eth0', addresses: [`10.0.${host}.${number}/16`], mtu };
  };
  await using alice = await openNamespace({ interfaces: [of(1)] });
  await using bob = await openNamespace({ interfaces: [of(2)] });
  for (const { interfaces } of [alice, bob]) lan.attach(interfaces[0]!.plug);
  console.log(`10.0.${host}.1 and 10.0.${host}.2 are on ${network}, with an MTU of ${mtu}`);

  await new Promise((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve));
  const { received, sent } = outside.counters;
  console.log(`${received.frames} frames from other hosts, ${sent.frames} to them`);
} catch (error) {
  if (!(error instanceof VdensError)) throw error;
  console.error(`lan-across-hosts: ${error.message}`);
  process.exitCode = 125;
}
