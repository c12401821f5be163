/**
 * A capture in the process whose frames are looked at: a ring, and the places that record into it.
 *
 * Places come and go (ports of a switch); each gets a number in the capture when it is first seen, and its description
 * is in the ring before its first frame. Who reads the ring is another process.
 */
import { release } from 'node:os';
import { VdensError } from '../errors.ts';
import type { CaptureTarget } from '../plugs/capture-point.ts';
import { type CaptureMode, CaptureRing, MAX_CAPTURE_INTERFACES } from '../plugs/capture-ring.ts';
import { type DirectionCounters, DROP_REASONS, type PlugCounters } from '../plugs/counters.ts';
import { errnoName } from '../system/native.ts';
import { type CapturedInterface, interfaceDescription, interfaceStatistics } from './pcapng.ts';

/** How often a description that found no room is tried again, in milliseconds. */
const AGAIN_MS = 50;

/** A place where frames can be looked at. */
export interface CapturePlace {
  readonly id: string;
  readonly network: string;
  readonly description: string;
  readonly counters: PlugCounters;
  /** Whether what the counters call `sent` came in at the place, as its user sees it. */
  readonly isReversed: boolean;
  /** The other end of its cable, where frames are dropped as well. */
  readonly otherEnds: readonly PlugCounters[];
}

/** How to capture. */
export interface CaptureOptions {
  readonly mode: CaptureMode;
  /** Bytes of the ring. */
  readonly bytes: number;
  /** How many bytes of a frame are kept at most. */
  readonly snap: number;
}

/** A place that is captured. */
interface Watched {
  readonly target: CaptureTarget;
  readonly place: CapturePlace;
  readonly described: CapturedInterface;
  /** Drops before it began, by direction and reason. */
  readonly before: ReadonlyMap<string, number>;
  readonly startNs: bigint;
  isOn: boolean;
}

/** How many places that could not be captured are remembered. */
const MAX_MISSED = 64;

export class Capture {
  readonly ring: CaptureRing;
  readonly mode: CaptureMode;
  readonly snap: number;
  readonly #watched = new Map<PlugCounters, Watched>();
  readonly #interfaces: CapturedInterface[] = [];
  readonly #waiting = new Set<CapturePlace>();
  readonly #missed = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  /** @throws VdensError `ERR_NATIVE` when there is no memory, or too many descriptors are open */
  constructor({ mode, bytes, snap }: CaptureOptions) {
    const ring = CaptureRing.make(bytes, mode);
    if (typeof ring === 'number') throw noRing(ring, bytes);
    this.ring = ring;
    this.mode = mode;
    this.snap = snap;
  }

  /** Those that were ever captured, by their numbers. */
  get interfaces(): readonly CapturedInterface[] {
    return this.#interfaces;
  }

