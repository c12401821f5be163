/** The options of `dpipe`, and what a command line of it asks for. */
import { VdensError } from '../errors.ts';
import { type Pipeline, readPipeline, SEPARATORS } from './dpipe-stages.ts';
import type { CommandTable } from './option-table.ts';
import { parseOptions, usage } from './parse-options.ts';

export const DPIPE_TABLE: CommandTable = {
  name: 'dpipe',
  summary: 'Joins commands by pipes in both directions',
  synopsis: ['[options] command = command [= command ...]'],
  options: [
    { long: 'daemon', short: 'd', help: 'go into the background' },
    { long: 'pidfile', short: 'p', argument: 'FILE', values: 'file', help: 'write the process id to this file' },
    {
      long: 'pgrpfile',
      short: 'P',
      argument: 'FILE',
      values: 'file',
      help: 'write the process group, with a minus, to this file',
    },
    { long: 'nowrapproc', short: 'n', help: 'become the last command, instead of waiting for all' },
    { long: 'nowrapnoclean', short: 'N', help: 'as -n, and the files stay' },
    { long: 'help', short: 'h', help: 'print this' },
    { long: 'version', short: 'V', help: 'print the version' },
  ],
  operands: [{ name: 'command', values: 'command' }],
  commandAfter: SEPARATORS,
  usageStatus: 1,
  notes: [
    'A command between others speaks to the next on the descriptors 3 and 4. "=} filter }=" and "={ filter {=" put one into one direction only. More: man dpipe',
  ],
};

/** What a command line of `dpipe` asks for. */
export type DpipeAction =
  | { readonly action: 'help' | 'version' }
  | {
      readonly action: 'run';
      readonly pipeline: Pipeline;
      readonly isDaemon: boolean;
      readonly pidFile: string | undefined;
      readonly groupFile: string | undefined;
      /** Whether this process becomes the last command. */
      readonly becomesLast: boolean;
      /** Whether the files are removed at the end. */
      readonly cleansUp: boolean;
    };

/**
 * What a command line asks for.
 *
 * @param argv - the words after the program's name
 * @throws {VdensError} `ERR_USAGE`
 */
export function interpretDpipeArguments(argv: readonly string[]): DpipeAction {
  const { values, operands } = parseOptions(DPIPE_TABLE, argv);
  if (values.has('help')) return { action: 'help' };
  if (values.has('version')) return { action: 'version' };
  const staysUnremoved = values.has('nowrapnoclean');
  return {
    action: 'run',
    pipeline: pipelineOf(operands),
    isDaemon: values.has('daemon'),
    pidFile: values.get('pidfile')?.at(-1),
    groupFile: values.get('pgrpfile')?.at(-1),
    becomesLast: values.has('nowrapproc') || staysUnremoved,
    cleansUp: !staysUnremoved,
  };
}

function pipelineOf(words: readonly string[]): Pipeline {
  try {
    return readPipeline(words);
  } catch (error) {
    if (!(error instanceof VdensError)) throw error;
    throw usage(DPIPE_TABLE, error.message, error.value ?? '');
  }
}
