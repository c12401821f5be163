/**
 * `vlan://`: some VLANs of another network, each with a tag or without, and under a number of its own.
 *
 * Super-frames stay whole. The priority in a tag is kept where the tag is.
 */

import { type FrameBatch, MAX_FRAME_BYTES } from '../frames/batch.ts';
import { ETHERTYPE_CVLAN, ETHERTYPE_SVLAN } from '../frames/packet.ts';
import { hasDeepSuperFrame, type RetagCounts, type RetagRules, retagBatch } from '../frames/retag.ts';
import { BatchRoom } from './batch-room.ts';
import { batchBytes, type DropReason } from './counters.ts';
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

/** One direction: its rules, and room for what becomes of a batch. */
interface Way {
  readonly rules: RetagRules;
  readonly room: BatchRoom;
}

/** VLANs of a network. */
export class VlanPlug extends WrapperPlug {
  readonly #toNetwork: Way;
  readonly #toUser: Way;
  /** Whether frames get longer on their way out. */
  readonly #addsTag: boolean;
  readonly #counts: RetagCounts = { foreign: 0, tooShort: 0, tooLong: 0, malformed: 0, droppedBytes: 0, addedBytes: 0 };
  /** Cuts super-frames that would have too many tags. */
  #cutter: OutputQueue | undefined;

  /**
   * @param inner the network; from now on the plug's, closed with it
   * @param label what people call it
   */
  constructor(inner: Plug, options: VlanOptions = {}, label = `vlan://{${inner.label}}`) {
    super(label, inner);
    const etherType = options.qinq === true ? ETHERTYPE_SVLAN : ETHERTYPE_CVLAN;
    const { toNetwork, toUser } = vlanRules(options);
    this.#toNetwork = { rules: { etherType, table: toNetwork }, room: new BatchRoom() };
    this.#toUser = { rules: { etherType, table: toUser }, room: new BatchRoom() };
    this.#addsTag = toNetwork[NO_TAG]! < PLAIN;
  }

  override get maxFrameBytes(): number {
    return this.inner.maxFrameBytes - this.#tagBytes;
  }

  override get mtu(): number | undefined {
    const { mtu } = this.inner;
    if (mtu !== undefined) return mtu - this.#tagBytes;
    const room = this.maxFrameBytes - ETHERNET_HEADER_BYTES;
    return this.#addsTag && room < USUAL_MTU ? room : undefined;
  }

  protected override wrap(batch: FrameBatch): void {
    if (this.#addsTag && hasDeepSuperFrame(batch)) this.#cutAndSend(batch);
    else this.#sendOn(batch);
  }

  protected override unwrap(batch: FrameBatch): boolean {
    let onlyFrames = true;
    for (let first = 0; first < batch.count; ) {
      const result = this.#toUser.room.prepare(batch.count - first, this.#bytesFor(batch));
      first = retagBatch(batch, first, this.#toUser.rules, result, this.#counts);
      this.#settle('received');
      onlyFrames = this.deliver(result) && onlyFrames;
    }
    return onlyFrames;
  }

  #sendOn(batch: FrameBatch): void {
    for (let first = 0; first < batch.count; ) {
      const result = this.#toNetwork.room.prepare(batch.count - first, this.#bytesFor(batch));
      first = retagBatch(batch, first, this.#toNetwork.rules, result, this.#counts);
      this.#settle('sent');
      if (result.count > 0) this.inner.send(result);
    }
  }

  #cutAndSend(batch: FrameBatch): void {
    this.#cutter ??= new OutputQueue(this.counters);
    for (let first = 0; first < batch.count; ) {
      first = this.#cutter.append(batch, first, MAX_FRAME_BYTES);
      this.#sendOn(this.#cutter.batch);
      this.#cutter.clear();
    }
  }

  /** As many bytes as what becomes of the batch may have. */
  #bytesFor(batch: FrameBatch): number {
    return batchBytes(batch) + TAG_BYTES * batch.count;
  }

  /** Counts what the last call did besides: the inner plug has counted, or will count, frames with its own tags. */
  #settle(direction: 'received' | 'sent'): void {
    const counts = this.#counts;
    for (const [kind, reason] of REASONS) {
      if (counts[kind] === 0) continue;
      this.counters.drop(direction, reason, counts[kind]);
      if (direction === 'received') this.counters.received.count(-counts[kind], 0);
      counts[kind] = 0;
    }
    if (direction === 'received') this.counters.received.count(0, counts.addedBytes - counts.droppedBytes);
    else this.counters.sent.count(0, -counts.addedBytes);
    counts.addedBytes = 0;
    counts.droppedBytes = 0;
  }

  get #tagBytes(): number {
    return this.#addsTag ? TAG_BYTES : 0;
  }
}
