/**
 * Forwards as the options of `slirp://` say them, in lists with commas between:
 *
 * ```
 * tcpfwd=8080:10.0.2.15:80          [HOST-ADDRESS:]HOST-PORT:GUEST-ADDRESS:GUEST-PORT; udpfwd too
 * tcpfwd=[::1]:8080:[fd00::15]:80   IPv6 addresses stand in brackets
 * unixfwd=[GUEST-ADDRESS:]PORT:PATH
 * cmdfwd=[GUEST-ADDRESS:]PORT:COMMAND
 * ```
 */
import { quote, VdensError } from '../errors.ts';
import type { GatewayIpv4, PortForward, ServiceForward } from '../gateway/gateway-config.ts';
import { type GuestNetworks, problemOfGuest, problemOfHost } from '../gateway/guest-address.ts';
import { formatIp, IPV6_LENGTH, isMulticastIp, parseIp, parseIpv4 } from '../net/ip.ts';
import { combine } from '../net/subnet.ts';
import { LARGEST_PORT } from '../overlay/peer-name.ts';
import { LONGEST_UNIX_PATH } from '../system/unix-address.ts';
import { splitCommandLine } from './command-line.ts';
import type { Locator } from './locator.ts';
import { wrongOption } from './wrong-locator.ts';

/** Of one gateway, of all kinds. */
const MAX_FORWARDS = 128;
/** Where services are when no address is said: the fourth of the network, as with the originals. */
const SERVICE_HOST = Uint8Array.of(0, 0, 0, 4);

/** One item of a list that is being read. */
interface Item {
  readonly locator: Locator;
  readonly key: string;
  readonly text: string;
  /** An item that is right. */
  readonly example: string;
}

/**
 * The ports of the host that `tcpfwd` and `udpfwd` lead to guests.
 *
 * @throws VdensError `ERR_LOCATOR` when one makes no sense, or two are for one port
 */
export function readPortForwards(locator: Locator, networks: GuestNetworks): PortForward[] {
  const forwards = (['tcp', 'udp'] as const).flatMap((protocol) => {
    const guest = networks.ipv4 === undefined ? '[fd00::15]' : formatIp(networks.ipv4.firstLease);
    const items = itemsOf(locator, `${protocol}fwd`, `8080:${guest}:80`, ',');
    return items.map((item) => ({ item, forward: readPortForward(item, protocol, networks) }));
  });
  const seen = new Set<string>();
  for (const { item, forward } of forwards) {
    const { protocol, hostAddress, hostPort } = forward;
    const place = `${protocol} ${formatIp(hostAddress)} ${hostPort}`;
    if (hostPort !== 0 && seen.has(place)) throw wrong(item, `the host's port ${hostPort} is forwarded twice`);
    seen.add(place);
  }
  return forwards.map(({ forward }) => forward);
}

/**
 * The sockets and commands that `unixfwd` and `cmdfwd` put into the network of the guests.
 *
 * @throws VdensError `ERR_LOCATOR` when one makes no sense, or two are in one place
 */
export function readServiceForwards(locator: Locator, { ipv4 }: GuestNetworks): ServiceForward[] {
  const unix = itemsOf(locator, 'unixfwd', '80:%2frun%2fweb.sock', ',');
  // A command may have commas of its own: only one before a port begins the next item.
  const commands = itemsOf(locator, 'cmdfwd', '7:cat', /,(?=(?:[\d.]+:)?\d+:)/);
  if (unix.length + commands.length > MAX_FORWARDS) {
    const problem = `${unix.length + commands.length} services are more than ${MAX_FORWARDS}`;
    throw wrongOption(locator, locator.text, problem, 'cmdfwd=7:cat');
  }
  const seen = new Set<string>();
  return [...unix, ...commands].map((item) => {
    const forward = readServiceForward(item, ipv4);
    const place = `${formatIp(forward.address)}:${forward.port}`;
    if (seen.has(place)) throw wrong(item, `two services are at ${place}`);
    seen.add(place);
    return forward;
  });
}

function itemsOf(locator: Locator, key: string, example: string, separator: string | RegExp): Item[] {
  const value = locator.options.get(key);
  if (value === undefined) return [];
  const texts = value.split(separator);
  if (texts.length > MAX_FORWARDS) {
    const problem = `${texts.length} forwards in "${key}" are more than ${MAX_FORWARDS}`;
    throw wrongOption(locator, value, problem, `${key}=${example}`);
  }
  return texts.map((text) => ({ locator, key, text, example }));
}

