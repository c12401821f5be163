/**
 * A port that is to lead to a guest, as it is typed: what podman, docker and ssh take.
 *
 * ```
 * 80                           a port of the guest, and any of the host
 * 8080:80                      HOST-PORT:GUEST-PORT
 * 127.0.0.1:8080:80            HOST-ADDRESS:HOST-PORT:GUEST-PORT
 * 8080:10.0.2.16:80            HOST-PORT:GUEST-ADDRESS:GUEST-PORT
 * [::1]:8080:[fd00::15]:80/udp with both; IPv6 addresses stand in brackets
 * ```
 */
import { VdensError } from '../errors.ts';
import { formatIp, parseIp } from '../net/ip.ts';

const LARGEST_PORT = 65_535;

/** What a word says; what it does not say is absent. */
export interface ForwardSpec {
  /** As it was typed. */
  readonly text: string;
  readonly protocol?: 'tcp' | 'udp';
  readonly hostAddress?: string;
  readonly hostPort?: number;
  readonly guestAddress?: string;
  readonly guestPort: number;
}

/**
 * Reads such a word.
 *
 * @throws VdensError `ERR_USAGE` when it makes no sense, `ERR_ADDRESS` for an address that is none
 */
export function readForward(text: string): ForwardSpec {
  const [, places = '', protocol] = /^(.*?)(?:\/(tcp|udp))?$/s.exec(text) ?? [];
  const parts = places.match(/\[[^\]]*\]|[^:]+/g) ?? [];
  if (parts.join(':') !== places || parts.length === 0) throw wrong(text, 'it is no forward');
  const guestPort = readPort(text, parts.pop() ?? '', 1);
  const guestAddress = isAddress(parts.at(-1)) ? readAddress(parts.pop() ?? '') : undefined;
  const hostPort = parts.length === 0 ? undefined : readPort(text, parts.pop() ?? '', 0);
  const hostAddress = parts.length === 0 ? undefined : readAddress(parts.pop() ?? '');
  if (parts.length > 0) throw wrong(text, 'it has more than two addresses and two ports');
  return {
    text,
    guestPort,
    ...(protocol !== undefined && { protocol: protocol as 'tcp' | 'udp' }),
    ...(hostAddress !== undefined && { hostAddress }),
    ...(hostPort !== undefined && { hostPort }),
    ...(guestAddress !== undefined && { guestAddress }),
  };
}

/** Only ports have nothing but digits. */
function isAddress(part: string | undefined): boolean {
  return part !== undefined && !/^\d+$/.test(part);
}

function readAddress(part: string): string {
  const text = part.startsWith('[') ? part.slice(1, -1) : part;
  // As podman has it, and a form for every address.
  return text === '*' ? '0.0.0.0' : formatIp(parseIp(text));
}

function readPort(text: string, part: string, smallest: number): number {
  const port = Number(part);
  if (/^\d{1,5}$/.test(part) && port >= smallest && port <= LARGEST_PORT) return port;
  throw wrong(text, `"${part}" is no port from ${smallest} to ${LARGEST_PORT}`);
}

function wrong(text: string, problem: string): VdensError {
  const remedy = 'Write, for example, 8080:80, 127.0.0.1:8080:80, 5353:53/udp, 8080:10.0.2.16:80';
  return new VdensError('ERR_USAGE', `"${text}": ${problem}. ${remedy}`, { value: text });
}
