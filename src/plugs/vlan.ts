/**
 * `vlan://`: some VLANs of another network, each with a tag or without, and under a number of its own.
 *
 * Super-frames stay whole. The priority in a tag is kept where the tag is.
 */

import { type FrameBatch, MAX_FRAME_BYTES } from '../frames/batch.ts';
import { ETHERTYPE_CVLAN, ETHERTYPE_SVLAN } from '../frames/packet.ts';
import { hasDeepSuperFrame, type RetagCounts, type RetagRules, retagBatch } from '../frames/retag.ts';
import { BatchRoom } from './batch-room.ts';
import { batchBytes, DROP_REASONS, type DropReason, PlugCounters } from './counters.ts';
import { OutputQueue } from './output-queue.ts';
import type { Plug } from './plug.ts';
import { NO_TAG, PLAIN, type VlanOptions, vlanRules } from './vlan-rules.ts';
import { USUAL_MTU, WrapperPlug } from './wrapper.ts';

const TAG_BYTES = 4;
const ETHERNET_HEADER_BYTES = 14;

/** What retagging leaves out, and why that is. */
const REASONS: readonly (readonly ['foreign' | 'tooShort' | 'tooLong' | 'malformed', DropReason])[] = [
  ['foreign', 'foreign-vlan'],
  ['tooShort', 'too-short'],
  ['tooLong', 'too-long'],
  ['malformed', 'malformed'],
];

/** One direction. */
interface Way {
  readonly direction: 'sent' | 'received';
  readonly rules: RetagRules;
  /** Whether frames may get longer by a tag. */
  readonly addsTag: boolean;
  readonly room: BatchRoom;
  /** Hands on what becomes of frames, to which bytes were added. Returns what a {@link FrameReceiver} does. */
  readonly handOn: (batch: FrameBatch, addedBytes: number) => boolean;
}

/** VLANs of a network. */
export class VlanPlug extends WrapperPlug {
  readonly #toNetwork: Way;
  readonly #toUser: Way;
  readonly #counts: RetagCounts = { foreign: 0, tooShort: 0, tooLong: 0, malformed: 0, droppedBytes: 0, addedBytes: 0 };

  /**
   * @param inner the network; from now on the plug's, closed with it
   * @param label what people call it
   * @throws RangeError when a number is that of no VLAN
   */
  constructor(inner: Plug, options: VlanOptions = {}, label = `vlan://{${inner.label}}`) {
    super(label, inner);
    const etherType = options.qinq === true ? ETHERTYPE_SVLAN : ETHERTYPE_CVLAN;
    const { toNetwork, toUser } = vlanRules(options);
    const way = (direction: Way['direction'], table: Uint16Array, handOn: Way['handOn']): Way => {
      return { direction, rules: { etherType, table }, addsTag: table[NO_TAG]! < PLAIN, room: new BatchRoom(), handOn };
    };
    this.#toUser = way('received', toUser, (batch) => this.deliver(batch));
    this.#toNetwork = way('sent', toNetwork, (batch, addedBytes) => {
      this.sendGrown(batch, addedBytes);
      return true;
    });
  }

  override get maxFrameBytes(): number {
    return this.inner.maxFrameBytes - this.#tagBytes;
  }

  override get mtu(): number | undefined {
    const { mtu } = this.inner;
    if (mtu !== undefined) return mtu - this.#tagBytes;
    const room = this.maxFrameBytes - ETHERNET_HEADER_BYTES;
    return this.#toNetwork.addsTag && room < USUAL_MTU ? room : undefined;
  }

  protected override wrap(batch: FrameBatch): void {
    this.#pass(batch, this.#toNetwork);
  }

  protected override unwrap(batch: FrameBatch): boolean {
    return this.#pass(batch, this.#toUser);
  }

  #pass(batch: FrameBatch, way: Way): boolean {
    return way.addsTag && hasDeepSuperFrame(batch) ? this.#cutAndRetag(batch, way) : this.#retag(batch, way);
  }

  #retag(batch: FrameBatch, { direction, rules, room, handOn }: Way): boolean {
    let onlyFrames = true;
    for (let first = 0; first < batch.count; ) {
      const result = room.prepare(batch.count - first, this.#bytesFor(batch));
      first = retagBatch(batch, first, rules, result, this.#counts);
      const addedBytes = this.#settle(direction);
      onlyFrames = handOn(result, addedBytes) && onlyFrames;
      room.release(result);
    }
    return onlyFrames;
  }

  /** For super-frames that would have a tag too many; they are rare. */
  #cutAndRetag(batch: FrameBatch, way: Way): boolean {
    const counters = new PlugCounters();
    const cutter = new OutputQueue(counters);
    let onlyFrames = true;
    let [frames, bytes] = [-batch.count, -batchBytes(batch)];
    for (let first = 0; first < batch.count; ) {
      first = cutter.append(batch, first, MAX_FRAME_BYTES);
      frames += cutter.batch.count;
      bytes += batchBytes(cutter.batch);
      onlyFrames = this.#retag(cutter.batch, way) && onlyFrames;
      cutter.clear();
    }
    for (const reason of DROP_REASONS) this.counters.drop(way.direction, reason, counters.sent.drops[reason] ?? 0);
    // Those that came in were counted before they were cut.
    if (way.direction === 'received') this.counters.received.count(frames, bytes);
    return onlyFrames;
  }

  /** As many bytes as what becomes of the batch may have. */
  #bytesFor(batch: FrameBatch): number {
    return batchBytes(batch) + TAG_BYTES * batch.count;
  }

  /**
   * Counts what the last call did besides; of what came in, the inner plug has counted the bytes of the tags, too.
   *
   * @returns how many bytes were added
   */
  #settle(direction: 'received' | 'sent'): number {
    const counts = this.#counts;
    for (const [kind, reason] of REASONS) {
      if (counts[kind] === 0) continue;
      this.counters.drop(direction, reason, counts[kind]);
      if (direction === 'received') this.counters.received.count(-counts[kind], 0);
      counts[kind] = 0;
    }
    const { addedBytes, droppedBytes } = counts;
    if (direction === 'received') this.counters.received.count(0, addedBytes - droppedBytes);
    counts.addedBytes = 0;
    counts.droppedBytes = 0;
    return addedBytes;
  }

  /** By how much frames may get longer on their way out. */
  get #tagBytes(): number {
    return this.#toNetwork.addsTag ? TAG_BYTES : 0;
  }
}