  /** Those that could not be captured, though they were to be: too many look there, or memory is short. */
  get missed(): readonly string[] {
    return [...this.#missed];
  }

  /** Captures these places from now on, and no others. */
  look(places: readonly CapturePlace[]): void {
    if (this.#isOver) return;
    const present = new Set(places.map(({ counters }) => counters));
    for (const [counters, watched] of this.#watched) if (!present.has(counters)) this.#leave(counters, watched);
    for (const place of this.#waiting) if (!present.has(place.counters)) this.#waiting.delete(place);
    for (const place of places) if (this.#watched.get(place.counters)?.isOn !== true) this.#begin(place);
  }

  /** How many frames are in the capture, and how many were left out of it. */
  get counts(): { readonly recorded: number; readonly leftOut: number } {
    const sum = { recorded: 0, leftOut: 0 };
    for (const index of this.#interfaces.keys()) {
      const { recorded, leftOut } = this.ring.counts(index);
      sum.recorded += recorded;
      sum.leftOut += leftOut;
    }
    return sum;
  }

  /** Ends it; of a stream, the ring then has statistics at its end. Idempotent. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#waiting.clear();
    for (const watched of this.#watched.values()) this.#stop(watched);
    if (this.mode === 'stream') for (const watched of this.#watched.values()) this.#conclude(watched);
    this.ring.close();
  }

  #begin(place: CapturePlace): void {
    const described = { name: place.id, description: describe(place) };
    const before = this.#watched.get(place.counters);
    const index = before === undefined ? this.#indexOf(described) : before.target.index;
    if (index === undefined) {
      if (this.#interfaces.length >= MAX_CAPTURE_INTERFACES) {
        this.#miss(place);
        return;
      }
      // Its description finds no room at present, and its frames would not either.
      this.#waiting.add(place);
      this.#timer ??= setTimeout(() => this.#again(), AGAIN_MS).unref();
      return;
    }
    const { counters, isReversed, otherEnds } = place;
    const target: CaptureTarget = {
      ring: this.ring,
      index,
      snap: this.snap,
      outbound: isReversed ? 'received' : 'sent',
      others: otherEnds.map(({ values }) => values),
      refused: () => this.#refused(place, target),
    };
    const watched = { target, place, described, before: dropsOf(place), startNs: nowNs(), isOn: false };
    this.#watched.set(counters, watched);
    watched.isOn = counters.capture.start(target);
    if (!watched.isOn) this.#miss(place);
  }

  /** Who moves the frames does not record them. */
  #refused(place: CapturePlace, target: CaptureTarget): void {
    const watched = this.#watched.get(place.counters);
    if (this.#isOver || watched?.target !== target) return;
    this.#stop(watched);
    this.#miss(place);
  }

  #miss({ id }: CapturePlace): void {
    if (this.#missed.size < MAX_MISSED) this.#missed.add(id);
  }

  /** The number of an interface: of one that was there before and is gone, or a new one; `undefined` when there is no room. */
  #indexOf(described: CapturedInterface): number | undefined {
    const { name, description } = described;
    const inUse = new Set([...this.#watched.values()].map(({ target }) => target.index));
    const before = this.#interfaces.findIndex(
      (one, index) => one.name === name && one.description === description && !inUse.has(index),
    );
    if (before >= 0) return before;
    if (this.#interfaces.length >= MAX_CAPTURE_INTERFACES) return undefined;
    const isKnown = this.mode === 'recorder' || this.ring.write(interfaceDescription(described, this.snap, osName()));
    return isKnown ? this.#interfaces.push(described) - 1 : undefined;
  }

  /** The place is gone. */
  #leave(counters: PlugCounters, watched: Watched): void {
    this.#stop(watched);
    if (this.mode === 'stream') this.#conclude(watched);
    this.#watched.delete(counters);
  }

  #again(): void {
    this.#timer = undefined;
    const places = [...this.#waiting];
    this.#waiting.clear();
    for (const place of places) this.#begin(place);
  }

  #stop(watched: Watched): void {
    if (!watched.isOn) return;
    watched.isOn = false;
    watched.place.counters.capture.stop(watched.target);
  }

  #conclude({ target, place, before, startNs }: Watched): void {
    const { recorded, leftOut } = this.ring.counts(target.index);
    const drops = [...dropsOf(place)].map(([key, frames]) => [key, frames - (before.get(key) ?? 0)] as const);
    const news = drops.filter(([, frames]) => frames > 0);
    this.ring.write(
      interfaceStatistics(target.index, {
        startNs,
        endNs: nowNs(),
        received: recorded + leftOut,
        dropped: news.reduce((sum, [, frames]) => sum + frames, 0),
        leftOut,
        comments: news.map(([key, frames]) => `${frames} frame${frames === 1 ? '' : 's'} dropped ${key}`),
      }),
    );
  }
}

/** `outbound: peer-slow` and how many. */
function dropsOf({ counters, isReversed, otherEnds }: CapturePlace): Map<string, number> {
  const found = new Map<string, number>();
  const add = (word: string, { drops }: DirectionCounters): void => {
    for (const reason of DROP_REASONS) {
      const key = `${word}: ${reason}`;
      const frames = (found.get(key) ?? 0) + (drops[reason] ?? 0);
      if (frames > 0) found.set(key, frames);
    }
  };
  const [received, sent] = isReversed ? ['outbound', 'inbound'] : ['inbound', 'outbound'];
  add(received!, counters.received);
  add(sent!, counters.sent);
  for (const other of otherEnds) {
    add(received!, other.sent);
    add(sent!, other.received);
  }
  return found;
}

function describe({ network, description }: CapturePlace): string {
  return [network, description].filter((part) => part !== '').join(', ');
}

/** As capture files have it: `Linux 6.1.0`. */
export function osName(): string {
  return `Linux ${release()}`;
}

/** Nanoseconds since 1970. */
function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

function noRing(result: number, bytes: number): VdensError {
  const errno = errnoName(result);
  const remedy = errno === 'EMFILE' ? 'Too many files are open: see ulimit -n' : 'Ask for a smaller ring';
  return new VdensError('ERR_NATIVE', `cannot make a capture ring of ${bytes} bytes (${errno}). ${remedy}`, { errno });
}
