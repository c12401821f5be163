/**
 * What is said about the forwards of a gateway on a control socket (control/message.ts).
 *
 * ```
 * {"version":1,"do":"add","protocol":"tcp","hostPort":8080,"guestAddress":"10.0.2.15","guestPort":80}
 * {"version":1,"forwards":[{"id":1,"protocol":"tcp","hostAddress":"0.0.0.0","hostPort":8080,…}]}
 * {"do":"list"}
 * {"do":"remove","id":1}
 * {"version":1,"error":{"code":"ERR_USAGE","message":"there is no forward 7"}}
 * ```
 *
 * An answer has the forwards that were added, are there, or were removed.
 */
import { isObject, shown, WrongRequest } from '../control/message.ts';
import { quote } from '../errors.ts';
import { formatIp, parseIp } from '../net/ip.ts';
import type { ForwardInfo } from './forwards.ts';
import type { PortForward } from './gateway-config.ts';

/** What a gateway can be asked for while it runs. */
export type ControlRequest =
  | {
      readonly do: 'add';
      readonly protocol: 'tcp' | 'udp';
      /** An address of the host. Absent: every one of the guest's family. */
      readonly hostAddress?: string;
      /** 0 for one that the kernel chooses. */
      readonly hostPort: number;
      readonly guestAddress: string;
      readonly guestPort: number;
    }
  | { readonly do: 'list' }
  | { readonly do: 'remove'; readonly id: number };

/** A forward as it is written on the control socket. */
export interface ControlForward {
  readonly id: number;
  readonly protocol: 'tcp' | 'udp';
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly guestAddress: string;
  readonly guestPort: number;
}

/** The keys of each request, and which may be left out. */
const KEYS: Readonly<Record<ControlRequest['do'], readonly string[]>> = {
  add: ['protocol', 'hostAddress', 'hostPort', 'guestAddress', 'guestPort'],
  list: [],
  remove: ['id'],
};
const OPTIONAL_KEYS: ReadonlySet<string> = new Set(['hostAddress']);

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Reads what a request says besides what is to be done.
 *
 * @throws WrongRequest when a key is missing, unknown, or has a value of the wrong type
 */
export function readRequest(action: ControlRequest['do'], fields: JsonObject): ControlRequest {
  const keys = KEYS[action];
  const unknown = Object.keys(fields).find((key) => !keys.includes(key));
  if (unknown !== undefined) throw wrong(fields, `${quote(action)} takes no ${quote(unknown)}`);
  const missing = keys.find((key) => !(key in fields) && !OPTIONAL_KEYS.has(key));
  if (missing !== undefined) throw wrong(fields, `${quote(action)} needs ${quote(missing)}`);
  for (const [key, value] of Object.entries(fields)) checkValue(fields, key, value);
  return { do: action, ...fields } as ControlRequest;
}

/**
 * The forward that is to be added.
 *
 * @throws VdensError `ERR_ADDRESS`
 */
export function forwardOf(request: Extract<ControlRequest, { do: 'add' }>): PortForward {
  const { protocol, hostAddress, hostPort, guestPort } = request;
  const guestAddress = parseIp(request.guestAddress);
  const any = new Uint8Array(guestAddress.length);
  return {
    protocol,
    hostAddress: hostAddress === undefined ? any : parseIp(hostAddress),
    hostPort,
    guestAddress,
    guestPort,
  };
}

/** What an answer contains. */
export function emitForwards(forwards: readonly ForwardInfo[]): { readonly forwards: readonly ControlForward[] } {
  return { forwards: forwards.map(forwardText) };
}

/** The forwards in an answer; undefined when it is none. */
export function parseForwards({ forwards }: JsonObject): readonly ControlForward[] | undefined {
  return Array.isArray(forwards) && forwards.every(isForward) ? forwards : undefined;
}

/** A forward as it is written. */
export function forwardText(forward: ForwardInfo): ControlForward {
  const { id, protocol, hostAddress, hostPort, guestAddress, guestPort } = forward;
  return {
    id,
    protocol,
    hostAddress: formatIp(hostAddress),
    hostPort,
    guestAddress: formatIp(guestAddress),
    guestPort,
  };
}

/** Whether it is a forward as it is written. */
export function isForward(value: unknown): value is ControlForward {
  if (!isObject(value)) return false;
  const { id, protocol, hostAddress, hostPort, guestAddress, guestPort } = value;
  const areNumbers = [id, hostPort, guestPort].every((number) => Number.isSafeInteger(number));
  const areTexts = [hostAddress, guestAddress].every((text) => typeof text === 'string');
  return areNumbers && areTexts && (protocol === 'tcp' || protocol === 'udp');
}

function checkValue(fields: JsonObject, key: string, value: unknown): void {
  if (key === 'protocol') {
    if (value !== 'tcp' && value !== 'udp') throw wrong(fields, `"protocol" is "tcp" or "udp", not ${shown(value)}`);
  } else if (key.endsWith('Address')) {
    if (typeof value !== 'string') throw wrong(fields, `"${key}" is an address in quotes, not ${shown(value)}`);
  } else if (!Number.isSafeInteger(value)) throw wrong(fields, `"${key}" is a whole number, not ${shown(value)}`);
}

function wrong(fields: JsonObject, problem: string): WrongRequest {
  return new WrongRequest(problem, { value: shown(fields) });
}
