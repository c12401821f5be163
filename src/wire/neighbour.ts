/**
 * Neighbour discovery for IPv6 (RFC 4861): who has an address, who is a router, and what it knows: prefixes, MTU,
 * resolvers (RFC 8106). In both directions.
 *
 * A message counts only when its packet has hop limit 255, that is, when it comes from this link; the caller looks.
 */
import {
  checksumOf,
  concatenate,
  pseudoHeader,
  read16,
  read32,
  type TransportPath,
  write16,
  write32,
} from './bytes.ts';
import { emitDomainNames, parseDomainNames } from './domain-name.ts';

export const IP_PROTOCOL_ICMPV6 = 58;
/** The only one that neighbour discovery has (RFC 4861, 6.1 and 7.1). */
export const NEIGHBOUR_HOP_LIMIT = 255;

const ROUTER_SOLICITATION = 133;
const ROUTER_ADVERTISEMENT = 134;
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;

const SOURCE_LINK_ADDRESS = 1;
const TARGET_LINK_ADDRESS = 2;
const PREFIX = 3;
const MTU = 5;
const NAME_SERVERS = 25;
const SEARCH_DOMAINS = 31;

const CHECKSUM = 2;
const ADDRESS_LENGTH = 16;
const MAC_LENGTH = 6;
/** Options are counted in these. */
const UNIT = 8;
const PREFIX_LENGTH = 32;
const IS_ON_LINK = 0x80;
const IS_AUTONOMOUS = 0x40;
const IS_MANAGED = 0x80;
const HAS_OTHER = 0x40;
const IS_ROUTER = 0x80;
const IS_SOLICITED = 0x40;
const IS_OVERRIDE = 0x20;
/** Of each kind in one message. */
const MAX_OPTIONS = 32;

/** A prefix that a router tells of. */
export interface AdvertisedPrefix {
  /** 16 bytes; those behind the prefix do not count. */
  readonly prefix: Uint8Array;
  /** In bits. */
  readonly prefixLength: number;
  /** Its addresses are reached without a router. */
  readonly isOnLink: boolean;
  /** Hosts make themselves an address of it (RFC 4862). */
  readonly isAutonomous: boolean;
  /** Seconds; 0xffffffff for ever. */
  readonly validLifetime: number;
  /** Seconds. */
  readonly preferredLifetime: number;
}

/** Resolvers that a router tells of. */
export interface AdvertisedNameServers {
  /** Seconds; 0 takes them back. */
  readonly lifetime: number;
  /** 16 bytes each; at least one. */
  readonly addresses: readonly Uint8Array[];
}

/** Domains to search in that a router tells of. */
export interface AdvertisedSearchDomains {
  /** Seconds; 0 takes them back. */
  readonly lifetime: number;
  /** At least one. */
  readonly names: readonly string[];
}

/** Asks for routers. */
export interface RouterSolicitation {
  readonly kind: 'router-solicitation';
  /** 6 bytes. */
  readonly sourceMac?: Uint8Array;
}

/** What a router says of itself and the network. */
export interface RouterAdvertisement {
  readonly kind: 'router-advertisement';
  /** For the packets of hosts; 0 says nothing. */
  readonly hopLimit: number;
  /** Addresses are to be had by DHCPv6. */
  readonly isManaged: boolean;
  /** Other things are to be had by DHCPv6. */
  readonly hasOtherConfiguration: boolean;
  /** Seconds for which it is a default router; 0: it is none. */
  readonly lifetime: number;
  /** Milliseconds; 0 says nothing. */
  readonly reachableTime: number;
  /** Milliseconds; 0 says nothing. */
  readonly retransmissionTime: number;
  readonly sourceMac?: Uint8Array;
  readonly mtu?: number;
  readonly prefixes: readonly AdvertisedPrefix[];
  readonly nameServers: readonly AdvertisedNameServers[];
  readonly searchDomains: readonly AdvertisedSearchDomains[];
}

/** Asks who has an address. */
export interface NeighbourSolicitation {
  readonly kind: 'neighbour-solicitation';
  /** 16 bytes. */
  readonly target: Uint8Array;
  readonly sourceMac?: Uint8Array;
}

/** Says who has an address. */
export interface NeighbourAdvertisement {
  readonly kind: 'neighbour-advertisement';
  readonly isRouter: boolean;
  /** It is the answer to a solicitation. */
  readonly isSolicited: boolean;
  /** It counts more than what was known. */
  readonly isOverride: boolean;
  readonly target: Uint8Array;
  readonly targetMac?: Uint8Array;
}

/** A message of either direction. */
export type NeighbourMessage =
  | RouterSolicitation
  | RouterAdvertisement
  | NeighbourSolicitation
  | NeighbourAdvertisement;

