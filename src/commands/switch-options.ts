/** The options of `vde switch`, and what a command line of it asks for. */
import { requireGroupId } from '../locator/group-id.ts';
import { type Locator, parseLocator } from '../locator/locator.ts';
import { defaultNodeDirectory, MAX_EXPIRE_SECONDS, MAX_TABLE_SIZE, nodeOptions } from '../locator/node-options.ts';
import type { RendezvousOptions } from '../switch/rendezvous.ts';
import { MAX_PORTS, type SwitchOptions } from '../switch/switch.ts';
import { type ParsedOptions, usage } from './parse-options.ts';
import { VDE_SWITCH_TABLE } from './vde-options.ts';

/** What to serve, where, and for whom. */
export interface SwitchRequest {
  /** What the user calls it. */
  readonly word: string;
  /** The directory. */
  readonly path: string;
  readonly switch: SwitchOptions;
  readonly permissions: RendezvousOptions;
  /** Whether to say nothing unless there is a problem, or somebody asks. */
  readonly quiet: boolean;
}

const MAX_MODE = 0o777;
const MAX_DIRECTORY_MODE = 0o7777;
const MAX_NUMBER = 2 ** 31 - 1;

type Values = ParsedOptions['values'];

/**
 * What a command line asks for: options go before what the locator says.
 *
 * @throws VdensError `ERR_USAGE` or `ERR_LOCATOR`
 */
export async function readSwitchRequest({ values, operands }: ParsedOptions): Promise<SwitchRequest> {
  const [word = '', extra] = operands;
  if (extra !== undefined) throw tooMany(word, extra);
  const locator = readLocator(word);
  const node = nodeOptions(locator);
  const hub = values.has('hub') || locator.scheme === 'hub' || node.tableSize === 0;
  if (hub) refuseTableOptions(values);
  const mode = readOctal(values, 'mode', MAX_MODE, '0660') ?? node.mode;
  const dirmode = readOctal(values, 'dirmode', MAX_DIRECTORY_MODE, '02770') ?? node.dirmode;
  const group = readGroup(values) ?? node.group;
  // The usual place is one where anybody can make a directory.
  const ownOnly = locator.address === '';
  const path = ownOnly ? defaultNodeDirectory() : locator.address;
  const maxPorts = readNumber(values, 'ports', 1, MAX_PORTS);
  const expireSeconds = readNumber(values, 'expire', 1, MAX_EXPIRE_SECONDS) ?? node.expireSeconds;
  return {
    word: word === '' ? path : word,
    path,
    switch: {
      hub,
      tableSize: readNumber(values, 'table-size', 1, MAX_TABLE_SIZE) ?? node.tableSize,
      hashSeed: readNumber(values, 'table-seed', 0, MAX_NUMBER) ?? node.hashSeed,
      ...(expireSeconds === undefined ? {} : { expireSeconds }),
      ...(maxPorts === undefined ? {} : { maxPorts }),
    },
    permissions: {
      mode,
      dirmode,
      group: group === undefined ? undefined : await requireGroupId(word || path, group),
      ownOnly,
    },
    quiet: values.has('quiet'),
  };
}

/** A path is short for `switch://PATH`. */
function readLocator(word: string): Locator {
  const locator = parseLocator(word.includes('://') ? word : `switch://${word}`);
  if (locator.scheme === 'switch' || locator.scheme === 'hub') return locator;
  const message = `${word} is not served by a switch. Name a directory, switch://PATH or hub://PATH`;
  throw usage(VDE_SWITCH_TABLE, message, word);
}

function refuseTableOptions(values: Values): void {
  const option = ['table-size', 'table-seed', 'expire'].find((name) => values.has(name));
  if (option === undefined) return;
  throw usage(VDE_SWITCH_TABLE, `--${option} is for a switch, a hub has no table. Leave one of them out`, option);
}

function readOctal(values: Values, name: string, largest: number, example: string): number | undefined {
  const text = values.get(name)?.at(-1);
  if (text === undefined) return undefined;
  const value = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
  if (value <= largest) return value;
  const range = `from 0 to ${largest.toString(8)}, in octal`;
  throw usage(VDE_SWITCH_TABLE, `--${name}: "${text}" is not a mode ${range}, for example --${name} ${example}`, text);
}

function readNumber(values: Values, name: string, smallest: number, largest: number): number | undefined {
  const text = values.get(name)?.at(-1);
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= smallest && value <= largest) return value;
  const range = `a number from ${smallest} to ${largest}`;
  throw usage(VDE_SWITCH_TABLE, `--${name}: "${text}" is not ${range}`, text);
}

function readGroup(values: Values): string | undefined {
  const group = values.get('group')?.at(-1);
  if (group !== '') return group;
  throw usage(VDE_SWITCH_TABLE, '--group needs the name of a group, for example --group users', group);
}

function tooMany(word: string, extra: string): Error {
  const remedy = extra.startsWith('-') ? `options come before it: vde switch ${extra} ${word}` : 'it takes one path';
  return usage(VDE_SWITCH_TABLE, `"${extra}" after "${word}" is one word too many, ${remedy}`, extra);
}
