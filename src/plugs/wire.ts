/**
 * `pcap://IF`: the wire behind an interface of the network namespace we run in.
 *
 * What arrives at the interface comes out of the plug, and what is sent to the plug leaves through the interface; what
 * this machine itself sends there is not seen. The interface goes on being used by this machine, which hears the same
 * frames.
 *
 * A packet socket (packet(7)) with a virtio-net header is written to as a TAP is: super-frames that the driver merged
 * stay whole, and those that are sent are cut by the interface.
 */

import { VdensError } from '../errors.ts';
import { type FrameBatch, MAX_FRAME_BYTES } from '../frames/batch.ts';
import { errnoName, native } from '../system/native.ts';
import type { PlugCounters } from './counters.ts';
import { requireInterfaceName } from './host-tap.ts';
import { FULL_OFFLOAD, TapPlug } from './tap.ts';

const AF_PACKET = 17;
const SOCK_RAW = 3;

/** What wireReadBatch tells of frames that were lost: those that could not be had, and those for which there was no room. */
const UNUSABLE = 0;
const OVERFLOWN = 1;
const LOST_WORDS = 2;

/** An interface, by a packet socket. */
export class WirePlug extends TapPlug {
  readonly #lost = new Int32Array(LOST_WORDS);

  protected override get kind(): 'wire' {
    return 'wire';
  }

  protected override get goneReason(): string {
    return 'it was set down, or deleted';
  }

  /** A packet socket needs not be asked: what the interface cannot do, the kernel does. */
  protected override enableOffload(_fd: number, wanted: boolean): number {
    return wanted ? FULL_OFFLOAD : 0;
  }

  protected override readBatch(fd: number, batch: FrameBatch): number {
    const count = native.wireReadBatch(fd, batch.arena, batch.slots, MAX_FRAME_BYTES, this.#lost);
    this.counters.drop('received', 'malformed', this.#lost[UNUSABLE]!);
    this.counters.drop('received', 'queue-full', this.#lost[OVERFLOWN]!);
    return count;
  }
}

/**
 * Attaches to the wire behind the interface `name`.
 *
 * @throws VdensError `ERR_NETWORK_OPEN` when there is no such interface, it is down or no Ethernet, or we may not
 */
export function openWire(label: string, name: string, counters?: PlugCounters): WirePlug {
  requireInterfaceName(label, name, 'eth0');
  const fd = native.openSocket(AF_PACKET, SOCK_RAW, 0);
  if (fd < 0) throw failure(label, name, errnoName(fd), 'socket');
  const result = native.wireAttach(fd, name);
  if (result > 0) return new WirePlug(fd, label, counters === undefined ? {} : { counters });
  native.closeDescriptor(fd);
  throw failure(label, name, errnoName(result), 'bind');
}

const RIGHTS =
  'It takes the right to send and hear anything there (CAP_NET_RAW): run it inside vdens, or as root of this network';

const REMEDIES: Readonly<Record<string, (name: string) => string>> = {
  ENODEV: () => 'There is no interface of that name here. To see them: ip link',
  ENETDOWN: (name) => `It is down. Set it up: ip link set ${name} up`,
  EPROTOTYPE: () => 'It is no Ethernet. Name one whose frames have MAC addresses: ip -brief link shows them',
  EPERM: () => RIGHTS,
  EACCES: () => RIGHTS,
  EMFILE: () => 'There are too many open files: ulimit -n',
};

function failure(label: string, name: string, errno: string, syscall: string): VdensError {
  const remedy = REMEDIES[errno]?.(name) ?? `To see what it is: ip -details link show ${name}`;
  const message = `${label}: cannot attach to the interface (${syscall}: ${errno}). ${remedy}`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: name, errno, syscall });
}
