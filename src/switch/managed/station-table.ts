/**
 * The stations of a managed switch as `vde_switch` shows them: in the buckets of a hash table whose size can be set.
 *
 * The table that the frames are looked up in (native/io/forwarding_table.c) is another one; it has room enough at any
 * number of buckets.
 */
import { parseMac } from '../../net/mac.ts';
import type { ForwardingEntry } from '../switch.ts';
import type { HashSettings, Station } from './managed-switch-api.ts';
import { refusal } from './refusal.ts';

export const DEFAULT_HASH: HashSettings = { size: 128, gcInterval: 2, expire: 100, minPersistence: 3 };
/** The most buckets. */
export const MAX_HASH_SIZE = 16_777_216;
/** What a bucket is good for: `vde_switch` has a list in each. */
const STATIONS_PER_BUCKET = 4;
const MIN_STATIONS = 4096;
const MAX_STATIONS = 1_048_576;

const MOST_SECONDS = 2 ** 31 - 1;
const VLAN_SHIFT = 48n;
const WORD = (1n << 64n) - 1n;
const HALF = 33n;
/** Of the last step of MurmurHash3 for 64 bits, whose last shift is left out. */
const FACTORS: readonly bigint[] = [0xff51afd7ed558ccdn, 0xc4ceb9fe1a85ec53n];

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
  return { ...current, ...seconds, size: 2 ** Math.ceil(Math.log2(size)) };
}

/** How many stations are remembered at a number of buckets. */
export function capacityOf(buckets: number): number {
  return Math.min(Math.max(MIN_STATIONS, STATIONS_PER_BUCKET * buckets), MAX_STATIONS);
}

/** The bucket of a station. */
export function bucketOf(mac: string, vlan: number, buckets: number): number {
  let word = BigInt(vlan) << VLAN_SHIFT;
  for (const [index, byte] of parseMac(mac).entries()) word |= BigInt(byte) << BigInt(8 * index);
  for (const factor of FACTORS) word = ((word ^ (word >> HALF)) * factor) & WORD;
  return Number(word & BigInt(buckets - 1));
}

/** The stations, by bucket. */
export function stationsOf(entries: readonly ForwardingEntry[], buckets: number): readonly Station[] {
  return entries
    .map((entry) => ({ ...entry, bucket: bucketOf(entry.mac, entry.vlan, buckets) }))
    .sort((a, b) => a.bucket - b.bucket || a.vlan - b.vlan || (a.mac < b.mac ? -1 : 1));
}