/** Reads a whole ICMPv6 message; undefined when it is another one, broken, or its checksum is wrong. */
export function parseNeighbour(message: Uint8Array, path: TransportPath): NeighbourMessage | undefined {
  if (message.length < 8 || message[1] !== 0) return undefined;
  if (checksumOf(pseudoHeader(path, IP_PROTOCOL_ICMPV6, message.length), message) !== 0) return undefined;
  switch (message[0]) {
    case ROUTER_SOLICITATION: {
      const options = parseOptions(message, 8);
      return options && { kind: 'router-solicitation', ...macOption(options, SOURCE_LINK_ADDRESS, 'sourceMac') };
    }
    case ROUTER_ADVERTISEMENT:
      return parseRouterAdvertisement(message);
    case NEIGHBOUR_SOLICITATION: {
      const target = message.slice(8, 8 + ADDRESS_LENGTH);
      const options = parseOptions(message, 8 + ADDRESS_LENGTH);
      if (options === undefined) return undefined;
      return { kind: 'neighbour-solicitation', target, ...macOption(options, SOURCE_LINK_ADDRESS, 'sourceMac') };
    }
    case NEIGHBOUR_ADVERTISEMENT: {
      const target = message.slice(8, 8 + ADDRESS_LENGTH);
      const options = parseOptions(message, 8 + ADDRESS_LENGTH);
      if (options === undefined) return undefined;
      const flags = message[4]!;
      return {
        kind: 'neighbour-advertisement',
        isRouter: (flags & IS_ROUTER) !== 0,
        isSolicited: (flags & IS_SOLICITED) !== 0,
        isOverride: (flags & IS_OVERRIDE) !== 0,
        target,
        ...macOption(options, TARGET_LINK_ADDRESS, 'targetMac'),
      };
    }
    default:
      return undefined;
  }
}

/** Makes an ICMPv6 message with its checksum. */
export function emitNeighbour(message: NeighbourMessage, path: TransportPath): Uint8Array {
  const bytes = concatenate(...partsOf(message));
  write16(bytes, CHECKSUM, checksumOf(pseudoHeader(path, IP_PROTOCOL_ICMPV6, bytes.length), bytes));
  return bytes;
}

/** The group in which the holder of an address listens: ff02::1:ffXX:XXXX (RFC 4291, 2.7.1). */
export function solicitedNodeGroup(address: Uint8Array): Uint8Array {
  const group = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0);
  group.set(address.subarray(13), 13);
  return group;
}

/** The MAC address of a group (RFC 2464, 7). */
export function groupMac(group: Uint8Array): Uint8Array {
  return concatenate(Uint8Array.of(0x33, 0x33), group.subarray(12));
}

interface Option {
  readonly type: number;
  /** With type and length, so that offsets are those of the specification. */
  readonly bytes: Uint8Array;
}

/** Options to the end; undefined when one has no length or does not fit (RFC 4861, 4.6). */
function parseOptions(message: Uint8Array, start: number): Option[] | undefined {
  if (message.length < start) return undefined;
  const options: Option[] = [];
  let at = start;
  while (at < message.length) {
    const length = (message[at + 1] ?? 0) * UNIT;
    if (length === 0 || message.length < at + length) return undefined;
    options.push({ type: message[at]!, bytes: message.slice(at, at + length) });
    at += length;
  }
  return options;
}

function macOption<Name extends string>(
  options: readonly Option[],
  type: number,
  name: Name,
): { [K in Name]?: Uint8Array } {
  const found = options.find((option) => option.type === type && option.bytes.length === UNIT);
  return (found === undefined ? {} : { [name]: found.bytes.slice(2, 2 + MAC_LENGTH) }) as { [K in Name]?: Uint8Array };
}

function parseRouterAdvertisement(message: Uint8Array): RouterAdvertisement | undefined {
  const options = parseOptions(message, 16);
  if (options === undefined) return undefined;
  const mtu = options.find(({ type, bytes }) => type === MTU && bytes.length === UNIT);
  const all = (wanted: number, smallest: number): Uint8Array[] =>
    options
      .filter(({ type, bytes }) => type === wanted && bytes.length >= smallest)
      .slice(0, MAX_OPTIONS)
      .map(({ bytes }) => bytes);
  return {
    kind: 'router-advertisement',
    hopLimit: message[4]!,
    isManaged: (message[5]! & IS_MANAGED) !== 0,
    hasOtherConfiguration: (message[5]! & HAS_OTHER) !== 0,
    lifetime: read16(message, 6),
    reachableTime: read32(message, 8),
    retransmissionTime: read32(message, 12),
    ...macOption(options, SOURCE_LINK_ADDRESS, 'sourceMac'),
    ...(mtu && { mtu: read32(mtu.bytes, 4) }),
    prefixes: all(PREFIX, PREFIX_LENGTH)
      .map(parsePrefix)
      .filter(({ prefixLength }) => prefixLength <= 128),
    nameServers: all(NAME_SERVERS, UNIT + ADDRESS_LENGTH).map(parseNameServers),
    searchDomains: all(SEARCH_DOMAINS, 2 * UNIT)
      .map(parseSearchDomains)
      .filter(({ names }) => names.length > 0),
  };
}

