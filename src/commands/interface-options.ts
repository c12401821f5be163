/**
 * The options that say what the interfaces are like: names, addresses, gateways, MAC and MTU.
 *
 * Values may begin with `IFACE=`; without it they are for the first interface.
 */

import { VdensError } from '../errors.ts';
import {
  formatIp,
  IPV4_LENGTH,
  IPV6_LENGTH,
  isLinkLocalIp,
  isMulticastIp,
  isUnspecifiedIp,
  parseIp,
  SMALLEST_IPV6_MTU,
} from '../net/ip.ts';
import { formatMac, isMulticastMac, parseMac } from '../net/mac.ts';
import { formatPrefix, type IpPrefix, parsePrefix, prefixContains } from '../net/prefix.ts';
import type { ParsedOptions } from './parse-options.ts';

/** What one interface is to be like; `undefined` leaves it to the kernel. */
export interface InterfaceRequest {
  /** Its name inside, 1 to 15 bytes. */
  readonly name: string;
  /** The network it is plugged into: a locator, or `=COMMAND`. */
  readonly network: string;
  readonly addresses: readonly IpPrefix[];
  /** Six bytes. */
  readonly mac: Uint8Array | undefined;
  /** In bytes. */
  readonly mtu: number | undefined;
}

/** A default route. */
export interface GatewayRequest {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** The name of the interface through which it is reached. */
  readonly iface: string;
}

type Values = ParsedOptions['values'];

/** IFNAMSIZ without the final NUL. */
const MAX_NAME_BYTES = 15;
/** What IPv4 needs (RFC 791), and the kernel's least for an Ethernet. */
const MIN_MTU = 68;
/** The most that the kernel's TAP takes: 65535 less an Ethernet header. */
const MAX_MTU = 65521;

/**
 * The names of so many interfaces: the prefix and a number from 0.
 *
 * @throws {VdensError} `ERR_USAGE` when the kernel would not take a name.
 */
export function interfaceNames(prefix: string, count: number): string[] {
  // '%' asks the kernel for a number of its own choice; ':' was the mark of alias interfaces.
  const bad = [...prefix].find((char) => /[\s/:%\p{Cc}]/u.test(char));
  if (prefix === '' || bad !== undefined) {
    const what = bad === undefined ? 'the prefix is empty' : `"${prefix}" has a ${JSON.stringify(bad)} in it`;
    throw new VdensError(
      'ERR_USAGE',
      `--iface: ${what}, which no interface name may have. Write, for example, -i eth`,
      { value: prefix },
    );
  }
  const names = Array.from({ length: count }, (_, index) => `${prefix}${index}`);
  const longest = names.at(-1) ?? `${prefix}0`;
  const length = Buffer.byteLength(longest);
  if (length > MAX_NAME_BYTES) {
    const message = `--iface: interface name too long: "${longest}" has ${length} bytes, the kernel takes at most ${MAX_NAME_BYTES}. Write, for example, -i eth`;
    throw new VdensError('ERR_USAGE', message, { value: longest });
  }
  return names;
}

/**
 * What each interface is to be like.
 *
 * @throws {VdensError} `ERR_USAGE` or `ERR_ADDRESS`, naming the option and the value.
 */
export function readInterfaces(
  values: Values,
  names: readonly string[],
  networks: readonly string[],
): InterfaceRequest[] {
  const addresses = new Map<string, IpPrefix[]>();
  for (const { iface, text } of settings(values, 'address', names)) {
    const list = addresses.get(iface) ?? [];
    for (const word of text.split(',')) list.push(newAddress(word, iface, list));
    addresses.set(iface, list);
  }
  const macs = single(settings(values, 'mac', names), 'mac', stationMac);
  const mtus = single(settings(values, 'mtu', names), 'mtu', mtuNumber);
  return names.map((name, index) => {
    const request = {
      name,
      network: networks[index]!,
      addresses: addresses.get(name) ?? [],
      mac: macs.get(name),
      mtu: mtus.get(name),
    };
    const ipv6 = request.addresses.find(({ address }) => address.length === IPV6_LENGTH);
    if (request.mtu !== undefined && request.mtu < SMALLEST_IPV6_MTU && ipv6 !== undefined) {
      const message = `--mtu: ${request.mtu} is too small for ${formatPrefix(ipv6)} on ${name}: IPv6 needs at least ${SMALLEST_IPV6_MTU}`;
      throw new VdensError('ERR_USAGE', message, { value: String(request.mtu) });
    }
    return request;
  });
}

/**
 * The default routes, with the interface behind which each gateway is.
 *
 * @throws {VdensError} `ERR_USAGE` or `ERR_ADDRESS` when there are two of a family, or no way to reach one.
 */
