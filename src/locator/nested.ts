/**
 * Networks inside networks: `agno://{vlan://4{vxvde://}}`.
 *
 * What stands in the braces is a network's name like any other: a locator, a path, an alias file, `=COMMAND`; nothing
 * at all is the default network. The options of the outer network are read before the inner one is opened.
 */
import { VdensError } from '../errors.ts';
import type { Plug } from '../plugs/plug.ts';
import type { Locator } from './locator.ts';
import { parseNetworkWord } from './network.ts';
import { type ResolvedLocator, resolveLocator } from './resolve.ts';
import { SCHEMES } from './schemes.ts';
import { wrongLocator } from './wrong-locator.ts';

/** More networks inside each other than anybody means. */
const MAX_NESTED = 16;

/** Opens what is in the braces; `heals` says whether it is to come back by itself. */
export type OpenInside = (options?: { readonly heals: false; readonly signal: AbortSignal }) => Promise<Plug>;

/** Whether a scheme is around another network. */
export function isNested(scheme: string): boolean {
  return SCHEMES.get(scheme)?.nested === true;
}

/** The name of the network in the braces. */
export function innerWord({ inner = '' }: Locator): string {
  return inner;
}

/**
 * Refuses what is too deep: alias files can name networks that name them.
 *
 * @param depth how many networks are around it
 * @throws VdensError `ERR_LOCATOR`
 */
export function requireDepth(label: string, depth: number): void {
  if (depth < MAX_NESTED) return;
  const message = `${label}: there are ${MAX_NESTED} networks around it already, and more are not opened. Does an alias file name itself?`;
  throw new VdensError('ERR_LOCATOR', message, { value: label });
}

/**
 * The networks that a word names, from the outermost to the innermost; without the last when that is a command.
 *
 * @throws VdensError `ERR_LOCATOR` when one of them is wrong
 */
export function nestedLocators(word: string): readonly ResolvedLocator[] {
  const locators: ResolvedLocator[] = [];
  for (let inner = word; parseNetworkWord(inner).kind !== 'stream'; ) {
    requireDepth(inner, locators.length);
    const locator = resolveLocator(inner);
    locators.push(locator);
    if (!isNested(locator.scheme)) break;
    inner = innerWord(locator);
  }
  return locators;
}

/**
 * Opens a network that is around another one.
 *
 * @param signal gives up opening
 * @throws VdensError `ERR_LOCATOR` when its options are wrong, and whatever opening the inner one throws
 */
export async function openNested(
  label: string,
  locator: Locator,
  openInside: OpenInside,
  signal?: AbortSignal,
): Promise<Plug> {
  switch (locator.scheme) {
    case 'vlan': {
      const { vlanOptions } = await import('./vlan-locator.ts');
      const { VlanPlug } = await import('../plugs/vlan.ts');
      const options = vlanOptions(locator);
      return new VlanPlug(await openInside(), options, label);
    }
    case 'agno': {
      const { agnoOptions } = await import('./agno-locator.ts');
      const { AgnoPlug } = await import('../plugs/agno.ts');
      const options = agnoOptions(label, locator);
      return new AgnoPlug(await openInside(), options, label);
    }
    case 'restart': {
      const { LONGEST_RESTART_SECONDS, openRestarting } = await import('../plugs/restart.ts');
      const seconds = restartSeconds(locator, LONGEST_RESTART_SECONDS);
      return openRestarting(label, (aborted) => openInside({ heals: false, signal: aborted }), { seconds, signal });
    }
    case 'wirefilter': {
      const { wirefilterOptions } = await import('./wirefilter-locator.ts');
      const { FilterPlug } = await import('../impairment/filter-plug.ts');
      const options = wirefilterOptions(locator);
      return FilterPlug.open(label, await openInside(), options);
    }
    default:
      throw new VdensError('ERR_LOCATOR', `${label}: this version cannot open ${locator.scheme}:// yet`);
  }
}

/** As the original does, takes what is too small or too large for the nearest that is not. */
function restartSeconds(locator: Locator, longest: number): number | undefined {
  const text = locator.address;
  if (text === '') return undefined;
  if (/^\d+$/.test(text)) return Math.min(Math.max(Number(text), 1), longest);
  const message = `"${text}" is not a number of seconds. Write, for example, restart://20{${innerWord(locator)}}`;
  throw wrongLocator(locator.text, message, text);
}
