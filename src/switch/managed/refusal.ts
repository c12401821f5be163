/** How a managed switch says no: with the number that `vde_switch` answers then. */
import { VdensError } from '../../errors.ts';

/**
 * What is thrown when something cannot be.
 *
 * @param errno such as `ENXIO`
 * @param problem what was asked for, and why it cannot be; ends without a stop
 * @param remedy what to do instead
 */
export function refusal(errno: string, problem: string, remedy: string): VdensError {
  return new VdensError('ERR_SWITCH', `${problem} (${errno}). ${remedy}`, { errno });
}
