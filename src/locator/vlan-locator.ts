/**
 * What a `vlan://` locator says.
 *
 * ```
 * vlan://4{/tmp/sw}                    VLAN 4, without a tag on our side
 * vlan://4/u=9{/tmp/sw}                and what has no tag there is VLAN 9 here
 * vlan:///t=5.6:10-20{/tmp/sw}         VLANs 5 and 6, and 20 as 10, with a tag
 * vlan://4/x{/tmp/sw}                  VLAN 4 without, all others with a tag
 * vlan://4{vlan://5/q{/tmp/sw}}        VLAN 4 within the service VLAN 5
 * ```
 */
import { LARGEST_VLAN, type VlanOptions, type VlanPair } from '../plugs/vlan-rules.ts';
import { parseCNumber } from '../system/c-number.ts';
import type { Locator } from './locator.ts';
import { flagOption } from './option-values.ts';
import { wrongLocator, wrongOption } from './wrong-locator.ts';

/**
 * Reads the options. Numbers are as in C: `16`, `0x10`, `020`.
 *
 * @throws VdensError `ERR_LOCATOR` when a value makes no sense
 */
export function vlanOptions(locator: Locator): VlanOptions {
  const untag = locator.options.get('untag');
  const tag = locator.options.get('tag');
  return {
    untagged: locator.address === '' ? 0 : vlan(locator, 'VLAN', locator.address, 0, LARGEST_VLAN, '4'),
    untag: untag === undefined ? 0 : vlan(locator, 'u', untag, 0, LARGEST_VLAN - 1, 'u=9'),
    tags: tag === undefined ? [] : vlanPairs(locator, tag),
    trunk: flagOption(locator, 'trunk'),
    qinq: flagOption(locator, 'qinq'),
  };
}

function vlanPairs(locator: Locator, list: string): VlanPair[] {
  return list.split(/[.:]/).map((item) => {
    const [user = '', network = user, more] = item.split('-');
    if (more !== undefined) throw wrongOption(locator, item, `"${item}" is not one VLAN, or two`, 't=5.6:10-20');
    const number = (text: string): number => vlan(locator, 't', text, 1, LARGEST_VLAN - 1, 't=5.6:10-20');
    return { user: number(user), network: number(network) };
  });
}

function vlan(locator: Locator, key: string, text: string, smallest: number, largest: number, example: string): number {
  const value = parseCNumber(text);
  if (value >= smallest && value <= largest) return value;
  const what = `${key} "${text}" is not a VLAN from ${smallest} to ${largest}`;
  if (key !== 'VLAN') throw wrongOption(locator, text, what, example);
  throw wrongLocator(locator.text, `${what}. Write, for example, vlan://${example}{${locator.inner ?? ''}}`, text);
}
