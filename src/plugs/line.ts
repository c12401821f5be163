/**
 * A line: two plugs whose kernel objects are served by a thread of their own, without JavaScript.
 *
 * It does what a cable does (pushes back before it drops, counts the same counters), with fewer wake-ups. A frame
 * on an idle network then meets a few pages of C instead of some hundred of Node.js: the round trip is half.
 */
import { native } from '../system/native.ts';
import { READABLE, Watch } from '../system/reactor.ts';
import type { KernelEnd, Lender } from './kernel-end.ts';

const IS_TAP = 1;
const TAKES_SUPER_FRAMES = 2;
/** Bits of lineGone. */
const FIRST_GONE = 1;
const OTHER_GONE = 2;

/** A line in service. */
export interface Line {
  /** Takes it out of service; the plugs read for themselves again. Idempotent. */
  close(): void;
}

/**
 * Lays a line between two plugs, if both can lend what it takes.
 *
 * @returns `undefined` when they cannot; nothing has changed then
 */
export function layLine(a: Lender, b: Lender): Line | undefined {
  let line = -1;
  let isClosed = false;
  let notice: Watch | undefined;
  const close = (): void => {
    if (isClosed) return;
    isClosed = true;
    notice?.end();
    const gone = line < 0 ? 0 : native.lineGone(line);
    if (line >= 0) native.lineClose(line);
    a.restore((gone & FIRST_GONE) !== 0);
    b.restore((gone & OTHER_GONE) !== 0);
  };
  const endA = a.lend(close);
  const endB = endA === undefined ? undefined : b.lend(close);
  if (endA !== undefined && endB !== undefined) {
    line = native.lineOpen(...describe(endA), ...describe(endB));
    if (line >= 0) {
      notice = new Watch(native.lineNotice(line), READABLE, () => close());
      return { close };
    }
  }
  close();
  return undefined;
}

function describe(end: KernelEnd): [number, number, number, Float64Array] {
  const flags = (end.kind === 'tap' ? IS_TAP : 0) | (end.takesSuperFrames ? TAKES_SUPER_FRAMES : 0);
  return [end.fd, flags, end.maxFrameBytes, end.counters.values];
}
