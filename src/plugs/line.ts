/**
 * A line: two plugs whose kernel objects are served by a thread of their own, without JavaScript.
 *
 * It does what a cable does (pushes back before it drops, counts the same counters), with fewer wake-ups. A frame
 * on an idle network then meets a few pages of C instead of some hundred of Node.js: the round trip is half.
 */
import { PlugCounters } from './counters.ts';
import { Fabric, type FabricPort } from './fabric.ts';
import type { KernelEnd, Lender } from './kernel-end.ts';

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
  const ends: { lender: Lender; kernelEnd: KernelEnd; isGone: boolean; port: FabricPort | undefined }[] = [];
  let fabric: Fabric | undefined;
  let isClosed = false;
  const close = (): void => {
    if (isClosed) return;
    isClosed = true;
    fabric?.close();
    for (const { lender, isGone } of ends) lender.restore(isGone);
  };
  for (const lender of [a, b]) {
    const kernelEnd = lender.lend(close);
    if (kernelEnd === undefined) break;
    const end = { lender, kernelEnd, isGone: false, port: undefined as FabricPort | undefined };
    ends.push(end);
    fabric ??= new Fabric({ tableSize: 0 });
    const gone = (): void => {
      end.isGone = true;
      close();
    };
    end.port = fabric.addPort(new PlugCounters(), { gone });
  }
  // The first frame of one end must find the other one there.
  const areAttached = ends.length === 2 && ends.every(({ port, kernelEnd }) => port?.attach(kernelEnd, true) === true);
  if (areAttached) return { close };
  close();
  return undefined;
}
