/**
 * What the locator of a gateway says.
 *
 * ```
 * slirp://                                  10.0.2.2/24 and fd00::2/64, with the way out
 * slirp:///addr=10.1.0.2%2f16/v4            another network, IPv4 alone
 * slirp:///tcpfwd=8080:10.0.2.15:80         port 8080 of the host is port 80 of a guest
 * slirp:///restricted/unixfwd=80:%2frun%2fweb.sock
 * ```
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { quote, VdensError } from '../errors.ts';
import type { GatewayConfig, GatewayIpv4, GatewayIpv6 } from '../gateway/gateway-config.ts';
import {
  formatIp,
  isLinkLocalIp,
  isLoopbackIp,
  isMulticastIp,
  isUnspecifiedIp,
  parseIp,
  SMALLEST_IPV6_MTU,
} from '../net/ip.ts';
import { formatPrefix, type IpPrefix, parsePrefix, prefixContains } from '../net/prefix.ts';
import { combine, firstAddress, isWholeNetwork, sameBytes } from '../net/subnet.ts';
import { familyOf } from '../overlay/host.ts';
import { readPortForwards, readServiceForwards } from './forward-options.ts';
import type { Locator } from './locator.ts';
import { decimalOption, flagOption, textOption, withoutUndefined } from './option-values.ts';
import { wrongLocator, wrongOption } from './wrong-locator.ts';

const DEFAULT_MTU = 1500;
/** The least that every host of IPv4 takes in one piece (RFC 791, section 3.1), in bytes. */
const SMALLEST_MTU = 576;
/** With the Ethernet header, 65535 bytes. */
const LARGEST_MTU = 65_521;
const DEFAULT_HOST_NAME = 'slirp';
/** The longest text that a DHCP option has room for (RFC 2132, section 2), in bytes. */
const LONGEST_TEXT = 255;
/** The `file` field of BOOTP without its NUL (RFC 2131, section 2), in bytes. */
const LONGEST_BOOT_FILE = 127;
/** Of a domain's name, and of each part of it (RFC 1035, section 2.3.4), in bytes. */
const LONGEST_DOMAIN = 253;
const LONGEST_LABEL = 63;

/** What one family of addresses has where nothing is said, and which options are about it. */
interface Family {
  readonly number: 4 | 6;
  readonly router: string;
  readonly nameServer: string;
  /** Bits of the longest prefix that leaves room for a router, a name server and guests. */
  readonly longestPrefix: number;
  /** Two names of one option. */
  readonly routerKeys: readonly [string, string];
  readonly nameServerKey: string;
}

const SHORTEST_PREFIX = 8;
const IPV4: Family = {
  number: 4,
  router: '10.0.2.2/24',
  nameServer: '10.0.2.3',
  longestPrefix: 29,
  routerKeys: ['addr', 'host'],
  nameServerKey: 'vnameserver',
};
const IPV6: Family = {
  number: 6,
  router: 'fd00::2/64',
  nameServer: 'fd00::3',
  longestPrefix: 125,
  routerKeys: ['addr6', 'host6'],
  nameServerKey: 'vnameserver6',
};
const FIRST_LEASE = '10.0.2.15';

/**
 * What a `slirp://` says.
 *
 * With another network, the name server and the first lease keep their place in it: their bits outside the prefix.
 *
 * @throws VdensError `ERR_LOCATOR` when a value makes no sense
 */
export function gatewayConfig(locator: Locator): GatewayConfig {
  const [v4, v6] = [flagOption(locator, 'v4'), flagOption(locator, 'v6')];
  const ipv4 = readIpv4(locator, v4 || !v6);
  const ipv6 = readIpv6(locator, v6 || !v4);
  checkAddress(locator, [ipv4, ipv6]);
  const networks = { ...(ipv4 && { ipv4 }), ...(ipv6 && { ipv6 }) };
  const optional = {
    domainName: readDomains(locator, 'vdomainname')[0],
    tftpDirectory: readDirectory(locator, 'tftp_path'),
    tftpServerName: readText(locator, 'tftp_server_name', 'boot.example.org', LONGEST_TEXT),
    bootFile: readText(locator, 'bootfile', 'pxelinux.0', LONGEST_BOOT_FILE),
    controlPath: readPath(locator, 'control', '%2ftmp%2fgateway'),
  };
  return {
    ...networks,
    ...withoutUndefined(optional),
    isRestricted: flagOption(locator, 'restricted'),
    hostName: readHostName(locator),
    searchDomains: readDomains(locator, 'vdnssearch'),
    mtu: readMtu(locator, ipv6 !== undefined),
    isHostLoopbackDisabled: flagOption(locator, 'disable_host_loopback'),
    portForwards: readPortForwards(locator, networks),
    serviceForwards: readServiceForwards(locator, networks),
    isVerbose: flagOption(locator, 'verbose'),
  };
}

/**
 * The originals pass over an address there in silence. So scripts have some, which do no harm when it is the gateway's
 * own; another one would be misunderstood.
 */
