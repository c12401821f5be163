/** The options of `wirefilter`, and what a command line of it asks for. */
import type { VdensError } from '../errors.ts';
import { MAX_SEED, readSeed } from '../impairment/random.ts';
import { parseQuantity, QUANTITIES, type Quantity } from '../impairment/settings.ts';
import type { PlacedValue } from '../impairment/value.ts';
import type { CommandTable } from './option-table.ts';
import { type ParsedOptions, parseOptions, usage } from './parse-options.ts';

/** As the original: the command line was wrong. */
export const STATUS_USAGE = 1;

export const WIREFILTER_TABLE: CommandTable = {
  name: 'wirefilter',
  summary: 'Is a cable that loses, delays, doubles and disturbs frames, as it is told',
  synopsis: ['[options] network network', '[options] -v path:path', '[options]'],
  options: [
    { long: 'loss', short: 'l', argument: 'VALUE', help: 'percent of the frames that are lost' },
    { long: 'lostburst', short: 'L', argument: 'VALUE', help: 'mean number of frames that are lost in a row' },
    { long: 'delay', short: 'd', argument: 'VALUE', help: 'milliseconds that each frame waits' },
    { long: 'dup', short: 'D', argument: 'VALUE', help: 'percent of the frames that come once more' },
    {
      long: 'bandwidth',
      aliases: ['band'],
      short: 'b',
      argument: 'VALUE',
      help: 'bytes per second: frames wait for each other',
    },
    { long: 'speed', short: 's', argument: 'VALUE', help: 'bytes per second: who sends waits, too' },
    {
      long: 'chanbufsize',
      aliases: ['capacity'],
      short: 'c',
      argument: 'VALUE',
      help: 'bytes that may wait; what comes then is lost',
    },
    { long: 'noise', short: 'n', argument: 'VALUE', help: 'bits that are wrong in a MiB' },
    { long: 'mtu', short: 'm', argument: 'VALUE', help: 'longest frame, in bytes, two more than it has' },
    { long: 'nofifo', short: 'N', help: 'let frames overtake each other' },
    { long: 'seed', argument: 'N', help: 'begin with the random numbers of a seed: the same again each time' },
    {
      long: 'schedule',
      argument: 'FILE',
      values: 'file',
      help: 'commands of the console, each with the time at which it is run',
    },
    { long: 'rcfile', short: 'f', argument: 'FILE', values: 'file', help: 'commands of the console to begin with' },
    { long: 'vde-plug', short: 'v', argument: 'A:B', help: 'two switches to join, or - for the stream' },
    { long: 'mgmt', short: 'M', argument: 'PATH', values: 'socket', help: 'socket of the management console' },
    { long: 'mgmtmode', argument: 'MODE', help: 'mode of that socket, in octal [0700]' },
    { long: 'nostdin', help: 'have no console on standard input' },
    { long: 'no-reconnect', help: 'end when a network ends, instead of waiting for it' },
    { long: 'blink', argument: 'PATH', values: 'socket', help: 'datagram socket that is told of each frame' },
    { long: 'blinkid', argument: 'TEXT', help: 'how these messages begin [the pid]' },
    { long: 'daemon', help: 'go into the background once everything is open' },
    { long: 'pidfile', argument: 'FILE', values: 'file', help: 'write the process id to FILE' },
    { long: 'help', short: 'h', help: 'print this' },
    { long: 'version', short: 'V', help: 'print the version' },
  ],
  operands: [
    { name: 'network', values: 'network' },
    { name: 'network', values: 'network' },
  ],
  isPermuted: true,
  usageStatus: STATUS_USAGE,
  notes: [
    'A VALUE is 20, 20+5 (15 to 25), 20+5N (normally distributed), with K, M or G; LR20 is for the way to the right, RL20 for the way back.',
    'Without networks it is a part of a dpipe: from standard input to standard output, and back.',
  ],
};

/** What is at an end. */
export type FilterEnd = { readonly kind: 'network'; readonly word: string } | { readonly kind: 'stream' };

/** A filter that is asked for. */
export interface FilterRequest {
  readonly action: 'filter';
  /** From left to right; without them both are streams: a stage of a dpipe. */
  readonly ends: readonly [left: FilterEnd, right: FilterEnd] | undefined;
  readonly values: readonly (readonly [Quantity, PlacedValue])[];
  readonly isFifo: boolean;
  readonly seed: number | undefined;
  readonly schedule: string | undefined;
  readonly rcFile: string | undefined;
  readonly management: string | undefined;
  readonly managementMode: number;
  readonly hasConsole: boolean;
  readonly reconnect: boolean;
  readonly blink: string | undefined;
  readonly blinkId: string | undefined;
  readonly isDaemon: boolean;
  readonly pidFile: string | undefined;
}

/** What a command line of `wirefilter` asks for. */
export type WirefilterAction = { readonly action: 'help' | 'version' } | FilterRequest;

