/** TCP throughput through a `switch://` that knows a hundred thousand addresses, beside one that knows two. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { batchOf, openPlug } from '../../src/index.ts';
import { type Bench, findIperfResult, interleave, iperfClient, iperfTimeoutMs, openSide } from '../harness.ts';
import { type Row, ratioAtLeast } from '../row.ts';
import { freshPath, isPossible, openPair, pairCommands, SERVER } from '../segment-pair.ts';

const addresses = 100_000;
/** The next power of two, and as much again: no address has to make way for another. */
const tableSize = 262_144;
const framesAtATime = 64;
const frameBytes = 60;

export const bigTable: Row = {
  name: 'big-table',
  title: 'TCP on switch:// with 100,000 addresses, beside two',
  unit: 'Gbit/s',
  goal: ratioAtLeast(0.8),
  peers: pairCommands,
  measure: async (bench) => {
    const { oursVdens: vdens } = bench;
    if (!isPossible(vdens)) return { ours: [], original: [] };
    const open = async (isBig: boolean): Promise<() => Promise<number>> => {
      const path = freshPath(bench);
      const pair = await openPair(bench, { vdens, network: `switch://${path}[hashsize=${tableSize}]` });
      return async () => {
        if (isBig) await teach(bench, path); // Again for every run: what is not heard of is forgotten.
        return await pair.read(iperfClient(bench, SERVER), findIperfResult, iperfTimeoutMs(bench));
      };
    };
    return await interleave(bench, bench.options.runs, {
      ours: await openSide(bench, 'the big table', () => open(true)),
      original: await openSide(bench, 'the small table', () => open(false)),
    });
  },
};

/** Sends a frame from each of the addresses into the switch, to an address behind the same port: it goes nowhere. */
async function teach(bench: Bench, path: string): Promise<void> {
  await using plug = await openPlug(`vde://${path}`);
  bench.progress(`teaching ${addresses} addresses`);
  plug.start(() => true);
  for (let first = 0; first < addresses; first += framesAtATime) {
    while (plug.busy) await nextTurn();
    plug.send(
      batchOf(Array.from({ length: Math.min(framesAtATime, addresses - first) }, (_, i) => frameFrom(first + i))),
    );
  }
  while (plug.busy) await nextTurn();
  const { frames, drops } = plug.counters.sent;
  if (frames < addresses) throw new Error(`${frames} of ${addresses} frames were sent: ${JSON.stringify(drops)}`);
}

/** A frame of local experimental EtherType 1 from the locally administered address with this number. */
function frameFrom(number: number): Uint8Array {
  const frame = new Uint8Array(frameBytes);
  frame.set([
    0x02,
    0xbe,
    0,
    0,
    0,
    0,
    0x02,
    0xbe,
    0,
    (number >> 16) & 255,
    (number >> 8) & 255,
    number & 255,
    0x88,
    0xb5,
  ]);
  return frame;
}
