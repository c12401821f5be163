/**
 * A cable: joins two plugs. What comes out of one goes into the other.
 *
 * When one end is busy, the other is not read until it drains: frames then wait in the kernel, where senders
 * notice, instead of being dropped here.
 */
import type { Plug, PlugEvents } from './plug.ts';

/** What happens to the ends of a cable. */
export interface CableEvents {
  /** One end lost its network. */
  down?(plug: Plug, reason: string): void;
  /** It has it back. */
  up?(plug: Plug): void;
}

/** Joins two plugs from now on. Closing either plug ends it. */
export function cable(a: Plug, b: Plug, events: CableEvents = {}): void {
  forward(a, b, events);
  forward(b, a, events);
}

/** Everything out of `from` into `to`; what `from` says about itself concerns how `to` is read. */
function forward(from: Plug, to: Plug, events: CableEvents): void {
  const plugEvents: PlugEvents = {
    drain: () => {
      to.resume();
      return true;
    },
    down: (reason) => events.down?.(from, reason),
    up: () => events.up?.(from),
  };
  from.start((batch) => {
    to.send(batch);
    if (to.busy) from.pause();
    return true;
  }, plugEvents);
}
