/**
 * What the locator of a line over UDP says: `udp://[ADDRESS:]PORT->ADDRESS:PORT`, ours first.
 *
 * The port stands after the last colon, so `::1:5` is port 5 of `::1`; brackets make that plain, `[::1]:5`.
 */
import { quote, VdensError } from '../errors.ts';
import { isLinkLocalIp, isMulticastIp, isUnspecifiedIp } from '../net/ip.ts';
import { familyOf, literalAddress } from '../overlay/host.ts';
import type { UdpLineOptions } from '../overlay/overlay-options.ts';
import { LARGEST_PORT } from '../overlay/peer-name.ts';
import type { Locator } from './locator.ts';
import { wrongLocator } from './wrong-locator.ts';

/** What the shell has to be given: it takes a bare `>` for itself. */
const EXAMPLE = "'udp://5000->192.0.2.7:5000'";

/** One side of the arrow. */
interface LineEnd {
  readonly text: string;
  readonly host: string;
  readonly service: string;
  /** Absent when the host is a name, or nothing. */
  readonly address: Uint8Array | undefined;
}

/**
 * What a `udp://` says. Names of hosts and of services are looked up by whoever opens it; an address may have a zone.
 *
 * @throws VdensError `ERR_LOCATOR` when it is no line between two
 */
export function udpOptions(locator: Locator): UdpLineOptions {
  const arrow = locator.address.indexOf('->');
  if (arrow === -1) throw wrong(locator, locator.address, 'there is no "->" in it, or the shell took it');
  const source = readEnd(locator, locator.address.slice(0, arrow), 'before "->" is not PORT or ADDRESS:PORT');
  const notOne = 'after "->" is not ADDRESS:PORT';
  const destination = readEnd(locator, locator.address.slice(arrow + 2), notOne);
  if (destination.host === '') throw wrong(locator, destination.text, `${quote(destination.text)} ${notOne}`);
  refuseSource(locator, source);
  refuseDestination(locator, destination);
  if (source.address && destination.address && familyOf(source.address) !== familyOf(destination.address)) {
    throw wrong(locator, source.host, 'one address is IPv4, the other IPv6, and a line is either');
  }
  const [zone, other] = [zoneOf(source.host), zoneOf(destination.host)];
  if (zone !== undefined && other !== undefined && zone !== other) {
    throw wrong(locator, source.host, `one address is on ${zone}, the other on ${other}, and a line is on one link`);
  }
  return {
    source: { ...(source.host === '' ? {} : { host: source.host }), service: source.service },
    destination: { host: destination.host, service: destination.service },
  };
}

function readEnd(locator: Locator, text: string, syntax: string): LineEnd {
  const [, inBrackets, itsService] = /^\[([^[\]]*:[^[\]]*)\]:([^:]*)$/.exec(text) ?? [];
  const colon = text.lastIndexOf(':');
  const host = inBrackets ?? text.slice(0, Math.max(colon, 0));
  const service = itsService ?? text.slice(colon + 1);
  const isNumber = /^\d+$/.test(service);
  if (isNumber && Number(service) > LARGEST_PORT) {
    throw wrong(locator, service, `${quote(service)} is not a port: the largest is ${LARGEST_PORT}`);
  }
  // The names of services are letters, digits and hyphens (RFC 6335, section 5.1); those in use have a few more.
  if (!isNumber && !/^(?=.*[a-z])[\da-z][\w.+-]*$/i.test(service))
    throw wrong(locator, text, `${quote(text)} ${syntax}`);
  return { text, host, service, address: host === '' ? undefined : addressOf(locator, host) };
}

function addressOf(locator: Locator, host: string): Uint8Array | undefined {
  const [, address = host, zone] = /^(.*:.*)%([^\s%/:]+)$/s.exec(host) ?? [];
  const bytes = tryLiteral(locator, address);
  const needsZone = bytes !== undefined && familyOf(bytes) === 6 && isLinkLocalIp(bytes);
  if (needsZone && zone === undefined) {
    throw wrong(locator, host, `${quote(host)} is on every link: say on which, as in [${host}%eth0]:5000`);
  }
  if (!needsZone && zone !== undefined) throw wrong(locator, host, `${quote(host)} has a zone that it does not need`);
  return bytes;
}

function zoneOf(host: string): string | undefined {
  return /%(.*)$/s.exec(host)?.[1];
}

function tryLiteral(locator: Locator, host: string): Uint8Array | undefined {
  try {
    return literalAddress(host);
  } catch (error) {
    if (!(error instanceof VdensError)) throw error;
    throw wrong(locator, host, `${quote(host)} is neither an address nor a name. The port follows the last colon`);
  }
}

function refuseSource(locator: Locator, { host, address }: LineEnd): void {
  if (address === undefined || !isMulticastIp(address)) return;
  throw wrong(locator, host, `${quote(host)} is a multicast group, and nobody can send from one`);
}

function refuseDestination(locator: Locator, { host, service, address }: LineEnd): void {
  if (/^0+$/.test(service)) throw wrong(locator, service, 'nobody can be reached at port 0');
  if (address === undefined) return;
  if (isMulticastIp(address)) {
    throw wrong(locator, host, `${quote(host)} is a multicast group. For many hosts, take vxvde://${host}`);
  }
  const isBroadcast = address.length === 4 && address.every((byte) => byte === 255);
  if (isBroadcast || isUnspecifiedIp(address))
    throw wrong(locator, host, `${quote(host)} is not the address of one host`);
}

function wrong(locator: Locator, value: string, problem: string): VdensError {
  return wrongLocator(locator.text, `${problem}. Write, in quotes, ${EXAMPLE}`, value);
}
