/**
 * Two namespaces of one process whose interfaces are joined by a cable, with iperf3 from one to the other:
 *
 *     [client, eth0 10.97.0.1] ── cable ── [server, eth0 10.97.0.2, iperf3 -s]
 *
 * `node cable-host.js iperf3 …` prints what that prints.
 */
import { cable, openNamespace } from '../src/index.ts';
import { CLIENT_ADDRESS, SERVER_ADDRESS, transfer } from './transfer.ts';

await using client = await openNamespace({ interfaces: [{ name: 'eth0', addresses: [CLIENT_ADDRESS] }] });
await using server = await openNamespace({ interfaces: [{ name: 'eth0', addresses: [SERVER_ADDRESS] }] });
cable(client.interfaces[0]!.plug, server.interfaces[0]!.plug);

process.exitCode = await transfer(client, server, process.argv.slice(2));
