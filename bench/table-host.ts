/**
 * Two namespaces on a switch that has heard of many more stations, with iperf3 from one to the other:
 *
 *     [client, eth0 10.97.0.1] ── switch ── [server, eth0 10.97.0.2, iperf3 -s]
 *                                   └────── STATIONS others, behind one port
 *
 * `node table-host.js STATIONS iperf3 …` prints what that prints. Fails at once when the switch knows fewer.
 */
import { batchOf, createSwitch, openNamespace, type Plug } from '../src/index.ts';
import { CLIENT_ADDRESS, SERVER_ADDRESS, transfer } from './transfer.ts';

const stations = Number(process.argv[2] ?? '2');
/** With much room, and some more stations: a few have to make way for others, because the table is a hash table. */
const tableSize = 524_288;
const spare = Math.ceil(stations / 100);
const framesAtATime = 64;
const frameBytes = 60;

await using segment = createSwitch({ tableSize });
await using client = await openNamespace({ interfaces: [{ name: 'eth0', addresses: [CLIENT_ADDRESS] }] });
await using server = await openNamespace({ interfaces: [{ name: 'eth0', addresses: [SERVER_ADDRESS] }] });
for (const namespace of [client, server]) segment.attach(namespace.interfaces[0]!.plug);

await teach(segment.port());
const known = segment.stationCount;
if (known < stations) throw new Error(`the switch knows ${known} of ${stations} stations`);
process.exitCode = await transfer(client, server, process.argv.slice(3));

/** Sends a frame from each station, to a station behind the same port: it goes nowhere else. */
async function teach(port: Plug): Promise<void> {
  for (let first = 0; first < stations + spare; first += framesAtATime) {
    const count = Math.min(framesAtATime, stations + spare - first);
    port.send(batchOf(Array.from({ length: count }, (_, index) => frameFrom(first + index))));
    await new Promise((resolve) => setImmediate(resolve)); // The thread of the switch takes them meanwhile.
  }
}

/** A frame of local experimental EtherType 1 (IEEE 802) from the locally administered address with this number. */
function frameFrom(number: number): Uint8Array {
  const frame = new Uint8Array(frameBytes);
  const source = [0x02, 0xbe, 0x01, (number >> 16) & 255, (number >> 8) & 255, number & 255];
  frame.set([0x02, 0xbe, 0x01, 0, 0, 0, ...source, 0x88, 0xb5]);
  return frame;
}
