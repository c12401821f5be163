/**
 * What the options of a `switch://` or `hub://` locator say: who may join, and how the forwarding table is made.
 *
 * ```
 * switch:///tmp/lan                                 for one user
 * switch:///tmp/lan[mode=0660/grp=lab]              for a group
 * switch:///tmp/lan[hashsize=4096/expiretime=300]   for many stations
 * ```
 */
import { userInfo } from 'node:os';
import type { Locator } from './locator.ts';
import { decimalOption, type NumberRange, octalOption } from './option-values.ts';
import { wrongOption } from './wrong-locator.ts';

/** Addresses that the original's table has room for. */
const DEFAULT_TABLE_SIZE = 256;
/** LARGEST_SIZE in native/io/forwarding_table.c. */
export const MAX_TABLE_SIZE: number = 16_777_216;
/** The longest time that fits the 31 bits of milliseconds in native/io/forwarding_table.c. */
export const MAX_EXPIRE_SECONDS: number = 2_147_483;
const MAX_NUMBER = 2 ** 31 - 1;

/** Stations that a table may remember, and seconds for which it may. */
export const TABLE_SIZES: NumberRange = { smallest: 0, largest: MAX_TABLE_SIZE };
export const EXPIRE_SECONDS: NumberRange = { smallest: 1, largest: MAX_EXPIRE_SECONDS };

/** Who may join, and the table. */
export interface NodeOptions {
  /** Permission bits of the sockets. */
  readonly mode?: number;
  /** Permission bits of the directory. */
  readonly dirmode?: number;
  /** A group, by name or by number. */
  readonly group?: string;
  readonly tableSize: number;
  readonly hashSeed: number;
  readonly expireSeconds?: number;
}

/** The directory where the originals meet when none is named: one for each user. */
export function defaultNodeDirectory(): string {
  return `/tmp/vdenode_${loginName() ?? `u${process.geteuid?.() ?? ''}`}`;
}

/**
 * Reads the options.
 *
 * @throws VdensError `ERR_LOCATOR` when a value makes no sense
 */
export function nodeOptions(locator: Locator): NodeOptions {
  const mode = octalOption(locator, 'mode', 0o777, '0660');
  const dirmode = octalOption(locator, 'dirmode', 0o7777, '02770');
  const group = locator.options.get('grp');
  const expireSeconds = decimalOption(locator, 'expiretime', EXPIRE_SECONDS);
  if (group === '') throw wrongOption(locator, '', 'the option "grp" needs a value', 'grp=users');
  return {
    ...(mode === undefined ? {} : { mode }),
    ...(dirmode === undefined ? {} : { dirmode }),
    ...(group === undefined ? {} : { group }),
    tableSize: decimalOption(locator, 'hashsize', TABLE_SIZES) ?? DEFAULT_TABLE_SIZE,
    hashSeed: decimalOption(locator, 'hashseed', { smallest: 0, largest: MAX_NUMBER }) ?? 0,
    ...(expireSeconds === undefined ? {} : { expireSeconds }),
  };
}

function loginName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined; // no entry in passwd(5)
  }
}
