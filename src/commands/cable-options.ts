/** What the options of `vde_plug` and `vde_plug2tap` have in common: values that need reading. */
import type { SwitchAccess } from '../locator/open-plug.ts';
import type { CommandTable } from './option-table.ts';
import { type ParsedOptions, usage } from './parse-options.ts';

/** The request to a switch has 24 bits for the port's number. */
const MAX_PORT = 0xffffff;

/** The long names of the options that speak of the port of one network. */
export interface AccessNames {
  readonly port: string;
  readonly group: string;
  readonly mode: string;
}

/**
 * What the options say of a port.
 *
 * @throws {VdensError} `ERR_USAGE` for a port that is none, an empty group, or a mode that is not octal
 */
export function readAccess(
  table: CommandTable,
  { values }: Pick<ParsedOptions, 'values'>,
  names: AccessNames,
): SwitchAccess {
  const [port, group, mode] = [names.port, names.group, names.mode].map((name) => values.get(name)?.at(-1));
  if (port !== undefined && !isPort(port)) {
    const message = `--${names.port} takes the number of a port, from 1 to ${MAX_PORT}, not "${port}"`;
    throw usage(table, message, port);
  }
  if (group === '') throw usage(table, `--${names.group} takes a group, by name or number, not nothing`, group);
  if (mode !== undefined && !/^0*[0-7]{1,3}$/.test(mode)) {
    throw usage(table, `--${names.mode} takes a mode in octal, from 0 to 777, not "${mode}"`, mode);
  }
  return {
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(group === undefined ? {} : { group }),
    ...(mode === undefined ? {} : { mode: Number.parseInt(mode, 8) }),
  };
}

function isPort(text: string): boolean {
  return /^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= MAX_PORT;
}

/**
 * The file that a pid goes to; `undefined` when there is to be none.
 *
 * @throws {VdensError} `ERR_USAGE` when it has no name
 */
export function readPidFile(table: CommandTable, { values }: Pick<ParsedOptions, 'values'>): string | undefined {
  const path = values.get('pidfile')?.at(-1);
  if (path === '') throw usage(table, '--pidfile takes the name of a file, not nothing', path);
  return path;
}
