/**
 * A tunnel of the datapath: where its packets go, and what it knows of its stations (native/io/tunnel.h).
 */
import { randomInt } from 'node:crypto';
import { VdensError } from '../errors.ts';
import {
  emitSocketAddress,
  parseSocketAddress,
  SOCKET_ADDRESS_BYTES,
  type SocketAddress,
} from '../net/socket-address.ts';
import { parseForwardingKey, tableCapacity } from '../plugs/forwarding-entry.ts';
import { errnoName, native } from '../system/native.ts';
import { READABLE, Watch } from '../system/reactor.ts';
import type { Underlay } from './underlay.ts';

const IS_STRICT = 1;
const FORCES_PORT = 2;
const IS_LINE = 4;

const TOO_LONG = 1;
const FRAGMENTED = 2;
const UNREACHABLE = 4;
const REFUSED = 8;

/** What can be wanted again. */
const BITS: Readonly<Record<'fragmented' | 'unreachable' | 'refused', number>> = {
  fragmented: FRAGMENTED,
  unreachable: UNREACHABLE,
  refused: REFUSED,
};

const REPORT_WORDS = 3;
const STATION_WORDS = 3;

/** What kind of tunnel. */
export interface TunnelOptions {
  /** What each packet begins with: 8 bytes, or none. */
  readonly header: Uint8Array;
  /** All of the header counts, and a header alone says that its sender leaves. */
  readonly isStrict?: boolean;
  /** Who sends listens at this port, whatever port it sent from. */
  readonly forcedPort?: number;
  /** Only the targets are heard. */
  readonly isLine?: boolean;
  /** How many MAC addresses are remembered; 0 sends everything to all targets. */
  readonly tableSize: number;
  /** How long a MAC address that is not heard of is remembered. */
  readonly expireMs: number;
}

/** What the datapath met with; each kind is said once, until it is wanted again. */
export interface TunnelReports {
  /** A frame of so many bytes is longer than a packet can be. It is dropped, as all like it. */
  tooLong?(bytes: number): void;
  /** A frame of so many bytes did not fit one packet, and left in fragments. */
  fragmented?(bytes: number): void;
  /** The kernel did not send a packet; `errno` is its name for that. */
  unreachable?(errno: string): void;
  /** The kernel did not cut a run of frames that fit: the path may be narrower now. They left one by one. */
  refused?(): void;
}

/** Where a station is. */
export interface Station {
  /** The MAC address. */
  readonly mac: Uint8Array;
  readonly vlan: number;
  /** Where the packets for it go. */
  readonly endpoint: SocketAddress;
  /** Since it was heard of last, in seconds. */
  readonly ageSeconds: number;
}

/** One tunnel. */
export class Tunnel {
  readonly id: number;
  readonly #watch: Watch;
  readonly #reports: TunnelReports;
  readonly #words = new Int32Array(REPORT_WORDS);
  readonly #tableSize: number;
  #closed = false;

  /** @throws VdensError `ERR_NETWORK_OPEN` when the underlay has such a tunnel already, `ERR_NATIVE` when there is no room */
  constructor(label: string, underlay: Underlay, options: TunnelOptions, reports: TunnelReports) {
    const { header, forcedPort = 0, tableSize, expireMs } = options;
    const flags =
      (options.isStrict === true ? IS_STRICT : 0) |
      (forcedPort !== 0 ? FORCES_PORT : 0) |
      (options.isLine === true ? IS_LINE : 0);
    const seed = randomInt(2 ** 31);
    const result = native.tunnelOpen(underlay.id, header, flags, forcedPort, tableSize, seed, expireMs);
    if (result < 0) throw cannotOpen(label, errnoName(result));
    this.id = result;
    this.#reports = reports;
    this.#tableSize = tableSize;
    try {
      this.#watch = new Watch(native.tunnelNotice(result), READABLE, () => this.#readReports());
    } catch (error) {
      native.tunnelClose(result);
      throw error;
    }
  }

  /** Who gets what is for everybody, and for stations of which nothing is known. */
  setTargets(targets: readonly SocketAddress[]): void {
    const bytes = new Uint8Array(targets.length * SOCKET_ADDRESS_BYTES);
    for (const [index, target] of targets.entries()) bytes.set(emitSocketAddress(target), index * SOCKET_ADDRESS_BYTES);
    if (!this.#closed) native.tunnelSetTargets(this.id, bytes);
  }

  /** The longest frame that fits one packet of the path, in bytes. */
  setFit(frameBytes: number): void {
    if (!this.#closed) native.tunnelSetFit(this.id, frameBytes);
  }

  /** Wants to hear again of frames in fragments, of what is unreachable, or of runs that were refused. */
  listenAgain(what: 'fragmented' | 'unreachable' | 'refused'): void {
    if (!this.#closed) native.tunnelListen(this.id, BITS[what]);
  }

  /** Shows everybody where the stations on our side are now: a frame from each of the last ones that sent. */
  announce(): void {
    if (!this.#closed) native.tunnelAnnounce(this.id);
  }

  /** The stations that are known, in no order. */
  stations(): Station[] {
    const room = tableCapacity(this.#tableSize);
    const words = new Int32Array(room * STATION_WORDS);
    const addresses = new Uint8Array(room * SOCKET_ADDRESS_BYTES);
    const count = this.#closed ? 0 : native.tunnelStations(this.id, words, addresses);
    return Array.from({ length: count }, (_, index) => {
      const [low, high, age] = words.subarray(index * STATION_WORDS, (index + 1) * STATION_WORDS);
      const start = index * SOCKET_ADDRESS_BYTES;
      return {
        ...parseForwardingKey(low!, high!),
        endpoint: parseSocketAddress(addresses.subarray(start, start + SOCKET_ADDRESS_BYTES))!,
        ageSeconds: age! / 10,
      };
    });
  }

  /** Makes the clock by which addresses age go ahead. */
  advanceClock(ms: number): void {
    if (!this.#closed) native.tunnelAdvance(this.id, Math.min(ms, 2 ** 31 - 1));
  }

  /** Closes it; where the network has a word for that, others are told. Nothing may have borrowed it. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.end();
    native.tunnelClose(this.id);
  }

  #readReports(): void {
    native.tunnelReports(this.id, this.#words);
    const [what, length, errno] = this.#words as unknown as [number, number, number];
    if ((what & TOO_LONG) !== 0) this.#reports.tooLong?.(length);
    if ((what & FRAGMENTED) !== 0) this.#reports.fragmented?.(length);
    if ((what & UNREACHABLE) !== 0) this.#reports.unreachable?.(errnoName(-errno));
    if ((what & REFUSED) !== 0) this.#reports.refused?.();
  }
}

function cannotOpen(label: string, errno: string): VdensError {
  if (errno === 'EADDRINUSE') {
    const message = `${label}: this process is in that network already. Take another VNI, or plug into it once`;
    return new VdensError('ERR_NETWORK_OPEN', message, { errno });
  }
  return new VdensError('ERR_NATIVE', `${label}: cannot make a tunnel (${errno})`, { errno });
}