const DEFAULT_MANAGEMENT_MODE = 0o700;
const MAX_MODE = 0o777;
/** The options of quantities whose names are others. */
const OPTION_OF: Partial<Record<Quantity, string>> = { capacity: 'chanbufsize' };

type Values = ParsedOptions['values'];

/**
 * What a command line asks for.
 *
 * @param argv - the words after the program's name
 * @throws {VdensError} `ERR_USAGE`
 */
export function interpretWirefilterArguments(argv: readonly string[]): WirefilterAction {
  const { values, operands } = parseOptions(WIREFILTER_TABLE, argv);
  if (values.has('help')) return { action: 'help' };
  if (values.has('version')) return { action: 'version' };
  const ends = readEnds(values, operands);
  const isDaemon = values.has('daemon');
  const hasStream = ends === undefined || ends.some(({ kind }) => kind === 'stream');
  if (isDaemon && hasStream) {
    const message = '--daemon leaves no standard input for a stream: name two networks';
    throw usage(WIREFILTER_TABLE, message, '--daemon');
  }
  return {
    action: 'filter',
    ends,
    values: readValues(values),
    isFifo: !values.has('nofifo'),
    seed: readSeedOption(values),
    schedule: readText(values, 'schedule'),
    rcFile: readText(values, 'rcfile'),
    management: readText(values, 'mgmt'),
    managementMode: readOctal(values, 'mgmtmode') ?? DEFAULT_MANAGEMENT_MODE,
    hasConsole: !hasStream && !isDaemon && !values.has('nostdin'),
    reconnect: !values.has('no-reconnect'),
    blink: readText(values, 'blink'),
    blinkId: readText(values, 'blinkid'),
    isDaemon,
    pidFile: readText(values, 'pidfile'),
  };
}

function readEnds(values: Values, operands: readonly string[]): FilterRequest['ends'] {
  const pair = readText(values, 'vde-plug');
  const [left, right, extra] = operands;
  if (pair === undefined) {
    if (left === undefined) return undefined;
    if (right === undefined) {
      const message = `${left} is one end of the cable: name the other one, too, or - for the stream`;
      throw usage(WIREFILTER_TABLE, message, left);
    }
    if (extra !== undefined) {
      throw usage(WIREFILTER_TABLE, `"${extra}" is one word too many: a cable has two ends`, extra);
    }
    return requireOneStream([endOf(left), endOf(right)]);
  }
  if (left !== undefined) {
    throw usage(WIREFILTER_TABLE, `"${left}" is one word too many: -v names both ends`, left);
  }
  const colon = pair.indexOf(':');
  const isLocator = /:\/\//.test(pair);
  if (colon < 1 || colon === pair.length - 1 || isLocator) {
    const message = `-v takes two paths with a colon between them, not "${pair}". Other networks are named as two words: wirefilter A B`;
    throw usage(WIREFILTER_TABLE, message, pair);
  }
  return requireOneStream([endOf(pair.slice(0, colon)), endOf(pair.slice(colon + 1))]);
}

function endOf(word: string): FilterEnd {
  return word === '-' ? { kind: 'stream' } : { kind: 'network', word };
}

function requireOneStream(ends: readonly [FilterEnd, FilterEnd]): readonly [FilterEnd, FilterEnd] {
  if (ends.some(({ kind }) => kind === 'network')) return ends;
  throw usage(WIREFILTER_TABLE, 'only one end can be the stream', '-');
}

function readValues(values: Values): FilterRequest['values'] {
  return QUANTITIES.flatMap((quantity) => {
    const name = OPTION_OF[quantity] ?? quantity;
    return (values.get(name) ?? []).map((text) => {
      const placed = parseQuantity(quantity, text);
      if (placed === undefined || placed.node !== 0) {
        throw wrongValue(name, text, 'is no value such as 20, LR20 or 20+5N');
      }
      return [quantity, placed] as const;
    });
  });
}

function readSeedOption(values: Values): number | undefined {
  const text = readText(values, 'seed');
  if (text === undefined) return undefined;
  const seed = readSeed(text);
  if (seed === undefined) throw wrongValue('seed', text, `is not a number from 0 to ${MAX_SEED}`);
  return seed;
}

function readText(values: Values, name: string): string | undefined {
  const text = values.get(name)?.at(-1);
  if (text === '') throw wrongValue(name, '', 'is nothing');
  return text;
}

function readOctal(values: Values, name: string): number | undefined {
  const text = readText(values, name);
  if (text === undefined) return undefined;
  const value = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
  if (value <= MAX_MODE) return value;
  throw wrongValue(name, text, `is not a mode from 0 to ${MAX_MODE.toString(8)}, in octal`);
}

function wrongValue(name: string, text: string, problem: string): VdensError {
  return usage(WIREFILTER_TABLE, `--${name}: "${text}" ${problem}`, text);
}
