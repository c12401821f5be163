/**
 * All that a process can be asked on its control socket. Each part of the program says what it can do in a file beside
 * this one (`impairment-operations.ts`, `capture-operations.ts` …), which exports `(inventory) => Operations`: here, as
 * imports point down, and the inventory is above the folders whose things it is about.
 */
import type { Operations } from '../control/operation.ts';
import { captureOperations } from './capture-operations.ts';
import { enterOperations } from './enter-operations.ts';
import { explainOperations } from './explain-operations.ts';
import { forwardOperations } from './forward-operations.ts';
import { impairmentOperations } from './impairment-operations.ts';
import type { Inventory } from './inventory.ts';

/** The operations of a process; the parts' own, one line each, and those of the items that it runs. */
export function operationsOf(inventory: Inventory): Operations {
  return {
    status: () => inventory.describe(),
    ...forwardOperations(inventory),
    ...captureOperations(inventory),
    ...enterOperations(inventory),
    ...impairmentOperations(inventory),
    ...explainOperations(inventory),
  };
}
