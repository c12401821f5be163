/**
 * Where the frames of a plug can be looked at.
 *
 * The point goes with the plug's counters, and so to wherever frames are moved: C looks at the number behind the
 * counters for every batch (native/io/capture.h), and where somebody else counts in our place, in this process or in
 * another one, he is asked to record as well. Frames that pass through JavaScript are recorded by the cable.
 */
import type { FrameBatch } from '../frames/batch.ts';
import { native } from '../system/native.ts';
import type { CaptureRing } from './capture-ring.ts';

/** Where the frames of a point go. */
export interface CaptureTarget {
  readonly ring: CaptureRing;
  /** The point's number in the capture. */
  readonly index: number;
  /** How many bytes of a frame are kept at most. */
  readonly snap: number;
  /** Which of the directions, as the plug counts them, has left the interface, as its owner sees it. */
  readonly outbound: 'received' | 'sent';
  /** Numbers of the other end of the plug's cable: what was sent there was received here, and drops there matter here. */
  readonly others?: readonly Float64Array[];
  /** Called when it turns out later that who moves the frames in another process cannot record them. */
  readonly refused?: () => void;
}

/** Somebody in another process who moves the frames. */
export interface CaptureElsewhere {
  start(target: CaptureTarget): void;
  stop(target: CaptureTarget): void;
}

interface Followed {
  readonly point: CapturePoint;
  /** What is received there was sent here. */
  readonly isMirrored: boolean;
}

const RECEIVED_IS_OUTBOUND = 1;

/** Who wants to know of places that are new. */
const watchers = new Set<() => void>();

/** Calls back soon after a place came at which frames can be looked at, before any pass it. Returns what ends it. */
export function watchPlaces(came: () => void): () => void {
  watchers.add(came);
  return () => void watchers.delete(came);
}

/** A place came. */
export function announcePlace(): void {
  for (const came of watchers) queueMicrotask(came);
}

export class CapturePoint {
  readonly #values: Float64Array;
  readonly #targets = new Map<string, CaptureTarget>();
  readonly #followed = new Set<Followed>();
  #elsewhere: CaptureElsewhere | undefined;
  /** C moves the plug's frames even when they come from, and go to, JavaScript: nobody else is to record them. */
  isNative = false;

  /** @param values those of the plug's counters */
  constructor(values: Float64Array) {
    this.#values = values;
  }

  /** Whether anybody looks. */
  get isOn(): boolean {
    return this.#targets.size > 0;
  }

  /** Looks at the frames from now on. Returns whether that is possible; not for the same ring and index twice. */
  start(target: CaptureTarget): boolean {
    const key = keyOf(target);
    if (this.#targets.has(key) || !this.#startHere(target)) return false;
    this.#targets.set(key, target);
    for (const followed of this.#followed) followed.point.start(seenFrom(followed, target));
    return true;
  }

  /** Ends that. */
  stop(target: CaptureTarget): void {
    if (!this.#targets.delete(keyOf(target))) return;
    if (this.#elsewhere !== undefined) this.#elsewhere.stop(target);
    else native.captureStop(this.#values, target.ring.id, target.index);
    for (const followed of this.#followed) followed.point.stop(seenFrom(followed, target));
  }

  /** The frames are moved over there from now on, too. Returns what ends it. */
  follow(point: CapturePoint, isMirrored: boolean): () => void {
    const followed: Followed = { point, isMirrored };
    this.#followed.add(followed);
    for (const target of this.#targets.values()) point.start(seenFrom(followed, target));
    return () => {
      if (!this.#followed.delete(followed)) return;
      for (const target of this.#targets.values()) point.stop(seenFrom(followed, target));
    };
  }

  /** Another process moves the frames. To be said before anybody looks. */
  moveElsewhere(elsewhere: CaptureElsewhere): void {
    this.#elsewhere = elsewhere;
  }

  /** Records frames that pass through JavaScript, if anybody looks. */
  record(direction: 'received' | 'sent', batch: FrameBatch): void {
    if (this.#targets.size === 0 || batch.count === 0 || this.#isRecordedByC()) return;
    native.captureRecord(this.#values, direction === 'sent' ? 1 : 0, batch.arena, batch.slots, batch.count);
  }

  #startHere(target: CaptureTarget): boolean {
    if (this.#elsewhere !== undefined) {
      this.#elsewhere.start(target);
      return true;
    }
    const { ring, index, snap, outbound, others = [] } = target;
    const flags = outbound === 'received' ? RECEIVED_IS_OUTBOUND : 0;
    return native.captureStart(this.#values, ring.id, index, snap, flags, others) === 0;
  }

  #isRecordedByC(): boolean {
    if (this.isNative) return true;
    for (const { point } of this.#followed) if (point.#isRecordedByC()) return true;
    return false;
  }
}

function keyOf({ ring, index }: CaptureTarget): string {
  return `${ring.id}/${index}`;
}

function seenFrom({ isMirrored }: Followed, target: CaptureTarget): CaptureTarget {
  // Who moves the frames counts the drops himself.
  const { others: _, ...rest } = target;
  return isMirrored ? { ...rest, outbound: target.outbound === 'sent' ? 'received' : 'sent' } : rest;
}
