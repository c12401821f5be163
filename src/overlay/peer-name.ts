/**
 * Peers as people write them: one in an option, many in a file.
 *
 * ```
 * 192.0.2.7        192.0.2.7:4789        box.example.org        box.example.org:4789
 * 2001:db8::7      [2001:db8::7]:4789    [2001:db8::7]
 * ```
 */
import { printable, quote, VdensError } from '../errors.ts';
import { isMulticastIp, isUnspecifiedIp } from '../net/ip.ts';
import { literalAddress } from './host.ts';
import type { PeerName } from './overlay-options.ts';

/** Peers of one network, those of its file included. */
export const MAX_PEERS = 1024;
/** The largest number of a UDP port. */
export const LARGEST_PORT = 65535;
/** Problems of one file that are told one by one. */
const MAX_PROBLEMS = 10;

/** What a file of peers says. */
export interface PeerListText {
  readonly peers: PeerName[];
  /** What is wrong with it, for people, each with the number of its line. */
  readonly problems: string[];
}

/**
 * Reads one peer.
 *
 * @throws VdensError `ERR_ADDRESS` when the text names no single host, or the port is not from 1 to 65535
 */
export function parsePeer(text: string, defaultPort: number): PeerName {
  const { host, port } = splitPort(text);
  const address = literalAddress(host);
  const isLimitedBroadcast = address?.length === 4 && address.every((byte) => byte === 255);
  if (address === undefined || !(isMulticastIp(address) || isUnspecifiedIp(address) || isLimitedBroadcast)) {
    return { host, port: port === undefined ? defaultPort : readPort(port, text) };
  }
  throw wrongPeer(text, 'is not the address of one host');
}

/**
 * Reads a file of peers: one on each line, `#` begins a comment. A line that is wrong is left out.
 */
export function parsePeerList(text: string, defaultPort: number): PeerListText {
  const peers: PeerName[] = [];
  const problems: string[] = [];
  let wrong = 0;
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/);
  for (const [index, line] of lines.entries()) {
    const word = line.split('#', 1)[0]!.trim();
    if (word === '') continue;
    if (peers.length === MAX_PEERS) {
      problems.push(`line ${index + 1}: these are more than ${MAX_PEERS} peers, and the rest is left out. Name fewer`);
      break;
    }
    const peer = tryParse(word, defaultPort);
    if (typeof peer !== 'string') peers.push(peer);
    else if (++wrong <= MAX_PROBLEMS) problems.push(`line ${index + 1}: ${peer}`);
  }
  if (wrong > MAX_PROBLEMS) problems.push(`${wrong - MAX_PROBLEMS} more lines are wrong. Is this a list of peers?`);
  return { peers, problems };
}

/** The peer, or what is wrong. */
function tryParse(word: string, defaultPort: number): PeerName | string {
  if (/\s/.test(word)) return `${quote(word)} is more than one word. Write one peer on each line`;
  try {
    return parsePeer(word, defaultPort);
  } catch (error) {
    if (!(error instanceof VdensError)) throw error;
    return printable(error.message);
  }
}

function splitPort(text: string): { host: string; port?: string } {
  if (text.startsWith('[')) {
    const [, host = '', port] = /^\[([^[\]]*:[^[\]]*)\](?::(.*))?$/s.exec(text) ?? [];
    if (host === '') throw wrongPeer(text, 'has brackets, but no IPv6 address in them');
    return port === undefined ? { host } : { host, port };
  }
  const colon = text.indexOf(':');
  // Two colons are an IPv6 address, and there is no telling where a port would begin.
  if (colon === -1 || colon !== text.lastIndexOf(':')) return { host: text };
  return { host: text.slice(0, colon), port: text.slice(colon + 1) };
}

function readPort(port: string, text: string): number {
  const number = /^\d+$/.test(port) ? Number(port) : 0;
  if (number >= 1 && number <= LARGEST_PORT) return number;
  throw wrongPeer(text, `has no port from 1 to ${LARGEST_PORT} after its colon`);
}

function wrongPeer(text: string, what: string): VdensError {
  const message = `${quote(text)} ${what}. Write, for example, 192.0.2.7:4789, [2001:db8::7]:4789 or a name`;
  return new VdensError('ERR_ADDRESS', message, { value: text });
}
