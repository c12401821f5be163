/** Frames that the conformance suite sends: each tells its number, and is told from what else is on the line. */
import type { OffloadHeader } from '../../src/frames/batch.ts';
import type { JoinedFrame } from '../../src/frames/join.ts';
import { pattern, toSuperFrame } from '../unit/frames/arbitrary-frames.ts';

/** Local experimental EtherType 1 (IEEE 802). */
const ETHERTYPE = [0x88, 0xb5];
const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
/** Sender of every frame of the suite; a locally administered address. */
const OURS = [0x02, 0xfe, 0xd0, 0x00, 0x00];

/** A frame of `length` bytes (at least 18) that carries `number`. `side` tells who sends it, for switches that learn. */
export function testFrame(number: number, length: number, side = 1): Uint8Array {
  const frame = pattern(length, number + 1);
  frame.set([...BROADCAST, ...OURS, side, ...ETHERTYPE]);
  new DataView(frame.buffer).setUint32(14, number);
  return frame;
}

/** Frames numbered from `first` on, of many lengths up to `longest`. */
export function testFrames(first: number, count: number, longest = 1514, side = 1): Uint8Array[] {
  return Array.from({ length: count }, (_, i) =>
    testFrame(first + i, 60 + (((first + i) * 97) % (longest - 59)), side),
  );
}

/** Whether the suite made it, and not some host that looks for neighbours. */
export function isTestFrame(frame: Uint8Array): boolean {
  return OURS.every((byte, index) => frame[6 + index] === byte);
}

/** A super-frame of one TCP or UDP flow. */
export function superFrame(isTcp: boolean, isV6: boolean, payloadBytes: number, segmentBytes: number): JoinedFrame {
  return toSuperFrame(
    {
      isV6,
      isTcp,
      macs: new Uint8Array([...BROADCAST, ...OURS, 1]),
      tags: [],
      tos: 0,
      ttl: 64,
      dontFragment: true,
      ipOptions: new Uint8Array(),
      hasExtension: false,
      addresses: pattern(32, 7).map((byte, index) => (index % 16 === 0 ? 10 : byte)),
      ports: [1024, 80],
      identification: 65_530,
      sequence: 0xffff_f000,
      acknowledgement: 1,
      flags: 0x18,
      window: 500,
      tcpOptions: new Uint8Array(),
      payload: pattern(payloadBytes, 3),
    },
    segmentBytes,
    false,
  );
}

/** Offload headers that do not fit {@link testFrame}: what a program with a bug, or bad intentions, might hand over. */
export const wrongOffloads: readonly OffloadHeader[] = [
  { flags: 1, gsoType: 0, headerLength: 0, gsoSize: 0, checksumStart: 65_000, checksumOffset: 6 },
  { flags: 1, gsoType: 1, headerLength: 54, gsoSize: 0, checksumStart: 34, checksumOffset: 16 },
  { flags: 0, gsoType: 4, headerLength: 74, gsoSize: 1, checksumStart: 54, checksumOffset: 16 },
  { flags: 1, gsoType: 5, headerLength: 65_535, gsoSize: 1, checksumStart: 34, checksumOffset: 6 },
  { flags: 1, gsoType: 77, headerLength: 54, gsoSize: 100, checksumStart: 34, checksumOffset: 16 },
];
