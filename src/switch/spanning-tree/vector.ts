/** What bridges compare: IEEE 802.1D, 17.5 "priority vectors". */
import type { BridgeId } from '../../wire/bpdu.ts';

/** A way to the root: from the bridge that is said to offer it, out of its port. */
export interface Vector {
  readonly root: BridgeId;
  /** From the bridge to the root. */
  readonly cost: number;
  readonly bridge: BridgeId;
  /** The id of the bridge's port. */
  readonly port: number;
}

/** Below 0 when the first is the better one, above 0 when it is the worse one. */
export function compareVectors(a: Vector, b: Vector): number {
  return compareIds(a.root, b.root) || a.cost - b.cost || compareIds(a.bridge, b.bridge) || a.port - b.port;
}

/** As {@link compareVectors}. */
export function compareIds(a: BridgeId, b: BridgeId): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
