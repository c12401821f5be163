/** What is said of locators that make no sense. */
import { printable, VdensError } from '../errors.ts';
import type { Locator } from './locator.ts';
import { SCHEMES } from './schemes.ts';

/** `ERR_LOCATOR` about the value of an option, with one that would be right. */
export function wrongOption(locator: Locator, value: string, problem: string, example: string): VdensError {
  const right = SCHEMES.get(locator.scheme)?.style === 'slash' ? `/${example}` : `[${example}]`;
  return wrongLocator(locator.text, `${problem}. Write, for example, ${right}`, value);
}

/** `ERR_LOCATOR` about a locator, on one line whatever is in it. */
export function wrongLocator(text: string, message: string, value: string): VdensError {
  return new VdensError('ERR_LOCATOR', printable(`${text}: ${message}`), { value });
}