function readPortForward(item: Item, protocol: 'tcp' | 'udp', networks: GuestNetworks): PortForward {
  const address = String.raw`\[[^\]]*\]|[^:[\]]*`;
  const form = new RegExp(`^(?:(${address}):)?([^:]*):(${address}):([^:]*)$`);
  const [, host, hostPort, guest, guestPort] = form.exec(item.text) ?? [];
  if (hostPort === undefined || guest === undefined || guestPort === undefined) {
    const syntax = '[HOST-ADDRESS:]HOST-PORT:GUEST-ADDRESS:GUEST-PORT';
    const hint = /:.*:.*:.*:/.test(item.text) ? ', with IPv6 addresses in brackets' : '';
    throw wrong(item, `${key(item)} is not ${syntax}${hint}`);
  }
  const guestAddress = addressOf(item, guest);
  refuse(item, problemOfGuest(networks, guestAddress));
  const hostAddress = host === undefined || host === '' ? new Uint8Array(guestAddress.length) : addressOf(item, host);
  if (isMulticastIp(hostAddress) || hostAddress.every((byte) => byte === 255)) {
    throw wrong(item, `${formatIp(hostAddress)} is not the address of one host`);
  }
  return {
    protocol,
    hostAddress,
    hostPort: portOf(item, hostPort, 0),
    guestAddress,
    guestPort: portOf(item, guestPort, 1),
  };
}

function readServiceForward(item: Item, ipv4: GatewayIpv4 | undefined): ServiceForward {
  if (ipv4 === undefined) throw wrong(item, `services need IPv4, and only "v6" is on. Take "v6" away, or add "v4"`);
  const [, address, port, target] = /^(?:([^:]*\.[^:]*):)?([^:]*):(.+)$/s.exec(item.text) ?? [];
  if (port === undefined || target === undefined) {
    const what = item.key === 'unixfwd' ? 'PATH' : 'COMMAND';
    throw wrong(item, `${key(item)} is not [ADDRESS:]PORT:${what}`);
  }
  const place = address === undefined ? combine(ipv4.router, SERVICE_HOST) : addressOf(item, address);
  refuse(item, problemOfHost(ipv4.router, place));
  return { address: place, port: portOf(item, port, 1), to: targetOf(item, target) };
}

function targetOf(item: Item, target: string): ServiceForward['to'] {
  if (item.key === 'unixfwd') return { kind: 'unix', path: socketPathOf(item, target) };
  try {
    return { kind: 'command', words: splitCommandLine(target) };
  } catch (error) {
    if (error instanceof VdensError) throw wrong(item, error.message);
    throw error;
  }
}

function socketPathOf(item: Item, path: string): string {
  const bytes = Buffer.byteLength(path);
  if (bytes <= LONGEST_UNIX_PATH) return path;
  const problem = `unixfwd: the path of a socket has ${LONGEST_UNIX_PATH} bytes at most, this one has ${bytes}`;
  throw wrong(item, problem);
}

function refuse(item: Item, problem: string | undefined): void {
  if (problem !== undefined) throw wrong(item, problem);
}

function addressOf(item: Item, text: string): Uint8Array {
  const isBracketed = text.startsWith('[');
  try {
    const address = isBracketed ? parseIp(text.slice(1, -1)) : parseIpv4(text);
    if (!isBracketed || address.length === IPV6_LENGTH) return address;
  } catch (error) {
    if (!(error instanceof VdensError)) throw error;
  }
  throw wrong(item, `${quote(text)} is not ${isBracketed ? 'an IPv6 address in brackets' : 'an IPv4 address'}`);
}

function portOf(item: Item, text: string, smallest: number): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port >= smallest && port <= LARGEST_PORT) return port;
  throw wrong(item, `${quote(text)} is not a port from ${smallest} to ${LARGEST_PORT}`);
}

function key(item: Item): string {
  return `${item.key} ${quote(item.text)}`;
}

function wrong(item: Item, problem: string): VdensError {
  return wrongOption(item.locator, item.text, problem, `${item.key}=${item.example}`);
}
