/**
 * What the options of a `vde://` locator say: which port of the switch, and who may use the client's socket.
 *
 * ```
 * vde:///run/sw            any free port
 * vde:///run/sw[7]         port 7 (port=7 is the same; 0 is the port of the management)
 * vde:///run/sw[staff]     the port group "staff": the socket of that name in the switch's directory
 * vde:///run/sw[group=users/mode=660]
 * ```
 */
import type { Locator } from './locator.ts';
import { wrongLocator, wrongOption } from './wrong-locator.ts';

/** Which port of a switch is asked for. */
export type VdePort =
  | { readonly kind: 'any' }
  | { readonly kind: 'port'; readonly port: number }
  | { readonly kind: 'group'; readonly name: string };

/** Who may use the client's socket. */
export interface VdeAccess {
  /** A group, by name or by number. */
  readonly group?: string;
  /** Permission bits, 0 to 0o777. */
  readonly mode?: number;
}

/** The request has 24 bits for the port's number. */
const MAX_PORT = 0xffffff;

/**
 * The port that the locator asks for. Only digits are a number; everything else names a port group.
 *
 * @throws {VdensError} `ERR_LOCATOR` when the number is too large, or the name cannot be that of a socket.
 */
export function vdePortOption(locator: Locator): VdePort {
  const value = locator.options.get('port') ?? '';
  if (value === '') return { kind: 'any' };
  if (/^\d+$/.test(value)) {
    if (Number(value) <= MAX_PORT) return { kind: 'port', port: Number(value) };
    throw wrongLocator(
      locator.text,
      `port ${value} is out of range. Ports go from 0 to ${MAX_PORT}, for example [3]`,
      value,
    );
  }
  if (value.includes('/') || value === '.' || value === '..') {
    const message = `"${value}" cannot be the name of a port group. Write a plain name, for example [staff]`;
    throw wrongLocator(locator.text, message, value);
  }
  return { kind: 'group', name: value };
}

/**
 * Group and mode that the locator gives to the client's socket.
 *
 * @throws {VdensError} `ERR_LOCATOR` when the mode is not octal, or the group empty.
 */
export function vdeAccessOptions(locator: Locator): VdeAccess {
  const group = locator.options.get('group');
  const mode = locator.options.get('mode');
  if (group === '') throw wrongOption(locator, '', 'the option "group" needs a value', 'group=users');
  if (mode !== undefined && !/^0*[0-7]{1,3}$/.test(mode)) {
    throw wrongOption(locator, mode, `the mode "${mode}" is not one from 0 to 777, in octal`, 'mode=660');
  }
  return {
    ...(group === undefined ? {} : { group }),
    ...(mode === undefined ? {} : { mode: Number.parseInt(mode, 8) }),
  };
}