function checkAddress(locator: Locator, sides: readonly (GatewayIpv4 | GatewayIpv6 | undefined)[]): void {
  if (locator.address === '') return;
  const address = tryAddress(locator.address.replace(/^\[(.*)\]$/, '$1'));
  const isOwn = address !== undefined && sides.some((side) => side && sameBytes(side.router.address, address));
  if (!isOwn) throw addressIsAnOption(locator);
}

function tryAddress(text: string): Uint8Array | undefined {
  return text.includes('/') ? undefined : tryPrefix(text, 0)?.address;
}

function addressIsAnOption(locator: Locator): VdensError {
  const { address, scheme } = locator;
  const key = address.includes(':') ? 'addr6' : 'addr';
  const message = `the address of the gateway is an option. Write ${scheme}:///${key}=${address}`;
  return wrongLocator(locator.text, message, address);
}

function readIpv4(locator: Locator, isOn: boolean): GatewayIpv4 | undefined {
  if (!isOn) return refuseKeys(locator, [...IPV4.routerKeys, IPV4.nameServerKey, 'dhcp'], IPV4);
  const router = readRouter(locator, IPV4);
  const nameServer = readPlace(locator, IPV4.nameServerKey, IPV4.nameServer, router);
  const firstLease = readPlace(locator, 'dhcp', FIRST_LEASE, router);
  refuseClashes(locator, routerKey(locator, IPV4), router, [
    [IPV4.nameServerKey, nameServer],
    ['dhcp', firstLease],
  ]);
  return { router, nameServer, firstLease };
}

function readIpv6(locator: Locator, isOn: boolean): GatewayIpv6 | undefined {
  if (!isOn) return refuseKeys(locator, [...IPV6.routerKeys, IPV6.nameServerKey], IPV6);
  const router = readRouter(locator, IPV6);
  const nameServer = readPlace(locator, IPV6.nameServerKey, IPV6.nameServer, router);
  refuseClashes(locator, routerKey(locator, IPV6), router, [[IPV6.nameServerKey, nameServer]]);
  return { router, nameServer };
}

function refuseKeys(locator: Locator, keys: readonly string[], { number }: Family): undefined {
  const key = keys.find((one) => locator.options.has(one));
  if (key === undefined) return undefined;
  const other = number === 4 ? 6 : 4;
  const message = `"${key}" is about IPv${number}, and only "v${other}" is on. Leave one of them out`;
  throw wrongLocator(locator.text, message, key);
}

/** The name that was used of the two, and the first one when neither was. */
function routerKey({ options }: Locator, { routerKeys: [key, other] }: Family): string {
  return !options.has(key) && options.has(other) ? other : key;
}

function readRouter(locator: Locator, family: Family): IpPrefix {
  const [key, other] = family.routerKeys;
  const [text, otherText] = [locator.options.get(key), locator.options.get(other)];
  if (text !== undefined && otherText !== undefined && text !== otherText) {
    const message = `"${key}" and "${other}" are two names of one option, and say two things. Leave one of them out`;
    throw wrongLocator(locator.text, message, otherText);
  }
  const given = text ?? otherText;
  const usual = parsePrefix(family.router);
  if (given === undefined) return usual;
  const name = text === undefined ? other : key;
  const router = tryPrefix(given, usual.prefixLength);
  const example = `${name}=${family.router.replace('/', '%2f')}`;
  if (router?.address.length !== usual.address.length) {
    const what = `is not an address of IPv${family.number}, alone or with the length of its prefix`;
    throw wrongOption(locator, given, `${name} ${quote(given)} ${what}`, example);
  }
  const problem = problemOfRouter(router, family);
  if (problem !== undefined) throw wrongOption(locator, given, `${name} ${quote(given)} ${problem}`, example);
  return router;
}

function problemOfRouter(router: IpPrefix, { longestPrefix }: Family): string | undefined {
  const { address, prefixLength } = router;
  if (prefixLength < SHORTEST_PREFIX || prefixLength > longestPrefix) {
    return `has a prefix of ${prefixLength} bits, which is none from ${SHORTEST_PREFIX} to ${longestPrefix}`;
  }
  const isOfOneHost = !isMulticastIp(address) && !isUnspecifiedIp(address) && !isLoopbackIp(address);
  const isReserved = address.length === 4 && (address[0] === 0 || address[0]! >= 240);
  if (!isOfOneHost || isReserved) return 'is not an address that a router can have';
  if (isLinkLocalIp(address)) return 'is an address of one link alone, and nothing is routed from there';
  if (isWholeNetwork(router, address)) return 'stands for the whole network';
  return undefined;
}

function tryPrefix(text: string, usualLength: number): IpPrefix | undefined {
  try {
    return text.includes('/') ? parsePrefix(text) : { address: parseIp(text), prefixLength: usualLength };
  } catch (error) {
    if (error instanceof VdensError) return undefined;
    throw error;
  }
}