export function readGateways(values: Values, interfaces: readonly InterfaceRequest[]): GatewayRequest[] {
  const gateways: GatewayRequest[] = [];
  for (const text of values.get('gateway') ?? []) {
    if (interfaces.length === 0) throw noInterface('gateway', text);
    const address = inOption('gateway', text, parseIp);
    const shown = formatIp(address);
    if (isMulticastIp(address) || isUnspecifiedIp(address)) throw notOfOneHost('gateway', text, '10.0.0.1');
    if (gateways.some((other) => other.address.length === address.length)) {
      const message = `--gateway: ${shown} is the second of its family. Give one for IPv4 and one for IPv6`;
      throw new VdensError('ERR_USAGE', message, { value: text });
    }
    const iface = interfaces.find(({ addresses }) => addresses.some((prefix) => prefixContains(prefix, address)));
    const isLinkLocal = address.length === IPV6_LENGTH && isLinkLocalIp(address);
    if (iface === undefined && !isLinkLocal) throw unreachable(address, text);
    if (iface?.addresses.some((prefix) => formatIp(prefix.address) === shown) === true) {
      throw new VdensError(
        'ERR_USAGE',
        `--gateway: ${shown} is the address of ${iface.name} itself. Name the router's address`,
        { value: text },
      );
    }
    gateways.push({ address, iface: (iface ?? interfaces[0]!).name });
  }
  return gateways;
}

interface Setting {
  readonly iface: string;
  readonly text: string;
}

function settings(values: Values, option: string, names: readonly string[]): Setting[] {
  return (values.get(option) ?? []).map((value) => {
    const equals = value.lastIndexOf('=');
    const iface = equals === -1 ? names[0] : value.slice(0, equals);
    if (iface === undefined || names.length === 0) throw noInterface(option, value);
    if (!names.includes(iface)) {
      const message = `--${option}: there will be no interface "${iface}", but ${names.join(', ')}`;
      throw new VdensError('ERR_USAGE', message, { value: iface });
    }
    return { iface, text: value.slice(equals + 1) };
  });
}

/** Settings of which an interface has one at most. */
function single<T>(list: readonly Setting[], option: string, read: (text: string) => T): Map<string, T> {
  const found = new Map<string, T>();
  for (const { iface, text } of list) {
    if (found.has(iface)) {
      const message = `--${option}: "${text}" is the second one for ${iface}. Give one, or name another interface: --${option} IFACE=${text}`;
      throw new VdensError('ERR_USAGE', message, { value: text });
    }
    found.set(iface, read(text));
  }
  return found;
}

function newAddress(text: string, iface: string, earlier: readonly IpPrefix[]): IpPrefix {
  const prefix = inOption('address', text, parsePrefix);
  const { address } = prefix;
  const example = address.length === IPV4_LENGTH ? '10.0.0.1/24' : 'fd00::1/64';
  if (isMulticastIp(address) || isUnspecifiedIp(address)) throw notOfOneHost('address', text, example);
  if (earlier.some((other) => formatIp(other.address) === formatIp(address))) {
    throw new VdensError('ERR_USAGE', `--address: ${formatIp(address)} is given to ${iface} twice. Give it once`, {
      value: text,
    });
  }
  return prefix;
}

function stationMac(text: string): Uint8Array {
  const mac = inOption('mac', text, parseMac);
  if (isMulticastMac(mac) || mac.every((byte) => byte === 0)) {
    const message = `--mac: ${formatMac(mac)} is not the address of one station. Write, for example, 02:00:00:00:00:01`;
    throw new VdensError('ERR_ADDRESS', message, { value: text });
  }
  return mac;
}

function mtuNumber(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) >= MIN_MTU && Number(text) <= MAX_MTU) return Number(text);
  const message = `--mtu: "${text}" is not a number from ${MIN_MTU} to ${MAX_MTU}. Write, for example, --mtu 1500`;
  throw new VdensError('ERR_USAGE', message, { value: text });
}

function inOption<T>(option: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof VdensError)) throw error;
    throw new VdensError(error.code, `--${option}: ${error.message}`, { value: text, cause: error });
  }
}

function noInterface(option: string, value: string): VdensError {
  const remedy = `Name a network, for example: vdens --${option} ${value} vde:///run/sw`;
  return new VdensError(
    'ERR_USAGE',
    `--${option}: there is no interface for "${value}", as no network was named. ${remedy}`,
    { value },
  );
}

function notOfOneHost(option: string, text: string, example: string): VdensError {
  return new VdensError(
    'ERR_ADDRESS',
    `--${option}: "${text}" is not the address of one host. Write, for example, ${example}`,
    { value: text },
  );
}

function unreachable(address: Uint8Array, text: string): VdensError {
  const length = address.length === IPV4_LENGTH ? 24 : 64;
  const neighbour = Uint8Array.from(address, (byte, index) =>
    index === address.length - 1 ? (byte === 2 ? 3 : 2) : byte,
  );
  const remedy = `Add an address of its network, for example: --address ${formatIp(neighbour)}/${length}`;
  return new VdensError('ERR_USAGE', `--gateway: ${formatIp(address)} is in the network of no --address. ${remedy}`, {
    value: text,
  });
}
