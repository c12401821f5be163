/**
 * The stations of a managed switch as `vde_switch` shows them: in the buckets of a hash table whose size can be set.
 *
 * The table that the frames are looked up in (native/io/forwarding_table.c) is another one; it has room enough at any
 * number of buckets.
 */
import { tableCapacity } from '../../plugs/forwarding-entry.ts';
import type { ForwardingEntry } from '../switch.ts';
import type { HashSettings, Station } from './managed-switch-api.ts';
import { refusal } from './refusal.ts';

export const DEFAULT_HASH: HashSettings = { size: 128, gcInterval: 2, expire: 100, minPersistence: 3 };
/** The most buckets. */
export const MAX_HASH_SIZE = 16_777_216;
/** What a bucket is good for: `vde_switch` has a list in each. */
const STATIONS_PER_BUCKET = 4;
const MIN_STATIONS = 4096;
/** As many as are printed, and compared with what there was, without others having to wait for long. */
const MAX_STATIONS = 65_536;

const MOST_SECONDS = 2 ** 31 - 1;
/** Characters of a byte of a MAC address, with the colon. */
const BYTE_DIGITS = 3;
/** Halves of the factors of the last step of MurmurHash3 for 64 bits, whose last shift is left out. */
const FIRST_LOW = 0xed558ccd;
const FIRST_HIGH = 0xff51afd7;
const SECOND_LOW = 0x1a85ec53;

/** The settings with some of them changed. */
export function changeHash(current: HashSettings, change: Partial<HashSettings>): HashSettings {
  const { size = current.size, ...seconds } = change;
  if (!Number.isInteger(size) || size < 1 || size > MAX_HASH_SIZE) {
    throw refusal('EINVAL', `the table cannot have ${size} buckets`, `Name a number from 1 to ${MAX_HASH_SIZE}`);
  }
  for (const value of Object.values(seconds)) {
    if (!Number.isInteger(value) || value < 0 || value > MOST_SECONDS) {
      throw refusal('EINVAL', `${value} is no time in seconds`, `Name a number from 0 to ${MOST_SECONDS}`);
    }
  }
  return { ...current, ...seconds, size: tableCapacity(size) };
}

/** How many stations are remembered at a number of buckets. */
export function capacityOf(buckets: number): number {
  return Math.min(Math.max(MIN_STATIONS, STATIONS_PER_BUCKET * buckets), MAX_STATIONS);
}

/**
 * The bucket of a station. Of the 64 bits that are computed only the low ones count, so of the high half no more is
 * known than what comes down into the low one.
 */
export function bucketOf(mac: string, vlan: number, buckets: number): number {
  const byte = (index: number): number => Number.parseInt(mac.slice(BYTE_DIGITS * index, BYTE_DIGITS * index + 2), 16);
  const low = byte(0) | (byte(1) << 8) | (byte(2) << 16) | (byte(3) << 24);
  const high = byte(4) | (byte(5) << 8) | (vlan << 16);
  // A shift by 33 leaves the high half alone.
  const mixed = low ^ (high >>> 1);
  const product = Math.imul(mixed, FIRST_LOW);
  const productHigh = highHalf(mixed, FIRST_LOW) + Math.imul(mixed, FIRST_HIGH) + Math.imul(high, FIRST_LOW);
  return (Math.imul(product ^ ((productHigh >>> 0) >>> 1), SECOND_LOW) & (buckets - 1)) >>> 0;
}

/** The high half of the product of two words. */
function highHalf(a: number, b: number): number {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const other = aLow * bHigh + (middle & 0xffff);
  return aHigh * bHigh + Math.floor(middle / 0x1_0000) + Math.floor(other / 0x1_0000);
}

/** The stations, by bucket. */
export function stationsOf(entries: readonly ForwardingEntry[], buckets: number): readonly Station[] {
  return entries
    .map((entry) => stationOf(entry, buckets))
    .sort((a, b) => a.bucket - b.bucket || a.vlan - b.vlan || (a.mac < b.mac ? -1 : 1));
}

/** The station with its bucket. */
export function stationOf({ mac, vlan, port, ageSeconds }: ForwardingEntry, buckets: number): Station {
  return { mac, vlan, port, ageSeconds, bucket: bucketOf(mac, vlan, buckets) };
}
