/** The options of `vde capture`, and what a command line of it asks for. */
import { type Place, splitPlace } from '../inventory/link-name.ts';
import type { CommandTable } from './option-table.ts';
import { type ParsedOptions, parseOptions, usage } from './parse-options.ts';

const DEFAULT_SNAP = 262_144;
const LEAST_SNAP = 14;
const MEBIBYTE = 1_048_576;
const DEFAULT_BUFFER_MIB = 16;
const DEFAULT_RING_MIB = 64;
const MAX_MIB = 1024;
const MAX_SECONDS = 86_400;
const MAX_COUNT = 2 ** 53 - 1;

export const VDE_CAPTURE_TABLE: CommandTable = {
  name: 'vde capture',
  summary: 'Shows or writes the frames that pass an interface, a switch or a cable',
  synopsis: [
    '[options] name[:link] [filter]',
    '--ring SECONDS [--ring-size MIB] name',
    '--last [-w FILE] name [filter]',
  ],
  options: [
    {
      long: 'write',
      short: 'w',
      argument: 'FILE',
      values: 'file',
      help: 'write a capture file (pcapng); - is standard output',
    },
    { long: 'count', short: 'c', argument: 'N', help: 'end after so many frames' },
    { long: 'seconds', argument: 'N', help: 'end after so many seconds; with --last, only those' },
    { long: 'snap', short: 's', argument: 'BYTES', help: `keep so many bytes of a frame [${DEFAULT_SNAP}]` },
    { long: 'link', short: 'i', argument: 'LINK', help: 'this interface or port; any for all that the process has' },
    { long: 'buffer-size', argument: 'MIB', help: `room for frames that are not yet written [${DEFAULT_BUFFER_MIB}]` },
    { long: 'ring', argument: 'SECONDS', help: 'record the last seconds until asked for them; 0 ends that' },
    { long: 'ring-size', argument: 'MIB', help: `room for the recording [${DEFAULT_RING_MIB}]` },
    { long: 'last', help: 'what was recorded until now' },
    { long: 'help', short: 'h', help: 'print this' },
  ],
  operands: [{ name: 'name', values: 'running' }, { name: 'filter' }],
  isPermuted: true,
  notes: [
    'The name is what vde ls shows, a pid, or the directory of a switch. Filters are written as for tcpdump: tcp port 80.',
    'For Wireshark: vde capture NAME -w - | wireshark -k -i -',
  ],
};

/** What a command line of `vde capture` asks for. */
export type CaptureAction =
  | { readonly action: 'help'; readonly table: CommandTable }
  | {
      readonly action: 'capture';
      readonly subject: Place;
      readonly filter: string;
      /** `undefined`: a line for each frame. */
      readonly file: string | undefined;
      readonly count: number | undefined;
      readonly seconds: number | undefined;
      readonly snap: number;
      /** Of the ring. */
      readonly bytes: number;
      /** What was recorded, instead of what passes from now on. */
      readonly isLast: boolean;
    }
  | {
      readonly action: 'record';
      readonly subject: Place;
      /** 0: not any more. */
      readonly seconds: number;
      readonly snap: number;
      readonly bytes: number;
    };

/** @throws VdensError `ERR_USAGE` */
export function interpretCapture(argv: readonly string[]): CaptureAction {
  const options = parseOptions(VDE_CAPTURE_TABLE, argv);
  const { values, operands } = options;
  if (values.has('help')) return { action: 'help', table: VDE_CAPTURE_TABLE };
  const [word = '', ...filter] = operands;
  if (word === '') throw usage(VDE_CAPTURE_TABLE, 'a name is missing, for example: vde capture web -w web.pcapng', '');
  const place = splitPlace(word);
  const subject = { name: place.name, link: values.get('link')?.[0] ?? place.link };
  const snap = wholeNumber(options, 'snap', LEAST_SNAP, DEFAULT_SNAP) ?? DEFAULT_SNAP;
  if (values.has('ring')) return recording(options, subject, snap, filter);
  if (values.has('last')) {
    for (const other of ['snap', 'buffer-size']) {
      if (values.has(other))
        throw usage(
          VDE_CAPTURE_TABLE,
          `--last and --${other} do not go together: it is said when it is recorded`,
          `--${other}`,
        );
    }
  }
  if (values.has('ring-size')) throw usage(VDE_CAPTURE_TABLE, '--ring-size is for --ring', '--ring-size');
  return {
    action: 'capture',
    subject,
    filter: filter.join(' '),
    file: values.get('write')?.[0],
    count: wholeNumber(options, 'count', 1, MAX_COUNT),
    seconds: wholeNumber(options, 'seconds', 1, MAX_SECONDS),
    snap,
    bytes: (wholeNumber(options, 'buffer-size', 1, MAX_MIB) ?? DEFAULT_BUFFER_MIB) * MEBIBYTE,
    isLast: values.has('last'),
  };
}

function recording(options: ParsedOptions, subject: Place, snap: number, filter: readonly string[]): CaptureAction {
  for (const other of ['write', 'count', 'seconds', 'buffer-size', 'last']) {
    if (options.values.has(other))
      throw usage(
        VDE_CAPTURE_TABLE,
        `--ring and --${other} do not go together: --last takes what was recorded`,
        `--${other}`,
      );
  }
  if (filter.length > 0)
    throw usage(VDE_CAPTURE_TABLE, 'everything is recorded; a filter is for --last', filter.join(' '));
  return {
    action: 'record',
    subject,
    seconds: wholeNumber(options, 'ring', 0, MAX_SECONDS) ?? 0,
    snap,
    bytes: (wholeNumber(options, 'ring-size', 1, MAX_MIB) ?? DEFAULT_RING_MIB) * MEBIBYTE,
  };
}

function wholeNumber({ values }: ParsedOptions, name: string, least: number, most: number): number | undefined {
  const text = values.get(name)?.[0];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw usage(VDE_CAPTURE_TABLE, `--${name} takes a whole number from ${least} to ${most}, not "${text}"`, text);
}
