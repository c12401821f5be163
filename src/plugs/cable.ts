/**
 * A cable: joins two plugs. What comes out of one goes into the other.
 *
 * Where one end can move the frames of the other (a port of a switch), it does; where both are kernel objects,
 * frames move on a line of their own (line.ts); else here, batch by batch. When one end is busy, the other is not read until it drains: frames then wait in the kernel, where senders
 * notice, instead of being dropped here.
 */
import type { VdensError } from '../errors.ts';
import { type Line, layLine } from './line.ts';
import type { Plug } from './plug.ts';

/** What happens to the ends of a cable. */
export interface CableEvents {
  /** One end lost its network. */
  down?(plug: Plug, reason: string): void;
  /** It has it back. */
  up?(plug: Plug): void;
  /** Why it does not get it back for now. */
  trouble?(plug: Plug, error: VdensError): void;
}

/** How to join. */
export interface CableOptions {
  /**
   * Whether frames may move without JavaScript where that is possible.
   * @defaultValue true, unless the environment has `VDENS_LINE=0`
   */
  readonly line?: boolean;
}

/** A cable that is plugged in. */
export interface Cable {
  /** Has frames pass through JavaScript, so that what the plugs lend can be lent to somebody else. */
  releaseLine(): void;
  /** Has frames pass without JavaScript again, where that is possible. */
  layLine(): void;
}

/** Joins two plugs from now on. Closing either plug ends it. */
export function cable(a: Plug, b: Plug, events: CableEvents = {}, options: CableOptions = {}): Cable {
  const wantsLine = options.line ?? process.env['VDENS_LINE'] !== '0';
  let line: Line | undefined;
  /** Something happened that the event loop has to go on with, which frames do not. */
  let isEventful = false;
  const layOrdinary = (): void => {
    if (a.lender !== undefined && b.lender !== undefined) line = layLine(a.lender, b.lender);
  };
  const adopt = (from: Plug, to: Plug): Line | undefined =>
    to.lender === undefined ? undefined : from.adopt?.(to.lender, layOrdinary);
  const lay = (): void => {
    if (!wantsLine) return;
    line = adopt(a, b) ?? adopt(b, a);
    if (line === undefined) layOrdinary();
  };
  const forward = (from: Plug, to: Plug): void => {
    from.start(
      (batch) => {
        from.counters.capture.record('received', batch);
        to.counters.capture.record('sent', batch);
        to.send(batch);
        if (to.busy) from.pause();
        const onlyFrames = !isEventful;
        isEventful = false;
        return onlyFrames;
      },
      {
        drain: () => {
          to.resume();
          return true;
        },
        down: (reason) => {
          isEventful = true;
          line?.close();
          events.down?.(from, reason);
        },
        up: () => {
          lay();
          events.up?.(from);
        },
        trouble: (error) => {
          isEventful = true;
          events.trouble?.(from, error);
        },
        lendable: lay,
      },
    );
  };
  forward(a, b);
  forward(b, a);
  lay();
  return {
    releaseLine: () => line?.close(),
    layLine: lay,
  };
}
