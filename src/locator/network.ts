/**
 * What a network word on the command line of `vdens` means.
 *
 * ```
 * -  no  ''        no network
 * =COMMAND         a command that speaks the VDE stream on its standard input and output
 * anything else    a locator
 * ```
 */
import { VdensError } from '../errors.ts';
import { splitCommandLine } from './command-line.ts';

/** The meaning of one word. */
export type NetworkWord =
  | { readonly kind: 'none' }
  | { readonly kind: 'stream'; readonly command: readonly string[]; readonly text: string }
  | { readonly kind: 'locator'; readonly text: string };

/**
 * Reads one network word.
 *
 * @throws {VdensError} `ERR_COMMAND` when `=COMMAND` is not a command.
 */
export function parseNetworkWord(word: string): NetworkWord {
  if (word === '' || word === '-' || word === 'no') return { kind: 'none' };
  if (word.startsWith('=')) return { kind: 'stream', command: splitCommandLine(word.slice(1)), text: word };
  return { kind: 'locator', text: word };
}

/**
 * Reads one of several network words (`vdens -m`), each of which makes an interface: "no network" is not one of them.
 *
 * @throws {VdensError} `ERR_USAGE` for a word that means no network, `ERR_COMMAND` as above.
 */
export function parseMultiNetworkWord(word: string): NetworkWord {
  const network = parseNetworkWord(word);
  if (network.kind !== 'none') return network;
  const remedy =
    word === 'no'
      ? 'leave it out, write null:// for an unused interface, or ./no for a path'
      : 'leave it out, or write vde:// for the default switch';
  throw new VdensError('ERR_USAGE', `"${word}" means no network, which makes no sense among several: ${remedy}`, {
    value: word,
  });
}