function parsePrefix(option: Uint8Array): AdvertisedPrefix {
  return {
    prefix: option.slice(16, 32),
    prefixLength: option[2]!,
    isOnLink: (option[3]! & IS_ON_LINK) !== 0,
    isAutonomous: (option[3]! & IS_AUTONOMOUS) !== 0,
    validLifetime: read32(option, 4),
    preferredLifetime: read32(option, 8),
  };
}

function parseNameServers(option: Uint8Array): AdvertisedNameServers {
  const count = Math.min(MAX_OPTIONS, Math.floor((option.length - UNIT) / ADDRESS_LENGTH));
  const start = (i: number): number => UNIT + i * ADDRESS_LENGTH;
  const addresses = Array.from({ length: count }, (_, i) => option.slice(start(i), start(i + 1)));
  return { lifetime: read32(option, 4), addresses };
}

function parseSearchDomains(option: Uint8Array): AdvertisedSearchDomains {
  return { lifetime: read32(option, 4), names: parseDomainNames(option.subarray(UNIT)) };
}

function partsOf(message: NeighbourMessage): Uint8Array[] {
  switch (message.kind) {
    case 'router-solicitation':
      return [Uint8Array.of(ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0), emitMac(SOURCE_LINK_ADDRESS, message.sourceMac)];
    case 'router-advertisement':
      return routerAdvertisementParts(message);
    case 'neighbour-solicitation': {
      const header = Uint8Array.of(NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0);
      return [header, message.target, emitMac(SOURCE_LINK_ADDRESS, message.sourceMac)];
    }
    case 'neighbour-advertisement': {
      const { isRouter, isSolicited, isOverride } = message;
      const flags = (isRouter ? IS_ROUTER : 0) | (isSolicited ? IS_SOLICITED : 0) | (isOverride ? IS_OVERRIDE : 0);
      const header = Uint8Array.of(NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0);
      return [header, message.target, emitMac(TARGET_LINK_ADDRESS, message.targetMac)];
    }
  }
}

function routerAdvertisementParts(message: RouterAdvertisement): Uint8Array[] {
  const header = new Uint8Array(16);
  header[0] = ROUTER_ADVERTISEMENT;
  header[4] = message.hopLimit;
  header[5] = (message.isManaged ? IS_MANAGED : 0) | (message.hasOtherConfiguration ? HAS_OTHER : 0);
  write16(header, 6, message.lifetime);
  write32(header, 8, message.reachableTime);
  write32(header, 12, message.retransmissionTime);
  return [
    header,
    emitMac(SOURCE_LINK_ADDRESS, message.sourceMac),
    message.mtu === undefined ? new Uint8Array() : emitOption(MTU, 0, message.mtu),
    ...message.prefixes.map(emitPrefix),
    ...message.nameServers.map(({ lifetime, addresses }) => emitOption(NAME_SERVERS, 0, lifetime, ...addresses)),
    ...message.searchDomains.map(({ lifetime, names }) =>
      emitOption(SEARCH_DOMAINS, 0, lifetime, padded(emitDomainNames(names))),
    ),
  ];
}

function emitMac(type: number, mac: Uint8Array | undefined): Uint8Array {
  return mac === undefined ? new Uint8Array() : concatenate(Uint8Array.of(type, 1), mac);
}

function emitPrefix(prefix: AdvertisedPrefix): Uint8Array {
  const flags = (prefix.isOnLink ? IS_ON_LINK : 0) | (prefix.isAutonomous ? IS_AUTONOMOUS : 0);
  const rest = new Uint8Array(8);
  write32(rest, 0, prefix.preferredLifetime);
  return emitOption(PREFIX, (prefix.prefixLength << 8) | flags, prefix.validLifetime, rest, prefix.prefix);
}

/** An option: type, length, 16 bits, 32 bits, and the rest, a multiple of 8 bytes. */
function emitOption(type: number, word: number, long: number, ...rest: readonly Uint8Array[]): Uint8Array {
  const bytes = concatenate(new Uint8Array(UNIT), ...rest);
  bytes[0] = type;
  bytes[1] = bytes.length / UNIT;
  write16(bytes, 2, word);
  write32(bytes, 4, long);
  return bytes;
}

function padded(bytes: Uint8Array): Uint8Array {
  return concatenate(bytes, new Uint8Array(-bytes.length & (UNIT - 1)));
}