/** An address in the network of the guests, which is where the usual one would be when nothing is said. */
function readPlace(locator: Locator, key: string, usual: string, router: IpPrefix): Uint8Array {
  const text = locator.options.get(key);
  const place = combine(router, parseIp(usual));
  if (text === undefined) return place;
  const address = tryPrefix(text, 0)?.address;
  const example = `${key}=${formatIp(place)}`;
  if (address?.length !== place.length || text.includes('/')) {
    throw wrongOption(locator, text, `${key} ${quote(text)} is not an address of IPv${familyOf(place)}`, example);
  }
  if (prefixContains(router, address)) return address;
  const network = formatPrefix({ ...router, address: firstAddress(router) });
  throw wrongOption(locator, text, `${key} ${formatIp(address)} is not in the guests' network ${network}`, example);
}

/** One of the gateway's places, by the option that says where it is. */
type Place = readonly [key: string, address: Uint8Array];

/** Each of the places is one's own, and none stands for the whole network. */
function refuseClashes(locator: Locator, routerName: string, router: IpPrefix, places: readonly Place[]): void {
  const taken: Place[] = [[routerName, router.address]];
  for (const [key, address] of places) {
    const text = formatIp(address);
    const same = taken.find(([, other]) => sameBytes(other, address));
    if (same !== undefined) {
      const message = `"${same[0]}" and "${key}" are both at ${text}. Say another place for one of them`;
      throw wrongLocator(locator.text, message, text);
    }
    if (isWholeNetwork(router, address)) {
      const message = `"${key}" is at ${text}, which stands for the whole network. Say another place for it`;
      throw wrongLocator(locator.text, message, text);
    }
    taken.push([key, address]);
  }
}

function readMtu(locator: Locator, hasIpv6: boolean): number {
  // Of the two directions of one link; what is smaller is what fits both.
  const sizes = ['mtu', 'mru'].flatMap((key) => readPacketSize(locator, key));
  const mtu = sizes.length === 0 ? DEFAULT_MTU : Math.min(...sizes);
  if (!hasIpv6 || mtu >= SMALLEST_IPV6_MTU) return mtu;
  const message = `IPv6 needs an MTU of ${SMALLEST_IPV6_MTU} bytes or more. Write /v4 for IPv4 alone`;
  throw wrongLocator(locator.text, message, String(mtu));
}

/** None when it is not said, or 0. */
function readPacketSize(locator: Locator, key: string): number[] {
  const text = locator.options.get(key);
  if (text === undefined || text === '0') return [];
  const range = { smallest: SMALLEST_MTU, largest: LARGEST_MTU, example: DEFAULT_MTU };
  return [decimalOption(locator, key, range) ?? DEFAULT_MTU];
}

function readHostName(locator: Locator): string {
  const text = textOption(locator, 'hostname', DEFAULT_HOST_NAME) ?? DEFAULT_HOST_NAME;
  if (isDomain(text)) return text;
  throw wrongOption(
    locator,
    text,
    `hostname ${quote(text)} is not the name of a host`,
    `hostname=${DEFAULT_HOST_NAME}`,
  );
}

/** Of `vdomainname` there is one. */
function readDomains(locator: Locator, key: 'vdomainname' | 'vdnssearch'): string[] {
  const text = textOption(locator, key, 'example.org');
  if (text === undefined) return [];
  const domains = key === 'vdnssearch' ? text.split(',') : [text];
  const wrong = domains.find((domain) => !isDomain(domain));
  if (wrong !== undefined) {
    throw wrongOption(locator, text, `${key} ${quote(wrong)} is not the name of a domain`, `${key}=example.org`);
  }
  const names = domains.map((domain) => domain.replace(/\.$/, ''));
  // As they travel: a length before each part, and a zero after the last (RFC 1035, section 3.1; RFC 3397).
  const bytes = names.reduce((sum, name) => sum + name.length + 2, 0);
  if (bytes <= LONGEST_TEXT) return names;
  const problem = `${key} has more domains than the ${LONGEST_TEXT} bytes of a DHCP option have room for`;
  throw wrongOption(locator, text, problem, `${key}=example.org`);
}

function isDomain(text: string): boolean {
  const labels = text.replace(/\.$/, '').split('.');
  const isLabel = (label: string): boolean => label.length <= LONGEST_LABEL && /^\w(?:[\w-]*\w)?$/.test(label);
  return text.length <= LONGEST_DOMAIN && labels.every(isLabel);
}

function readText(locator: Locator, key: string, example: string, longest: number): string | undefined {
  const text = textOption(locator, key, example);
  if (text === undefined || (/^[\x21-\x7e]+$/.test(text) && text.length <= longest)) return text;
  const problem = `${key} ${quote(text)} is not a word of ASCII with up to ${longest} characters`;
  throw wrongOption(locator, text, problem, `${key}=${example}`);
}

function readPath(locator: Locator, key: string, example: string): string | undefined {
  const text = textOption(locator, key, example);
  return text === undefined ? undefined : resolve(text);
}

function readDirectory(locator: Locator, key: string): string | undefined {
  const example = '%2fsrv%2ftftp';
  const path = readPath(locator, key, example);
  if (path === undefined || isDirectory(path)) return path;
  throw wrongOption(locator, path, `${key}: there is no directory ${path}`, `${key}=${example}`);
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
