/**
 * Networks that only the originals' library knows: `SCHEME://…`, where SCHEME is none of ours and it has a plugin of
 * that name.
 *
 * What stands behind the scheme is the plugin's affair, networks in braces among it, and goes to the library as it is.
 */
import type { HealingOptions } from '../plugs/healing.ts';
import type { Plug } from '../plugs/plug.ts';
import { type Locator, unknownScheme } from './locator.ts';
import { isForeignName } from './schemes.ts';
import { wrongLocator } from './wrong-locator.ts';

/** One that works is there for longer than this, in milliseconds. */
const FOREIGN_SETTLE_MS = 1000;
/** How one is opened again. */
export const FOREIGN_PACE: Pick<HealingOptions, 'settleMs'> = { settleMs: FOREIGN_SETTLE_MS };

/** What is known of whoever opens one. */
type Opening = Omit<import('../plugs/foreign.ts').ForeignOptions, 'network'>;

/**
 * Opens it.
 *
 * @throws VdensError `ERR_LOCATOR` when nobody knows this kind of network; as `ForeignPlug.open`
 */
export async function openForeign(label: string, locator: Locator, options: Opening): Promise<Plug> {
  requirePlainNames(locator.text);
  const { ForeignPlug, UnknownToLibraryError } = await import('../plugs/foreign.ts');
  try {
    return await ForeignPlug.open(label, { ...options, network: locator.text });
  } catch (error) {
    if (!(error instanceof UnknownToLibraryError)) throw error;
    const library = error.isLibraryMissing
      ? 'the library of the originals, which may, is not installed (libvdeplug.so.2; Debian: apt-get install libvdeplug2)'
      : 'nor has the library of the originals a plugin of that name';
    throw unknownScheme(locator.scheme, locator.text, library);
  }
}

/**
 * The library looks for plugins by the names of networks, and would follow a path in them. Which braces belong together is
 * the affair of plugins, so a name is whatever stands between any brace and the next `://`.
 */
function requirePlainNames(text: string): void {
  for (const { 0: brace, index } of text.matchAll(/\{|%7b/gi)) {
    const [scheme = '', ...rest] = text.slice(index + brace.length).split('://');
    const isBesideBraces = /[{}]/.test(scheme) && !/\/|%2f/i.test(scheme);
    if (rest.length === 0 || isForeignName(scheme) || isBesideBraces) continue;
    const problem = `"${scheme}" cannot be a kind of network: these are words of small letters, digits and underscores`;
    throw wrongLocator(text, `${problem}. Write, for example, {vde:///run/sw}`, scheme);
  }
}
