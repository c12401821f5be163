/**
 * What an `agno://` locator says.
 *
 * ```
 * agno://{/tmp/sw}                         with the key in ~/.vde_agno_key
 * agno:///etc/lab.key{/tmp/sw}             with that in another file; ~NAME is one in the home directory
 * agno://[ethtype=ipv4]{vde:///tmp/sw}     frames say that they are IPv4: copy, ipv4, ipv6, rand or a number
 * ```
 */
import { userInfo } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { quote } from '../errors.ts';
import type { AgnoOptions } from '../plugs/agno.ts';
import { AGNO_ETHERTYPE, type AgnoEtherType, LARGEST_ETHERTYPE, SMALLEST_ETHERTYPE } from '../plugs/agno-cipher.ts';
import { AGNO_KEY_BYTES, readAgnoKey } from '../plugs/agno-key.ts';
import { parseCNumber } from '../system/c-number.ts';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../wire/ethernet.ts';
import type { Locator } from './locator.ts';
import { wrongLocator, wrongOption } from './wrong-locator.ts';

const DEFAULT_KEY = '.vde_agno_key';

const NAMED: Readonly<Record<string, AgnoEtherType>> = {
  '': AGNO_ETHERTYPE,
  copy: 'copy',
  ipv4: ETHERTYPE_IPV4,
  ipv6: ETHERTYPE_IPV6,
  rand: 'random',
};

/**
 * Reads the options, and the key.
 *
 * @throws VdensError `ERR_LOCATOR` when a value makes no sense, `ERR_KEY` when there is no key that can be used
 */
export function agnoOptions(label: string, locator: Locator): AgnoOptions {
  const etherType = etherTypeOption(locator);
  const path = keyPath(locator);
  const { key, digits } = readAgnoKey(path, label);
  const wanted = 2 * AGNO_KEY_BYTES;
  const warning = `the key ${quote(path)} has ${digits} of ${wanted} hexadecimal digits: the others are taken for zero`;
  return { key, etherType, keyName: `the key ${quote(path)}`, ...(digits < wanted ? { warning } : {}) };
}

/** The home directory is that in passwd(5), whatever the environment says: as the original has it. */
function keyPath(locator: Locator): string {
  const { address } = locator;
  if (address !== '' && !address.startsWith('~')) return isAbsolute(address) ? address : resolve(address);
  try {
    return join(userInfo().homedir, address === '' ? DEFAULT_KEY : address.slice(1));
  } catch {
    const message = 'you have no home directory (getent passwd). Name the key by its path: agno:///path/of/key{...}';
    throw wrongLocator(locator.text, message, address);
  }
}

function etherTypeOption(locator: Locator): AgnoEtherType {
  const text = locator.options.get('ethtype') ?? '';
  const named = Object.hasOwn(NAMED, text) ? NAMED[text] : undefined;
  if (named !== undefined) return named;
  const value = parseCNumber(text);
  if (value === 0) return AGNO_ETHERTYPE;
  if (value >= SMALLEST_ETHERTYPE && value <= LARGEST_ETHERTYPE) return value;
  const problem = `the ethtype "${text}" is none of copy, ipv4, ipv6, rand, nor a number from 0x600 to 0xfffe`;
  throw wrongOption(locator, text, problem, 'ethtype=0x88b5');
}
