/** The `cadrop` command: becomes another one, without some capabilities. */
import { VdensError } from '../errors.ts';
import { dropCapabilities } from '../system/drop-capabilities.ts';
import { commandVariables, inheritanceWords, replaceVariables } from '../system/inheritance.ts';
import { errnoName, native } from '../system/native.ts';
import { printAbout } from './about.ts';
import { CADROP_TABLE, type CadropAction, interpretCadropArguments } from './cadrop-options.ts';
import { reportError } from './report-error.ts';
import { unrunnable } from './unrunnable.ts';

const NAME = 'cadrop';
/** As the original: there is no shell, or the kernel refused. */
const STATUS_FAILURE = 1;
/** As the original: the list of capabilities was wrong, or the command could not be run. */
const STATUS_USAGE = 2;
const STANDARD_STREAMS = Int32Array.of(0, 1, 2);

/**
 * Runs `cadrop`. Resolves with an exit status, unless this process became the command.
 *
 * @param argv - the words after the program's name
 */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    return await act(interpretCadropArguments(argv));
  } catch (error) {
    await reportError(NAME, error);
    const isWrong = error instanceof VdensError && (error.code === 'ERR_USAGE' || error.syscall === 'execve');
    return isWrong ? STATUS_USAGE : STATUS_FAILURE;
  }
}

async function act(request: CadropAction): Promise<number> {
  switch (request.action) {
    case 'help':
    case 'version':
      return printAbout(request.action, CADROP_TABLE);
    case 'drop':
      return drop(request.set, request.command ?? [shell()]);
  }
}

function shell(): string {
  const { SHELL: found } = process.env;
  if (found !== undefined) return found;
  throw new VdensError('ERR_COMMAND', 'the variable $SHELL is not set. Set it, or name a command: cadrop all COMMAND');
}

function drop(set: bigint, command: readonly string[]): never {
  dropCapabilities(set);
  const inheritance = inheritanceWords();
  replaceVariables(commandVariables());
  const result = native.becomeCommand(command, STANDARD_STREAMS, inheritance);
  const [program = ''] = command;
  const details = { value: program, errno: errnoName(result), syscall: 'execve' };
  throw new VdensError('ERR_COMMAND', unrunnable(program, result), details);
}
