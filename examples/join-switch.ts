/**
 * A namespace on a VDE switch that others share, which stays on it while the switch comes and goes.
 *
 *     node dist/examples/join-switch.js NETWORK ADDRESS [COMMAND [ARGUMENT...]]
 *     node dist/examples/join-switch.js vde:///tmp/sw 10.0.0.5/24 ping -c 3 10.0.0.6
 *
 * What `vdens --address ADDRESS NETWORK COMMAND` does, in its shortest form.
 */
import { cable, openNamespace, openPlug, VdensError } from '../src/index.ts';

const [network = 'vde://', address = '10.0.0.5/24', ...words] = process.argv.slice(2);
const command = words.length > 0 ? words : [process.env['SHELL'] ?? '/bin/sh'];

try {
  // The network first: when there is no such switch, nothing else needs to be made.
  await using plug = await openPlug(network);
  await using namespace = await openNamespace({ interfaces: [{ name: 'eth0', addresses: [address] }] });
  const tap = namespace.interfaces[0]!.plug;
  cable(tap, plug, {
    down: (_, reason) => {
      tap.setCarrier(false); // Inside, `ip link` says NO-CARRIER: programs and routing notice.
      console.error(`eth0 lost ${network}: ${reason}`);
    },
    up: () => {
      tap.setCarrier(true);
      console.error(`eth0 is back on ${network}`);
    },
  });
  process.exitCode = await namespace.run(command, { stdio: 'inherit' }).exit;
} catch (error) {
  if (!(error instanceof VdensError)) throw error;
  console.error(`join-switch: ${error.message}`);
  process.exitCode = 125;
}
