/**
 * Two namespaces of one process whose interfaces are joined by a cable, with iperf3 from one to the other:
 *
 *     [client, eth0 10.97.0.1] ── cable ── [server, eth0 10.97.0.2, iperf3 -s]
 *
 * `node cable-host.js SECONDS` prints what `iperf3 --json` prints.
 */
import { cable, openNamespace } from '../src/index.ts';

const seconds = process.argv[2] ?? '3';

await using client = await openNamespace({ interfaces: [{ name: 'eth0', addresses: ['10.97.0.1/24'] }] });
await using server = await openNamespace({ interfaces: [{ name: 'eth0', addresses: ['10.97.0.2/24'] }] });
cable(client.interfaces[0]!.plug, server.interfaces[0]!.plug);

const serving = server.run(['iperf3', '--server', '--forceflush'], { stdio: ['ignore', 'pipe', 'ignore'] });
await new Promise<void>((resolve) => {
  serving.process.stdout?.on('data', (text: Buffer) => {
    if (text.includes('Server listening')) resolve();
  });
});
const transfer = ['iperf3', '--client', '10.97.0.2', '--time', seconds, '--json'];
process.exitCode = await client.run(transfer, { stdio: 'inherit' }).exit;
