/**
 * What is said on the control socket of a gateway: one JSON object on each line, a request and its answer in turn.
 *
 * ```
 * {"version":1,"do":"add","protocol":"tcp","hostPort":8080,"guestAddress":"10.0.2.15","guestPort":80}
 * {"version":1,"forwards":[{"id":1,"protocol":"tcp","hostAddress":"0.0.0.0","hostPort":8080,…}]}
 * {"do":"list"}
 * {"do":"remove","id":1}
 * {"version":1,"error":{"code":"ERR_USAGE","message":"there is no forward 7"}}
 * ```
 *
 * The first request says the version; an answer has the forwards that were added, are there, or were removed.
 */
import { quote, VdensError, type VdensErrorCode } from '../errors.ts';
import { formatIp, parseIp } from '../net/ip.ts';
import type { ForwardInfo } from './forwards.ts';
import type { PortForward } from './gateway-config.ts';

/** Of this protocol. */
export const CONTROL_VERSION = 1;
/** The longest request, in bytes, its end of line included. */
export const MAX_CONTROL_REQUEST_BYTES = 4096;

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
 * Reads a request.
 *
 * @param isFirst whether it has to say the version
 * @throws VdensError `ERR_USAGE` when it is none
 */
export function parseRequest(line: string, isFirst: boolean): ControlRequest {
  const object = parseObject(line);
  const { version, do: action, ...rest } = object;
  if (version === undefined ? isFirst : version !== CONTROL_VERSION) {
    const said = version === undefined ? 'does not say the version' : `says version ${shown(version)}`;
    throw wrong(line, `the request ${said}. Write "version":${CONTROL_VERSION}`);
  }
  const keys =
    typeof action === 'string' && Object.hasOwn(KEYS, action) ? KEYS[action as ControlRequest['do']] : undefined;
  if (keys === undefined) throw wrong(line, `${shown(action)} cannot be done. Write "do":"add", "list" or "remove"`);
  const unknown = Object.keys(rest).find((key) => !keys.includes(key));
  if (unknown !== undefined) throw wrong(line, `${shown(action)} takes no ${quote(unknown)}`);
  const missing = keys.find((key) => !(key in rest) && !OPTIONAL_KEYS.has(key));
  if (missing !== undefined) throw wrong(line, `${shown(action)} needs ${quote(missing)}`);
  for (const [key, value] of Object.entries(rest)) checkValue(line, key, value);
  return { do: action, ...rest } as ControlRequest;
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

/** The line that answers a request. */
export function emitAnswer(answer: readonly ForwardInfo[] | VdensError): string {
  const content =
    answer instanceof VdensError
      ? { error: { code: answer.code, message: answer.message, ...(answer.errno && { errno: answer.errno }) } }
      : { forwards: answer.map(toText) };
  return `${JSON.stringify({ version: CONTROL_VERSION, ...content })}\n`;
}

/** The line of a request. */
export function emitRequest(request: ControlRequest): string {
  return `${JSON.stringify({ version: CONTROL_VERSION, ...request })}\n`;
}

/**
 * Reads an answer.
 *
 * @returns undefined when it is none
 * @throws VdensError with the code of the gateway's error, when it is one
 */
export function parseAnswer(line: string): ControlForward[] | undefined {
  const { version, forwards, error } = tryParse(line) ?? {};
  if (version !== CONTROL_VERSION) return undefined;
  if (isObject(error)) throw errorIn(error);
  return Array.isArray(forwards) && forwards.every(isForward) ? forwards : undefined;
}

function toText({ id, protocol, hostAddress, hostPort, guestAddress, guestPort }: ForwardInfo): ControlForward {
  return {
    id,
    protocol,
    hostAddress: formatIp(hostAddress),
    hostPort,
    guestAddress: formatIp(guestAddress),
    guestPort,
  };
}

function checkValue(line: string, key: string, value: unknown): void {
  if (key === 'protocol') {
    if (value !== 'tcp' && value !== 'udp') throw wrong(line, `"protocol" is "tcp" or "udp", not ${shown(value)}`);
  } else if (key.endsWith('Address')) {
    if (typeof value !== 'string') throw wrong(line, `"${key}" is an address in quotes, not ${shown(value)}`);
  } else if (!Number.isSafeInteger(value)) throw wrong(line, `"${key}" is a whole number, not ${shown(value)}`);
}

function parseObject(line: string): JsonObject {
  const object = tryParse(line);
  if (object === undefined) throw wrong(line, `${quote(line)} is not a JSON object on one line`);
  return object;
}

function tryParse(line: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isForward(value: unknown): value is ControlForward {
  if (!isObject(value)) return false;
  const { id, protocol, hostAddress, hostPort, guestAddress, guestPort } = value;
  const areNumbers = [id, hostPort, guestPort].every((number) => Number.isSafeInteger(number));
  const areTexts = [hostAddress, guestAddress].every((text) => typeof text === 'string');
  return areNumbers && areTexts && (protocol === 'tcp' || protocol === 'udp');
}

function errorIn({ code, message, errno }: JsonObject): VdensError {
  const isOurs = typeof code === 'string' && /^ERR_[A-Z_]+$/.test(code);
  const text = typeof message === 'string' ? message : 'the gateway refuses, and does not say why';
  const details = typeof errno === 'string' ? { errno } : {};
  return new VdensError(isOurs ? (code as VdensErrorCode) : 'ERR_NETWORK_OPEN', text, details);
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : quote(typeof value === 'string' ? value : JSON.stringify(value));
}

function wrong(line: string, problem: string): VdensError {
  return new VdensError('ERR_USAGE', problem, { value: line });
}
