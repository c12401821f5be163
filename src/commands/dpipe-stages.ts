/**
 * The language of `dpipe`: commands with `=` between them, and how their descriptors are joined by it.
 *
 * ```
 * a = b = c       a ⇄ b ⇄ c     b speaks to a on 0 and 1, to c on 3 and 4
 * a =} f }= b     a → f → b     and b → a directly
 * a ={ f {= b     a ← f ← b     and a → b directly
 * ```
 *
 * A filter may be followed by more, in either direction: `=} f }={ g {=`, which may also be written `=} f ={ g {=`. As in
 * the original, only the first characters of such a word count: `=foo` is `=`.
 */
import { VdensError } from '../errors.ts';

/** Descriptors of a command towards the one before it, or towards the next when it is the first. */
const STDIN = 0;
const STDOUT = 1;
/** Descriptors of a command between two others, towards the next. The variables that say so are in {@link alternates}. */
const ALTERNATE_STDIN = 3;
const ALTERNATE_STDOUT = 4;

/** Told to every command, as the original does. */
export const alternates: Readonly<Record<string, string>> = {
  ALTERNATE_STDIN: `${ALTERNATE_STDIN}`,
  ALTERNATE_STDOUT: `${ALTERNATE_STDOUT}`,
};

/** Words that separate commands, for those who complete command lines. */
export const SEPARATORS: readonly string[] = ['=', '=}', '={', '}=', '{=', '}=}', '}={', '{=}', '{={'];

/** What a command is: one that speaks in both directions, or a filter of what goes from left to right, or back. */
type Role = 'speaker' | 'rightward' | 'leftward';

/** A command and its place. */
interface Stage {
  readonly role: Role;
  readonly command: readonly string[];
}

/** One end of a pipe. */
interface End {
  /** Index of the command. */
  readonly stage: number;
  readonly fd: number;
}

/** A pipe from the standard output of one command, or its alternate, to the input of another. */
export interface Pipe {
  readonly writer: End;
  readonly reader: End;
}

/** What is to be started, and how it is joined. */
export interface Pipeline {
  readonly commands: readonly (readonly string[])[];
  readonly pipes: readonly Pipe[];
}

const BRACES: Readonly<Record<string, Role>> = { '}': 'rightward', '{': 'leftward' };
const CLOSING: Readonly<Record<Role, string>> = { speaker: '=', rightward: '}=', leftward: '{=' };

/**
 * Reads what follows the options of `dpipe`.
 *
 * @throws {VdensError} `ERR_USAGE`, with a message that has no command's name in it
 */
export function readPipeline(words: readonly string[]): Pipeline {
  const stages = readStages(words);
  return { commands: stages.map(({ command }) => command), pipes: joinStages(stages) };
}

function readStages(words: readonly string[]): readonly Stage[] {
  const stages: Stage[] = [];
  let role: Role = 'speaker';
  let command: string[] = [];
  let opened = '';
  const finish = (next: string | undefined): void => {
    if (command.length === 0) throw missingCommand(stages.length, next);
    stages.push({ role, command });
    command = [];
  };
  for (const word of words) {
    const rest = afterSeparator(word, role);
    if (rest === undefined) {
      command.push(word);
      continue;
    }
    finish(word);
    const brace = BRACES[rest.charAt(0)];
    if (brace !== undefined) opened = word;
    role = brace ?? (word.startsWith('=') ? role : 'speaker');
  }
  finish(undefined);
  if (role !== 'speaker') {
    const message = `the filter after "${opened}" has nothing behind it: "${CLOSING[role]}" and a command are missing`;
    throw new VdensError('ERR_USAGE', message, { value: opened });
  }
  if (stages.length < 2) {
    throw new VdensError('ERR_USAGE', 'there is one command only: it takes "=" and another one to join it with', {
      value: words.join(' '),
    });
  }
  return stages;
}

/** What follows the `=` of a separator; undefined when the word belongs to a command. */
function afterSeparator(word: string, role: Role): string | undefined {
  if (word.startsWith('=')) return word.slice(1);
  const closing = CLOSING[role];
  return role !== 'speaker' && word.startsWith(closing) ? word.slice(closing.length) : undefined;
}

function missingCommand(before: number, separator: string | undefined): VdensError {
  if (separator !== undefined) {
    return new VdensError('ERR_USAGE', `before "${separator}" a command is missing`, { value: separator });
  }
  const message = before === 0 ? 'commands are missing: COMMAND = COMMAND' : 'behind the last "=" a command is missing';
  return new VdensError('ERR_USAGE', message, { value: '' });
}

function joinStages(stages: readonly Stage[]): readonly Pipe[] {
  const pipes: Pipe[] = [];
  const speakers = [...stages.keys()].filter((index) => stages[index]?.role === 'speaker');
  for (const [place, left] of speakers.entries()) {
    const right = speakers[place + 1];
    if (right === undefined) break;
    const between = [...stages.keys()].slice(left + 1, right);
    const isFirst = place === 0;
    const filters = (wanted: Role): End[][] =>
      between
        .filter((index) => stages[index]?.role === wanted)
        .map((stage) => [
          { stage, fd: STDIN },
          { stage, fd: STDOUT },
        ]);
    pipes.push(
      ...chain([
        { stage: left, fd: isFirst ? STDOUT : ALTERNATE_STDOUT },
        ...filters('rightward').flat(),
        { stage: right, fd: STDIN },
      ]),
      ...chain([
        { stage: right, fd: STDOUT },
        ...filters('leftward').reverse().flat(),
        { stage: left, fd: isFirst ? STDIN : ALTERNATE_STDIN },
      ]),
    );
  }
  return pipes;
}

/** Writer, reader, writer, reader, ...: a pipe for each two. */
function chain(ends: readonly End[]): readonly Pipe[] {
  const pipes: Pipe[] = [];
  for (let index = 0; index + 1 < ends.length; index += 2) {
    const [writer, reader] = ends.slice(index, index + 2);
    if (writer !== undefined && reader !== undefined) pipes.push({ writer, reader });
  }
  return pipes;
}
