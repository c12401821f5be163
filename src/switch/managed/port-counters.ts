/**
 * What a port counted, whoever was at it.
 *
 * Every endpoint counts for itself. What they sent adds up; what left the port is one frame, however many endpoints got
 * it, so of that the endpoint counts that got the most since it was last looked.
 */
import { type DirectionCounters, type DropReason, PlugCounters } from '../../plugs/counters.ts';

/** The numbers of one direction at some time. */
interface Reading {
  readonly frames: number;
  readonly bytes: number;
  readonly drops: Partial<Record<DropReason, number>>;
}

/** Those of an endpoint when it was last looked. */
interface Endpoint {
  sent: Reading;
  received: Reading;
}

export class PortCounters {
  readonly #endpoints = new Map<PlugCounters, Endpoint>();
  #total = new PlugCounters();

  /** `sent` came into the switch at the port, `received` left it there. */
  get total(): PlugCounters {
    this.#settle();
    return this.#total;
  }

  /** Counts what an endpoint counts from now on. */
  add(counters: PlugCounters): void {
    this.#settle();
    this.#endpoints.set(counters, { sent: read(counters.sent), received: read(counters.received) });
  }

  /** The endpoint is gone; what it counted stays. */
  remove(counters: PlugCounters): void {
    this.#settle();
    this.#endpoints.delete(counters);
  }

  /** Starts over at zero. */
  reset(): void {
    this.#settle();
    this.#total = new PlugCounters();
  }

  #settle(): void {
    let most: Reading | undefined;
    for (const [counters, endpoint] of this.#endpoints) {
      const sent = read(counters.sent);
      const received = read(counters.received);
      add(this.#total.sent, difference(sent, endpoint.sent));
      const left = difference(received, endpoint.received);
      if (most === undefined || left.frames > most.frames) most = left;
      endpoint.sent = sent;
      endpoint.received = received;
    }
    if (most !== undefined) add(this.#total.received, most);
  }
}

function read({ frames, bytes, drops }: DirectionCounters): Reading {
  return { frames, bytes, drops };
}

function difference(now: Reading, before: Reading): Reading {
  const drops = Object.entries(now.drops).map(([reason, frames]) => {
    return [reason, frames - (before.drops[reason as DropReason] ?? 0)] as const;
  });
  return { frames: now.frames - before.frames, bytes: now.bytes - before.bytes, drops: Object.fromEntries(drops) };
}

function add(counters: DirectionCounters, { frames, bytes, drops }: Reading): void {
  counters.count(frames, bytes);
  for (const [reason, count] of Object.entries(drops)) counters.drop(reason as DropReason, count);
}
