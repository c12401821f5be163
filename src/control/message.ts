/**
 * What is said on a control socket: one JSON object on each line, a request and its answer in turn.
 *
 * ```
 * {"version":1,"do":"status"}
 * {"version":1,"name":"web","pid":4711,…}
 * {"do":"cut","link":"vde0"}
 * {"version":1,"error":{"code":"ERR_USAGE","message":"there is no link \"vde0\""}}
 * {"event":"captured",…}
 * ```
 *
 * The first request says the version, and every answer. Lines that come without being asked for have `event` in its
 * place. With a line that has `"descriptors":2`, as many descriptors came (SCM_RIGHTS, unix(7)).
 */
import { quote, VdensError, type VdensErrorCode, type VdensErrorDetails } from '../errors.ts';

/** Of this protocol. */
export const CONTROL_VERSION = 1;
/** The most descriptors that go along with one line. */
export const MAX_LINE_DESCRIPTORS = 16;

export type JsonObject = Readonly<Record<string, unknown>>;

/** A request, as far as it is the same for all. */
export interface Request {
  /** The name of an operation, if it makes sense. */
  readonly do: unknown;
  /** All else that it says. */
  readonly fields: JsonObject;
  /** How many descriptors come with it. */
  readonly descriptors: number;
}

/** What a line of the other end is. */
export type Reply =
  | { readonly kind: 'answer'; readonly fields: JsonObject; readonly descriptors: number }
  | { readonly kind: 'error'; readonly error: VdensError }
  | { readonly kind: 'event'; readonly fields: JsonObject; readonly descriptors: number };

/** A request that makes no sense, after which the connection ends: what follows may not mean what it says either. */
export class WrongRequest extends VdensError {
  readonly isWrongRequest = true;

  constructor(problem: string, details: VdensErrorDetails = {}) {
    super('ERR_USAGE', problem, details);
  }

  static override [Symbol.hasInstance](candidate: unknown): boolean {
    return typeof candidate === 'object' && candidate !== null && 'isWrongRequest' in candidate;
  }
}

/**
 * Reads a request.
 *
 * @param isFirst whether it has to say the version
 * @throws WrongRequest when it is none
 */
export function parseRequest(line: string, isFirst: boolean): Request {
  const object = tryParse(line);
  if (object === undefined) throw new WrongRequest(`${quote(line)} is not a JSON object on one line`, { value: line });
  const { version, do: action, descriptors = 0, ...fields } = object;
  if (version === undefined ? isFirst : version !== CONTROL_VERSION) {
    const said = version === undefined ? 'does not say the version' : `says version ${shown(version)}`;
    throw new WrongRequest(`the request ${said}. Write "version":${CONTROL_VERSION}`, { value: line });
  }
  if (!isCount(descriptors)) {
    const problem = `"descriptors" is a number from 0 to ${MAX_LINE_DESCRIPTORS}, not ${shown(descriptors)}`;
    throw new WrongRequest(problem, { value: line });
  }
  return { do: action, fields, descriptors };
}

/** The line of a request. */
export function emitRequest(action: string, fields: object = {}, descriptors: number = 0): string {
  return `${JSON.stringify({ version: CONTROL_VERSION, do: action, ...fields, ...counted(descriptors) })}\n`;
}

/** The line that answers a request. */
export function emitAnswer(answer: object | VdensError): string {
  const content = answer instanceof VdensError ? { error: errorFields(answer) } : answer;
  return `${JSON.stringify({ version: CONTROL_VERSION, ...content })}\n`;
}

/** The line of something that happens. */
export function emitEvent(event: object, descriptors: number = 0): string {
  return `${JSON.stringify({ ...event, ...counted(descriptors) })}\n`;
}

/**
 * Reads what a process says.
 *
 * @returns undefined when it is nothing of this protocol
 */
export function parseReply(line: string): Reply | undefined {
  const object = tryParse(line);
  if (object === undefined) return undefined;
  const { version, descriptors = 0, ...fields } = object;
  if (!isCount(descriptors)) return undefined;
  if (version === undefined && typeof fields['event'] === 'string') return { kind: 'event', fields, descriptors };
  if (version !== CONTROL_VERSION) return undefined;
  const { error } = fields;
  return isObject(error) ? { kind: 'error', error: errorIn(error) } : { kind: 'answer', fields, descriptors };
}

/** A value as people read it, in quotes. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  return quote(typeof value === 'string' ? value : (tryStringify(value) ?? 'something'));
}

/** Whether it is an object, and neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function errorFields({ code, message, errno, value }: VdensError): object {
  return { code, message, ...(errno !== undefined && { errno }), ...(value !== undefined && { value }) };
}

function errorIn({ code, message, errno, value }: JsonObject): VdensError {
  const isOurs = typeof code === 'string' && /^ERR_[A-Z_]+$/.test(code);
  const text = typeof message === 'string' ? message : 'it refuses, and does not say why';
  const details = {
    ...(typeof errno === 'string' && { errno }),
    ...(typeof value === 'string' && { value }),
  };
  return new VdensError(isOurs ? (code as VdensErrorCode) : 'ERR_NETWORK_OPEN', text, details);
}

function counted(descriptors: number): object {
  return descriptors === 0 ? {} : { descriptors };
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MAX_LINE_DESCRIPTORS;
}

function tryParse(line: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What is nested deeply enough to be read, and too deeply to be written. */
function tryStringify(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}
