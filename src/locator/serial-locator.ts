/**
 * What the options of a `vdesl://` locator say.
 *
 * ```
 * vdesl:///dev/ttyUSB0                  38400 bit/s
 * vdesl:///dev/ttyUSB0[speed=115200]
 * ```
 */
import type { Locator } from './locator.ts';
import { decimalOption, type NumberRange } from './option-values.ts';
import { wrongLocator } from './wrong-locator.ts';

/** That of the original. */
const DEFAULT_SPEED = 38_400;
/** In bit/s; a device may know fewer. */
export const SERIAL_SPEEDS: NumberRange = { smallest: 50, largest: 4_000_000, example: 115_200 };

/**
 * The speed of the line, in bit/s.
 *
 * @throws VdensError `ERR_LOCATOR` when that is no speed, or no device is named
 */
export function speedOption(locator: Locator): number {
  if (locator.address === '') {
    throw wrongLocator(locator.text, 'no device is named. Write, for example, vdesl:///dev/ttyUSB0', locator.text);
  }
  return decimalOption(locator, 'speed', SERIAL_SPEEDS) ?? DEFAULT_SPEED;
}
